#include "families/contract/uri.h"

#include "families/fs/file_util.h"

namespace qk::families {
namespace {

constexpr std::string_view kSpace = " \t\r\n\v\f";

std::string trim(std::string_view text) {
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return "";
  return std::string(text.substr(begin, text.find_last_not_of(kSpace) - begin + 1));
}

// Drops white space, repeated and trailing slashes, as every file system call would see the path.
std::string clean_path(std::string_view text) {
  std::string path;
  for (const char c : text) {
    if (kSpace.find(c) != std::string_view::npos) continue;
    if (c == '/' && !path.empty() && path.back() == '/') continue;
    path += c;
  }
  if (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

// "/a/./b" as "/a/b". A ".." stays: what it means is the kernel's to say.
std::string without_dots(std::string path) {
  for (size_t at; (at = path.find("/./")) != std::string::npos;) path.erase(at, 2);
  return path;
}

}  // namespace

absl::StatusOr<StorageUri> parse_uri(std::string_view text) {
  const size_t mark = text.find("://");
  if (mark == std::string_view::npos) {
    return absl::InvalidArgumentError(
        cat("storage URI \"", text, "\": no \"://\"; expected scheme://path"));
  }
  StorageUri uri{trim(text.substr(0, mark)), clean_path(text.substr(mark + 3))};
  if (uri.scheme.empty()) {
    return absl::InvalidArgumentError(cat("storage URI \"", text, "\": the scheme is empty"));
  }
  if (uri.scheme == "local-merged" || uri.scheme == "local-mixed") {
    return absl::InvalidArgumentError(
        cat("storage URI \"", text, "\": ", uri.scheme,
            " is out of scope: the contract names the single-node metadata store, local://"));
  }
  if (uri.path.empty()) {
    return absl::InvalidArgumentError(cat("storage URI \"", text, "\": the path is empty"));
  }
  return uri;
}

absl::StatusOr<StorageLocation> parse_triple(const UriTriple& triple, std::string_view directory) {
  struct Part {
    std::string_view name;
    const std::string& uri;
    std::string PartPaths::*path;
  };
  const Part parts[] = {{"log_uri", triple.log_uri, &PartPaths::log},
                        {"raft_meta_uri", triple.raft_meta_uri, &PartPaths::raft_meta},
                        {"snapshot_uri", triple.snapshot_uri, &PartPaths::snapshot}};
  StorageLocation result;
  for (const Part& part : parts) {
    auto uri = parse_uri(part.uri);
    if (!uri.ok()) return annotate(uri.status(), part.name);
    std::string path =
        without_dots(uri->path.starts_with('/') ? uri->path : join_path(directory, uri->path));
    if (const std::string_view name = base_name(path); name == "." || name == "..") {
      return absl::InvalidArgumentError(cat(part.name, " \"", part.uri, "\": ends in \"", name,
                                            "\", expected the name of a directory"));
    }
    if (parent_path(path).empty() || parent_path(path) == "/") {
      return absl::InvalidArgumentError(cat(
          part.name, " \"", part.uri, "\": found it in \"/\", expected a directory below that"));
    }
    if (result.family.empty()) {
      result.family = uri->scheme;
      result.root = std::string(parent_path(path));
    } else if (uri->scheme != result.family) {
      return absl::InvalidArgumentError(
          cat(part.name, " \"", part.uri, "\" names family ", uri->scheme, ", but log_uri names ",
              result.family, "; a node's log, metadata and snapshot are of one family"));
    }
    for (const Part& earlier : parts) {
      if (&earlier == &part) break;
      const std::string& other = result.parts.*earlier.path;
      if (path == other || path.starts_with(other + "/") || other.starts_with(path + "/")) {
        return absl::InvalidArgumentError(cat(part.name, " \"", part.uri, "\": ", path, " and ",
                                              other, " (", earlier.name,
                                              ") are one directory, or one lies in the other"));
      }
    }
    result.parts.*part.path = std::move(path);
  }
  for (const Part& part : parts) {
    std::string& path = result.parts.*part.path;
    if (parent_path(path) == result.root) path = std::string(base_name(path));
  }
  return result;
}

absl::Status check_part_paths(const FamilyDescriptor& family, std::string_view root,
                              const PartPaths& parts) {
  // Were the names free, those of two nodes in one directory would mean one instance.
  if (family.part_paths || parts == PartPaths()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      cat("family ", family.name, " keeps log, metadata and snapshot together; found them at ",
          parts.log, ", ", parts.raft_meta, " and ", parts.snapshot, " of ", root,
          ", expected log, raft_meta and snapshot of one directory"));
}

FamilyDescriptor with_parts(FamilyDescriptor family, const PartPaths& parts) {
  if (family.part_paths) family.root_names = {parts.log, parts.raft_meta, parts.snapshot};
  return family;
}

}  // namespace qk::families
