#include "tools/qksim/image_source.h"

#include <algorithm>
#include <optional>
#include <set>

#include "families/base/suggest.h"
#include "families/contract/lost_vote.h"
#include "families/fs/file_system_wrapper.h"
#include "families/fs/file_util.h"
#include "families/fs/tree_walk.h"
#include "tools/qksim/image_messages.h"

namespace qk::cli {
namespace {

// Names the peers in the configurations of the log and the snapshot.
absl::StatusOr<std::set<std::string>> peers_named(families::Family& family,
                                                  const image::ExportCut& cut) {
  std::set<std::string> found;
  const auto add = [&found](const std::vector<std::string>& peers) {
    for (const std::string& peer : peers) {
      const auto canonical = families::canonical_peer(peer);
      if (canonical.ok() && !canonical->empty()) found.insert(*canonical);
    }
  };
  if (cut.snapshot != nullptr) {
    add(cut.snapshot->meta().peers);
    add(cut.snapshot->meta().old_peers);
  }
  if (cut.last < cut.first) return found;
  QK_RETURN_IF_ERROR(
      family.log().scan(cut.first, cut.last, [&](const families::LogEntry& entry) -> absl::Status {
        if (entry.type != families::EntryType::kConfiguration) return absl::OkStatus();
        // One that cannot be read names no peer; it is carried as it is.
        if (const auto read = families::decode_configuration(entry.payload); read.ok()) {
          add(read->peers);
          add(read->old_peers);
        }
        return absl::OkStatus();
      }));
  return found;
}

// A bare directory does not say whose it is, but what it says of others can contradict the caller.
absl::Status check_peer(families::Family& family, const image::ExportCut& cut,
                        const std::string& peer) {
  QK_ASSIGN_OR_RETURN(const std::set<std::string> named, peers_named(family, cut));
  // A vote for another peer does not contradict it.
  if (named.empty() || named.contains(peer) || cut.hard_state.voted_for == peer) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(
      cat("--peer ", peer, " is in no configuration and no vote found there; those ", "name ",
          join({named.begin(), named.end()})));
}

}  // namespace

// Remembers which files were opened.
class ImageSource::ReadNames final : public families::FileSystemWrapper {
 public:
  using FileSystemWrapper::FileSystemWrapper;
  absl::StatusOr<std::unique_ptr<families::File>> open(std::string_view path,
                                                       families::OpenFlags flags) override {
    names_.emplace(path);
    return inner().open(path, flags);
  }
  bool contains(const std::string& path) const { return names_.contains(path); }

