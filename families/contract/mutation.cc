#include "families/contract/mutation.h"

namespace qk::families {

std::string_view to_string(Operation operation) {
  switch (operation) {
    case Operation::kAppend:
      return "append";
    case Operation::kTruncatePrefix:
      return "truncate_prefix";
    case Operation::kTruncateSuffix:
      return "truncate_suffix";
    case Operation::kReset:
      return "reset";
    case Operation::kSaveMeta:
      return "save_meta";
    case Operation::kPublish:
      return "publish";
  }
  return "unknown";
}

std::string_view to_string(Lane lane) {
  switch (lane) {
    case Lane::kLog:
      return "log";
    case Lane::kMeta:
      return "meta";
    case Lane::kSnapshot:
      return "snapshot";
  }
  return "unknown";
}

Mutation Mutation::append(std::vector<LogEntry> entries) {
  Mutation mutation;
  mutation.operation = Operation::kAppend;
  mutation.entries = std::move(entries);
  return mutation;
}

Mutation Mutation::truncate_prefix(int64_t first_kept) {
  Mutation mutation;
  mutation.operation = Operation::kTruncatePrefix;
  mutation.index = first_kept;
  return mutation;
}

Mutation Mutation::truncate_suffix(int64_t last_kept) {
  Mutation mutation;
  mutation.operation = Operation::kTruncateSuffix;
  mutation.index = last_kept;
  return mutation;
}

Mutation Mutation::reset(int64_t next_index) {
  Mutation mutation;
  mutation.operation = Operation::kReset;
  mutation.index = next_index;
  return mutation;
}

Mutation Mutation::save_meta(HardState state) {
  Mutation mutation;
  mutation.operation = Operation::kSaveMeta;
  mutation.hard_state = std::move(state);
  return mutation;
}

Mutation Mutation::publish(std::unique_ptr<SnapshotWriter> writer) {
  Mutation mutation;
  mutation.operation = Operation::kPublish;
  mutation.writer = std::move(writer);
  return mutation;
}

Lane lane_of(Operation operation) {
  switch (operation) {
    case Operation::kSaveMeta:
      return Lane::kMeta;
    case Operation::kPublish:
      return Lane::kSnapshot;
    default:
      return Lane::kLog;
  }
}

Outcome apply(Family& family, Mutation& mutation) {
  switch (mutation.operation) {
    case Operation::kAppend:
      return family.log().append(mutation.entries);
    case Operation::kTruncatePrefix:
      return family.log().truncate_prefix(mutation.index);
    case Operation::kTruncateSuffix:
      return family.log().truncate_suffix(mutation.index);
    case Operation::kReset:
      return family.log().reset(mutation.index);
    case Operation::kSaveMeta:
      return family.meta().save(mutation.hard_state);
    case Operation::kPublish:
      return family.snapshot().publish(std::move(mutation.writer));
  }
  return Outcome::failed_clean(absl::InvalidArgumentError("unknown operation"));
}

}  // namespace qk::families
