#include "families/sqlite/engine.h"

#include <sqlite3.h>

#include <algorithm>
#include <cstring>

#include "families/base/check.h"
#include "families/base/hash.h"

namespace qk::families {
namespace {

// SQLite's registry holds a pointer to the default VFS for the life of the process; this is the one
// object behind it.
struct RunVfs {
  sqlite3_vfs vfs = {};
  uint64_t seed = 0;
  uint64_t draws = 0;
  uint64_t kept_draws = 0;  // of sqlite_save_generator()
};

RunVfs* run_of(sqlite3_vfs* vfs) { return static_cast<RunVfs*>(vfs->pAppData); }

int refuse_open(sqlite3_vfs*, const char*, sqlite3_file* file, int, int*) {
  file->pMethods = nullptr;
  return SQLITE_CANTOPEN;
}

int refuse_delete(sqlite3_vfs*, const char*, int) { return SQLITE_IOERR_DELETE; }

int refuse_access(sqlite3_vfs*, const char*, int, int*) { return SQLITE_IOERR_ACCESS; }

int full_path(sqlite3_vfs*, const char* name, int size, char* out) {
  sqlite3_snprintf(size, out, "%s", name);
  return SQLITE_OK;
}

int randomness(sqlite3_vfs* vfs, int size, char* out) {
  RunVfs* run = run_of(vfs);
  for (int done = 0; done < size;) {
    const uint64_t n = run->draws++;
    const uint64_t word = xxh3_64({reinterpret_cast<const char*>(&n), sizeof n}, run->seed);
    const int part = std::min<int>(size - done, sizeof word);
    std::memcpy(out + done, &word, static_cast<size_t>(part));
    done += part;
  }
  return size;
}

int no_sleep(sqlite3_vfs*, int) { return 0; }

// 2000-01-01 12:00 as a Julian day, in milliseconds.
constexpr sqlite3_int64 kFixedTimeMs = 2'451'545LL * 86'400'000;

int fixed_time(sqlite3_vfs*, double* days) {
  *days = 2'451'545.0;
  return SQLITE_OK;
}

int fixed_time_ms(sqlite3_vfs*, sqlite3_int64* ms) {
  *ms = kFixedTimeMs;
  return SQLITE_OK;
}

int no_error(sqlite3_vfs*, int, char*) { return 0; }

RunVfs* run_vfs() {
  static RunVfs run;
  return &run;
}

}  // namespace

void sqlite_reset_for_run(uint64_t seed) {
  // Refused once SQLite has been used in this process; then its mutexes merely cost a little.
  [[maybe_unused]] static const int configured = sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
  RunVfs* run = run_vfs();
  run->seed = seed;
  run->draws = 0;
  run->vfs.iVersion = 2;
  run->vfs.szOsFile = sizeof(sqlite3_file);
  run->vfs.mxPathname = 512;
  run->vfs.zName = "qksim-run";
  run->vfs.pAppData = run;
  run->vfs.xOpen = refuse_open;
  run->vfs.xDelete = refuse_delete;
  run->vfs.xAccess = refuse_access;
  run->vfs.xFullPathname = full_path;
  run->vfs.xRandomness = randomness;
  run->vfs.xSleep = no_sleep;
  run->vfs.xCurrentTime = fixed_time;
  run->vfs.xGetLastError = no_error;
  run->vfs.xCurrentTimeInt64 = fixed_time_ms;
  QK_CHECK(sqlite3_vfs_register(&run->vfs, 1) == SQLITE_OK);
  sqlite3_randomness(0, nullptr);
}

// The generator is seeded, from the VFS, when it is first asked: that may be in between.
void sqlite_save_generator() {
  run_vfs()->kept_draws = run_vfs()->draws;
  sqlite3_test_control(SQLITE_TESTCTRL_PRNG_SAVE);
}

void sqlite_restore_generator() {
  sqlite3_test_control(SQLITE_TESTCTRL_PRNG_RESTORE);
  run_vfs()->draws = run_vfs()->kept_draws;
}

}  // namespace qk::families
