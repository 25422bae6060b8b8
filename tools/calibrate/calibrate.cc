// qk_calibrate: holds the disk model against real file systems (docs/disk-model.md 7).
//
// Each litmus program runs on a fresh ext4, XFS and btrfs, on a device that records what it is told
// (recording_disk.h), several times: left alone, and pushed to write data or metadata in between. Whatever
// a power cut can leave of what the device was told (crash_images.h) is mounted, so that the file
// system recovers, and read. Each outcome must be one that P1, with the options of that file system, and
// P2 allow when the power is cut during that call. P2 alone judges images with torn blocks: P1 stands on
// a disk that writes 4 KiB at once.
//
// Needs root, /dev/fuse, loop devices and mkfs. Not judged: a file system that does not mount, which is
// its own bug and is reported as an outcome.
#include <sched.h>
#include <sys/mount.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <iostream>
#include <map>
#include <optional>

#include "absl/strings/escaping.h"
#include "families/base/strings.h"
#include "families/fs/posix_file_system.h"
#include "sim/disk/litmus_programs.h"
#include "tools/calibrate/crash_images.h"
#include "tools/calibrate/real_file_system.h"
#include "tools/qksim/exit_codes.h"

namespace qk::calibrate {
namespace {

using cli::ExitCode;
using sim::CrashLevel;
using sim::LitmusOutcomes;
using sim::LitmusProgram;

struct Arguments {
  std::string kinds = "ext4,ext4-noauto,ext4-ordered,xfs,btrfs";
  std::string program;  // empty: all
  std::string forbid;   // "PROGRAM: OUTCOME": the model is made to not allow it
  size_t images = 400;  // of one run of one program
  bool verbose = false;
  bool log = false;
  bool markdown = false;
};

// How a file system is pushed while a program runs.
struct Push {
  std::string_view name;
  enum class When : uint8_t { kEnd, kFirstCall, kEachCall };
  When when;
  bool data;
  bool metadata;
};
constexpr Push kPushes[] = {
    {"left alone", Push::When::kEnd, false, false},
    {"metadata at the end", Push::When::kEnd, false, true},
    {"data at the end", Push::When::kEnd, true, true},
    {"metadata after each call", Push::When::kEachCall, false, true},
    {"data after each call", Push::When::kEachCall, true, false},
    {"metadata after the first call", Push::When::kFirstCall, false, true},
};

constexpr std::string_view kNoMount = "does not mount: ";

struct Row {
  uint64_t states = 0;
  uint64_t images = 0;  // that differ
  uint64_t mounts = 0;  // in the run that goes on
  uint64_t all_mounts = 0;
  uint64_t refused = 0;  // images with torn blocks that do not mount
  bool cut = false;      // there were more images than were looked at
  LitmusOutcomes seen;
  LitmusOutcomes seen_at_end;                  // when all calls had returned
  std::map<std::string, std::string> outside;  // outcome, and what does not allow it
  LitmusOutcomes unseen_p1;                    // allowed at the end
};

bool starts_with_word(std::string_view list, std::string_view word) {
  return cat(",", list, ",").find(cat(",", word, ",")) != std::string::npos;
}

class Calibration {
 public:
  Calibration(const Arguments& arguments, const RealKind& kind, RecordingDisk* disk,
              LoopDevice* loop, std::string mount, const BlockStore* fresh)
      : arguments_(arguments),
        kind_(kind),
        disk_(*disk),
        loop_(*loop),
        mount_(std::move(mount)),
        fresh_(*fresh) {}

