#include "tools/qksim/storage_argument.h"

#include "families/fs/file_util.h"
#include "tools/qksim/family_argument.h"

namespace qk::cli {

ExitCode find_storage(const Environment& environment, const std::string& family,
                      const std::string& directory, std::string_view option,
                      const families::UriTriple& uris, StorageArgument* out) {
  if (uris.empty()) {
    if (family.empty() || directory.empty()) {
      print_error(environment, cat("no instance is named: give --family and ", option,
                                   ", or --log-uri, --raft-meta-uri and --snapshot-uri"));
      return ExitCode::kUsage;
    }
    out->root = absolute_path(environment, directory);
    return find_family(environment, family, "--family", &out->family);
  }
  if (!directory.empty()) {
    print_error(environment, cat(option, " and URIs are both given; expected one of them"));
    return ExitCode::kUsage;
  }
  const auto location = families::parse_triple(uris, absolute_path(environment, "."));
  if (!location.ok()) {
    print_error(environment, std::string(to_std(location.status().message())));
    return ExitCode::kUsage;
  }
  if (!family.empty() && family != location->family) {
    print_error(environment, cat("--family is ", family, ", but the URIs name ", location->family));
    return ExitCode::kUsage;
  }
  out->root = absolute_path(environment, location->root);
  out->parts = location->parts;
  for (std::string* part : {&out->parts.log, &out->parts.raft_meta, &out->parts.snapshot}) {
    if (part->starts_with('/')) *part = absolute_path(environment, *part);
  }
  if (ExitCode code = find_family(environment, location->family, "--log-uri", &out->family);
      code != ExitCode::kOk) {
    return code;
  }
  if (const absl::Status there = families::check_part_paths(*out->family, out->root, out->parts);
      !there.ok()) {
    print_error(environment, std::string(to_std(there.message())));
    return ExitCode::kUsage;
  }
  return ExitCode::kOk;
}

ExitCode find_place(const Environment& environment, const std::string& uri,
                    const families::UriTriple& uris, std::string_view which, StorageArgument* out) {
  if (!uris.empty()) return find_storage(environment, "", "", which, uris, out);
  const auto parsed = families::parse_uri(uri);
  if (!parsed.ok()) {
    print_error(environment, std::string(to_std(parsed.status().message())));
    return ExitCode::kUsage;
  }
  return find_storage(environment, parsed->scheme, parsed->path, which, {}, out);
}

absl::Status resolve_parent(families::FileSystem& fs, std::string* path) {
  QK_ASSIGN_OR_RETURN(const std::string parent, fs.real_path(families::parent_path(*path)));
  *path = families::join_path(parent, families::base_name(*path));
  return absl::OkStatus();
}

std::string uris_of(const StorageArgument& at) {
  const auto uri = [&](const std::string& part) {
    return cat(at.family->name, "://",
               part.starts_with('/') ? part : families::join_path(at.root, part));
  };
  return cat("log_uri ", uri(at.parts.log), ", raft_meta_uri ", uri(at.parts.raft_meta),
             ", snapshot_uri ", uri(at.parts.snapshot));
}

}  // namespace qk::cli