 private:
  std::set<std::string> names_;
};

ImageSource::ImageSource(const Environment& environment, StorageArgument at)
    : environment_(environment), fs_(*environment.fs), at_(std::move(at)) {}

ImageSource::~ImageSource() = default;

ExitCode ImageSource::find(const Environment& environment, StorageArgument at,
                           std::unique_ptr<ImageSource>* out) {
  if (ExitCode code = refuse_volatile(environment, *at.family, at.root); code != ExitCode::kOk) {
    return code;
  }
  const std::string named = at.root;
  std::unique_ptr<ImageSource> source(new ImageSource(environment, std::move(at)));
  if (const absl::Status status = source->resolve(); !status.ok()) {
    // Three names for fewer directories are the caller's mistake.
    const ExitCode code = absl::IsInvalidArgument(status) ? ExitCode::kUsage : ExitCode::kNoInput;
    return fail(environment, code, named, status);
  }
  *out = std::move(source);
  return ExitCode::kOk;
}

// All paths become what the kernel makes of them, once: a symbolic link that is turned meanwhile
// changes nothing.
absl::Status ImageSource::resolve() {
  QK_ASSIGN_OR_RETURN(at_.root, fs_.real_path(at_.root));
  const auto path_of = [&](const std::string& part) {
    return part.starts_with('/') ? part : families::join_path(at_.root, part);
  };
  // Two names of one directory would show one part as another that is missing.
  std::vector<std::string> real_parts;
  if (at_.family->part_paths) {
    for (const std::string& part : {at_.parts.log, at_.parts.raft_meta, at_.parts.snapshot}) {
      const auto real = fs_.real_path(path_of(part));
      if (absl::IsNotFound(real.status())) continue;
      QK_RETURN_IF_ERROR(real.status());
      for (const std::string& other : real_parts) {
        if ((*real + "/").starts_with(other + "/") || (other + "/").starts_with(*real + "/")) {
          return absl::InvalidArgumentError(cat("two of log, raft_meta and snapshot lead to ",
                                                *real, ", expected three directories"));
        }
      }
      real_parts.push_back(*real);
    }
  }
  if (!at_.parts.split()) {
    directories_ = {at_.root};
    return absl::OkStatus();
  }
  for (std::string* part : {&at_.parts.log, &at_.parts.raft_meta, &at_.parts.snapshot}) {
    QK_ASSIGN_OR_RETURN(std::string real, fs_.real_path(path_of(*part)));
    directories_.push_back(real);
    *part = std::move(real);
  }
  return absl::OkStatus();
}

// The directory whose sidecar says whose the source is: the root, or one that some part was moved
// out of.
std::string ImageSource::marked_root() const {
  for (const std::string& part : {at_.parts.log, at_.parts.raft_meta, at_.parts.snapshot}) {
    if (!part.starts_with('/')) continue;
    const std::string directory(families::parent_path(part));
    // What cannot be looked at fails the open.
    const auto marked = families::exists(fs_, families::join_path(directory, image::kSidecarName));
    if (marked.ok() && *marked) return directory;
  }
  return at_.root;
}

absl::StatusOr<image::Identity> ImageSource::identity(const std::string& group,
                                                      const std::string& peer) const {
  image::Identity identity{group, peer, "", 0};
  const std::string root = marked_root();
  QK_ASSIGN_OR_RETURN(const std::optional<image::Sidecar> sidecar, image::read_sidecar(fs_, root));
  if (sidecar) {
    identity.lineage = sidecar->identity.lineage;
    identity.generation = sidecar->identity.generation;
    QK_RETURN_IF_ERROR(image::check_identity(root, sidecar->identity, identity));
  }
  return identity;
}

ExitCode ImageSource::watch() {
  for (const std::string& directory : directories_) {
    auto guard = SourceGuard::watch(fs_, directory);
    if (!guard.ok()) return fail(environment_, ExitCode::kNoInput, directory, guard.status());
    if (!guard->unseen().empty()) {
      note(environment_, cat("whether ", directory, " is in use by ", guard->unseen(),
                             ", could not be looked at"));
    }
    guards_.push_back(*std::move(guard));
  }
  if (const absl::Status links = check_links(); !links.ok()) {
    return fail(environment_, code_of_input(links), at_.root, links);
  }
  return ExitCode::kOk;
}

// Where the family has names of its own, a link that leads nowhere is a part of the state that is
// lost: read as absent, it would be a vote that never was, for instance.
absl::Status ImageSource::check_links() const {
  const std::vector<std::string> own = families::with_parts(*at_.family, at_.parts).root_names;
  for (const std::string& directory : directories_) {
    QK_ASSIGN_OR_RETURN(const std::vector<SourceFile> files, source_files(fs_, directory));
    for (const SourceFile& file : files) {
      const std::string first = file.name.substr(0, file.name.find('/'));
      const bool state = at_.parts.split() || std::find(own.begin(), own.end(), first) != own.end();
      if (!file.dangling || !state) continue;
      return absl::FailedPreconditionError(cat(families::join_path(directory, file.name),
                                               ": a symbolic link that leads nowhere, ",
                                               "expected a file of family ", at_.family->name));
    }
  }
  return absl::OkStatus();
}

uint32_t ImageSource::closed_modes() const {
  uint32_t closed = 0;
  for (const SourceGuard& guard : guards_) closed |= guard.closed_modes();
  return closed;
}

absl::Status ImageSource::check() const {
  for (const SourceGuard& guard : guards_) QK_RETURN_IF_ERROR(guard.check());
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<families::Family>> ImageSource::open(
    const image::Identity& identity) {
  confined_ = std::make_unique<families::ConfinedFileSystem>(&fs_, directories_);
  read_ = std::make_unique<ReadNames>(confined_.get());
  overlay_ = std::make_unique<families::OverlayFileSystem>(read_.get());
  families::OpenRequest request;
  request.fs = overlay_.get();
  request.root = at_.root;
  request.parts = at_.parts;
  return image::open_instance(*environment_.registry, request, at_.family->name, identity);
}

ExitCode ImageSource::begin(const std::string& group, const std::string& peer,
                            bool accept_lost_vote, StateToCopy* out) {
  const std::string& where = root();
  auto whose = identity(group, peer);
  if (!whose.ok()) return fail(environment_, ExitCode::kData, where, whose.status());
  if (ExitCode code = watch(); code != ExitCode::kOk) return code;
  environment_.narrow_modes(closed_modes());
  out->identity = *std::move(whose);
  const auto failed = [&](const absl::Status& status) {
    return fail(environment_, code_of_input(status), where, status);
  };
  auto family = open(out->identity);
  if (!family.ok()) return failed(family.status());
  out->family = *std::move(family);
  auto cut = image::ExportCut::capture(*out->family, 0);
  if (!cut.ok()) return failed(cut.status());
  out->cut = *std::move(cut);
  if (out->identity.lineage.empty()) {
    const absl::Status known = check_peer(*out->family, out->cut, peer);
    if (!known.ok()) return failed(known);
  }
  const auto& snapshot = out->cut.snapshot;
  out->vote = families::check_vote_not_lost(
      out->cut.hard_state, out->cut.last_term,
      snapshot == nullptr ? std::nullopt : std::optional(snapshot->meta()));
  if (!out->vote.ok() && !accept_lost_vote) {
    return fail(environment_, ExitCode::kData, where, out->vote,
                "a node may vote twice on this state; --accept-lost-vote exports it all the same, "
                "and the image says so");
  }
  out->cut.accept_lost_vote = accept_lost_vote;
  return ExitCode::kOk;
}

absl::Status ImageSource::add_left_out(const std::string& directory,
                                       std::vector<std::string>* lines) {
  QK_ASSIGN_OR_RETURN(const std::vector<SourceFile> files, source_files(fs_, directory));
  for (const SourceFile& file : files) {
    if (file.name == image::kSidecarName) continue;
    const std::string path = families::join_path(directory, file.name);
    if (file.dangling) {
      lines->push_back(cat(path, ": a symbolic link that leads nowhere, and not in the image"));
      continue;
    }
    QK_ASSIGN_OR_RETURN(const families::FileStat before, fs_.stat(path));
    if (before.kind != families::FileKind::kFile) {
      lines->push_back(cat(path, ": no regular file, and not in the image"));
    } else if (before.size > 0 && !read_->contains(path)) {
      lines->push_back(cat(path, ": ", before.size, " bytes that family ", at_.family->name,
                           " does not read, and not in the image"));
    } else if (const auto after = overlay_->stat(path); after.ok() && after->size < before.size) {
      lines->push_back(cat(path, ": the last ", before.size - after->size, " of ", before.size,
                           " bytes are a torn write and not in the image"));
    } else if (!after.ok() && !absl::IsNotFound(after.status())) {
      return after.status();
    }
  }
  return absl::OkStatus();
}

void ImageSource::say_left_out(const std::string& tree) {
  std::vector<std::string> lines;
  for (const std::string& directory : directories_) {
    if (const absl::Status added = add_left_out(directory, &lines); !added.ok()) {
      note(environment_, cat("what of ", directory, " is not in the image could not be looked at: ",
                             to_std(added.message())));
    }
  }
  if (!tree.empty()) {
    const auto names = families::walk_tree(*overlay_, tree);
    if (names.ok()) {
      for (const std::string& name : names->empty_directories) {
        lines.push_back(cat(families::join_path(tree, name),
                            ": an empty directory of the snapshot, and not in the image"));
      }
    }
  }
  constexpr size_t kMostLines = 20;
  for (size_t i = 0; i < std::min(lines.size(), kMostLines); ++i) note(environment_, lines[i]);
  if (lines.size() > kMostLines) {
    note(environment_, cat(lines.size() - kMostLines, " more files are not in the image"));
  }
}

ExitCode refuse_volatile(const Environment& environment, const families::FamilyDescriptor& family,
                         const std::string& root) {
  if (family.volatility == families::Volatility::kDurable) return ExitCode::kOk;
  return fail(
      environment, ExitCode::kUsage, root,
      absl::FailedPreconditionError(cat(
          "family ", family.name, " is volatile: an instance ends with the process that made it")),
      "volatile families are for scenarios");
}

ExitCode parse_peer(const Environment& environment, const std::string& text, std::string* peer) {
  auto canonical = families::canonical_peer(text);
  if (!canonical.ok() || canonical->empty()) {
    print_error(environment, cat("--peer \"", text,
                                 "\": expected ip:port, ip:port:index or "
                                 "ip:port:index:role"));
    return ExitCode::kUsage;
  }
  *peer = *std::move(canonical);
  return ExitCode::kOk;
}

}  // namespace qk::cli
