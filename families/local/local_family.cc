#include "families/local/local_family.h"

#include "families/contract/fail_stop.h"
#include "families/fs/file_util.h"
#include "families/local/log_storage.h"
#include "families/local/meta_storage.h"
#include "families/local/snapshot_storage.h"

namespace qk::families {
namespace local {
namespace {

constexpr std::string_view kSegmentSize = "segment_size";
constexpr std::string_view kChecksum = "checksum";
constexpr std::string_view kMurmur32 = "murmur32";

std::vector<OptionDescriptor> descriptors() {
  return {size_option(kSegmentSize, LogOptions().segment_size, 1, uint64_t{1} << 30),
          word_option(kChecksum, {"crc32c", std::string(kMurmur32)})};
}

absl::StatusOr<LogOptions> parse_options(const FamilyOptions& given) {
  QK_ASSIGN_OR_RETURN(const OptionValues values, read_options("local", descriptors(), given));
  LogOptions parsed;
  parsed.segment_size = values.number(kSegmentSize);
  if (values.word(kChecksum) == kMurmur32) parsed.checksum_type = ChecksumType::kMurmur32;
  return parsed;
}

struct Layout {
  explicit Layout(const OpenRequest& request)
      : log(place(request.root, request.parts.log)),
        meta(place(request.root, request.parts.raft_meta)),
        snapshot(place(request.root, request.parts.snapshot)) {}
  static std::string place(const std::string& root, const std::string& part) {
    return part.starts_with('/') ? part : join_path(root, part);
  }

  std::string log;
  std::string meta;
  std::string snapshot;
};

absl::StatusOr<bool> has_log_files(FileSystem& fs, const std::string& directory) {
  QK_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs.list(directory));
  for (const std::string& name : names) {
    if (name == kLogMetaName || parse_segment_name(name)) return true;
  }
  return false;
}

// Each part that holds durable state. Missing directories hold none.
struct Traces {
  bool log = false;
  bool meta = false;
  bool snapshot = false;
};

absl::StatusOr<Traces> find_traces(FileSystem& fs, const Layout& layout) {
  Traces traces;
  QK_ASSIGN_OR_RETURN(const bool log_directory, exists(fs, layout.log));
  if (log_directory) {
    QK_ASSIGN_OR_RETURN(traces.log, has_log_files(fs, layout.log));
  }
  QK_ASSIGN_OR_RETURN(traces.meta, exists(fs, join_path(layout.meta, kRaftMetaName)));
  QK_ASSIGN_OR_RETURN(const bool snapshot_directory, exists(fs, layout.snapshot));
  if (snapshot_directory) {
    QK_ASSIGN_OR_RETURN(traces.snapshot, has_snapshot(fs, layout.snapshot));
  }
  return traces;
}

class LocalFamily final : public Family {
 public:
  LogStorage& log() override { return *log_; }
  MetaStorage& meta() override { return *meta_; }
  SnapshotStorage& snapshot() override { return *snapshot_; }

  static absl::StatusOr<std::unique_ptr<Family>> open(const OpenRequest& request) {
    QK_ASSIGN_OR_RETURN(const LogOptions options, parse_options(request.options));
    FileSystem& fs = *request.fs;
    const Layout layout(request);
    QK_ASSIGN_OR_RETURN(const Traces traces, find_traces(fs, layout));
    if (!traces.log && (traces.meta || traces.snapshot)) {
      // The log is made before anything else, so it was lost; an empty one would be amnesia.
      return absl::DataLossError(cat(layout.log, ": no log, but there is a ",
                                     traces.meta ? "raft_meta record" : "snapshot"));
    }
    if (!traces.log && !request.create) {
      return absl::NotFoundError(cat(request.root, ": no instance of family local"));
    }
    // An interrupted creation may have left any of the directories.
    for (const std::string& directory : {layout.log, layout.meta, layout.snapshot}) {
      QK_RETURN_IF_ERROR(make_directories(fs, directory));
    }
    if (!traces.log) QK_RETURN_IF_ERROR(SegmentLogStorage::create(fs, layout.log));

    auto family = std::make_unique<LocalFamily>();
    FailStop* const fail_stop = &family->fail_stop_;
    // The log last: its recovery changes files, and only once everything else was understood.
    QK_ASSIGN_OR_RETURN(family->meta_, FileMetaStorage::open(fs, layout.meta, fail_stop));
    QK_ASSIGN_OR_RETURN(family->snapshot_,
                        DirectorySnapshotStorage::open(fs, layout.snapshot, fail_stop));
    QK_ASSIGN_OR_RETURN(family->log_, SegmentLogStorage::open(fs, layout.log, options, fail_stop));
    QK_RETURN_IF_ERROR(family->snapshot_->remove_leftovers());
    return family;
  }

 private:
  FailStop fail_stop_;
  std::unique_ptr<SegmentLogStorage> log_;
  std::unique_ptr<FileMetaStorage> meta_;
  std::unique_ptr<DirectorySnapshotStorage> snapshot_;
};

}  // namespace
}  // namespace local

FamilyDescriptor local_family() {
  FamilyDescriptor descriptor;
  descriptor.name = "local";
  descriptor.format_version = "1";
  descriptor.options = local::descriptors();
  descriptor.part_paths = true;
  descriptor.root_names = {"log", "raft_meta", "snapshot"};
  descriptor.refusals = {
      {.image = "a torn batch of several entries in the open segment that an intact entry follows, "
                "if a lost sector holds other bytes than zeros, or if braft wrote it (braft leaves "
                "no note of what was acknowledged): it cannot be told from corruption",
       .message = "an intact entry follows at offset",
       .operation = Operation::kAppend}};
  // braft's format protects entries by checksums, and nothing else; and no file names another.
  descriptor.unchecked = {{.prefix = "log/log_meta", .bytes = true},
                          {.prefix = "log/log_inprogress_", .presence = true, .tail = true},
                          {.prefix = "raft_meta/raft_meta", .bytes = true, .presence = true},
                          {.prefix = "snapshot/", .bytes = true, .length = true}};
  descriptor.partials = [](Operation operation) {
    return operation == Operation::kAppend ? Partial::kBatchPrefix : Partial::kNone;
  };
  descriptor.open = local::LocalFamily::open;
  return descriptor;
}

}  // namespace qk::families
