#include "families/sqlite/vfs.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>
#include <string_view>

#include "families/base/bytes.h"
#include "families/base/check.h"
#include "families/base/hash.h"
#include "families/fs/file_util.h"
#include "families/sqlite/wal.h"

namespace qk::families {
namespace {

// What SQLite allocates for each open file; it knows only `base`.
struct VfsFile {
  sqlite3_file base;
  SqliteVfs* vfs;
  std::unique_ptr<File> file;
  std::string path;
  bool is_database;
  bool is_wal;
  bool name_unsynced;    // the directory has yet to be synced
  std::string gathered;  // pages of the database on their way to `gathered_at`
  uint64_t gathered_at;
  uint64_t written_end;  // of a WAL: how far it was written, and
  uint64_t synced_end;   // how far when it was last synced, which is at each commit
  bool named;            // of a WAL: the mark names this generation

  absl::Status flush() {
    if (gathered.empty()) return absl::OkStatus();
    const absl::Status written = file->write_at(gathered_at, gathered);
    gathered.clear();
    return written;
  }

  // Adds a page with its checksum.
  void gather(uint64_t at, std::string_view page);
};

constexpr size_t kGatherBytes = 256 << 10;

VfsFile* cast(sqlite3_file* file) { return reinterpret_cast<VfsFile*>(file); }

uint32_t page_checksum(std::string_view page, uint64_t number) {
  std::string suffix;
  put_le64(&suffix, number);
  return crc32c_extend(crc32c(page.substr(0, page.size() - kPageReservedBytes)), suffix);
}

// A page that SQLite skipped when the file grew past it: never written, hence without a checksum.
// SQLite never takes such a page for content of its own.
bool is_hole(std::string_view page) { return page.find_first_not_of('\0') == page.npos; }

void VfsFile::gather(uint64_t at, std::string_view page) {
  if (gathered.empty()) gathered_at = at;
  gathered.append(page, 0, page.size() - kPageReservedBytes);
  put_le32(&gathered, page_checksum(page, at / page.size() + 1));
}

}  // namespace

// The C entry points. They may not let an exception or an unmapped status through.
struct SqliteVfsCalls {
  static SqliteVfs* self(sqlite3_vfs* vfs) { return static_cast<SqliteVfs*>(vfs->pAppData); }

  // What was gathered goes first, unless writing has ended.
  static absl::Status flush(VfsFile& f) {
    if (!f.vfs->writing_) f.gathered.clear();
    return f.flush();
  }

  static int close(sqlite3_file* base) {
    cast(base)->~VfsFile();
    return SQLITE_OK;
  }

  static int read(sqlite3_file* base, void* out, int size, sqlite3_int64 offset) {
    VfsFile* f = cast(base);
    SqliteVfs* vfs = f->vfs;
    if (const absl::Status flushed = flush(*f); !flushed.ok()) {
      return vfs->keep(flushed, SQLITE_IOERR_WRITE);
    }
    char* bytes = static_cast<char*>(out);
    const auto length = static_cast<size_t>(size);
    const absl::StatusOr<size_t> got =
        f->file->read_at(static_cast<uint64_t>(offset), {bytes, length});
    if (!got.ok()) return vfs->keep(got.status(), SQLITE_IOERR_READ);
    if (*got < length) {
      std::memset(bytes + *got, 0, length - *got);
      return SQLITE_IOERR_SHORT_READ;
    }
    const absl::Status verified =
        verify(*f, vfs->page_size_, static_cast<uint64_t>(offset), {bytes, length});
    return verified.ok() ? SQLITE_OK : vfs->keep(verified, SQLITE_IOERR_DATA);
  }

