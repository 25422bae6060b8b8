// Bench: the machine on which one check runs, and its expectations. The disk is a SimDisk, which
// forgets what was not synced when it is told to crash, or a fresh directory of the real file
// system, removed with the bench.
//
// On a simulated disk, time passes only in settle(): what was synced before it is durable after it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>

#include "conformance/model.h"
#include "conformance/planting.h"
#include "families/contract/family.h"
#include "families/fs/fault_file_system.h"
#include "families/fs/temp_directory.h"
#include "sim/disk/sim_disk.h"
#include "sim/kernel/random.h"

namespace qk::sim::conformance {

enum class DiskKind : uint8_t { kSimulated, kReal };
std::string_view to_string(DiskKind disk);  // "sim", "real"

// Where checks run: the families, and what of them lies outside any disk.
struct Host {
  const families::Registry* registry = nullptr;
  // The machine stops, or a check has ended: what volatile families keep in memory is gone.
  std::function<void()> lose_memory = [] {};
  // Of the places where a machine may stop or a call may fail, checks try one in so many; 1: all.
  // For builds that are too slow for all.
  uint64_t one_point_in = 1;
  const Planting* planting = nullptr;  // a mutant of the product; must outlive all
};

// Ends a check. Internal to the suite: thrown by expectations, caught by the runner.
struct CheckFailed {
  std::string message;
};
struct NotApplicable {
  std::string reason;
};
// Says where a check was when it failed.
template <typename Body>
void at(const std::string& where, const Body& body) {
  try {
    body();
  } catch (const CheckFailed& failed) {
    throw CheckFailed{cat(where, ": ", failed.message)};
  }
}

class Bench {
 public:
  Bench(Host host, DiskKind kind, uint64_t seed);
  virtual ~Bench();
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  const families::Registry& registry() const { return *host_.registry; }
  DiskKind disk_kind() const { return kind_; }
  // Null in a real directory.
  SimDisk* disk() { return disk_.get(); }
  families::FileSystem& fs() {
    return faults_ ? static_cast<families::FileSystem&>(*faults_) : *fs_;
  }
  // From the first call on, fs() is this one; nothing may be open then.
  families::FaultFileSystem& faults();
  // Below the bench's own directory.
  std::string path(std::string_view name) const;
  uint64_t seed() const { return seed_; }
  // Whether a check that goes through the places where a machine may stop tries this one.
  bool tries_point(uint64_t number) const { return (number + seed_) % host_.one_point_in == 0; }
  bool tries_every_point() const { return host_.one_point_in == 1; }
  // A stream of its own for each purpose.
  RandomStream random(std::string_view purpose) const { return RandomStream(seed_, purpose); }

  // Waits until everything that was issued has returned, or until the pinned operation executes.
  void settle();

  // ---- Expectations

  // `what` says what was found and what was expected.
  void expect(bool holds, std::string_view what);
  void expect_ok(std::string_view what, const absl::Status& status);
  void expect_ok(std::string_view what, const families::Outcome& outcome);
  void expect_code(std::string_view what, const absl::Status& status, absl::StatusCode expected);
  // Provably not applied, for this reason.
  void expect_failed_clean(std::string_view what, const families::Outcome& outcome,
                           absl::StatusCode expected);
  // The value, or the end of the check.
  template <typename T>
  T expect_value(std::string_view what, absl::StatusOr<T> value) {
    expect_ok(what, value.status());
    return *std::move(value);
  }
  template <typename T>
  void expect_equal(std::string_view what, const T& found, const T& expected) {
    expect(found == expected, cat(what, ": found ", shown(found), ", expected ", shown(expected)));
  }
  void expect_same_state(std::string_view what, const State& found, const State& expected);

  [[noreturn]] void fail(std::string_view message) const;
  [[noreturn]] void not_applicable(std::string_view why) const;

  // How many expectations were evaluated, in forks too.
  uint64_t expectations() const { return *expectations_; }

  // How often something happened, for the report ("images", "refused"); in forks too.
  void count(std::string_view what, uint64_t times = 1);
  const std::map<std::string, uint64_t>& counts() const { return *counts_; }

 protected:
  // The same disk once more, as it is now; on a simulated disk only.
  Bench(Bench& other, SimDisk disk);

  // The machine stops now, or at the pinned operation. All handles are dead; a derived class drops
  // them, then calls remount().
  CrashReport stop(CrashLevel level, Choice& choice);
  // A new incarnation of the file system; no handle on the old one may be left.
  void remount();

 private:
  template <typename T>
  static std::string shown(const T& value) {
    if constexpr (requires { describe(value); }) {
      return describe(value);
    } else if constexpr (requires { to_string(value); }) {
      return std::string(to_string(value));
    } else if constexpr (std::is_same_v<T, bool>) {
      return value ? "true" : "false";
    } else if constexpr (requires { cat(value); }) {
      return cat(value);
    } else {
      return "another value";
    }
  }

  const Host host_;
  const DiskKind kind_;
  const uint64_t seed_;
  std::shared_ptr<uint64_t> expectations_ = std::make_shared<uint64_t>(0);
  std::shared_ptr<std::map<std::string, uint64_t>> counts_ =
      std::make_shared<std::map<std::string, uint64_t>>();
  std::unique_ptr<SimDisk> disk_;
  std::unique_ptr<families::TempDirectory> directory_;
  std::string base_;
  std::unique_ptr<families::FileSystem> fs_;
  std::unique_ptr<families::FaultFileSystem> faults_;
};

// Options that make the family's units as small as it allows (segments, pages, checkpoints), so
// that short histories cross their borders; empty if it has no such option.
families::FamilyOptions small_units(const families::FamilyDescriptor& family);
// For each option whose values are listed by name, each of them that is not the default.
std::vector<families::FamilyOptions> listed_options(const families::FamilyDescriptor& family);

// ---- Building blocks of histories

inline constexpr std::string_view kPeer = "127.0.0.1:8100:0:0";
inline constexpr std::string_view kOtherPeer = "127.0.0.1:8101:0:0";
inline constexpr std::string_view kThirdPeer = "127.0.0.1:8102:0:0";

// A data entry whose payload tells index and term.
families::LogEntry entry(int64_t index, int64_t term = 1, size_t payload_bytes = 24);
families::LogEntry no_op(int64_t index, int64_t term = 1);
families::LogEntry configuration(int64_t index, int64_t term, const families::Configuration& value);
// Indices [from, to].
std::vector<families::LogEntry> entries(int64_t from, int64_t to, int64_t term = 1,
                                        size_t payload_bytes = 24);
// A snapshot with a file, a nested file and an empty one.
SnapshotState snapshot(int64_t index, int64_t term = 1);

}  // namespace qk::sim::conformance
