#include "tools/qksim/migrate_checks.h"

#include <algorithm>

#include "families/base/printable.h"
#include "families/fs/file_util.h"
#include "families/fs/overlay_file_system.h"
#include "image/identity.h"
#include "migration/fence.h"

namespace qk::cli {
namespace {

using families::FileKind;
using families::FileStat;
using families::FileSystem;

bool lies_in(const std::string& path, const std::string& directory) {
  return (path + "/").starts_with(directory + "/");
}

std::string octal(uint32_t mode) {
  std::string out;
  for (int shift = 9; shift >= 0; shift -= 3) {
    out += static_cast<char>('0' + ((mode >> shift) & 7));
  }
  return out;
}

absl::StatusOr<std::string> check_parent(FileSystem& fs, const std::string& root) {
  const std::string parent(families::parent_path(root));
  QK_ASSIGN_OR_RETURN(const FileStat stat, fs.stat(parent));
  if (stat.kind != FileKind::kDirectory) {
    return absl::FailedPreconditionError(cat(parent, " is not a directory"));
  }
  QK_RETURN_IF_ERROR(fs.check_writable(parent));
  return cat(parent, " may be written to");
}

absl::StatusOr<std::string> check_empty(FileSystem& fs, const StorageArgument& to) {
  const std::string& root = to.root;
  QK_RETURN_IF_ERROR(
      image::check_empty_destination(fs, root, families::with_parts(*to.family, to.parts)));
  QK_ASSIGN_OR_RETURN(const bool there, families::exists(fs, root));
  if (!there) return cat(root, " is not there yet");
  // One rename puts the new instance there, and takes the place of nothing but an empty directory.
  QK_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs.list(root));
  if (!names.empty()) {
    return absl::AlreadyExistsError(cat("destination ", root, " is not empty: found \"",
                                        names.front(), "\", expected an empty directory or none"));
  }
  return cat(root, " is an empty directory");
}

absl::StatusOr<std::string> check_mount(FileSystem& fs, const std::string& root) {
  const std::string parent(families::parent_path(root));
  QK_ASSIGN_OR_RETURN(const FileStat above, fs.stat(parent));
  const auto stat = fs.stat(root);
  if (absl::IsNotFound(stat.status())) return cat(root, " is not a mount point");
  QK_RETURN_IF_ERROR(stat.status());
  if (stat->device != above.device) {
    return absl::FailedPreconditionError(
        cat(root, " is a mount point, which no rename replaces: found device ", stat->device,
            ", expected device ", above.device, " of ", parent, "; name a directory below it"));
  }
  return cat(root, " is not a mount point");
}

absl::StatusOr<std::string> check_apart(const MigratePlaces& places) {
  for (const std::string& directory : places.from_directories) {
    if (lies_in(places.to.root, directory)) {
      return absl::FailedPreconditionError(cat("destination ", places.to.root,
                                               " lies in the source ", directory,
                                               ", which is only read"));
    }
    if (lies_in(directory, places.to.root)) {
      return absl::FailedPreconditionError(
          cat("source ", directory, " lies in the destination ", places.to.root));
    }
  }
  return std::string("neither lies in the other");
}

absl::StatusOr<std::string> check_fence(FileSystem& fs, const MigratePlaces& places) {
  const StorageArgument& from = places.from;
  if (from.parts.split()) {
    return absl::FailedPreconditionError(
        cat("the source's log, raft_meta and snapshot do not lie in one directory: found ",
            from.parts.log, ", ", from.parts.raft_meta, ", ", from.parts.snapshot,
            "; one fence must take all three (migration.md 3)"));
  }
  const std::string parent(families::parent_path(from.root));
  QK_ASSIGN_OR_RETURN(const FileStat above, fs.stat(parent));
  QK_ASSIGN_OR_RETURN(const FileStat stat, fs.stat(from.root));
  if (stat.device != above.device) {
    return absl::FailedPreconditionError(
        cat("source ", from.root, " is a mount point, which cannot be renamed: found device ",
            stat.device, ", expected device ", above.device, " of ", parent));
  }
  QK_RETURN_IF_ERROR(fs.check_writable(parent));
  QK_RETURN_IF_ERROR(migration::check_fence_takes_only(
      fs, from.root, families::with_parts(*from.family, from.parts).root_names));
  return cat(from.root, " can be renamed and holds the instance alone");
}

// The directory that is to move to the destination: one that is made and removed, unless it is there
// from an earlier process.
absl::StatusOr<FileStat> probe(FileSystem& fs, const std::string& stage) {
  const std::string instance = families::join_path(stage, "instance");
  const absl::Status made = fs.mkdir(instance);
  if (!made.ok() && !absl::IsAlreadyExists(made)) return made;
  const auto stat = fs.stat(instance);
  if (made.ok()) QK_RETURN_IF_ERROR(fs.rmdir(instance));
  return stat;
}

absl::StatusOr<std::string> check_mode(FileSystem& fs, const std::string& root,
                                       const std::string& stage) {
  QK_ASSIGN_OR_RETURN(const FileStat fresh, probe(fs, stage));
  const auto text = [](const FileStat& stat) {
    return cat("mode ", octal(stat.mode), ", owner ", stat.owner, ", group ", stat.group);
  };
  const auto stat = fs.stat(root);
  if (absl::IsNotFound(stat.status())) return cat("a new directory has ", text(fresh));
  QK_RETURN_IF_ERROR(stat.status());
  if (stat->mode != fresh.mode || stat->owner != fresh.owner || stat->group != fresh.group) {
    return absl::FailedPreconditionError(
        cat("destination ", root, " would lose its mode or owner: found ", text(*stat),
            ", expected ", text(fresh), " as this process makes it; remove the empty directory, ",
            "or run as that user with that umask"));
  }
  return text(fresh);
}

absl::StatusOr<std::string> check_owner(FileSystem& fs, const MigratePlaces& places,
                                        const std::string& stage) {
  QK_ASSIGN_OR_RETURN(const FileStat fresh, fs.stat(stage));
  for (const std::string& directory : places.from_directories) {
    QK_ASSIGN_OR_RETURN(const FileStat stat, fs.stat(directory));
    if (stat.owner == fresh.owner || places.accept_owner) continue;
    return absl::FailedPreconditionError(
        cat("the destination would belong to user ", fresh.owner, ": expected user ", stat.owner,
            ", who owns the source ", directory, "; run as that user, or give --accept-owner and ",
            "change the owner before the node starts"));
  }
  return cat("user ", fresh.owner);
}

// An instance in memory, above what is on the disk.
absl::StatusOr<std::string> check_opener(const Environment& environment,
                                         const MigratePlaces& places, const std::string& stage) {
  const families::FamilyDescriptor& family = *places.to.family;
  families::OverlayFileSystem overlay(environment.fs);
  families::OpenRequest request;
  request.fs = &overlay;
  request.root = families::join_path(stage, "instance");
  request.create = true;
  request.parts = places.to.parts;
  // What an earlier process left there is none of this one's.
  QK_RETURN_IF_ERROR(families::remove_tree(overlay, request.root));
  QK_RETURN_IF_ERROR(overlay.mkdir(request.root));
  const auto opened = families::open_family(*environment.registry, family.name, request);
  if (!opened.ok()) return annotate(opened.status(), cat("opener of family ", family.name));
  return cat("family ", family.name, ", format ", family.format_version, ", opens");
}

}  // namespace

