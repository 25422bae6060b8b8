// Litmus programs: one to five calls, of which it is known what a crash may leave of them. They are data,
// so that the same list runs on a simulated disk (litmus_programs_test.cc) and on real file systems
// (tools/calibrate), and what is seen there can be held against what the model allows.
//
// A program is text, calls separated by ';'. Lengths and offsets are in sectors of 512 bytes:
//
//   create F | write F OFFSET LENGTH LETTER | truncate F LENGTH | fsync F | fdatasync F
//   mkdir D | rmdir D | fsyncdir D | rename A B | link A B | unlink A
//
// A write creates what is not there. An outcome lists files and directories in byte order, "a=2X d/
// d/b=": a file shows one letter for each sector, a number before it if it comes more than once: its
// fill byte, '.' for zeros, '?' for anything else; a size that is no multiple of a sector follows as "+N".
#pragma once

#include <cstddef>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "families/fs/file_system.h"
#include "sim/disk/sim_disk.h"

namespace qk::sim {

using LitmusOutcomes = std::set<std::string>;

struct LitmusProgram {
  std::string_view name;
  std::string_view setup;  // all of it is durable before the body begins
  std::string_view body;
};

std::span<const LitmusProgram> litmus_programs();

struct LitmusCall {
  enum class Kind : uint8_t {
    kCreate,
    kWrite,
    kTruncate,
    kFsync,
    kFdatasync,
    kMkdir,
    kRmdir,
    kFsyncDir,
    kRename,
    kLink,
    kUnlink,
  };
  Kind kind = Kind::kCreate;
  std::string path;  // absolute
  std::string to;    // kRename, kLink
  uint64_t offset = 0;
  uint64_t length = 0;  // bytes
  char letter = 0;
};

// The text is ours: a mistake in it is a failed check.
std::vector<LitmusCall> litmus_calls(std::string_view text);

// `root`: in front of each path; "" or an absolute path.
absl::Status run_litmus_call(families::FileSystem& fs, const std::string& root,
                             const LitmusCall& call);

// Without names that begin with a dot, and "lost+found".
absl::StatusOr<std::string> litmus_outcome(families::FileSystem& fs, const std::string& root);

// A disk on which a program has run, and when each number of its calls had returned; the disk's own time is
// the end of the setup.
struct LitmusRun {
  SimDisk disk;
  std::vector<Nanos> returned;
};
LitmusRun run_litmus(const LitmusProgram& program, const JournalOptions& journal);

// For each number of calls of the body that have returned, from 0 to all of them: what a crash may
// leave until the next one returns.
std::vector<LitmusOutcomes> allowed_outcomes(const LitmusProgram& program, CrashLevel level,
                                             const JournalOptions& journal);

}  // namespace qk::sim
