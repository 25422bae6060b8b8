// Litmus programs: one to five calls, and everything that a crash after them may leave, written
// from the model at the head of sim_disk.h. Every choice is enumerated: each outcome in a table
// must occur, and any other one is forbidden.
//
// An outcome lists files and directories in byte order. A file shows one letter for each sector:
// its fill byte, '0' for zeros, '?' for anything else.
#include <catch2/catch.hpp>
#include <functional>
#include <set>

#include "families/fs/file_util.h"
#include "sim/disk/all_answers.h"
#include "sim/disk/sim_disk.h"
#include "sim/disk/test_util.h"

namespace qk::sim {
namespace {

using families::FileSystem;
using families::SyncKind;
using Outcomes = std::set<std::string>;

constexpr uint32_t kSector = 512;
constexpr Nanos kWriteTime = 10;
constexpr Nanos kSyncTime = 100;

void write(FileSystem& fs, const std::string& path, uint64_t offset, uint64_t length, char byte) {
  auto file = fs.open(path, {.create = true});
  must(file.status());
  must((*file)->write_at(offset, std::string(length, byte)));
}
void sync(FileSystem& fs, const std::string& path) {
  auto file = fs.open(path, {.read_only = true});
  must(file.status());
  must((*file)->sync(SyncKind::kData));
}
void truncate(FileSystem& fs, const std::string& path, uint64_t size) {
  auto file = fs.open(path, {});
  must(file.status());
  must((*file)->truncate(size));
}
void sync_dir(FileSystem& fs, const std::string& path) { must(fs.sync_dir(path, SyncKind::kData)); }

std::string sectors(const std::string& bytes) {
  std::string letters;
  for (size_t at = 0; at < bytes.size(); at += kSector) {
    const std::string sector = bytes.substr(at, kSector);
    const bool uniform = sector.find_first_not_of(sector[0]) == std::string::npos;
    letters += !uniform ? '?' : sector[0] == '\0' ? '0' : sector[0];
  }
  return letters;
}

void observe(FileSystem& fs, const std::string& path, bool sizes, std::string* out) {
  const std::vector<std::string> names = fs.list(path).value();
  for (const std::string& name : names) {
    const std::string child = families::join_path(path, name);
    if (!out->empty()) *out += ' ';
    const families::FileStat stat = fs.stat(child).value();
    if (stat.kind == families::FileKind::kDirectory) {
      *out += child.substr(1) + "/";
      observe(fs, child, sizes, out);
    } else if (sizes) {
      *out += cat(child.substr(1), "=", stat.size);
    } else {
      *out += child.substr(1) + "=" + sectors(families::read_file(fs, child, 1 << 20).value());
    }
  }
}

struct Program {
  std::function<void(FileSystem&)> setup;  // entirely durable before the body begins
  std::function<void(FileSystem&)> body;
};

SimDisk start(const Program& program) {
  DiskOptions options;
  options.latency = {kWriteTime, kWriteTime, kSyncTime, kSyncTime};
  SimDisk disk(options, RandomStream(1, "disk"));
  const auto fs = disk.mount();
  if (program.setup) program.setup(*fs);
  must(families::sync_tree(*fs, "/"));
  disk.set_now(disk.busy_until());
  program.body(*fs);
  return disk;
}

std::string after(const SimDisk& before, CrashLevel level, Nanos at, Choice& choice,
                  bool sizes = false) {
  SimDisk disk = before.fork();
  disk.crash(level, at, choice);
  std::string outcome;
  observe(*disk.mount(), "/", sizes, &outcome);
  return outcome;
}

// All outcomes of a power cut when the body has returned and `wait` has passed since its last
// stamp.
Outcomes power_cut(const Program& program, Nanos wait = 0) {
  const SimDisk disk = start(program);
  Outcomes outcomes;
  AllAnswers choice;
  do {
    outcomes.insert(after(disk, CrashLevel::kP2, disk.busy_until() + wait, choice));
  } while (choice.advance());
  return outcomes;
}

// All outcomes of a process crash at any instant of the body.
Outcomes process_crash(const Program& program, bool sizes = false) {
  const SimDisk disk = start(program);
  Outcomes outcomes;
  for (Nanos at = disk.now(); at <= disk.busy_until(); ++at) {
    AllAnswers choice;
    do {
      outcomes.insert(after(disk, CrashLevel::kP0, at, choice, sizes));
    } while (choice.advance());
  }
  return outcomes;
}

TEST_CASE("P2: an append may be absent, present, zeros, garbage, or torn", "[litmus]") {
  CHECK(power_cut({[](FileSystem& fs) { write(fs, "/f", 0, 0, 'X'); },
                   [](FileSystem& fs) { write(fs, "/f", 0, 2 * kSector, 'X'); }}) ==
        Outcomes{"f=", "f=XX", "f=00", "f=??", "f=X0", "f=0X", "f=X?", "f=?X"});
}

TEST_CASE("P2: a later append may survive without an earlier one", "[litmus]") {
  Outcomes expected = {"f=", "f=X", "f=0", "f=?"};
  for (const char* first : {"X", "0", "?"}) {
    for (const char* second : {"Y", "0", "?"}) expected.insert(cat("f=", first, second));
  }
  CHECK(power_cut({[](FileSystem& fs) { write(fs, "/f", 0, 0, 'X'); },
                   [](FileSystem& fs) {
                     write(fs, "/f", 0, kSector, 'X');
                     write(fs, "/f", kSector, kSector, 'Y');
                   }}) == expected);
}

TEST_CASE("P2: overwritten sectors are old or new, each by itself, never garbage", "[litmus]") {
  CHECK(power_cut({[](FileSystem& fs) { write(fs, "/f", 0, 3 * kSector, 'A'); },
                   [](FileSystem& fs) { write(fs, "/f", 0, 3 * kSector, 'B'); }}) ==
        Outcomes{"f=AAA", "f=AAB", "f=ABA", "f=ABB", "f=BAA", "f=BAB", "f=BBA", "f=BBB"});
  // Two versions of one sector, and one sector of another page.
  CHECK(power_cut({[](FileSystem& fs) { write(fs, "/f", 7 * kSector, 2 * kSector, 'A'); },
                   [](FileSystem& fs) {
                     write(fs, "/f", 7 * kSector, 2 * kSector, 'B');
                     write(fs, "/f", 7 * kSector, kSector, 'C');
                   }}) == Outcomes{"f=0000000AA", "f=0000000BA", "f=0000000CA", "f=0000000AB",
                                   "f=0000000BB", "f=0000000CB"});
}

TEST_CASE("P2: syncing a file makes data and size durable, and never its name", "[litmus]") {
  CHECK(power_cut({nullptr, [](FileSystem& fs) { write(fs, "/f", 0, kSector, 'X'); }}) ==
        Outcomes{"", "f=", "f=X", "f=0", "f=?"});
  CHECK(power_cut({nullptr, [](FileSystem& fs) {
                     write(fs, "/f", 0, kSector, 'X');
                     sync(fs, "/f");
                   }}) == Outcomes{"", "f=X"});
  CHECK(power_cut({[](FileSystem& fs) { write(fs, "/f", 0, kSector, 'X'); },
                   [](FileSystem& fs) {
                     write(fs, "/f", kSector, kSector, 'Y');
                     sync(fs, "/f");
                   }}) == Outcomes{"f=XY"});
}

TEST_CASE("P2: syncing a directory makes names durable, and never data", "[litmus]") {
  CHECK(power_cut({nullptr, [](FileSystem& fs) {
                     write(fs, "/f", 0, kSector, 'X');
                     sync_dir(fs, "/");
                   }}) == Outcomes{"f=", "f=X", "f=0", "f=?"});
}

TEST_CASE("P2: an unlink may be undone although a later sync of another file returned",
          "[litmus]") {
  const auto setup = [](FileSystem& fs) {
    write(fs, "/a", 0, kSector, 'A');
    write(fs, "/b", 0, kSector, 'B');
  };
  CHECK(power_cut({setup, [](FileSystem& fs) {
                     must(fs.unlink("/a"));
                     write(fs, "/b", 0, kSector, 'X');
                     sync(fs, "/b");
                   }}) == Outcomes{"a=A b=X", "b=X"});
  CHECK(power_cut({setup, [](FileSystem& fs) {
                     must(fs.unlink("/a"));
                     sync_dir(fs, "/");
                   }}) == Outcomes{"b=B"});
}

TEST_CASE("P2: rename over a file is atomic, and carries no data with it", "[litmus]") {
  const auto setup = [](FileSystem& fs) { write(fs, "/f", 0, kSector, 'O'); };
  CHECK(power_cut({setup,
                   [](FileSystem& fs) {
                     write(fs, "/t", 0, kSector, 'N');
                     must(fs.rename("/t", "/f"));
                   }}) == Outcomes{"f=O", "f=O t=", "f=O t=N", "f=O t=0", "f=O t=?",  //
                                   "f=", "f=N", "f=0", "f=?"});
  CHECK(power_cut({setup, [](FileSystem& fs) {
                     write(fs, "/t", 0, kSector, 'N');
                     sync(fs, "/t");
                     must(fs.rename("/t", "/f"));
                   }}) == Outcomes{"f=O", "f=O t=N", "f=N"});
  CHECK(power_cut({setup, [](FileSystem& fs) {
                     must(families::replace_file(fs, "/f", std::string(kSector, 'N')));
                   }}) == Outcomes{"f=N"});
}

TEST_CASE("P2: a rename across directories is atomic, and either sync makes all of it durable",
          "[litmus]") {
  const auto setup = [](FileSystem& fs) {
    must(fs.mkdir("/p"));
    must(fs.mkdir("/q"));
    write(fs, "/p/a", 0, kSector, 'A');
  };
  const auto move = [](FileSystem& fs) { must(fs.rename("/p/a", "/q/a")); };
  CHECK(power_cut({setup, move}) == Outcomes{"p/ p/a=A q/", "p/ q/ q/a=A"});
  for (const std::string directory : {"/p", "/q"}) {
    CHECK(power_cut({setup, [&](FileSystem& fs) {
                       move(fs);
                       sync_dir(fs, directory);
                     }}) == Outcomes{"p/ q/ q/a=A"});
  }
  // The earlier pending value of the source's name cannot come back either.
  CHECK(power_cut({[](FileSystem& fs) {
                     must(fs.mkdir("/p"));
                     must(fs.mkdir("/q"));
                   },
                   [](FileSystem& fs) {
                     write(fs, "/p/a", 0, 0, 'A');
                     must(fs.rename("/p/a", "/q/a"));
                     sync_dir(fs, "/q");
                   }}) == Outcomes{"p/ q/ q/a="});
}

TEST_CASE("P2: an unsynced mkdir loses its subtree, synced files included", "[litmus]") {
  const auto body = [](FileSystem& fs) {
    must(fs.mkdir("/d"));
    write(fs, "/d/f", 0, kSector, 'X');
    sync(fs, "/d/f");
    sync_dir(fs, "/d");
  };
  CHECK(power_cut({nullptr, body}) == Outcomes{"", "d/ d/f=X"});
  CHECK(power_cut({nullptr, [&](FileSystem& fs) {
                     body(fs);
                     sync_dir(fs, "/");
                   }}) == Outcomes{"d/ d/f=X"});
  // Even a file that was durable elsewhere: its move is durable, where it moved to is not.
  CHECK(power_cut({[](FileSystem& fs) { write(fs, "/a", 0, kSector, 'A'); },
                   [](FileSystem& fs) {
                     must(fs.mkdir("/d"));
                     must(fs.rename("/a", "/d/a"));
                     sync_dir(fs, "/d");
                   }}) == Outcomes{"", "d/ d/a=A"});
}

TEST_CASE("P2: a published directory is old name, new name, or not yet there", "[litmus]") {
  const auto body = [](FileSystem& fs) {
    must(fs.mkdir("/t"));
    write(fs, "/t/f", 0, kSector, 'X');
    sync(fs, "/t/f");
    sync_dir(fs, "/t");
    must(fs.rename("/t", "/u"));
  };
  CHECK(power_cut({nullptr, body}) == Outcomes{"", "t/ t/f=X", "u/ u/f=X"});
  CHECK(power_cut({nullptr, [&](FileSystem& fs) {
                     body(fs);
                     sync_dir(fs, "/");
                   }}) == Outcomes{"u/ u/f=X"});
}

TEST_CASE("P2: of two renames of a file each may survive alone; a directory keeps one name",
          "[litmus]") {
  const auto body = [](FileSystem& fs) {
    must(fs.rename("/a", "/b"));
    must(fs.rename("/b", "/c"));
  };
  CHECK(power_cut({[](FileSystem& fs) { write(fs, "/a", 0, kSector, 'A'); }, body}) ==
        Outcomes{"a=A", "b=A", "c=A", "a=A c=A"});
  CHECK(power_cut({[](FileSystem& fs) { must(fs.mkdir("/a")); }, body}) ==
        Outcomes{"a/", "b/", "c/"});
}

TEST_CASE("P2: link and unlink of two names are independent", "[litmus]") {
  CHECK(power_cut({[](FileSystem& fs) { write(fs, "/a", 0, kSector, 'A'); },
                   [](FileSystem& fs) {
                     must(fs.link("/a", "/b"));
                     must(fs.unlink("/a"));
                   }}) == Outcomes{"", "a=A", "b=A", "a=A b=A"});
}

TEST_CASE("P2: a name that was removed and made again is the old file, none, or the new",
          "[litmus]") {
  CHECK(power_cut({[](FileSystem& fs) { write(fs, "/f", 0, kSector, 'O'); },
                   [](FileSystem& fs) {
                     must(fs.unlink("/f"));
                     write(fs, "/f", 0, kSector, 'N');
                     sync(fs, "/f");
                   }}) == Outcomes{"f=O", "", "f=N"});
}

TEST_CASE("P2: a removed directory may come back with or without its file", "[litmus]") {
  CHECK(power_cut({[](FileSystem& fs) {
                     must(fs.mkdir("/d"));
                     write(fs, "/d/x", 0, kSector, 'X');
                   },
                   [](FileSystem& fs) {
                     must(fs.unlink("/d/x"));
                     must(fs.rmdir("/d"));
                   }}) == Outcomes{"", "d/", "d/ d/x=X"});
}

TEST_CASE("P2: truncation and regrowth take any size of the history", "[litmus]") {
  const auto setup = [](FileSystem& fs) {
    write(fs, "/f", 0, kSector, 'A');
    write(fs, "/f", kSector, kSector, 'B');
  };
  // The zeros that a truncation writes to the rest of the page may be there under the old size.
  CHECK(power_cut({setup, [](FileSystem& fs) { truncate(fs, "/f", kSector); }}) ==
        Outcomes{"f=AB", "f=A0", "f=A"});
  CHECK(power_cut({setup, [](FileSystem& fs) {
                     truncate(fs, "/f", kSector);
                     write(fs, "/f", kSector, kSector, 'C');
                   }}) == Outcomes{"f=AB", "f=A", "f=A0", "f=A?", "f=AC"});
  CHECK(power_cut({setup, [](FileSystem& fs) {
                     truncate(fs, "/f", kSector);
                     sync(fs, "/f");
                     write(fs, "/f", kSector, kSector, 'C');
                   }}) == Outcomes{"f=A", "f=A0", "f=A?", "f=AC"});
}

TEST_CASE("P2: a sync in flight covers neither itself nor a later write", "[litmus]") {
  const auto setup = [](FileSystem& fs) { write(fs, "/f", 0, 2 * kSector, 'A'); };
  const auto body = [](FileSystem& fs) {
    write(fs, "/f", 0, kSector, 'X');
    sync(fs, "/f");
    write(fs, "/f", kSector, kSector, 'Y');
  };
  CHECK(power_cut({setup, body}) == Outcomes{"f=XA", "f=XY"});
  // An instant before the sync returns, and the write after it never happened.
  CHECK(power_cut({setup, body}, -kWriteTime - 1) == Outcomes{"f=AA", "f=XA"});
}

TEST_CASE("P2: a crash inside a call leaves nothing of what comes after", "[litmus]") {
  const Program program = {[](FileSystem& fs) { write(fs, "/f", 0, 0, 'A'); },
                           [](FileSystem& fs) {
                             write(fs, "/f", 7 * kSector, 2 * kSector, 'X');  // two pages
                           }};
  CHECK(power_cut(program).contains("f=0000000XX"));
  CHECK(power_cut(program, -kWriteTime - 1) ==
        Outcomes{"f=", "f=0000000X", "f=00000000", "f=????????", "f=???????X"});
}

TEST_CASE("P0: an append is cut at a byte prefix, and its size with it", "[litmus]") {
  CHECK(process_crash({nullptr, [](FileSystem& fs) { write(fs, "/f", 0, 100, 'X'); }}, true) ==
        Outcomes{"", "f=0", "f=1", "f=50", "f=99", "f=100"});
  // Three pages: 4096 - 96, 4096, 96 bytes.
  Outcomes expected;
  for (const int part : {0, 1, 2000, 3999}) expected.insert(cat("f=", 96 + part));
  for (const int part : {0, 1, 2048, 4095}) expected.insert(cat("f=", 4096 + part));
  for (const int part : {0, 1, 48, 95, 96}) expected.insert(cat("f=", 8192 + part));
  CHECK(process_crash({[](FileSystem& fs) { write(fs, "/f", 0, 96, 'A'); },
                       [](FileSystem& fs) { write(fs, "/f", 96, 8192, 'X'); }},
                      true) == expected);
  // Behind a gap: nothing written, nothing grown.
  CHECK(process_crash({[](FileSystem& fs) { write(fs, "/f", 0, 5, 'A'); },
                       [](FileSystem& fs) { write(fs, "/f", 1000, 10, 'X'); }},
                      true) == Outcomes{"f=5", "f=1001", "f=1005", "f=1009", "f=1010"});
}

TEST_CASE("P0: what is there is a prefix of the calls", "[litmus]") {
  CHECK(process_crash({[](FileSystem& fs) { write(fs, "/f", 0, kSector, 'O'); },
                       [](FileSystem& fs) {
                         write(fs, "/t", 0, 1, 'N');
                         must(fs.rename("/t", "/f"));
                       }}) == Outcomes{"f=O", "f=O t=", "f=O t=N", "f=N"});
  CHECK(process_crash({[](FileSystem& fs) {
                         must(fs.mkdir("/p"));
                         must(fs.mkdir("/q"));
                         write(fs, "/p/a", 0, 0, 'A');
                       },
                       [](FileSystem& fs) {
                         must(fs.rename("/p/a", "/q/a"));
                         must(fs.rmdir("/p"));
                       }}) == Outcomes{"p/ p/a= q/", "p/ q/ q/a=", "q/ q/a="});
  CHECK(process_crash({[](FileSystem& fs) { write(fs, "/f", 0, 2 * kSector, 'A'); },
                       [](FileSystem& fs) { truncate(fs, "/f", kSector); }}) ==
        Outcomes{"f=AA", "f=A"});
}

// Runs `recovery` after a process crash at the end of the body, then cuts the power.
Outcomes process_crash_then_power_cut(const Program& program,
                                      const std::function<void(FileSystem&)>& recovery) {
  SimDisk disk = start(program);
  KeepAll keep;
  disk.crash(CrashLevel::kP0, disk.busy_until(), keep);
  recovery(*disk.mount());
  Outcomes outcomes;
  AllAnswers choice;
  do {
    outcomes.insert(after(disk, CrashLevel::kP2, disk.busy_until(), choice));
  } while (choice.advance());
  return outcomes;
}

TEST_CASE("P0, then P2: what recovery has read may still vanish, unless it syncs", "[litmus]") {
  const Program program = {[](FileSystem& fs) { write(fs, "/f", 0, 0, 'X'); },
                           [](FileSystem& fs) { write(fs, "/f", 0, kSector, 'X'); }};
  const auto read = [](FileSystem& fs) {
    CHECK(families::read_file(fs, "/f", kSector).value() == std::string(kSector, 'X'));
  };
  CHECK(process_crash_then_power_cut(program, read) == Outcomes{"f=", "f=X", "f=0", "f=?"});
  CHECK(process_crash_then_power_cut(program, [&](FileSystem& fs) {
          read(fs);
          sync(fs, "/f");
        }) == Outcomes{"f=X"});
}

TEST_CASE("P0, then P2: a sync that had not returned when the process died covers nothing",
          "[litmus]") {
  SimDisk disk = start({[](FileSystem& fs) { write(fs, "/f", 0, kSector, 'A'); },
                        [](FileSystem& fs) {
                          write(fs, "/f", 0, kSector, 'X');
                          sync(fs, "/f");
                        }});
  KeepAll keep;
  DropAll drop;
  disk.crash(CrashLevel::kP0, disk.busy_until() - 1, keep);
  CHECK(after(disk, CrashLevel::kP0, disk.now() + 1000, keep) == "f=X");
  CHECK(after(disk, CrashLevel::kP2, disk.now() + 1000, drop) == "f=A");
}

TEST_CASE("P0, then P2: make_directories makes durable what its dead predecessor made",
          "[litmus]") {
  CHECK(process_crash_then_power_cut({nullptr, [](FileSystem& fs) { must(fs.mkdir("/d")); }},
                                     [](FileSystem& fs) {
                                       must(families::make_directories(fs, "/d/e"));
                                     }) == Outcomes{"d/ d/e/"});
}

}  // namespace
}  // namespace qk::sim