std::vector<Precheck> place_checks(const Environment& environment, const MigratePlaces& places) {
  FileSystem& fs = *environment.fs;
  std::vector<Precheck> checks = {
      {"empty", [&fs, &places] { return check_empty(fs, places.to); }},
      {"mount point", [&fs, &places] { return check_mount(fs, places.to.root); }},
      {"apart", [&places] { return check_apart(places); }}};
  if (places.fence_source) {
    checks.push_back(fence_check(environment, places));
  }
  checks.push_back({"parent", [&fs, &places] { return check_parent(fs, places.to.root); }});
  return checks;
}

std::vector<Precheck> stage_checks(const Environment& environment, const MigratePlaces& places,
                                   const std::string& stage) {
  FileSystem& fs = *environment.fs;
  return {{"mode", [&fs, &places, stage] { return check_mode(fs, places.to.root, stage); }},
          {"owner", [&fs, &places, stage] { return check_owner(fs, places, stage); }},
          {"opener",
           [&environment, &places, stage] { return check_opener(environment, places, stage); }}};
}

Precheck fence_check(const Environment& environment, const MigratePlaces& places) {
  FileSystem& fs = *environment.fs;
  return {"fence", [&fs, &places] { return check_fence(fs, places); }};
}

Precheck space_check(const Environment& environment, const MigratePlaces& places,
                     const image::ImageTotals& totals) {
  FileSystem& fs = *environment.fs;
  return {"space", [&fs, &places, totals]() -> absl::StatusOr<std::string> {
            const std::string parent(families::parent_path(places.to.root));
            QK_ASSIGN_OR_RETURN(const uint64_t free, fs.free_space(parent));
            QK_ASSIGN_OR_RETURN(const FileStat there, fs.stat(parent));
            QK_ASSIGN_OR_RETURN(const FileStat source, fs.stat(places.from_directories.front()));
            // No family stores less than the content. While it is loaded, one was seen to take 2.02
            // times as much.
            const uint64_t need = totals.content_bytes;
            const uint64_t most = need / 10 * 21;
            const std::string volume =
                source.device == there.device ? "the source's volume" : "another volume";
            if (free < need) {
              return absl::ResourceExhaustedError(
                  cat("too little space at ", parent, ", ", volume, ": found ", free,
                      " bytes free, expected at least ", need, " and up to ", most));
            }
            return cat(need, " to ", most, " bytes needed, ", free, " free on ", volume,
                       free < most ? ": it may not do; --resume goes on once there is more" : "");
          }};
}

absl::Status run_checks(const std::vector<Precheck>& checks, std::ostream* out) {
  absl::Status first;
  for (const Precheck& check : checks) {
    const absl::StatusOr<std::string> result = check.run();
    if (out != nullptr) {
      const std::string_view text =
          result.ok() ? std::string_view(*result) : to_std(result.status().message());
      *out << "  check     " << check.name << ": " << printable(text)
           << (result.ok() ? "" : "  FAIL") << "\n";
    }
    if (result.ok()) continue;
    if (first.ok()) first = result.status();
    if (out == nullptr) return first;
  }
  return first;
}

}  // namespace qk::cli