  absl::StatusOr<Row> run(const LitmusProgram& program) {
    row_ = {};
    p2_ = sim::allowed_outcomes(program, kind_.posix, kind_.journal);
    p1_ = sim::allowed_outcomes(program, CrashLevel::kP1, kind_.journal);
    const std::string mark = cat(program.name, ": ");
    if (arguments_.forbid.starts_with(mark)) {
      for (auto* level : {&p1_, &p2_}) {
        for (LitmusOutcomes& outcomes : *level)
          outcomes.erase(arguments_.forbid.substr(mark.size()));
      }
    }
    for (const Push& push : kPushes) QK_RETURN_IF_ERROR(run_pushed(program, push));
    for (const std::string& outcome : p1_.back()) {
      if (!row_.seen_at_end.contains(outcome)) row_.unseen_p1.insert(outcome);
    }
    return row_;
  }

 private:
  absl::Status run_pushed(const LitmusProgram& program, const Push& push) {
    BlockStore device(&fresh_);
    disk_.use(&device);
    loop_.forget();
    QK_RETURN_IF_ERROR(mount_at(kind_, loop_.path(), mount_));
    std::vector<DeviceCall> log;
    std::optional<BlockStore> before;
    absl::Status ran = play(program, push, &device, &before, &log);
    disk_.record(nullptr);
    ran.Update(unmount(mount_));
    QK_RETURN_IF_ERROR(ran);

    if (arguments_.log) print_log(push, log);
    std::map<uint64_t, std::string> outcomes;  // by image
    recoveries_.clear();
    uint64_t images = 0;
    row_.mounts = 0;
    absl::Status failed;
    for_each_crash_image(*before, log, [&](CrashImage image) {
      const auto [known, fresh] = outcomes.try_emplace(image.store.hash());
      ++images;
      const std::string* same = fresh ? same_for_recovery(image.store) : nullptr;
      if (same != nullptr) {
        known->second = *same;
      } else if (fresh) {
        if (++row_.mounts > arguments_.images) {
          row_.cut = true;
          return false;
        }
        const auto outcome = outcome_of(&image.store);
        if (!outcome.ok()) {
          failed = outcome.status();
          return false;
        }
        known->second = *outcome;
      }
      judge(known->second, image, push);
      return true;
    });
    row_.images += outcomes.size();
    row_.all_mounts += row_.mounts;
    row_.states += images;
    return failed;
  }

  static void print_log(const Push& push, const std::vector<DeviceCall>& log) {
    std::cout << "  " << push.name << "\n";
    for (const DeviceCall& call : log) {
      if (call.kind == DeviceCall::Kind::kFlush) {
        std::cout << "    flush\n";
      } else if (call.kind == DeviceCall::Kind::kMark) {
        std::cout << "    " << call.mark << " calls have returned\n";
      } else {
        std::cout << "    write " << call.offset << "+" << call.bytes.size() << " "
                  << absl::CHexEscape(call.bytes.substr(0, 16)) << "\n";
      }
    }
  }

  absl::Status play(const LitmusProgram& program, const Push& push, const BlockStore* device,
                    std::optional<BlockStore>* before, std::vector<DeviceCall>* log) {
    families::PosixFileSystem fs;
    for (const sim::LitmusCall& call : sim::litmus_calls(program.setup)) {
      QK_RETURN_IF_ERROR(sim::run_litmus_call(fs, mount_, call));
    }
    QK_RETURN_IF_ERROR(write_metadata(kind_, mount_));
    QK_RETURN_IF_ERROR(write_all(mount_));
    before->emplace(*device);
    disk_.record(log);
    size_t calls = 0;
    for (const sim::LitmusCall& call : sim::litmus_calls(program.body)) {
      QK_RETURN_IF_ERROR(sim::run_litmus_call(fs, mount_, call));
      disk_.mark(++calls);
      const bool now =
          push.when == Push::When::kEachCall || (push.when == Push::When::kFirstCall && calls == 1);
      if (now) QK_RETURN_IF_ERROR(apply(push));
    }
    if (push.when != Push::When::kFirstCall) QK_RETURN_IF_ERROR(apply(push));
    return write_all(mount_);
  }

  absl::Status apply(const Push& push) {
    if (push.data) QK_RETURN_IF_ERROR(write_data(mount_));
    return push.metadata ? write_metadata(kind_, mount_) : absl::OkStatus();
  }

