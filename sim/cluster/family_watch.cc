#include "sim/cluster/family_watch.h"

#include <utility>

#include "families/base/bytes.h"
#include "families/base/hash.h"
#include "families/contract/family_wrapper.h"

namespace qk::sim {
namespace {

using families::Family;
using families::Operation;
using families::Outcome;

using Tell = std::function<void(const AppliedMutation&)>;

uint64_t digest_of(std::span<const families::LogEntry> entries) {
  std::string bytes;
  for (const families::LogEntry& entry : entries) {
    put_le64(&bytes, static_cast<uint64_t>(entry.index));
    put_le64(&bytes, static_cast<uint64_t>(entry.term));
    put_u8(&bytes, static_cast<uint8_t>(entry.type));
    put_le64(&bytes, xxh3_64(entry.payload));
  }
  return xxh3_64(bytes);
}

uint64_t digest_of(const families::HardState& state) {
  std::string bytes;
  put_le64(&bytes, static_cast<uint64_t>(state.term));
  put_bytes(&bytes, state.voted_for);
  return xxh3_64(bytes);
}

// Its files are compared when it is read (ora.D1).
uint64_t digest_of(const families::SnapshotWriter& writer) {
  std::string bytes;
  put_le64(&bytes, static_cast<uint64_t>(writer.meta().last_included_index));
  put_le64(&bytes, static_cast<uint64_t>(writer.meta().last_included_term));
  for (const families::SnapshotFile& file : writer.files()) put_bytes(&bytes, file.path);
  return xxh3_64(bytes);
}

class WatchedLog final : public families::LogWrapper {
 public:
  WatchedLog(families::LogStorage* inner, const Tell* tell) : LogWrapper(inner), tell_(*tell) {}
  Outcome append(std::span<const families::LogEntry> entries) override {
    return told(Operation::kAppend, digest_of(entries), inner().append(entries));
  }
  Outcome truncate_prefix(int64_t first_kept) override {
    return told(Operation::kTruncatePrefix, static_cast<uint64_t>(first_kept),
                inner().truncate_prefix(first_kept));
  }
  Outcome truncate_suffix(int64_t last_kept) override {
    return told(Operation::kTruncateSuffix, static_cast<uint64_t>(last_kept),
                inner().truncate_suffix(last_kept));
  }
  Outcome reset(int64_t next_index) override {
    return told(Operation::kReset, static_cast<uint64_t>(next_index), inner().reset(next_index));
  }

 private:
  Outcome told(Operation operation, uint64_t digest, Outcome outcome) {
    tell_({operation, digest, outcome.ok()});
    return outcome;
  }
  const Tell& tell_;
};

class WatchedMeta final : public families::MetaWrapper {
 public:
  WatchedMeta(families::MetaStorage* inner, const Tell* tell) : MetaWrapper(inner), tell_(*tell) {}
  Outcome save(const families::HardState& state) override {
    Outcome outcome = inner().save(state);
    tell_({Operation::kSaveMeta, digest_of(state), outcome.ok()});
    return outcome;
  }

 private:
  const Tell& tell_;
};

class WatchedSnapshot final : public families::SnapshotWrapper {
 public:
  WatchedSnapshot(families::SnapshotStorage* inner, const Tell* tell)
      : SnapshotWrapper(inner), tell_(*tell) {}
  Outcome publish(std::unique_ptr<families::SnapshotWriter> writer) override {
    const uint64_t digest = digest_of(*writer);
    Outcome outcome = inner().publish(std::move(writer));
    tell_(
        {Operation::kPublish, digest, outcome.ok(), outcome.kind() == Outcome::Kind::kFailedClean});
    return outcome;
  }

 private:
  const Tell& tell_;
};

class WatchedFamily final : public families::FamilyWrapper {
 public:
  WatchedFamily(std::unique_ptr<Family> family, Tell tell)
      : FamilyWrapper(std::move(family)),
        tell_(std::move(tell)),
        log_(&inner().log(), &tell_),
        meta_(&inner().meta(), &tell_),
        snapshot_(&inner().snapshot(), &tell_) {}
  families::LogStorage& log() override { return log_; }
  families::MetaStorage& meta() override { return meta_; }
  families::SnapshotStorage& snapshot() override { return snapshot_; }

 private:
  const Tell tell_;
  WatchedLog log_;
  WatchedMeta meta_;
  WatchedSnapshot snapshot_;
};

}  // namespace

families::Registry watched(const families::Registry& families, const ToldOfMutation& told,
                           const ToldOfOpening& opening) {
  families::Registry all;
  for (families::FamilyDescriptor family : families.all()) {
    const auto open = family.open;
    family.open =
        [open, told,
         opening](const families::OpenRequest& request) -> absl::StatusOr<std::unique_ptr<Family>> {
      opening(request.root);
      QK_ASSIGN_OR_RETURN(std::unique_ptr<Family> opened, open(request));
      return std::make_unique<WatchedFamily>(
          std::move(opened),
          [told, root = request.root](const AppliedMutation& mutation) { told(root, mutation); });
    };
    all.add(std::move(family));
  }
  return all;
}

}  // namespace qk::sim
