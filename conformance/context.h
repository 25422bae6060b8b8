// InstanceContext: one instance of the family under test, in a role that the check need not know.
//
//   plain      the family alone
//   primary    side A of a dual-written pair; every change goes through migration's driver, with
//              another family as the mirror
//   mirror     side B of such a pair; reads are still of the family under test
//   imported   the instance came out of the image of another family's instance
//
// The context keeps a model of what was acknowledged. begin(), apply() and reopen() hold the
// subject to it, and in a dual role both families to equal digests. Background work of an engine is
// done in amounts drawn from the seed after each change, and all of it before a clean close.
#pragma once

#include <memory>
#include <vector>

#include "conformance/bench.h"
#include "conformance/dual_stack.h"

namespace qk::sim::conformance {

enum class Role : uint8_t { kPlain, kPrimary, kMirror, kImported };
std::string_view to_string(Role role);

class InstanceContext : public Bench {
 public:
  // `partner` is the other family of a dual pair, or the source of the image; unused if plain.
  InstanceContext(Host host, const families::FamilyDescriptor* family,
                  const families::FamilyDescriptor* partner, Role role, DiskKind disk,
                  uint64_t seed);
  ~InstanceContext() override;

  const families::FamilyDescriptor& family() const { return *family_; }
  const families::FamilyDescriptor& partner() const { return *partner_; }
  Role role() const { return role_; }
  bool dual() const { return role_ == Role::kPrimary || role_ == Role::kMirror; }
  // It, or the other side of its dual pair, loses everything with the machine.
  bool is_volatile() const {
    return family_->volatility == families::Volatility::kVolatile ||
           (dual() && partner_->volatility == families::Volatility::kVolatile);
  }
  // Of the subject.
  const std::string& root() const { return root_; }

  // Of the subject, from the next begin(), open() or reopen() on.
  void set_options(families::FamilyOptions options) { options_ = std::move(options); }
  const families::FamilyOptions& options() const { return options_; }

  // Makes the instance with this history. An imported one is exported from a partner with the
  // history, so the history must lead to a state that a node can start from (no gap between
  // snapshot and log, terms that do not decrease).
  void begin(const std::vector<Change>& history = {});

  // Applies a change, which must do exactly what the model says, refusal included.
  void apply(const Change& change);
  void apply(const std::vector<Change>& changes);
  // Applies it without judging; the model stays. Then adopt() or expect_state().
  families::Outcome try_apply(const Change& change);
  // Does background work in an amount drawn from the seed; an error ends the check.
  void drain_some();
  // All of it.
  void drain();

  // The subject. Reads only.
  families::Family& subject();
  families::LogStorage& log() { return subject().log(); }
  families::MetaStorage& meta() { return subject().meta(); }
  families::SnapshotStorage& snapshot() { return subject().snapshot(); }
  State state();
  // For code that drives a node; then adopt() what must be there.
  families::StorageDriver& driver() { return *driver_; }

  // What was acknowledged.
  const Model& model() const { return model_; }
  // From here on `state` counts as acknowledged (after a crash, one of several legal states).
  void adopt(State state) { model_ = Model(std::move(state)); }
  // The subject holds the model's state, and in a dual role the partner too.
  void expect_state();
  // term() and entry() of each index give what the model has: a lookup goes another way than a
  // scan, by what a family remembers of terms and places.
  void expect_lookups();

  bool is_open() const { return subject_ != nullptr; }
  // A clean end: background work is done first.
  void close();
  // Opens the same instance in the same role, reconciled if dual; the model is not asked.
  absl::Status open();
  // close(), open(), and the state is the model's.
  void reopen();
  // For opening the family at the instance's root by itself, without a role and without options.
  families::OpenRequest bare_request(bool create = false);

  // The machine stops now, or at the pinned operation if one is pinned and was reached. Simulated
  // disks only. The instance is closed afterwards.
  CrashReport crash(CrashLevel level, Choice& choice);
  // What a machine that stopped here would do: the same disk, role and model, with the instance
  // closed. Simulated disks only; not for volatile families, whose memory cannot be copied.
  std::unique_ptr<InstanceContext> fork();
  // The actions of the last reconciliation.
  const std::vector<std::string>& reconciled() const { return reconciled_; }

 private:
  InstanceContext(InstanceContext& other, SimDisk disk);

  absl::StatusOr<std::unique_ptr<families::Family>> open_side(
      const families::FamilyDescriptor& family, const std::string& root,
      const families::FamilyOptions& options, bool create);
  absl::Status open_all(bool create);
  void begin_imported(const std::vector<Change>& history);
  families::Outcome apply_through_driver(const Change& change);
  void drain_all(families::Family* family);
  void drop_handles();

  const families::FamilyDescriptor* const family_;
  const families::FamilyDescriptor* const partner_;
  const Role role_;
  const std::string root_;
  const std::string partner_root_;
  families::FamilyOptions options_;
  Model model_;
  RandomStream background_;
  std::vector<std::string> reconciled_;

  // In this order: the drivers go before the families.
  std::unique_ptr<families::Family> subject_;
  std::unique_ptr<families::Family> other_;              // dual roles
  std::unique_ptr<DualStack> dual_stack_;                // dual roles
  std::unique_ptr<families::PlainDriver> plain_driver_;  // the others
  families::StorageDriver* driver_ = nullptr;
};

// Fills a writer with a tree; what a change's publish does.
absl::Status fill_writer(families::SnapshotWriter& writer, const SnapshotState& tree);
// The change as a mutation for `driver`.
absl::StatusOr<families::Mutation> to_mutation(families::StorageDriver& driver,
                                               const Change& change);

}  // namespace qk::sim::conformance
