// Controller: moves one node from family A to family B while it serves (migration.md 3), and opens
// the node's families at every start (migration.md 4).
//
// Each transition does idempotent work, then one durable manifest write (the mark) that decides,
// then idempotent work that every start repeats until it is done. So a crash anywhere leaves the
// phase before or after the mark, and open() goes on from there:
//
//   exporting, bootstrapping, validated  A serves; B and the image are deleted, export starts
//                                        over, or after max_attempts exports it is rolled back
//                                        (mig.I14)
//   dual-write, cutover-validated        reconcile, then A is primary and B mirror
//   cut-over                             reconcile, then B is primary and A mirror
//   accepted                             A is fenced, B serves alone
//   retired                              A is deleted, its fence stays; B serves alone, as A of
//                                        the next migration
//   rolled-back                          B is deleted or fenced, A serves alone
//
// A volatile family that a crash took is a lost primary or a lost mirror. Without its
// primary a node does not start: NotFound. A lost mirror before the cut-over ends the migration on
// A (DT1); after it the node does not start either, because no operator has said that it may go on
// without a rollback target (DT2).
//
// The controller never starts work by itself. A Runner (runner.h) drives it: asks need(), and calls
// step() when its time has come, under a barrier over all lanes if need() says so. A step shares
// the disk with what the node must make durable to answer anybody: each is short, and the disk is
// left to the node for pause_ns() before the next one (migration.md 10). An error of step() or
// open() means that the node must stop; everything durable is left as it is.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "image/exporter.h"
#include "image/importer.h"
#include "image/report.h"
#include "migration/catch_up.h"
#include "migration/manifest.h"
#include "migration/node_driver.h"
#include "migration/reconcile.h"

namespace qk::migration {

struct FamilyConfig {
  std::string family;
  std::string root;
  families::FamilyOptions options;
  // As the node is configured at every start; the manifest does not know them. A node whose parts
  // are split does not migrate.
  families::PartPaths parts = {};
};

class ControllerObserver {
 public:
  virtual ~ControllerObserver() = default;
  // The mark is about to be written. If that fails, the node stops, and its next start may find it
  // all the same.
  virtual void mark_begun(Phase /*from*/, const Manifest& /*to*/) {}
  // The mark is written; it is durable once everything issued to the disk so far is.
  virtual void phase_changed(Phase /*from*/, const Manifest& /*to*/) {}
  // The cut of an export is taken: what the authority holds now is what the image will hold.
  virtual void export_begun() {}
  // Which: 1 at the export cut, 2 at the cutover cut.
  virtual void cut_compared(int /*which*/, const CutRecord& /*a*/, const Digest& /*b*/) {}
  virtual void reconciled(const std::string& /*action*/) {}
};

struct ControllerOptions {
  families::FileSystem* fs = nullptr;
  const families::Registry* registry = nullptr;
  std::string node_dir;  // roots, and migration/ with manifest, journal and images, lie in it
  std::string group_id;
  std::string peer_id;
  FamilyConfig initial;              // the family of a node without a manifest
  bool create = false;               // make a fresh instance if the initial root holds none
  std::function<int64_t()> now;      // nanoseconds, monotone
  std::function<uint64_t()> random;  // for lineage ids
  ControllerObserver* observer = nullptr;

  // What one step may do, at least one piece of work: entries copied by an export or import, bytes
  // replayed by a catch-up, and after so much time no further piece begins. The pieces of a
  // validation are not bounded.
  int64_t step_entries = 64;
  uint64_t step_bytes = 256 << 10;
  int64_t step_time_ns = 20'000'000;
  // Nanoseconds, monotone; passes while storage works. Default: `now`.
  std::function<int64_t()> storage_clock;
  // What may wait for a catching-up family: mutations, and bytes of entries in them.
  size_t max_queued = 100'000;
  uint64_t max_queued_bytes = 256 << 20;
  uint64_t max_attempts = 16;  // exports per generation, restarts counted; then it is rolled back
};

struct MigrationRequest {
  std::string family;
  families::FamilyOptions options;
  uint64_t fresh_mutations = 0;  // both at least 1
  int64_t fresh_time_ns = 0;
  // Otherwise a pair is refused of which one side may lose what it acknowledged.
  bool accept_weak_durability = false;
};

// A catch-up queue of at most this many mutations is drained under the barrier that begins dual
// write.
inline constexpr size_t kMigrationBarrierLag = 16;

enum class Need : uint8_t {
  kNothing,
  kStep,     // call step() any time
  kBarrier,  // call step() while no mutation is in flight and none can start
};

class Controller {
 public:
  // The start algorithm. On OK the families are open, reconciled and equal where they must be.
  static absl::StatusOr<std::unique_ptr<Controller>> open(ControllerOptions options);
  ~Controller();

