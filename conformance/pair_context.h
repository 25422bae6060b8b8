// PairContext: an ordered pair of families, A and B, on one disk with two roots. Nothing is created
// before the check asks for it; the roles of the two are what the check makes of them.
#pragma once

#include <array>
#include <functional>
#include <memory>

#include "conformance/bench.h"
#include "conformance/context.h"
#include "conformance/transfer.h"

namespace qk::sim::conformance {

class PairContext : public Bench {
 public:
  enum Side : uint8_t { kA = 0, kB = 1 };

  PairContext(Host host, const families::FamilyDescriptor* a, const families::FamilyDescriptor* b,
              DiskKind disk, uint64_t seed);
  ~PairContext() override;

  const families::FamilyDescriptor& descriptor(Side side) const { return *sides_[side].family; }
  const std::string& root(Side side) const { return sides_[side].root; }
  // Whether one of the two forgets everything in a crash.
  bool any_volatile() const;

  // A fresh instance; then it is open.
  families::Family& create(Side side, const families::FamilyOptions& options = {});
  // Opens what is there: with its identity if there is a sidecar (it was imported), else bare.
  absl::StatusOr<families::Family*> open(Side side, const families::FamilyOptions& options = {});
  families::Family& must_open(Side side) { return *expect_value("open", open(side)); }
  families::Family& at(Side side);
  bool is_open(Side side) const { return sides_[side].instance != nullptr; }
  // A clean end: background work is done first.
  void close(Side side);

  // On one side alone, which must accept it.
  void apply(Side side, const Change& change);
  void apply(Side side, const std::vector<Change>& changes);

  // The image of an open side.
  std::string export_from(Side side, uint64_t seq = 1);
  // Into the other, whose root must be empty; the instance is not opened.
  absl::Status import_into(Side side, std::string_view image);
  image::ImportRequest request_for(Side side);

  void expect_equal_digests();
  // The same disk once more, as it is now, with nothing open. Simulated disks only; not for
  // volatile families, whose memory cannot be copied.
  std::unique_ptr<PairContext> fork();
  // Stops the machine and drops all handles, the caller's own by `drop`; simulated disks only.
  CrashReport crash(
      CrashLevel level, Choice& choice, const std::function<void()>& drop = [] {});

 private:
  PairContext(PairContext& other, SimDisk disk);

  struct Part {
    const families::FamilyDescriptor* family;
    std::string root;
    std::unique_ptr<families::Family> instance;
  };
  std::array<Part, 2> sides_;
};

}  // namespace qk::sim::conformance