  absl::StatusOr<std::string> outcome_of(BlockStore* image) {
    disk_.use(image);
    loop_.forget();
    Recovery recovery;
    disk_.watch(&recovery.read);
    const auto outcome = recovered_outcome();
    disk_.watch(nullptr);
    if (!outcome.ok()) return outcome;
    recovery.outcome = *outcome;
    recoveries_.push_back(std::move(recovery));
    return outcome;
  }

  // Of an earlier image in which everything that its recovery read is the same; or null.
  const std::string* same_for_recovery(const BlockStore& image) const {
    for (const Recovery& recovery : recoveries_) {
      const bool same = std::all_of(
          recovery.read.begin(), recovery.read.end(),
          [&](const auto& block) { return image.hash_of(block.first) == block.second; });
      if (same) return &recovery.outcome;
    }
    return nullptr;
  }

  absl::StatusOr<std::string> recovered_outcome() {
    const absl::Status mounted = mount_at(kind_, loop_.path(), mount_);
    if (!mounted.ok()) return cat(kNoMount, to_std(mounted.message()));
    families::PosixFileSystem fs;
    const auto outcome = sim::litmus_outcome(fs, mount_);
    QK_RETURN_IF_ERROR(unmount(mount_));
    return outcome.ok() ? *outcome : cat("cannot be read: ", to_std(outcome.status().message()));
  }

  void judge(const std::string& outcome, const CrashImage& image, const Push& push) {
    if (image.torn && outcome.starts_with(kNoMount)) {
      ++row_.refused;  // a checksum that spans the block, as of the superblock of btrfs
      return;
    }
    row_.seen.insert(outcome);
    if (image.calls + 1 == p1_.size()) row_.seen_at_end.insert(outcome);
    const bool p2 = p2_[image.calls].contains(outcome);
    const bool p1 = image.torn || p1_[image.calls].contains(outcome);
    if (p1 && p2) return;
    const std::string_view level = p2 ? "P1" : p1 ? to_string(kind_.posix) : "P1 and P2";
    row_.outside.emplace(
        cat("\"", outcome, "\" after ", image.calls, " calls"),
        cat("outside of ", level, " (", push.name, image.torn ? ", torn" : "", ")"));
  }