  // Reads that are not of one whole page (a file header, a frame header) pass.
  static absl::Status verify(VfsFile& f, uint32_t page_size, uint64_t offset,
                             std::string_view bytes) {
    if (bytes.size() != page_size) return absl::OkStatus();
    if (f.is_wal) {
      const uint64_t frame_bytes = kWalFrameHeaderBytes + page_size;
      const uint64_t data_begin = kWalHeaderBytes + kWalFrameHeaderBytes;
      if (offset < data_begin || (offset - data_begin) % frame_bytes != 0) return absl::OkStatus();
      // A frame of the transaction in progress, which outgrew the page cache. SQLite may have
      // written it twice, and sets the checksums right when it commits.
      if (offset >= f.synced_end) return absl::OkStatus();
      return verify_wal_page(*f.file, f.path, page_size, (offset - data_begin) / frame_bytes,
                             bytes);
    }
    if (!f.is_database || offset % page_size != 0) return absl::OkStatus();
    const uint64_t number = offset / page_size + 1;
    const uint32_t stored = get_le32(bytes.data() + page_size - kPageReservedBytes);
    const uint32_t found = page_checksum(bytes, number);
    if (found == stored || is_hole(bytes)) return absl::OkStatus();
    return absl::DataLossError(
        cat(f.path, ": page ", number, ": checksum ", hex8(found), ", expected ", hex8(stored)));
  }

  static int write(sqlite3_file* base, const void* data, int size, sqlite3_int64 offset) {
    VfsFile* f = cast(base);
    SqliteVfs* vfs = f->vfs;
    if (!vfs->writing_) return SQLITE_IOERR_WRITE;
    std::string_view bytes(static_cast<const char*>(data), static_cast<size_t>(size));
    const auto at = static_cast<uint64_t>(offset);
    if (f->is_database) {
      // SQLite writes the database in whole pages only.
      if (bytes.size() != vfs->page_size_ || at % vfs->page_size_ != 0) {
        return vfs->keep(absl::InternalError(cat(f->path, ": write of ", bytes.size(), " bytes at ",
                                                 at, ", expected a page of ", vfs->page_size_)),
                         SQLITE_IOERR_WRITE);
      }
      if (at != f->gathered_at + f->gathered.size()) {
        if (absl::Status flushed = flush(*f); !flushed.ok()) {
          return vfs->keep(std::move(flushed), SQLITE_IOERR_WRITE);
        }
      }
      f->gather(at, bytes);
      if (vfs->gathering_ && f->gathered.size() < kGatherBytes) return SQLITE_OK;
      return vfs->keep(flush(*f), SQLITE_IOERR_WRITE);
    }
    f->written_end = std::max(f->written_end, at + bytes.size());
    return vfs->keep(f->file->write_at(at, bytes), SQLITE_IOERR_WRITE);
  }

  static int truncate(sqlite3_file* base, sqlite3_int64 size) {
    VfsFile* f = cast(base);
    if (!f->vfs->writing_) return SQLITE_IOERR_TRUNCATE;
    absl::Status status = flush(*f);
    if (status.ok() && f->is_wal) status = forget_wal(*f->vfs);
    f->named = false;
    if (status.ok()) status = f->file->truncate(static_cast<uint64_t>(size));
    if (status.ok() && f->is_wal) status = f->file->sync(SyncKind::kData);
    f->written_end = f->synced_end = static_cast<uint64_t>(size);
    return f->vfs->keep(std::move(status), SQLITE_IOERR_TRUNCATE);
  }

  static int sync(sqlite3_file* base, int) {
    VfsFile* f = cast(base);
    if (!f->vfs->writing_) return SQLITE_IOERR_FSYNC;
    absl::Status status = flush(*f);
    if (status.ok()) status = f->file->sync(SyncKind::kData);
    if (!status.ok()) return f->vfs->keep(status, SQLITE_IOERR_FSYNC);
    f->synced_end = f->written_end;
    if (f->name_unsynced) {
      const absl::Status named = f->vfs->fs_->sync_dir(parent_path(f->path), SyncKind::kFull);
      if (!named.ok()) return f->vfs->keep(named, SQLITE_IOERR_DIR_FSYNC);
      f->name_unsynced = false;
    }
    return f->vfs->keep(name_wal(*f), SQLITE_IOERR_FSYNC);
  }

