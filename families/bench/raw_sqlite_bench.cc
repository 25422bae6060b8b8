// The raw engine below `sqlite`: SQLite's own interface and its unix VFS, with the settings that
// the family uses by default.
#include <sqlite3.h>

#include "families/base/check.h"
#include "families/bench/raw_engine.h"

namespace qk::families::bench {
namespace {

class Statement {
 public:
  Statement(sqlite3* db, const char* sql) {
    QK_CHECK(sqlite3_prepare_v2(db, sql, -1, &statement_, nullptr) == SQLITE_OK);
  }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  sqlite3_stmt* get() { return statement_; }
  bool step() {
    const int code = sqlite3_step(statement_);
    QK_CHECK(code == SQLITE_ROW || code == SQLITE_DONE);
    return code == SQLITE_ROW;
  }
  void run() {
    while (step()) {
    }
    sqlite3_reset(statement_);
  }

 private:
  sqlite3_stmt* statement_ = nullptr;
};

class Sqlite final : public RawEngine {
 public:
  explicit Sqlite(const std::string& path) {
    QK_CHECK(sqlite3_open_v2(path.c_str(), &db_,
                             SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                             "unix") == SQLITE_OK);
    execute("PRAGMA page_size=4096");
    execute("PRAGMA locking_mode=EXCLUSIVE");
    execute("PRAGMA cache_size=-256");
    execute(
        "CREATE TABLE IF NOT EXISTS log(idx INTEGER PRIMARY KEY, term INTEGER NOT NULL, "
        "type INTEGER NOT NULL, payload BLOB NOT NULL)");
    configure();
  }
  ~Sqlite() override {
    insert_.reset();
    read_.reset();
    QK_CHECK(sqlite3_close(db_) == SQLITE_OK);
  }

  void append(std::span<const LogEntry> entries) override {
    if (entries.size() > 1) execute("BEGIN IMMEDIATE");
    load(entries);
    if (entries.size() > 1) execute("COMMIT");
  }

  void find_entries() override {
    execute("SELECT count(*) FROM log");
    execute("SELECT min(idx) FROM log");
    execute("SELECT max(idx) FROM log");
  }

  uint64_t scan(int64_t to) override {
    Statement rows(db_, "SELECT idx, term, type, payload FROM log WHERE idx <= ?1 ORDER BY idx");
    sqlite3_bind_int64(rows.get(), 1, to);
    uint64_t total = 0;
    while (rows.step()) {
      benchmark_keep(sqlite3_column_int64(rows.get(), 1) + sqlite3_column_int64(rows.get(), 2));
      benchmark_keep(sqlite3_column_blob(rows.get(), 3));
      total += static_cast<uint64_t>(sqlite3_column_bytes(rows.get(), 3));
    }
    return total;
  }
  uint64_t read(int64_t index) override {
    if (read_ == nullptr) {
      read_ = std::make_unique<Statement>(db_, "SELECT term, type, payload FROM log WHERE idx=?1");
    }
    sqlite3_bind_int64(read_->get(), 1, index);
    QK_CHECK(read_->step());
    const auto size = static_cast<uint64_t>(sqlite3_column_bytes(read_->get(), 2));
    sqlite3_reset(read_->get());
    return size;
  }
  void drop_below(int64_t first_kept) override {
    drop("DELETE FROM log WHERE idx < ?1", first_kept);
  }
  void drop_above(int64_t last_kept) override { drop("DELETE FROM log WHERE idx > ?1", last_kept); }

  void begin_load() override {
    execute("PRAGMA journal_mode=OFF");
    execute("PRAGMA synchronous=OFF");
    execute("BEGIN");
  }
  void load(std::span<const LogEntry> entries) override {
    if (insert_ == nullptr) {
      insert_ = std::make_unique<Statement>(
          db_, "INSERT INTO log(idx, term, type, payload) VALUES(?1, ?2, ?3, ?4)");
    }
    for (const LogEntry& entry : entries) {
      sqlite3_bind_int64(insert_->get(), 1, entry.index);
      sqlite3_bind_int64(insert_->get(), 2, entry.term);
      sqlite3_bind_int64(insert_->get(), 3, static_cast<int64_t>(entry.type));
      sqlite3_bind_blob64(insert_->get(), 4, entry.payload.data(), entry.payload.size(),
                          SQLITE_STATIC);
      insert_->run();
    }
  }
  void end_load() override {
    insert_.reset();
    execute("COMMIT");
    // The first commit in WAL mode, and its checkpoint, sync the file.
    configure();
    execute("PRAGMA user_version=1");
    QK_CHECK(sqlite3_wal_checkpoint_v2(db_, "main", SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr) ==
             SQLITE_OK);
  }

 private:
  template <typename T>
  static void benchmark_keep(T value) {
    volatile T kept = value;
    static_cast<void>(kept);
  }
  void execute(const char* sql) { Statement(db_, sql).run(); }
  void configure() {
    execute("PRAGMA journal_mode=WAL");
    execute("PRAGMA synchronous=FULL");
    execute("PRAGMA wal_autocheckpoint=256");
  }
  void drop(const char* sql, int64_t index) {
    Statement statement(db_, sql);
    sqlite3_bind_int64(statement.get(), 1, index);
    statement.run();
  }

  sqlite3* db_ = nullptr;
  std::unique_ptr<Statement> insert_;
  std::unique_ptr<Statement> read_;
};

}  // namespace

std::unique_ptr<RawEngine> open_sqlite(const std::string& path) {
  return std::make_unique<Sqlite>(path);
}

}  // namespace qk::families::bench
