// NodeDriver: the StorageDriver of a node that can migrate. It is the only writer of the node's
// families, in three modes:
//
//   plain     one family; an ok outcome means durable there
//   queueing  as plain, and every mutation is also queued for a bootstrap that catches up
//   dual      intent durable, then primary, then mirror, then ok (migration.md 5)
//
// Dual write: an ok outcome means durable in both families. Whatever else is returned after the
// primary was touched is indeterminate, and the driver then refuses everything until the node
// reopens and reconciles. The mirror is never ahead of the primary.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "families/contract/mutation.h"
#include "image/digest.h"
#include "migration/intent_journal.h"

namespace qk::migration {

// A mutation that the primary has and the catching-up family does not have yet.
struct QueuedMutation {
  uint64_t seq = 0;
  families::Operation operation = families::Operation::kAppend;
  std::vector<families::LogEntry> entries;
  int64_t index = 0;
  families::HardState hard_state;
  std::shared_ptr<families::SnapshotReader> snapshot;  // kPublish; keeps the tree alive
  uint64_t bytes = 0;                                  // of the entries' payloads
};

// Fills `writer` from a snapshot: every listed file, its meta, and the snapshot's meta.
absl::Status copy_snapshot(const families::SnapshotReader& from, families::SnapshotWriter& writer);

struct DualPair {
  families::Family* mirror = nullptr;
  IntentJournal* journal = nullptr;
  std::string primary_instance;
  std::string mirror_instance;
  // Told of every mutation that changes what a digest covers.
  std::vector<image::DigestCache*> caches;
};

class NodeDriver final : public families::StorageDriver {
 public:
  // `last_seq`: the newest mutation number that may have been used before.
  NodeDriver(families::Family* primary, uint64_t last_seq);

  families::Family& authority() override { return *primary_; }
  // The writer may be published after a change of roles, too.
  absl::StatusOr<std::unique_ptr<families::SnapshotWriter>> create_snapshot() override;
  // A publish takes a writer of create_snapshot().
  families::Outcome apply(families::Mutation mutation) override;

  // Number of the newest mutation begun.
  uint64_t seq() const { return seq_; }
  const absl::Status& failure() const { return failure_; }

  // Queueing mode. More than `max_queued` mutations, or more than `max_bytes` of entries in them,
  // end it: overflowed() is then true and the queue is empty, so that memory stays bounded
  // (migration.md 10).
  void begin_queue(size_t max_queued, uint64_t max_bytes);
  void end_queue();
  bool overflowed() const { return overflowed_; }
  const std::deque<QueuedMutation>& queue() const { return queue_; }
  size_t queue_size() const { return queue_.size(); }
  uint64_t queued_bytes() const { return queued_bytes_; }
  // The other family has the first one.
  void pop_queued();

  // At a barrier only. Leaves queueing and dual mode.
  void set_plain(families::Family* primary);
  void set_dual(families::Family* primary, DualPair pair);
  bool dual() const { return pair_.mirror != nullptr; }

 private:
  families::Outcome apply_plain(families::Mutation& mutation);
  families::Outcome apply_dual(families::Mutation& mutation);
  families::Outcome apply_mirror(families::Mutation& mutation);
  Intent make_intent(const families::Mutation& mutation);
  void enqueue(families::Mutation mutation);
  void overflow();
  void clear_queue();
  void invalidate_caches(const families::Mutation& mutation);
  families::Outcome poison(absl::Status status, int64_t count = 0);

  families::Family* primary_;
  uint64_t seq_;
  absl::Status failure_;

  bool queueing_ = false;
  bool overflowed_ = false;
  size_t max_queued_ = 0;
  uint64_t max_queued_bytes_ = 0;
  std::deque<QueuedMutation> queue_;
  uint64_t queued_bytes_ = 0;

  DualPair pair_;
};

}  // namespace qk::migration
