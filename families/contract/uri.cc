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

absl::StatusOr<StorageUri> parse_triple(const UriTriple& triple) {
  struct Part {
    std::string_view name;
    const std::string& uri;
    std::string_view directory;
  };
  const Part parts[] = {{"log_uri", triple.log_uri, "log"},
                        {"raft_meta_uri", triple.raft_meta_uri, "raft_meta"},
                        {"snapshot_uri", triple.snapshot_uri, "snapshot"}};
  StorageUri result;
  for (const Part& part : parts) {
    auto uri = parse_uri(part.uri);
    if (!uri.ok()) return annotate(uri.status(), part.name);
    if (base_name(uri->path) != part.directory) {
      return absl::InvalidArgumentError(cat(part.name, " \"", part.uri, "\": path ends in \"",
                                            base_name(uri->path), "\", expected ROOT/",
                                            part.directory));
    }
    const std::string root(parent_path(uri->path));
    if (result.scheme.empty()) {
      result = {uri->scheme, root};
    } else if (uri->scheme != result.scheme || root != result.path) {
      return absl::InvalidArgumentError(cat(part.name, " \"", part.uri, "\" names family ",
                                            uri->scheme, " at ", root, ", but log_uri names ",
                                            result.scheme, " at ", result.path,
                                            "; the three must share one family and one root"));
    }
  }
  return result;
}

}  // namespace qk::families
