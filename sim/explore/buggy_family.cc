#include "sim/explore/buggy_family.h"

#include <utility>
#include <vector>

#include "families/contract/family_wrapper.h"

namespace qk::sim {
namespace {

using families::Family;
using families::HardState;
using families::LogEntry;
using families::Outcome;
using families::SnapshotWriter;

class BuggyLoader final : public families::LogLoader {
 public:
  BuggyLoader(std::unique_ptr<families::LogLoader> inner, const StorageBugs* bugs)
      : inner_(std::move(inner)), bugs_(*bugs) {}
  absl::Status append(std::span<const LogEntry> entries) override {
    std::vector<LogEntry> changed(entries.begin(), entries.end());
    for (LogEntry& entry : changed) bugs_.load(&entry);
    return inner_->append(changed);
  }
  absl::Status finish() override { return inner_->finish(); }

 private:
  const std::unique_ptr<families::LogLoader> inner_;
  const StorageBugs& bugs_;
};

class BuggyLog final : public families::LogWrapper {
 public:
  BuggyLog(families::LogStorage* inner, const StorageBugs* bugs)
      : LogWrapper(inner), bugs_(*bugs) {}
  Outcome append(std::span<const LogEntry> entries) override {
    return bugs_.append ? bugs_.append(inner(), entries) : inner().append(entries);
  }
  Outcome truncate_prefix(int64_t first_kept) override {
    return bugs_.truncate_prefix ? bugs_.truncate_prefix(inner(), first_kept)
                                 : inner().truncate_prefix(first_kept);
  }
  Outcome truncate_suffix(int64_t last_kept) override {
    return bugs_.truncate_suffix ? bugs_.truncate_suffix(inner(), last_kept)
                                 : inner().truncate_suffix(last_kept);
  }
  Outcome reset(int64_t next_index) override {
    return bugs_.reset ? bugs_.reset(inner(), next_index) : inner().reset(next_index);
  }
  absl::StatusOr<LogEntry> entry(int64_t index) override {
    auto entry = inner().entry(index);
    if (absl::IsDataLoss(entry.status())) return made_up(index, entry);
    if (entry.ok() && bugs_.read) bugs_.read(&*entry);
    return entry;
  }
  absl::Status scan(int64_t from, int64_t to, const Visitor& visit) override {
    if (bugs_.damaged) return scan_over_damage(from, to, visit);
    if (!bugs_.read) return inner().scan(from, to, visit);
    return inner().scan(from, to, [&](const LogEntry& entry) {
      LogEntry changed = entry;
      bugs_.read(&changed);
      return visit(changed);
    });
  }
  absl::StatusOr<std::unique_ptr<families::LogLoader>> bulk_load(int64_t first_index) override {
    auto loader = inner().bulk_load(first_index);
    if (!loader.ok() || !bugs_.load) return loader;
    return std::make_unique<BuggyLoader>(*std::move(loader), &bugs_);
  }

 private:
  absl::StatusOr<LogEntry> made_up(int64_t index, const absl::StatusOr<LogEntry>& damaged) {
    LogEntry entry;
    entry.index = index;
    const absl::StatusOr<int64_t> term = inner().term(index);
    if (term.ok()) entry.term = *term;
    entry.payload = "damaged";
    if (!term.ok() || !bugs_.damaged || !bugs_.damaged(&entry)) return damaged;
    return entry;
  }
  absl::Status scan_over_damage(int64_t from, int64_t to, const Visitor& visit) {
    while (from <= to) {
      const absl::Status status = inner().scan(from, to, [&](const LogEntry& entry) {
        from = entry.index + 1;
        return visit(entry);
      });
      if (!absl::IsDataLoss(status)) return status;
      QK_ASSIGN_OR_RETURN(const LogEntry entry, made_up(from, status));
      QK_RETURN_IF_ERROR(visit(entry));
      ++from;
    }
    return absl::OkStatus();
  }

  const StorageBugs& bugs_;
};

class BuggyMeta final : public families::MetaWrapper {
 public:
  BuggyMeta(families::MetaStorage* inner, const StorageBugs* bugs)
      : MetaWrapper(inner), bugs_(*bugs) {}
  HardState hard_state() const override {
    return bugs_.hard_state ? bugs_.hard_state(inner().hard_state()) : inner().hard_state();
  }
  Outcome save(const HardState& state) override {
    return bugs_.save ? bugs_.save(inner(), state) : inner().save(state);
  }

 private:
  const StorageBugs& bugs_;
};

class BuggySnapshot final : public families::SnapshotWrapper {
 public:
  BuggySnapshot(families::SnapshotStorage* inner, const StorageBugs* bugs)
      : SnapshotWrapper(inner), bugs_(*bugs) {}
  Outcome publish(std::unique_ptr<SnapshotWriter> writer) override {
    return bugs_.publish ? bugs_.publish(inner(), std::move(writer))
                         : inner().publish(std::move(writer));
  }

 private:
  const StorageBugs& bugs_;
};

class BuggyFamily final : public families::FamilyWrapper {
 public:
  BuggyFamily(std::unique_ptr<Family> right, StorageBugs bugs)
      : FamilyWrapper(std::move(right)),
        bugs_(std::move(bugs)),
        log_(&inner().log(), &bugs_),
        meta_(&inner().meta(), &bugs_),
        snapshot_(&inner().snapshot(), &bugs_) {}
  families::LogStorage& log() override { return log_; }
  families::MetaStorage& meta() override { return meta_; }
  families::SnapshotStorage& snapshot() override { return snapshot_; }

 private:
  const StorageBugs bugs_;
  BuggyLog log_;
  BuggyMeta meta_;
  BuggySnapshot snapshot_;
};

}  // namespace

families::Registry with_bugs(const families::Registry& families, const BugsOf& bugs_of) {
  families::Registry buggy;
  for (families::FamilyDescriptor family : families.all()) {
    const auto open = family.open;
    family.open =
        [open,
         bugs_of](const families::OpenRequest& request) -> absl::StatusOr<std::unique_ptr<Family>> {
      absl::StatusOr<std::unique_ptr<Family>> opened = open(request);
      if (absl::IsDataLoss(opened.status())) {
        const StorageBugs bugs = bugs_of(request);
        if (bugs.absent && bugs.absent()) {
          return absl::NotFoundError(cat(request.root, ": no instance"));
        }
      }
      QK_RETURN_IF_ERROR(opened.status());
      std::unique_ptr<Family> right = *std::move(opened);
      StorageBugs bugs = bugs_of(request);
      if (bugs.recovered && !request.create) bugs.recovered(*right);
      return std::make_unique<BuggyFamily>(std::move(right), std::move(bugs));
    };
    buggy.add(std::move(family));
  }
  return buggy;
}

}  // namespace qk::sim
