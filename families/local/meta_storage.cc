#include "families/local/meta_storage.h"

#include "families/fs/file_util.h"
#include "families/local/local.pb.h"
#include "families/local/protobuf_file.h"

namespace qk::families::local {
namespace {

absl::StatusOr<HardState> load(FileSystem& fs, const std::string& path) {
  proto::StablePBMeta message;
  const absl::Status status = load_protobuf_file(fs, path, &message);
  if (absl::IsNotFound(status)) return HardState{};
  QK_RETURN_IF_ERROR(status);
  const auto vote = canonical_peer(message.votedfor());
  if (!vote.ok()) {
    return absl::DataLossError(cat(path, ": votedfor: ", to_std(vote.status().message())));
  }
  if (message.term() < 1) {
    return absl::DataLossError(cat(path, ": term ", message.term(), ", expected at least 1"));
  }
  return HardState{message.term(), *vote};
}

}  // namespace

absl::StatusOr<std::unique_ptr<FileMetaStorage>> FileMetaStorage::open(FileSystem& fs,
                                                                       const std::string& directory,
                                                                       FailStop* fail_stop) {
  const std::string path = join_path(directory, kRaftMetaName);
  QK_ASSIGN_OR_RETURN(HardState state, load(fs, path));
  // A save that a killed process did not finish may be visible without being durable.
  QK_RETURN_IF_ERROR(fs.sync_dir(directory, SyncKind::kFull));
  return std::unique_ptr<FileMetaStorage>(
      new FileMetaStorage(fs, path, std::move(state), fail_stop));
}

Outcome FileMetaStorage::save(const HardState& state) {
  QK_REFUSE_IF_ERROR(fail_stop_.check());
  QK_REFUSE_IF_ERROR(check_hard_state_change(state_, state));
  proto::StablePBMeta message;
  message.set_term(state.term);
  message.set_votedfor(legacy_peer(state.voted_for));
  const absl::Status saved = save_protobuf_file(fs_, path_, message);
  if (!saved.ok()) return fail_stop_.fail(saved);
  state_ = state;
  return Outcome::success();
}

}  // namespace qk::families::local
