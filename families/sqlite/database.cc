#include "families/sqlite/database.h"

#include <array>
#include <vector>

#include "families/base/bytes.h"
#include "families/fs/file_util.h"
#include "families/sqlite/wal.h"

namespace qk::families {
namespace {

constexpr std::string_view kSchema[] = {
    "CREATE TABLE log(idx INTEGER PRIMARY KEY, term INTEGER NOT NULL, type INTEGER NOT NULL, "
    "payload_crc INTEGER NOT NULL, crc INTEGER NOT NULL, payload BLOB NOT NULL)",
    "CREATE TABLE state(id INTEGER PRIMARY KEY, value BLOB NOT NULL, crc INTEGER NOT NULL)",
};

// The database header (fileformat2.html, section 1.3).
constexpr size_t kHeaderBytes = 100;
constexpr std::string_view kMagic("SQLite format 3\0", 16);
constexpr size_t kPageSizeAt = 16;
constexpr size_t kWriteVersionAt = 18;
constexpr size_t kReadVersionAt = 19;
constexpr size_t kReservedBytesAt = 20;
constexpr size_t kLargestRootAt = 52;
constexpr size_t kUserVersionAt = 60;
constexpr size_t kIncrementalVacuumAt = 64;
constexpr size_t kApplicationIdAt = 68;

absl::Status check_format(const std::string& path, uint32_t application, uint32_t version) {
  if (application != kApplicationId) {
    return absl::FailedPreconditionError(
        cat(path, ": a SQLite database of another application: found application id ",
            hex8(application), ", expected ", hex8(kApplicationId)));
  }
  if (version != kFormatVersion) {
    return absl::FailedPreconditionError(
        cat(path, ": format ", version, version > kFormatVersion ? " is newer than" : " is not",
            " the format that this build reads, ", kFormatVersion));
  }
  return absl::OkStatus();
}

// Judges the file by its header, before SQLite may write to it; returns its page size. What is
// judged holds for every version of the header, so a torn first page does not matter.
absl::StatusOr<uint32_t> read_header(FileSystem& fs, const std::string& path) {
  OpenFlags flags;
  flags.read_only = true;
  QK_ASSIGN_OR_RETURN(const std::unique_ptr<File> file, fs.open(path, flags));
  QK_ASSIGN_OR_RETURN(const uint64_t size, file->size());
  if (size < kHeaderBytes) {
    return absl::DataLossError(
        cat(path, ": found ", size, " bytes, expected a database of at least one page"));
  }
  std::array<char, kHeaderBytes> header;
  QK_RETURN_IF_ERROR(read_exact(*file, path, 0, header));
  const std::string_view magic(header.data(), kMagic.size());
  if (magic != kMagic) {
    return absl::DataLossError(cat(path, ": not a SQLite database: found ", to_hex(magic),
                                   " at offset 0, expected ", to_hex(kMagic)));
  }
  QK_RETURN_IF_ERROR(check_format(path, get_be32(header.data() + kApplicationIdAt),
                                  get_be32(header.data() + kUserVersionAt)));
  // Big-endian; 1 stands for 65536.
  const auto high = static_cast<unsigned char>(header[kPageSizeAt]);
  const auto low = static_cast<unsigned char>(header[kPageSizeAt + 1]);
  const uint32_t coded = uint32_t{high} << 8 | low;
  const uint32_t page_size = coded == 1 ? 65536 : coded;
  if (page_size < 1024 || (page_size & (page_size - 1)) != 0) {
    return absl::DataLossError(
        cat(path, ": found page size ", page_size, ", expected a power of two in 1024..65536"));
  }
  const auto number = [&](size_t at) { return int{static_cast<unsigned char>(header[at])}; };
  if (number(kReservedBytesAt) != kPageReservedBytes) {
    return absl::DataLossError(cat(path, ": found ", number(kReservedBytesAt),
                                   " reserved bytes in each page, expected ", kPageReservedBytes));
  }
  // 1 in the modes with a rollback journal, 2 with a WAL.
  for (const size_t at : {kWriteVersionAt, kReadVersionAt}) {
    if (number(at) == 1 || number(at) == 2) continue;
    return absl::DataLossError(
        cat(path, ": found file format version ", number(at), ", expected 1 or 2"));
  }
  for (const size_t at : {kLargestRootAt, kIncrementalVacuumAt}) {
    if (const uint32_t value = get_be32(header.data() + at); value != 0) {
      return absl::DataLossError(cat(path, ": found ", value, " at offset ", at,
                                     ", which tells of auto-vacuum; expected 0"));
    }
  }
  return page_size;
}

// Syncs what exists of the files that hold a store, and their names: a crash of the process alone
// leaves changes that reads see and a power cut would still undo.
absl::Status sync_found_files(FileSystem& fs, const std::string& root, const std::string& db) {
  for (const std::string& path : {db, cat(db, "-wal"), cat(db, "-journal")}) {
    absl::StatusOr<std::unique_ptr<File>> file = fs.open(path, OpenFlags{});
    if (absl::IsNotFound(file.status())) continue;
    QK_RETURN_IF_ERROR(file.status());
    QK_RETURN_IF_ERROR((*file)->sync(SyncKind::kFull));
  }
  return fs.sync_dir(root, SyncKind::kFull);
}

// NotFound if nothing in the root tells of a store that was ever used; DataLoss if something does.
absl::Status judge_missing_database(FileSystem& fs, const std::string& root,
                                    const std::string& db) {
  std::string trace;
  for (const std::string& path :
       {cat(db, "-wal"), cat(db, "-journal"), join_path(root, kLogMarkName)}) {
    QK_ASSIGN_OR_RETURN(const bool found, exists(fs, path));
    if (found) trace = path;
  }
  const std::string snapshots = join_path(root, "snapshot");
  const absl::StatusOr<std::vector<std::string>> names = fs.list(snapshots);
  if (!names.ok() && !absl::IsNotFound(names.status())) return names.status();
  if (names.ok() && !names->empty()) trace = join_path(snapshots, names->front());
  if (trace.empty())
    return absl::NotFoundError(cat(root, ": no sqlite store: ", db, " is missing"));
  return absl::DataLossError(cat(root, ": ", db, " is missing, but found ", trace,
                                 ", which only a store leaves; expected the database as well"));
}

}  // namespace

SqliteStore::SqliteStore(FileSystem* fs, std::string root, const SqliteOptions& options)
    : fs_(fs), root_(std::move(root)), db_path_(join_path(root_, "db")), options_(options) {}

std::string SqliteStore::snapshot_root() const { return join_path(root_, "snapshot"); }

absl::StatusOr<std::unique_ptr<SqliteStore>> SqliteStore::open(const OpenRequest& request,
                                                               const SqliteOptions& options) {
  std::unique_ptr<SqliteStore> store(new SqliteStore(request.fs, request.root, options));
  QK_ASSIGN_OR_RETURN(const bool found, exists(*request.fs, store->db_path_));
  if (!found) {
    const absl::Status missing = judge_missing_database(*request.fs, store->root_, store->db_path_);
    if (!absl::IsNotFound(missing) || !request.create) return missing;
    QK_RETURN_IF_ERROR(store->create_database(options.page_size));
  }
  QK_RETURN_IF_ERROR(store->open_database());
  return store;
}

absl::Status SqliteStore::create_database(uint32_t page_size) {
  const std::string unfinished = join_path(root_, "db.new");
  QK_RETURN_IF_ERROR(make_directories(*fs_, root_));
  QK_ASSIGN_OR_RETURN(const std::unique_ptr<FileLock> lock, fs_->lock(unfinished));
  OpenFlags empty;
  empty.create = true;
  empty.truncate = true;
  QK_RETURN_IF_ERROR(fs_->open(unfinished, empty).status());
  {
    QK_ASSIGN_OR_RETURN(const std::unique_ptr<SqliteConnection> db,
                        SqliteConnection::create(fs_, unfinished, page_size));
    QK_RETURN_IF_ERROR(db->execute("BEGIN IMMEDIATE"));
    for (const std::string_view table : kSchema) QK_RETURN_IF_ERROR(db->execute(table));
    QK_RETURN_IF_ERROR(db->execute(cat("PRAGMA application_id=", kApplicationId)));
    QK_RETURN_IF_ERROR(db->execute(cat("PRAGMA user_version=", kFormatVersion)));
    QK_ASSIGN_OR_RETURN(SqliteStatement insert,
                        db->prepare("INSERT INTO state(id, value, crc) VALUES(?1, ?2, ?3)"));
    for (const StateRow row : kStateRows) {
      const std::string value = row == StateRow::kFirstIndex  ? encode_first_index(1)
                                : row == StateRow::kHardState ? encode_hard_state(HardState{})
                                                              : std::string();
      insert.bind(1, static_cast<int64_t>(row)).bind_blob(2, value).bind(3, state_crc(row, value));
      QK_RETURN_IF_ERROR(insert.run());
    }
    QK_RETURN_IF_ERROR(db->execute("COMMIT"));
  }
  QK_RETURN_IF_ERROR(make_directories(*fs_, snapshot_root()));
  // The commit has synced the file; open_database() syncs its new name before it reads it.
  return fs_->rename(unfinished, db_path_);
}

absl::Status SqliteStore::open_database() {
  QK_ASSIGN_OR_RETURN(const uint32_t page_size, read_header(*fs_, db_path_));
  QK_ASSIGN_OR_RETURN(lock_, fs_->lock(db_path_));
  QK_RETURN_IF_ERROR(sync_found_files(*fs_, root_, db_path_));
  // After the database's own name is durable: a mark without a database is damage.
  QK_ASSIGN_OR_RETURN(mark_, LogMark::open(fs_, root_));

  const std::string wal_path = cat(db_path_, "-wal");
  OpenFlags flags;
  flags.read_only = true;
  const absl::StatusOr<std::unique_ptr<File>> wal = fs_->open(wal_path, flags);
  if (wal.ok()) {
    QK_RETURN_IF_ERROR(check_wal(**wal, wal_path, page_size, mark_->log()));
  } else if (!absl::IsNotFound(wal.status())) {
    return wal.status();
  } else if (mark_->log()) {
    return missing_wal(wal_path, *mark_->log());
  }

  QK_ASSIGN_OR_RETURN(connection_,
                      SqliteConnection::open(fs_, db_path_, page_size, options_, mark_.get()));
  absl::Status status = adopt_database();
  if (status.ok()) status = check_wal_is_gone(wal_path);
  if (!status.ok()) connection_->stop_writing();  // closing would fold the WAL
  return status;
}

// SQLite does not report a WAL that it could not remove when it left WAL mode, and the next open
// would replay it over what was written since.
absl::Status SqliteStore::check_wal_is_gone(const std::string& wal_path) {
  if (options_.journal == "WAL") return absl::OkStatus();
  QK_ASSIGN_OR_RETURN(const bool left, exists(*fs_, wal_path));
  if (!left) return absl::OkStatus();
  return absl::InternalError(cat(wal_path, ": is still there, expected it removed"));
}

absl::Status SqliteStore::adopt_database() {
  QK_RETURN_IF_ERROR(verify_format());
  QK_RETURN_IF_ERROR(verify_schema());
  QK_RETURN_IF_ERROR(prepare_statements());
  // Empties the WAL, so that it holds one generation from here on.
  QK_RETURN_IF_ERROR(connection_->checkpoint());
  // The first page may have come out of the WAL or a journal.
  return read_header(*fs_, db_path_).status();
}

// The header of the file was judged before, but a WAL may hold a newer first page: that of a build
// that was killed while it changed the format.
absl::Status SqliteStore::verify_format() {
  QK_ASSIGN_OR_RETURN(const int64_t application,
                      connection_->query_integer("PRAGMA application_id"));
  QK_ASSIGN_OR_RETURN(const int64_t version, connection_->query_integer("PRAGMA user_version"));
  return check_format(db_path_, static_cast<uint32_t>(application), static_cast<uint32_t>(version));
}

// A file with our application id and another schema is not one that this build wrote: it may hold
// triggers, views or columns that change what our statements mean.
absl::Status SqliteStore::verify_schema() {
  QK_ASSIGN_OR_RETURN(SqliteStatement query,
                      connection_->prepare("SELECT sql FROM sqlite_schema ORDER BY rowid"));
  size_t count = 0;
  while (true) {
    QK_ASSIGN_OR_RETURN(const bool row, query.step());
    if (!row) break;
    if (count == std::size(kSchema) || query.bytes(0) != kSchema[count]) {
      return absl::DataLossError(cat(db_path_, ": schema object ", count, ": found \"",
                                     query.bytes(0).substr(0, 200), "\", expected ",
                                     count == std::size(kSchema) ? "no more" : kSchema[count]));
    }
    ++count;
  }
  if (count == std::size(kSchema)) return absl::OkStatus();
  return absl::DataLossError(cat(db_path_, ": found ", count, " tables, expected ",
                                 std::size(kSchema), ": ", kSchema[count], " is missing"));
}

absl::Status SqliteStore::prepare_statements() {
  QK_ASSIGN_OR_RETURN(begin_, connection_->prepare("BEGIN IMMEDIATE"));
  QK_ASSIGN_OR_RETURN(commit_, connection_->prepare("COMMIT"));
  QK_ASSIGN_OR_RETURN(read_state_,
                      connection_->prepare("SELECT value, crc FROM state WHERE id = ?1"));
  QK_ASSIGN_OR_RETURN(write_state_,
                      connection_->prepare("UPDATE state SET value = ?2, crc = ?3 WHERE id = ?1"));
  return absl::OkStatus();
}

absl::StatusOr<std::string> SqliteStore::read_state(StateRow row) {
  StatementScope scope(&read_state_);
  read_state_.bind(1, static_cast<int64_t>(row));
  QK_ASSIGN_OR_RETURN(const bool found, read_state_.step());
  if (!found) {
    return absl::DataLossError(cat(db_path_, ": state row \"", to_string(row), "\" is missing"));
  }
  std::string value(read_state_.bytes(0));
  const int64_t stored = read_state_.integer(1);
  const uint32_t computed = state_crc(row, value);
  if (stored == computed) return value;
  return absl::DataLossError(cat(db_path_, ": state row \"", to_string(row), "\": checksum ",
                                 hex8(computed), ", expected ",
                                 hex8(static_cast<uint32_t>(stored))));
}

absl::Status SqliteStore::write_state(StateRow row, std::string_view value) {
  write_state_.bind(1, static_cast<int64_t>(row))
      .bind_blob(2, value)
      .bind(3, state_crc(row, value));
  QK_RETURN_IF_ERROR(write_state_.run());
  if (connection_->changed_rows() == 1) return absl::OkStatus();
  return absl::DataLossError(cat(db_path_, ": state row \"", to_string(row), "\" is missing"));
}

absl::Status SqliteStore::writable() const {
  if (poison_.ok()) return absl::OkStatus();
  return absl::FailedPreconditionError(cat(
      db_path_, ": refuses mutations until it is reopened, after: ", to_std(poison_.message())));
}

Outcome SqliteStore::mutate(std::string_view what, const std::function<absl::Status()>& body) {
  return mutate_once(what, [&]() -> absl::Status {
    QK_RETURN_IF_ERROR(begin_.run());
    QK_RETURN_IF_ERROR(body());
    return commit_.run();
  });
}

Outcome SqliteStore::mutate_once(std::string_view what, const std::function<absl::Status()>& body) {
  if (const absl::Status status = writable(); !status.ok()) return Outcome::failed_clean(status);
  if (const absl::Status status = body(); !status.ok()) return fail_stop(status, what);
  return after_commit();
}

absl::Status SqliteStore::begin_load() {
  QK_RETURN_IF_ERROR(connection_->execute("PRAGMA user_version=0"));
  // Leaving WAL mode folds the WAL into the database, durably; in another mode the commit synced.
  QK_RETURN_IF_ERROR(connection_->begin_load());
  // SQLite does not report a WAL that it could not remove, and would replay it over the load.
  const std::string wal_path = cat(db_path_, "-wal");
  QK_ASSIGN_OR_RETURN(const bool left, exists(*fs_, wal_path));
  if (left) return absl::InternalError(cat(wal_path, ": is still there, expected it removed"));
  return begin_.run();
}

absl::Status SqliteStore::end_load() {
  QK_RETURN_IF_ERROR(commit_.run());
  // Removing the WAL did not sync the directory.
  QK_RETURN_IF_ERROR(fs_->sync_dir(root_, SyncKind::kFull));
  QK_RETURN_IF_ERROR(connection_->execute(cat("PRAGMA user_version=", kFormatVersion)));
  return connection_->end_load();
}

// The mutation is durable whatever becomes of the checkpoint.
Outcome SqliteStore::after_commit() {
  if (connection_->wal_frames() >= options_.checkpoint_frames) {
    if (const absl::Status status = connection_->checkpoint(); !status.ok()) {
      [[maybe_unused]] const Outcome stopped = fail_stop(status, "checkpoint");
    }
  }
  return Outcome::success();
}

Outcome SqliteStore::fail_stop(absl::Status cause, std::string_view what) {
  const absl::Status status = annotate(cause, what);
  if (poison_.ok()) poison_ = status;
  connection_->stop_writing();
  return Outcome::indeterminate(status);
}

absl::Status SqliteStore::close() {
  for (SqliteStatement* statement : {&begin_, &commit_, &read_state_, &write_state_}) {
    *statement = SqliteStatement();
  }
  return connection_->close();
}

absl::StatusOr<std::string> SqliteStore::load_snapshot_record() {
  return read_state(StateRow::kSnapshot);
}

Outcome SqliteStore::commit_snapshot_record(std::string_view record) {
  static_assert(kMaxSnapshotRecordBytes <= kMaxValueBytes);
  return mutate_once("publish", [&] { return write_state(StateRow::kSnapshot, record); });
}

}  // namespace qk::families
