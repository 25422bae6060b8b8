#include "sim/legacy/legacy_family.h"

#include <cerrno>

#include "families/builtin.h"
#include "families/fs/file_util.h"
#include "sim/legacy/legacy.pb.h"
#include "sim/legacy/legacy_log.h"
#include "sim/legacy/legacy_snapshot.h"

namespace qk::sim {
namespace legacy {
namespace {

using families::FileSystem;
using families::HardState;
using families::Outcome;

constexpr std::string_view kName = "local-as-shipped";
constexpr std::string_view kSegmentSize = "segment_size";
constexpr std::string_view kChecksum = "checksum";
constexpr std::string_view kStaleErrno = "stale_errno";

std::vector<families::OptionDescriptor> descriptors() {
  return {
      families::size_option(kSegmentSize, LegacyLogOptions().segment_size, 1, uint64_t{1} << 30),
      families::word_option(kChecksum, {"crc32c", "murmur32"}),
      families::word_option(kStaleErrno, {"NONE", "ENOENT"})};
}

// FileBasedSingleMetaStorage.
class LegacyMeta final : public families::MetaStorage {
 public:
  static absl::StatusOr<std::unique_ptr<LegacyMeta>> open(FileSystem& fs,
                                                          const std::string& directory,
                                                          Errno* error) {
    QK_RETURN_IF_ERROR(make_directory(fs, directory, error));
    std::unique_ptr<LegacyMeta> meta(
        new LegacyMeta(fs, families::join_path(directory, "raft_meta")));
    proto::StablePBMeta record;
    if (load_record(fs, meta->path_, error, &record)) {
      const auto vote = families::canonical_peer(record.votedfor());
      if (!vote.ok()) return absl::DataLossError(cat(meta->path_, ": votedfor does not parse"));
      meta->state_ = {record.term(), *vote};
    } else if (error->value() != ENOENT) {  // else a first start, whatever the reason was (6.5)
      return absl::DataLossError(cat(meta->path_, ": cannot be read"));
    }
    return meta;
  }

  HardState hard_state() const override { return state_; }
  Outcome save(const HardState& state) override {
    if (const absl::Status legal = families::check_hard_state_change(state_, state); !legal.ok()) {
      return Outcome::failed_clean(legal);
    }
    proto::StablePBMeta record;
    record.set_term(state.term);
    record.set_votedfor(families::legacy_peer(state.voted_for));
    const absl::Status saved = save_record(fs_, path_, record);
    if (!saved.ok()) return Outcome::indeterminate(saved);
    state_ = state;
    return Outcome::success();
  }

 private:
  LegacyMeta(FileSystem& fs, std::string path) : fs_(fs), path_(std::move(path)) {}

  FileSystem& fs_;
  const std::string path_;
  HardState state_;
};

class LegacyFamily final : public families::Family {
 public:
  families::LogStorage& log() override { return *log_; }
  families::MetaStorage& meta() override { return *meta_; }
  families::SnapshotStorage& snapshot() override { return *snapshot_; }

  static absl::StatusOr<std::unique_ptr<Family>> open(const families::OpenRequest& request) {
    QK_ASSIGN_OR_RETURN(const families::OptionValues values,
                        families::read_options(kName, descriptors(), request.options));
    LegacyLogOptions options;
    options.segment_size = values.number(kSegmentSize);
    options.murmur = values.word(kChecksum) == "murmur32";
    const int stale = values.word(kStaleErrno) == "ENOENT" ? ENOENT : 0;

    FileSystem& fs = *request.fs;
    const auto place = [&](const std::string& part) {
      return part.starts_with('/') ? part : families::join_path(request.root, part);
    };
    if (!request.create) {
      // braft would begin anew; who asks whether there is an instance gets an answer.
      QK_ASSIGN_OR_RETURN(const bool log, families::exists(fs, place(request.parts.log)));
      QK_ASSIGN_OR_RETURN(const bool meta, families::exists(fs, place(request.parts.raft_meta)));
      if (!log && !meta) {
        return absl::NotFoundError(cat(request.root, ": no instance of family ", kName));
      }
    }
    auto family = std::make_unique<LegacyFamily>();
    Errno error(stale);
    QK_ASSIGN_OR_RETURN(family->log_,
                        LegacyLog::open(fs, place(request.parts.log), options, &error));
    error = Errno(stale);
    QK_ASSIGN_OR_RETURN(family->snapshot_,
                        LegacySnapshotStorage::open(fs, place(request.parts.snapshot), &error));
    error = Errno(stale);
    QK_ASSIGN_OR_RETURN(family->meta_,
                        LegacyMeta::open(fs, place(request.parts.raft_meta), &error));
    return family;
  }

 private:
  std::unique_ptr<LegacyLog> log_;
  std::unique_ptr<LegacyMeta> meta_;
  std::unique_ptr<LegacySnapshotStorage> snapshot_;
};

}  // namespace
}  // namespace legacy

families::FamilyDescriptor legacy_family() {
  families::FamilyDescriptor descriptor;
  descriptor.name = legacy::kName;
  descriptor.format_version = "1";
  descriptor.options = legacy::descriptors();
  descriptor.part_paths = true;
  descriptor.root_names = {"log", "raft_meta", "snapshot"};
  descriptor.weakness = [](const families::FamilyOptions&) -> std::string {
    return "braft as shipped syncs no names, and of a batch the last segment alone";
  };
  descriptor.partials = [](families::Operation operation) {
    return operation == families::Operation::kAppend ? families::Partial::kBatchPrefix
                                                     : families::Partial::kNone;
  };
  descriptor.open = legacy::LegacyFamily::open;
  return descriptor;
}

families::Registry simulated_families(families::VolatileMemory* memory) {
  families::Registry registry = families::builtin_families(memory);
  registry.add(legacy_family());
  return registry;
}

}  // namespace qk::sim