  families::StorageDriver& driver() { return *driver_; }
  const NodeDriver& node_driver() const { return *driver_; }
  const Manifest& manifest() const { return manifest_; }
  Phase phase() const { return manifest_.phase; }
  // What the last finished export of this process wrote, and where.
  const std::optional<image::ImageTotals>& exported() const { return exported_; }
  std::string image_file() const { return image_path(); }
  // The open families; B is null unless it is open. For reading.
  families::Family* family(Side side) { return side == Side::kA ? a_.get() : b_.get(); }
  // An open family with background work, that of a running import included; null if none has any.
  // The owner runs it, one piece after the other; an error of a piece means that the node stops.
  families::Family* busy_family();

  // Each fails with FailedPrecondition, naming the phase, where migration.md 3 does not allow it.
  absl::Status request_start(const MigrationRequest& request);  // T1, RS
  absl::Status request_validation();                            // T5, from dual-write
  absl::Status request_cutover();                               // T6, from cutover-validated
  absl::Status request_accept();                                // T7, from cut-over
  absl::Status request_retire();                                // T8, from accepted
  absl::Status request_rollback(std::string reason);            // RB1

  // The first error of storage. From then on nothing is done any more: the owner must stop, because
  // only a new start finds which manifest is the durable one.
  const absl::Status& failure() const { return failure_; }

  Need need() const;
  absl::Status step();
  // For how long the owner leaves the disk to the node after the last step: as long as that took,
  // so that a migration has half of the disk at most.
  int64_t pause_ns() const { return last_step_ns_; }
  // Of the present phase, in parts per million.
  int64_t progress_ppm() const;

 private:
  enum class Request : uint8_t { kNone, kValidate, kCutover, kAccept, kRetire, kRollback };

  explicit Controller(ControllerOptions options);

  absl::Status start();
  absl::Status check_fence_takes_no_more(const Instance& source) const;
  absl::Status start_without_manifest();
  absl::Status start_plain(Side side);
  absl::Status start_over();
  absl::Status start_dual();
  absl::Status start_without_mirror(const absl::Status& lost);
  absl::Status start_rolled_back(std::string reason);
  absl::Status ensure_sidecar(Side side);
  absl::StatusOr<std::unique_ptr<families::Family>> open_side(Side side);
  // Where the parts of an instance lie: of the one that the node began with, as it is configured.
  families::PartPaths parts_of(const Instance& instance) const;

  // Writes `next`, durably, with this reason; the phase must be the present one or a legal
  // successor.
  absl::Status mark(Manifest next, std::string reason = "");
  // The first mutation number of an export attempt: attempts never share one, so that no two cuts
  // of a generation have the same name.
  uint64_t seq_floor() const { return manifest_.attempts << 32; }
  bool last_attempt() const { return manifest_.attempts + 1 >= options_.max_attempts; }
  absl::Status fail(absl::Status status);
  DualPair dual_pair(Side mirror);
  std::string path_in_migration(std::string_view name) const;
  std::string image_path() const;

  absl::Status step_exporting();
  absl::Status begin_export();
  absl::Status restart_export(std::string reason);
  absl::Status step_bootstrapping();
  absl::Status validate_import();
  absl::Status step_validated();
  // Runs `piece`, which is told how many entries it may copy, until it says that it is done, or the
  // step's entries or time are used up; whether it is done.
  absl::StatusOr<bool> copy_pieces(const std::function<absl::StatusOr<bool>(int64_t)>& piece);
  bool nearly_caught_up() const;
  absl::Status enter_dual_write();
  // After the mark of T4, until it is done.
  absl::Status finish_dual_write();
  std::string difference(const image::StateDigest& a, const absl::StatusOr<image::StateDigest>& b);
  absl::Status validate_cutover();
  absl::Status cut_over();
  absl::Status accept();
  absl::Status roll_back(std::string reason, bool keep_evidence);
  absl::Status finish_rollback();
  absl::Status finish_accept();
  absl::Status retire();
  absl::Status finish_retire();
  absl::Status remove_target();

  ControllerOptions options_;
  ManifestStore store_;
  Manifest manifest_;
  absl::Status failure_;
  Request request_ = Request::kNone;
  std::string rollback_reason_;

  std::unique_ptr<families::Family> a_;
  std::unique_ptr<families::Family> b_;
  std::unique_ptr<IntentJournal> journal_;
  std::unique_ptr<NodeDriver> driver_;

  std::unique_ptr<image::FileSink> sink_;
  std::unique_ptr<image::Exporter> exporter_;
  std::unique_ptr<image::FileSource> source_;
  std::unique_ptr<image::Importer> importer_;
  std::optional<image::ImageTotals> exported_;
  std::unique_ptr<CatchUp> catch_up_;
  size_t queue_at_start_ = 0;
  int64_t last_step_ns_ = 0;
  image::DigestCache cache_a_;
  image::DigestCache cache_b_;
};

}  // namespace qk::migration
