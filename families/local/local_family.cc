#include "families/local/local_family.h"

#include <charconv>
#include <limits>

#include "families/contract/fail_stop.h"
#include "families/fs/file_util.h"
#include "families/local/log_storage.h"
#include "families/local/meta_storage.h"
#include "families/local/snapshot_storage.h"

namespace qk::families {
namespace local {
namespace {

constexpr std::string_view kSegmentSize = "segment_size";
constexpr std::string_view kSegmentSizeDefault = "8MiB";
constexpr std::string_view kSegmentSizeAllowed = "1..1GiB";
constexpr uint64_t kSegmentSizeMax = uint64_t{1} << 30;
constexpr std::string_view kChecksum = "checksum";
constexpr std::string_view kChecksumDefault = "crc32c";
constexpr std::string_view kChecksumAllowed = "crc32c, murmur32";
constexpr std::string_view kDurability = "durability";
constexpr std::string_view kDurabilityDefault = "STRICT";
constexpr std::string_view kDurabilityAsShipped = "AS_SHIPPED";
constexpr std::string_view kDurabilityAllowed = "STRICT, AS_SHIPPED";

// "8MiB", "64KiB", "1GiB" or plain bytes.
std::optional<uint64_t> parse_size(std::string_view text) {
  uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc()) return std::nullopt;
  const std::string_view unit(rest, static_cast<size_t>(end - rest));
  int shift = 0;
  if (unit == "KiB") {
    shift = 10;
  } else if (unit == "MiB") {
    shift = 20;
  } else if (unit == "GiB") {
    shift = 30;
  } else if (!unit.empty()) {
    return std::nullopt;
  }
  if (number > (std::numeric_limits<uint64_t>::max() >> shift)) return std::nullopt;
  return number << shift;
}

absl::StatusOr<LogOptions> parse_options(const FamilyOptions& options) {
  LogOptions parsed;
  for (const auto& [name, value] : options) {
    const auto bad = [&, &name = name, &value = value](std::string_view allowed) {
      return absl::InvalidArgumentError(
          cat("family local, option ", name, ": found \"", value, "\", allowed: ", allowed));
    };
    if (name == kSegmentSize) {
      const auto size = parse_size(value);
      if (!size || *size < 1 || *size > kSegmentSizeMax) return bad(kSegmentSizeAllowed);
      parsed.segment_size = *size;
    } else if (name == kChecksum) {
      if (value != "crc32c" && value != "murmur32") return bad(kChecksumAllowed);
      parsed.checksum_type = value == "crc32c" ? ChecksumType::kCrc32c : ChecksumType::kMurmur32;
    } else if (name == kDurability) {
      if (value != kDurabilityDefault && value != kDurabilityAsShipped) {
        return bad(kDurabilityAllowed);
      }
      parsed.durability =
          value == kDurabilityAsShipped ? Durability::kAsShipped : Durability::kStrict;
    } else {
      return absl::InvalidArgumentError(cat("family local has no option \"", name, "\"; allowed: ",
                                            kSegmentSize, ", ", kChecksum, ", ", kDurability));
    }
  }
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
    const Durability durability = options.durability;
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
      QK_RETURN_IF_ERROR(make_tree(fs, directory, durability));
    }
    if (!traces.log) QK_RETURN_IF_ERROR(SegmentLogStorage::create(fs, layout.log, durability));

    auto family = std::make_unique<LocalFamily>();
    FailStop* const fail_stop = &family->fail_stop_;
    // The log last: its recovery changes files, and only once everything else was understood.
    QK_ASSIGN_OR_RETURN(family->meta_,
                        FileMetaStorage::open(fs, layout.meta, durability, fail_stop));
    QK_ASSIGN_OR_RETURN(family->snapshot_,
                        DirectorySnapshotStorage::open(fs, layout.snapshot, durability, fail_stop));
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
  descriptor.options = {{std::string(local::kSegmentSize), std::string(local::kSegmentSizeDefault),
                         std::string(local::kSegmentSizeAllowed)},
                        {std::string(local::kChecksum), std::string(local::kChecksumDefault),
                         std::string(local::kChecksumAllowed)},
                        {std::string(local::kDurability), std::string(local::kDurabilityDefault),
                         std::string(local::kDurabilityAllowed)}};
  descriptor.weakness = [](const FamilyOptions& options) -> std::string {
    const auto durability = options.find(local::kDurability);
    if (durability == options.end() || durability->second != local::kDurabilityAsShipped) return "";
    return "durability AS_SHIPPED issues only the syncs of braft as shipped";
  };
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
