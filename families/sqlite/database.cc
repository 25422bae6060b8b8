#include "families/sqlite/database.h"

#include <array>
#include <vector>

#include "families/base/bytes.h"
#include "families/engine/record.h"
#include "families/engine/store_root.h"
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
  // Big-endian; 1 means 65536.
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

}  // namespace

SqliteDatabase::SqliteDatabase(const OpenRequest& request, const SqliteOptions& options)
    : fs_(*request.fs), root_(request.root), path_(database_path(root_)), options_(options) {}

absl::StatusOr<std::unique_ptr<SqliteDatabase>> SqliteDatabase::open(const OpenRequest& request,
                                                                     const SqliteOptions& options) {
  constexpr std::string_view kBeside[] = {"-journal", "-wal"};
  std::unique_ptr<SqliteDatabase> database(new SqliteDatabase(request, options));
  QK_ASSIGN_OR_RETURN(const bool found, find_database(request, "sqlite", kBeside));
  if (!found) QK_RETURN_IF_ERROR(database->create());
  QK_RETURN_IF_ERROR(database->open_existing());
  return database;
}

absl::Status SqliteDatabase::create() {
  const std::string unfinished = unfinished_database_path(root_);
  QK_ASSIGN_OR_RETURN(const std::unique_ptr<FileLock> lock, fs_.lock(unfinished));
  QK_RETURN_IF_ERROR(fs_.open(unfinished, {.create = true, .truncate = true}).status());
  {
    QK_ASSIGN_OR_RETURN(const std::unique_ptr<SqliteConnection> db,
                        SqliteConnection::create(&fs_, unfinished, options_.page_size));
    QK_RETURN_IF_ERROR(db->execute("BEGIN IMMEDIATE"));
    for (const std::string_view table : kSchema) QK_RETURN_IF_ERROR(db->execute(table));
    QK_RETURN_IF_ERROR(db->execute(cat("PRAGMA application_id=", kApplicationId)));
    QK_RETURN_IF_ERROR(db->execute(cat("PRAGMA user_version=", kFormatVersion)));
    QK_ASSIGN_OR_RETURN(SqliteStatement insert,
                        db->prepare("INSERT INTO state(id, value, crc) VALUES(?1, ?2, ?3)"));
    for (const StateRow row : kStateRows) {
      const std::string value = initial_state(row);
      insert.bind(1, static_cast<int64_t>(row)).bind_blob(2, value).bind(3, state_crc(row, value));
      QK_RETURN_IF_ERROR(insert.run());
    }
    // Syncs the file.
    QK_RETURN_IF_ERROR(db->execute("COMMIT"));
  }
  return finish_creation(fs_, root_);
}

absl::Status SqliteDatabase::open_existing() {
  QK_ASSIGN_OR_RETURN(const uint32_t page_size, read_header(fs_, path_));
  QK_ASSIGN_OR_RETURN(lock_, fs_.lock(path_));
  QK_RETURN_IF_ERROR(sync_found_files(fs_, root_, path_));
  // After the database's own name is durable: a mark without a database is damage.
  QK_ASSIGN_OR_RETURN(mark_, LogMark::open(&fs_, root_));

  const absl::StatusOr<std::unique_ptr<File>> wal = fs_.open(wal_path(), {.read_only = true});
  if (wal.ok()) {
    QK_RETURN_IF_ERROR(check_wal(**wal, wal_path(), page_size, mark_->log()));
  } else if (!absl::IsNotFound(wal.status())) {
    return wal.status();
  } else if (mark_->log()) {
    return missing_wal(wal_path(), *mark_->log());
  }

  QK_ASSIGN_OR_RETURN(connection_,
                      SqliteConnection::open(&fs_, path_, page_size, options_, mark_.get()));
  absl::Status status = adopt();
  // When it left WAL mode, the next open would replay a WAL that stayed over what was written
  // since.
  if (status.ok() && options_.journal != "WAL") status = check_wal_is_gone();
  if (!status.ok()) connection_->stop_writing();  // closing would fold the WAL
  return status;
}

// SQLite does not report a WAL that it could not remove.
absl::Status SqliteDatabase::check_wal_is_gone() const {
  QK_ASSIGN_OR_RETURN(const bool left, exists(fs_, wal_path()));
  if (!left) return absl::OkStatus();
  return absl::InternalError(cat(wal_path(), ": is still there, expected it removed"));
}

absl::Status SqliteDatabase::adopt() {
  QK_RETURN_IF_ERROR(verify_format());
  QK_RETURN_IF_ERROR(verify_schema());
  // Empties the WAL, so that it holds one generation from here on.
  QK_RETURN_IF_ERROR(connection_->checkpoint());
  // The first page may have come out of the WAL or a journal.
  return read_header(fs_, path_).status();
}

// The header of the file was judged before, but a WAL may hold a newer first page: that of a build
// that was killed while it changed the format.
absl::Status SqliteDatabase::verify_format() {
  QK_ASSIGN_OR_RETURN(const int64_t application,
                      connection_->query_integer("PRAGMA application_id"));
  QK_ASSIGN_OR_RETURN(const int64_t version, connection_->query_integer("PRAGMA user_version"));
  return check_format(path_, static_cast<uint32_t>(application), static_cast<uint32_t>(version));
}

// A file with our application id and another schema is not one that this build wrote: it may hold
// triggers, views or columns that change what our statements mean.
absl::Status SqliteDatabase::verify_schema() {
  QK_ASSIGN_OR_RETURN(SqliteStatement query,
                      connection_->prepare("SELECT sql FROM sqlite_schema ORDER BY rowid"));
  size_t count = 0;
  while (true) {
    QK_ASSIGN_OR_RETURN(const bool row, query.step());
    if (!row) break;
    if (count == std::size(kSchema) || query.bytes(0) != kSchema[count]) {
      return absl::DataLossError(cat(path_, ": schema object ", count, ": found \"",
                                     query.bytes(0).substr(0, 200), "\", expected ",
                                     count == std::size(kSchema) ? "no more" : kSchema[count]));
    }
    ++count;
  }
  if (count == std::size(kSchema)) return absl::OkStatus();
  return absl::DataLossError(cat(path_, ": found ", count, " tables, expected ", std::size(kSchema),
                                 ": ", kSchema[count], " is missing"));
}

absl::Status SqliteDatabase::checkpoint_if_due() {
  if (connection_->wal_frames() < options_.checkpoint_frames) return absl::OkStatus();
  return connection_->checkpoint();
}

absl::Status SqliteDatabase::begin_load() {
  QK_RETURN_IF_ERROR(connection_->execute("PRAGMA user_version=0"));
  // Leaving WAL mode folds the WAL into the database, durably; in another mode the commit synced.
  QK_RETURN_IF_ERROR(connection_->begin_load());
  // A WAL that stayed would be replayed over the load.
  QK_RETURN_IF_ERROR(check_wal_is_gone());
  return connection_->execute("BEGIN IMMEDIATE");
}

absl::Status SqliteDatabase::end_load() {
  QK_RETURN_IF_ERROR(connection_->execute("COMMIT"));
  // Removing the WAL did not sync the directory.
  QK_RETURN_IF_ERROR(fs_.sync_dir(root_, SyncKind::kFull));
  QK_RETURN_IF_ERROR(connection_->execute(cat("PRAGMA user_version=", kFormatVersion)));
  return connection_->end_load();
}

}  // namespace qk::families