  const Arguments& arguments_;
  const RealKind& kind_;
  RecordingDisk& disk_;
  LoopDevice& loop_;
  const std::string mount_;
  const BlockStore& fresh_;
  std::vector<LitmusOutcomes> p1_, p2_;  // by calls that have returned
  struct Recovery {
    BlocksRead read;
    std::string outcome;
  };
  std::vector<Recovery> recoveries_;  // of the images of one run
  Row row_;
};

ExitCode unavailable(const absl::Status& status) {
  std::cerr << "calibrate: cannot run: " << to_std(status.message()) << "\n";
  return ExitCode::kUnavailable;
}

void print(const Arguments& arguments, const RealKind& kind, const LitmusProgram& program,
           const Row& row) {
  const std::string_view bar = arguments.markdown ? " | " : "  ";
  std::cout << (arguments.markdown ? "| " : "") << program.name << bar << kind.name << bar
            << row.images << (row.cut ? "+" : "") << bar << row.all_mounts << bar << row.seen.size()
            << bar << row.outside.size() << bar << row.unseen_p1.size()
            << (arguments.markdown ? " |" : "") << "\n";
  for (const auto& [outcome, why] : row.outside) {
    std::cout << "    " << why << ": " << outcome << "\n";
  }
  if (!arguments.verbose) return;
  if (row.refused > 0) std::cout << "    torn images that do not mount: " << row.refused << "\n";
  for (const std::string& outcome : row.seen) std::cout << "    seen \"" << outcome << "\"\n";
  for (const std::string& outcome : row.unseen_p1) {
    std::cout << "    allowed by P1, not seen \"" << outcome << "\"\n";
  }
}

ExitCode calibrate(const Arguments& arguments) {
  if (geteuid() != 0) return unavailable(absl::PermissionDeniedError("it needs root"));
  // Whatever is mounted goes with this process.
  if (unshare(CLONE_NEWNS) != 0 ||
      ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return unavailable(absl::UnavailableError("a mount namespace of its own is refused"));
  }
  if (access("/dev/fuse", R_OK | W_OK) != 0) {
    return unavailable(absl::UnavailableError("there is no /dev/fuse"));
  }
  std::string top = "/tmp/calibrate-XXXXXX";
  if (mkdtemp(top.data()) == nullptr) {
    return unavailable(absl::UnavailableError(cat("no directory ", top)));
  }
  if (::mount("calibrate", top.c_str(), "tmpfs", 0, nullptr) != 0) {
    return unavailable(absl::UnavailableError(cat("no tmpfs at ", top)));
  }
  families::PosixFileSystem fs;
  for (const char* name : {"/device", "/mount"}) {
    if (const absl::Status made = fs.mkdir(top + name); !made.ok()) return unavailable(made);
  }
  utsname system = {};
  uname(&system);
  std::cout << "kernel " << system.release << "\n"
            << "program  file system  images  mounts  outcomes  outside  allowed by P1, not seen\n";

  size_t found = 0, outside = 0, images = 0, programs = 0;
  for (const RealKind& kind : real_kinds()) {
    if (!starts_with_word(arguments.kinds, kind.name)) continue;
    ++found;
    const auto fresh = make_file_system(kind);
    if (!fresh.ok()) return unavailable(fresh.status());
    const auto disk = RecordingDisk::start(top + "/device", kind.size);
    if (!disk.ok()) return unavailable(disk.status());
    BlockStore empty;
    (*disk)->use(&empty);
    const auto loop = LoopDevice::attach((*disk)->path());
    if (!loop.ok()) return unavailable(loop.status());
    Calibration calibration(arguments, kind, disk->get(), loop->get(), top + "/mount", &*fresh);
    for (const LitmusProgram& program : sim::litmus_programs()) {
      if (!arguments.program.empty() && program.name != arguments.program) continue;
      const auto row = calibration.run(program);
      if (!row.ok()) return unavailable(row.status());
      print(arguments, kind, program, *row);
      std::cout << std::flush;
      ++programs;
      images += row->images;
      outside += row->outside.size();
    }
  }
  if (found == 0 || programs == 0) {
    std::cerr << "calibrate: no such file system or program\n";
    return ExitCode::kUsage;
  }
  std::cout << programs << " programs on file systems, " << images << " images, " << outside
            << " outcomes outside of the model\n";
  umount2(top.c_str(), MNT_DETACH);
  rmdir(top.c_str());
  return outside == 0 ? ExitCode::kOk : ExitCode::kViolated;
}

}  // namespace
}  // namespace qk::calibrate

int main(int argc, char** argv) {
  qk::calibrate::Arguments arguments;
  CLI::App app(
      "Holds the disk model against real file systems: litmus programs, power cuts, recovery.\n"
      "Exit codes: 0 all outcomes are in the model, 1 some are not, 64 usage, 69 cannot run here");
  app.add_option("--fs", arguments.kinds,
                 "of ext4, ext4-noauto, ext4-ordered, xfs, btrfs; separated by commas");
  app.add_option("--program", arguments.program, "this one alone");
  app.add_option("--images", arguments.images, "mounts for one run of a program at most");
  app.add_option("--forbid", arguments.forbid,
                 "\"PROGRAM: OUTCOME\" is taken out of the model, to see that it is missed");
  app.add_flag("--verbose", arguments.verbose, "each outcome");
  app.add_flag("--log", arguments.log, "what the device is told");
  app.add_flag("--markdown", arguments.markdown, "rows of a table");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : qk::cli::to_int(qk::cli::ExitCode::kUsage);
  }
  return qk::cli::to_int(qk::calibrate::calibrate(arguments));
}
