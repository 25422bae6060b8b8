// SqliteVfs: a SQLite VFS over FileSystem, one for each open store, registered under a name of its
// own while it lives.
//
// Durability. SQLite has no call for syncing a directory, so it is the VFS's duty: the first xSync
// of a file that SQLite may have created also syncs the directory that holds it, and xDelete does
// when asked. A WAL is synced when it is truncated, so that it only ever holds the frames of one
// generation (wal.h relies on it). The device is described without any promise (characteristics 0,
// 4096-byte sectors). There is no shared memory and no mmap, so WAL needs exclusive locking mode;
// locks are no-ops, because the store holds a FileLock.
//
// Integrity. SQLite has no page checksums. Each page of the database file ends with the CRC-32C of
// its other bytes and its number, in bytes that the page format reserves for such a use; each frame
// of a WAL has SQLite's own checksum. Both are verified whenever a page is read, so a damaged or
// misdirected page is an error and never data. Not detected: a lost write, which leaves an older
// page that is whole; a damaged rollback journal; and damage to a WAL frame before its transaction
// has committed.
//
// Lost WALs. Given a LogMark, it is told of each generation of the WAL after the sync of its first
// commit, and before the WAL is emptied or removed, which SQLite does once the database holds all
// of it and is synced.
//
// Errors keep their Status for take_error(). After a crash of the machine every call fails.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <string>

#include "families/engine/log_mark.h"
#include "families/fs/file_system.h"

namespace qk::families {

// Bytes at the end of each page of the database file: CRC-32C, little-endian.
inline constexpr int kPageReservedBytes = 4;
// At least the largest unit that a disk may tear or garble.
inline constexpr int kSectorBytes = 4096;

class SqliteVfs {
 public:
  // `page_size` is that of the database file to be opened or made. `mark` may be null; it and `fs`
  // must outlive this.
  SqliteVfs(FileSystem* fs, uint32_t page_size, LogMark* mark);
  ~SqliteVfs();
  SqliteVfs(const SqliteVfs&) = delete;
  SqliteVfs& operator=(const SqliteVfs&) = delete;

  const char* name() const { return name_.c_str(); }

  // The first error of the file system since it was last taken or forgotten, or OK.
  absl::Status take_error();
  void forget_error() {
    if (!error_.ok()) error_ = absl::OkStatus();
  }

  // While on, writes to adjoining pages of the database are gathered into large ones. Whatever else
  // is done to the file comes after them; turning it off does not write what is gathered, xSync
  // does.
  void gather_writes(bool on) { gathering_ = on; }

  // Fail-stop: from now on nothing is written, synced or removed, even while SQLite closes.
  void stop_writing() { writing_ = false; }

 private:
  friend struct SqliteVfsCalls;

  int keep(absl::Status status, int code);

  FileSystem* fs_;
  LogMark* const mark_;
  const uint32_t page_size_;
  std::string name_;
  sqlite3_vfs vfs_ = {};
  absl::Status error_;
  bool writing_ = true;
  bool gathering_ = false;
};

}  // namespace qk::families
