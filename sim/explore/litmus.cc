#include "sim/explore/litmus.h"

#include <functional>

#include "families/fs/file_util.h"
#include "sim/disk/sim_disk.h"

namespace qk::sim {
namespace {

using families::FileSystem;

constexpr std::string_view kOld = "old";
constexpr std::string_view kNew = "new";

absl::Status write(FileSystem& fs, std::string_view path, std::string_view bytes, bool sync) {
  QK_ASSIGN_OR_RETURN(const auto file, fs.open(path, {.create = true, .truncate = true}));
  QK_RETURN_IF_ERROR(file->write_at(0, bytes));
  return sync ? file->sync(families::SyncKind::kFull) : absl::OkStatus();
}

absl::Status sync_root(FileSystem& fs) { return fs.sync_dir("/", families::SyncKind::kFull); }

struct Litmus {
  std::string_view broken;  // what it means if the outcome is another one
  std::function<absl::Status(FileSystem&)> program;
  std::string_view path;
  std::string_view
      expected;  // bytes of `path` after a power cut that loses all it may; empty: none
  bool process_dies = false;  // before the power is cut; a new one starts in between
  bool first_sync_fails = false;
};

const std::vector<Litmus>& programs() {
  static const std::vector<Litmus> all = {
      {"bytes that were never synced survive a power cut",
       [](FileSystem& fs) -> absl::Status {
         QK_RETURN_IF_ERROR(write(fs, "/a", kOld, true));
         QK_RETURN_IF_ERROR(sync_root(fs));
         return write(fs, "/a", kNew, false);
       },
       "/a", kOld},
      {"bytes that were synced do not survive a power cut",
       [](FileSystem& fs) -> absl::Status {
         QK_RETURN_IF_ERROR(write(fs, "/a", kNew, true));
         return sync_root(fs);
       },
       "/a", kNew},
      {"a new name that was never synced survives a power cut",
       [](FileSystem& fs) { return write(fs, "/a", kNew, true); }, "/a", ""},
      {"a rename that was never synced survives a power cut",
       [](FileSystem& fs) -> absl::Status {
         QK_RETURN_IF_ERROR(write(fs, "/a", kOld, true));
         QK_RETURN_IF_ERROR(write(fs, "/b", kNew, true));
         QK_RETURN_IF_ERROR(sync_root(fs));
         return fs.rename("/b", "/a");
       },
       "/a", kOld},
      {"a rename that was synced does not survive a power cut",
       [](FileSystem& fs) -> absl::Status {
         QK_RETURN_IF_ERROR(write(fs, "/a", kOld, true));
         QK_RETURN_IF_ERROR(write(fs, "/b", kNew, true));
         QK_RETURN_IF_ERROR(fs.rename("/b", "/a"));
         return sync_root(fs);
       },
       "/a", kNew},
      {"a removal that was never synced survives a power cut",
       [](FileSystem& fs) -> absl::Status {
         QK_RETURN_IF_ERROR(write(fs, "/a", kOld, true));
         QK_RETURN_IF_ERROR(sync_root(fs));
         return fs.unlink("/a");
       },
       "/a", kOld},
      {"bytes that a dead process never synced survive a later power cut",
       [](FileSystem& fs) -> absl::Status {
         QK_RETURN_IF_ERROR(write(fs, "/a", kOld, true));
         QK_RETURN_IF_ERROR(sync_root(fs));
         return write(fs, "/a", kNew, false);
       },
       "/a", kOld, true},
      {"bytes that a failed sync lost are made durable by the next one",
       [](FileSystem& fs) -> absl::Status {
         QK_RETURN_IF_ERROR(write(fs, "/a", "", false));
         QK_RETURN_IF_ERROR(sync_root(fs));
         QK_ASSIGN_OR_RETURN(const auto file, fs.open("/a", {}));
         QK_RETURN_IF_ERROR(file->write_at(0, kNew));
         if (file->sync(families::SyncKind::kFull).ok()) return absl::InternalError("sync is ok");
         return file->sync(families::SyncKind::kFull);
       },
       "/a", "", false, true},
  };
  return all;
}

std::string bytes_after_power_cut(const Litmus& litmus, Mutant* mutant) {
  SimDisk disk(DiskOptions{}, RandomStream(1, "litmus"));
  const auto mount = [&] {
    auto fs = disk.mount();
    return mutant == nullptr ? std::move(fs) : mutant->file_system({}, std::move(fs));
  };
  auto fs = mount();
  if (litmus.first_sync_fails) {
    DiskFault fault;
    fault.access = DiskAccess::kSync;
    fault.path = "/a";
    disk.add_fault(fault, 0, {});
  }
  const absl::Status ran = litmus.program(*fs);
  if (!ran.ok()) return cat("the program failed: ", to_std(ran.message()));
  if (litmus.process_dies) {
    KeepAll keep;
    disk.crash(CrashLevel::kP0, disk.busy_until(), keep);
    fs = mount();
  }
  std::unique_ptr<Choice> choice = std::make_unique<DropAll>();
  if (mutant != nullptr) choice = mutant->choice(std::move(choice));
  disk.crash(CrashLevel::kP2, disk.busy_until(), *choice);
  const auto after = disk.mount();
  const auto bytes = families::read_file(*after, litmus.path, 100);
  return bytes.ok() ? *bytes : std::string();
}

}  // namespace

std::vector<std::string> broken_litmus(Mutant* mutant) {
  std::vector<std::string> broken;
  for (const Litmus& litmus : programs()) {
    if (bytes_after_power_cut(litmus, mutant) != litmus.expected)
      broken.emplace_back(litmus.broken);
  }
  return broken;
}

}  // namespace qk::sim