  // After a sync: that of a WAL's header comes first, each later one is that of a commit.
  static absl::Status name_wal(VfsFile& f) {
    if (!f.is_wal || f.named || f.vfs->mark_ == nullptr || f.written_end <= kWalHeaderBytes) {
      return absl::OkStatus();
    }
    QK_ASSIGN_OR_RETURN(const uint64_t salts, read_wal_salts(*f.file, f.path));
    QK_RETURN_IF_ERROR(f.vfs->mark_->name(salts));
    f.named = true;
    return absl::OkStatus();
  }
  // Before the WAL is emptied or removed.
  static absl::Status forget_wal(const SqliteVfs& vfs) {
    return vfs.mark_ == nullptr ? absl::OkStatus() : vfs.mark_->name(std::nullopt);
  }

  static int size(sqlite3_file* base, sqlite3_int64* out) {
    VfsFile* f = cast(base);
    if (absl::Status flushed = flush(*f); !flushed.ok()) {
      return f->vfs->keep(std::move(flushed), SQLITE_IOERR_WRITE);
    }
    const absl::StatusOr<uint64_t> size = f->file->size();
    if (!size.ok()) return f->vfs->keep(size.status(), SQLITE_IOERR_FSTAT);
    *out = static_cast<sqlite3_int64>(*size);
    return SQLITE_OK;
  }

  static int lock(sqlite3_file*, int) { return SQLITE_OK; }

  static int check_reserved(sqlite3_file*, int* out) {
    *out = 0;
    return SQLITE_OK;
  }

  static int file_control(sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; }
  static int sector_size(sqlite3_file*) { return kSectorBytes; }
  static int device_characteristics(sqlite3_file*) { return 0; }

  static const sqlite3_io_methods* methods() {
    static const sqlite3_io_methods kMethods = [] {
      sqlite3_io_methods m = {};
      m.iVersion = 1;
      m.xClose = close;
      m.xRead = read;
      m.xWrite = write;
      m.xTruncate = truncate;
      m.xSync = sync;
      m.xFileSize = size;
      m.xLock = lock;
      m.xUnlock = lock;
      m.xCheckReservedLock = check_reserved;
      m.xFileControl = file_control;
      m.xSectorSize = sector_size;
      m.xDeviceCharacteristics = device_characteristics;
      return m;
    }();
    return &kMethods;
  }

  static int open(sqlite3_vfs* base, const char* path, sqlite3_file* out, int flags,
                  int* out_flags) {
    SqliteVfs* vfs = self(base);
    out->pMethods = nullptr;
    // Temporary files have no name; with temp_store=MEMORY there are none.
    if (path == nullptr) return SQLITE_CANTOPEN;
    OpenFlags open_flags;
    open_flags.create = (flags & SQLITE_OPEN_CREATE) != 0 && vfs->writing_;
    open_flags.exclusive = open_flags.create && (flags & SQLITE_OPEN_EXCLUSIVE) != 0;
    open_flags.read_only = (flags & SQLITE_OPEN_READONLY) != 0;
    absl::StatusOr<std::unique_ptr<File>> file = vfs->fs_->open(path, open_flags);
    // SQLite probes for files that need not be there.
    if (absl::IsNotFound(file.status())) return SQLITE_CANTOPEN;
    // Not CANTOPEN, which SQLite takes at times for the absence of the file.
    if (!file.ok()) return vfs->keep(file.status(), SQLITE_IOERR);
    const absl::StatusOr<uint64_t> size = (*file)->size();
    if (!size.ok()) return vfs->keep(size.status(), SQLITE_IOERR_FSTAT);
    auto* f = new (out) VfsFile{};
    f->written_end = f->synced_end = *size;
    f->vfs = vfs;
    f->file = std::move(*file);
    f->path = path;
    f->is_database = (flags & SQLITE_OPEN_MAIN_DB) != 0;
    f->is_wal = (flags & SQLITE_OPEN_WAL) != 0;
    f->name_unsynced = open_flags.create;
    f->base.pMethods = methods();
    if (out_flags != nullptr) *out_flags = flags;
    return SQLITE_OK;
  }

