// Mutation: one durable change of a node's Raft state, as data, and StorageDriver, the one way by
// which a node makes such changes. A plain node drives one family; a migrating node drives two
// (migration/node_driver.h). Nothing else writes to a family that serves.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "families/contract/family.h"

namespace qk::families {

// Each lane is serial with one mutation in flight; different lanes may overlap in time.
enum class Lane : uint8_t { kLog = 0, kMeta = 1, kSnapshot = 2 };
inline constexpr int kLaneCount = 3;
std::string_view to_string(Lane lane);

struct Mutation {
  Operation operation = Operation::kAppend;
  std::vector<LogEntry> entries;  // kAppend
  int64_t index = 0;  // kTruncatePrefix: first kept; kTruncateSuffix: last kept; kReset: next index
  HardState hard_state;                    // kSaveMeta
  std::unique_ptr<SnapshotWriter> writer;  // kPublish: a writer of StorageDriver::create_snapshot()

  static Mutation append(std::vector<LogEntry> entries);
  static Mutation truncate_prefix(int64_t first_kept);
  static Mutation truncate_suffix(int64_t last_kept);
  static Mutation reset(int64_t next_index);
  static Mutation save_meta(HardState state);
  static Mutation publish(std::unique_ptr<SnapshotWriter> writer);
};

Lane lane_of(Operation operation);

// Applies one mutation to one family: the only switch over operations. A publish takes the writer
// out of `mutation`; everything else leaves it as it was, for the next family.
Outcome apply(Family& family, Mutation& mutation);

class StorageDriver {
 public:
  virtual ~StorageDriver() = default;

  // The authoritative family, for reads. Never mutate through it.
  virtual Family& authority() = 0;
  virtual absl::StatusOr<std::unique_ptr<SnapshotWriter>> create_snapshot() = 0;
  // Synchronous; an ok outcome means durable in every family that the node's phase demands.
  // Mutations are numbered 1, 2, ... per node life by the driver.
  virtual Outcome apply(Mutation mutation) = 0;
};

// A driver for one family.
class PlainDriver final : public StorageDriver {
 public:
  explicit PlainDriver(Family* family) : family_(family) {}
  Family& authority() override { return *family_; }
  absl::StatusOr<std::unique_ptr<SnapshotWriter>> create_snapshot() override {
    return family_->snapshot().create();
  }
  Outcome apply(Mutation mutation) override { return families::apply(*family_, mutation); }

 private:
  Family* family_;
};

}  // namespace qk::families