  static int remove(sqlite3_vfs* base, const char* path, int sync_directory) {
    SqliteVfs* vfs = self(base);
    if (!vfs->writing_) return SQLITE_IOERR_DELETE;
    absl::Status status;
    if (std::string_view(path).ends_with("-wal")) status = forget_wal(*vfs);
    if (status.ok()) status = vfs->fs_->unlink(path);
    if (absl::IsNotFound(status)) return SQLITE_IOERR_DELETE_NOENT;
    if (!status.ok()) return vfs->keep(status, SQLITE_IOERR_DELETE);
    if (sync_directory == 0) return SQLITE_OK;
    return vfs->keep(vfs->fs_->sync_dir(parent_path(path), SyncKind::kFull),
                     SQLITE_IOERR_DIR_FSYNC);
  }

  // As on unix, an empty file counts as missing.
  static int access(sqlite3_vfs* base, const char* path, int, int* out) {
    SqliteVfs* vfs = self(base);
    const absl::StatusOr<FileStat> stat = vfs->fs_->stat(path);
    *out = stat.ok() && (stat->kind == FileKind::kDirectory || stat->size > 0) ? 1 : 0;
    if (stat.ok() || absl::IsNotFound(stat.status())) return SQLITE_OK;
    return vfs->keep(stat.status(), SQLITE_IOERR_ACCESS);
  }

  static int full_path(sqlite3_vfs*, const char* path, int size, char* out) {
    if (std::strlen(path) >= static_cast<size_t>(size)) return SQLITE_CANTOPEN;
    sqlite3_snprintf(size, out, "%s", path);
    return SQLITE_OK;
  }

  // The generator is seeded from the default VFS (engine.h); the rest serves temporary names only.
  static int randomness(sqlite3_vfs*, int size, char* out) {
    std::memset(out, 0, static_cast<size_t>(size));
    return size;
  }
  static int sleep(sqlite3_vfs*, int) { return 0; }
  static int time(sqlite3_vfs*, double* days) {
    *days = 2'451'545.0;
    return SQLITE_OK;
  }
  static int time_ms(sqlite3_vfs*, sqlite3_int64* ms) {
    *ms = 2'451'545LL * 86'400'000;
    return SQLITE_OK;
  }
  static int last_error(sqlite3_vfs*, int, char*) { return 0; }

  static void fill(sqlite3_vfs* vfs) {
    vfs->iVersion = 2;
    vfs->szOsFile = sizeof(VfsFile);
    vfs->mxPathname = 4096;
    vfs->xOpen = open;
    vfs->xDelete = remove;
    vfs->xAccess = access;
    vfs->xFullPathname = full_path;
    vfs->xRandomness = randomness;
    vfs->xSleep = sleep;
    vfs->xCurrentTime = time;
    vfs->xGetLastError = last_error;
    vfs->xCurrentTimeInt64 = time_ms;
  }
};

SqliteVfs::SqliteVfs(FileSystem* fs, uint32_t page_size, LogMark* mark)
    : fs_(fs), mark_(mark), page_size_(page_size) {
  // The smallest free name: unique among the living, and the same in every repetition of a run.
  for (int n = 0; name_.empty() || sqlite3_vfs_find(name_.c_str()) != nullptr; ++n) {
    name_ = cat("qksim-store-", n);
  }
  vfs_.zName = name_.c_str();
  vfs_.pAppData = this;
  SqliteVfsCalls::fill(&vfs_);
  QK_CHECK(sqlite3_vfs_register(&vfs_, 0) == SQLITE_OK);
}

SqliteVfs::~SqliteVfs() { sqlite3_vfs_unregister(&vfs_); }

absl::Status SqliteVfs::take_error() { return std::exchange(error_, absl::OkStatus()); }

int SqliteVfs::keep(absl::Status status, int code) {
  if (status.ok()) return SQLITE_OK;
  const bool full = absl::IsResourceExhausted(status);
  if (error_.ok()) error_ = std::move(status);
  return full ? SQLITE_FULL : code;
}

}  // namespace qk::families
