#include "image/identity.h"

#include <algorithm>
#include <set>

#include "families/base/bytes.h"
#include "families/base/hash.h"
#include "families/contract/rules.h"
#include "families/fs/file_util.h"

namespace qk::image {
namespace {

using families::FileSystem;

// magic (4), version (4), body length (4), body, CRC-32C of everything before it (4)
constexpr std::string_view kSidecarMagic = "QKID";
constexpr uint32_t kSidecarVersion = 1;
constexpr size_t kSidecarHeadBytes = 4 + 4 + 4;
constexpr size_t kCrcBytes = 4;
constexpr uint64_t kMaxSidecarBytes = 64 << 10;
// What replace_file() may leave beside the sidecar; it never holds state.
constexpr std::string_view kSidecarTemporary = "qk_identity.tmp";
// The root directory of an ext file system has it from the start.
constexpr std::string_view kLostAndFound = "lost+found";

std::string encode_sidecar(const Sidecar& sidecar) {
  std::string body;
  put_bytes(&body, sidecar.identity.group_id);
  put_bytes(&body, sidecar.identity.peer_id);
  put_bytes(&body, sidecar.identity.lineage);
  put_le64(&body, sidecar.identity.generation);
  put_bytes(&body, sidecar.family);
  put_bytes(&body, sidecar.instance);
  put_u8(&body, static_cast<uint8_t>(sidecar.state));

  std::string bytes(kSidecarMagic);
  put_le32(&bytes, kSidecarVersion);
  put_bytes(&bytes, body);
  put_le32(&bytes, crc32c(bytes));
  return bytes;
}

absl::StatusOr<Sidecar> decode_sidecar(std::string_view path, std::string_view bytes) {
  const auto damaged = [&](std::string_view what) {
    return absl::DataLossError(cat(path, ": identity sidecar damaged: ", what));
  };
  if (bytes.size() < kSidecarHeadBytes + kCrcBytes) {
    return damaged(
        cat("length ", bytes.size(), ", expected at least ", kSidecarHeadBytes + kCrcBytes));
  }
  const std::string_view framed = bytes.substr(0, bytes.size() - kCrcBytes);
  const uint32_t stored = get_le32(bytes.data() + framed.size());
  if (const uint32_t crc = crc32c(framed); crc != stored) {
    return damaged(cat("checksum ", hex8(crc), ", expected ", hex8(stored)));
  }
  ByteReader frame(framed);
  if (frame.take(kSidecarMagic.size()) != kSidecarMagic) return damaged("not an identity sidecar");
  if (const uint32_t version = frame.le32(); version != kSidecarVersion) {
    return absl::UnimplementedError(cat(path, ": identity sidecar has version ", version,
                                        ", this program knows ", kSidecarVersion));
  }
  ByteReader body(frame.bytes());
  if (!frame.done()) return damaged("length does not match");
  Sidecar sidecar;
  sidecar.identity.group_id = body.bytes();
  sidecar.identity.peer_id = body.bytes();
  sidecar.identity.lineage = body.bytes();
  sidecar.identity.generation = body.le64();
  sidecar.family = body.bytes();
  sidecar.instance = body.bytes();
  const uint8_t state = body.u8();
  if (!body.done()) return damaged("body does not match its length");
  if (state > static_cast<uint8_t>(InstanceState::kRetired)) {
    return damaged(cat("state ", state, ", expected 0..6"));
  }
  sidecar.state = static_cast<InstanceState>(state);
  const Identity& identity = sidecar.identity;
  const absl::Status legal =
      families::check_identity_text(identity.group_id, identity.peer_id, identity.lineage);
  if (!legal.ok()) return annotate(legal, path);
  return sidecar;
}

bool may_open(InstanceState state) {
  return state == InstanceState::kEmpty || state == InstanceState::kCatchingUp ||
         state == InstanceState::kCurrent;
}

// Whether the import that stopped in `root` moved this name, one of its family, there: it began to
// publish, and has it no more in its own directory.
absl::StatusOr<bool> is_published(FileSystem& fs, std::string_view root, const std::string& name) {
  const std::string publishing = families::join_path(root, kPublishingName);
  constexpr uint64_t kMaxNamesBytes = 64 << 10;
  const auto names =
      families::read_file(fs, families::join_path(publishing, kPublishedNames), kMaxNamesBytes);
  if (absl::IsNotFound(names.status())) return false;
  QK_RETURN_IF_ERROR(names.status());
  if (cat("\n", *names).find(cat("\n", name, "\n")) == std::string::npos) return false;
  QK_ASSIGN_OR_RETURN(const bool waits,
                      families::exists(fs, families::join_path(publishing, name)));
  return !waits;
}

// Removes the names below `root` for which `goes` holds, under a sidecar that says importing.
absl::Status remove_content(FileSystem& fs, std::string_view root,
                            const std::function<bool(const std::string&)>& goes) {
  QK_ASSIGN_OR_RETURN(std::optional<Sidecar> sidecar, read_sidecar(fs, root));
  QK_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs.list(root));
  if (!sidecar) {
    for (const std::string& name : names) {
      if (name == kSidecarTemporary || !goes(name)) continue;
      return absl::FailedPreconditionError(
          cat(root, ": holds \"", name, "\" but no identity sidecar, so it is not removed"));
    }
  } else if (sidecar->state != InstanceState::kImporting) {
    sidecar->state = InstanceState::kImporting;
    QK_RETURN_IF_ERROR(write_sidecar(fs, root, *sidecar));
  }
  for (const std::string& name : names) {
    if (name == kSidecarName || !goes(name)) continue;
    QK_RETURN_IF_ERROR(families::remove_tree(fs, families::join_path(root, name)));
  }
  // The removals are durable before the sidecar, which explains them, may go.
  return fs.sync_dir(root, families::SyncKind::kFull);
}

}  // namespace

std::string to_string(const Identity& identity) {
  return cat("group ", identity.group_id, ", peer ", identity.peer_id, ", lineage ",
             identity.lineage.empty() ? "none" : identity.lineage, ", generation ",
             identity.generation);
}

absl::Status check_identity(std::string_view what, const Identity& found,
                            const Identity& expected) {
  if (found == expected) return absl::OkStatus();
  return absl::FailedPreconditionError(cat(what, " belongs to another instance: found ",
                                           to_string(found), "; expected ", to_string(expected)));
}

std::string_view to_string(InstanceState state) {
  switch (state) {
    case InstanceState::kEmpty:
      return "empty";
    case InstanceState::kImporting:
      return "importing";
    case InstanceState::kCatchingUp:
      return "catching-up";
    case InstanceState::kCurrent:
      return "current";
    case InstanceState::kStale:
      return "stale";
    case InstanceState::kFenced:
      return "fenced";
    case InstanceState::kRetired:
      return "retired";
  }
  return "?";
}

std::string fresh_id(const std::function<uint64_t()>& random) {
  std::string bytes;
  put_be64(&bytes, random());
  put_be64(&bytes, random());
  return to_hex(bytes);
}

bool is_reserved_name(std::string_view name) {
  return name == kSidecarName || name == kSidecarTemporary || name == kStagingName ||
         name == kPublishingName || name == kPublishedNames || name == kLostAndFound;
}

absl::StatusOr<std::optional<Sidecar>> read_sidecar(FileSystem& fs, std::string_view root) {
  const std::string path = families::join_path(root, kSidecarName);
  auto bytes = families::read_file(fs, path, kMaxSidecarBytes);
  if (absl::IsNotFound(bytes.status())) return std::optional<Sidecar>();
  if (absl::IsInvalidArgument(bytes.status())) {
    return absl::DataLossError(
        cat(path, ": identity sidecar damaged: longer than ", kMaxSidecarBytes, " bytes"));
  }
  QK_RETURN_IF_ERROR(bytes.status());
  QK_ASSIGN_OR_RETURN(Sidecar sidecar, decode_sidecar(path, *bytes));
  return std::optional<Sidecar>(std::move(sidecar));
}

absl::Status write_sidecar(FileSystem& fs, std::string_view root, const Sidecar& sidecar) {
  // What read_sidecar() would refuse must not be written.
  const std::string path = families::join_path(root, kSidecarName);
  const Identity& identity = sidecar.identity;
  const absl::Status legal =
      families::check_identity_text(identity.group_id, identity.peer_id, identity.lineage);
  if (!legal.ok()) return annotate(legal, path);
  const std::string bytes = encode_sidecar(sidecar);
  if (bytes.size() > kMaxSidecarBytes) {
    return absl::InvalidArgumentError(
        cat(path, ": a sidecar of ", bytes.size(), " bytes, expected at most ", kMaxSidecarBytes));
  }
  return families::replace_file(fs, path, bytes);
}

namespace {

// Parts outside of the root may come from an instance that has a sidecar beside them.
absl::Status check_parts(const families::OpenRequest& request, const Identity& expected) {
  const families::PartPaths& parts = request.parts;
  for (const std::string& part : {parts.log, parts.raft_meta, parts.snapshot}) {
    if (!part.starts_with('/')) continue;
    const std::string_view directory = families::parent_path(part);
    QK_ASSIGN_OR_RETURN(const auto sidecar, read_sidecar(*request.fs, directory));
    if (!sidecar) continue;
    QK_RETURN_IF_ERROR(check_identity(directory, sidecar->identity, expected));
    if (may_open(sidecar->state)) continue;
    return absl::FailedPreconditionError(cat(directory, ": instance is ", to_string(sidecar->state),
                                             ", and ", part,
                                             " belongs to an instance that must not be opened"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<families::Family>> open_instance(
    const families::Registry& registry, const families::OpenRequest& request,
    std::string_view family, const Identity& expected) {
  QK_ASSIGN_OR_RETURN(const std::optional<Sidecar> sidecar,
                      read_sidecar(*request.fs, request.root));
  QK_RETURN_IF_ERROR(check_parts(request, expected));
  if (!sidecar) {
    if (!expected.lineage.empty()) {
      return absl::FailedPreconditionError(
          cat(request.root, ": no identity sidecar, expected ", to_string(expected)));
    }
    return families::open_family(registry, family, request);
  }
  QK_RETURN_IF_ERROR(check_identity(request.root, sidecar->identity, expected));
  if (sidecar->family != family) {
    return absl::FailedPreconditionError(cat(request.root, ": holds an instance of family ",
                                             sidecar->family, ", expected ", family));
  }
  if (!may_open(sidecar->state)) {
    return absl::FailedPreconditionError(cat(request.root, ": instance is ",
                                             to_string(sidecar->state),
                                             ", expected empty, catching-up or current"));
  }
  families::OpenRequest opening = request;
  // An instance that held state must not come back fresh because its files are gone (ora.L13).
  if (sidecar->state != InstanceState::kEmpty) opening.create = false;
  return families::open_family(registry, family, opening);
}

absl::Status check_empty_destination(FileSystem& fs, std::string_view root,
                                     const families::FamilyDescriptor& descriptor) {
  QK_ASSIGN_OR_RETURN(const bool link, fs.is_symlink(root));
  if (link) {
    return absl::AlreadyExistsError(
        cat("destination ", root, " is a symbolic link, expected nothing or an empty directory"));
  }
  const auto stat = fs.stat(root);
  if (absl::IsNotFound(stat.status())) {
    std::string_view parent = families::parent_path(root);
    while (true) {
      QK_ASSIGN_OR_RETURN(const bool there, families::exists(fs, parent));
      if (there) return fs.check_writable(parent);
      parent = families::parent_path(parent);
    }
  }
  QK_RETURN_IF_ERROR(stat.status());
  if (stat->kind != families::FileKind::kDirectory) {
    return absl::AlreadyExistsError(
        cat("destination ", root, " is a file, expected nothing or an empty directory"));
  }
  QK_ASSIGN_OR_RETURN(const std::optional<Sidecar> sidecar, read_sidecar(fs, root));
  const bool stopped_import =
      sidecar && sidecar->state == InstanceState::kImporting && sidecar->family == descriptor.name;
  if (sidecar && sidecar->state != InstanceState::kEmpty && !stopped_import) {
    return absl::AlreadyExistsError(cat("destination ", root, " is not empty: its sidecar says ",
                                        to_string(sidecar->state), ", family ", sidecar->family,
                                        " (", to_string(sidecar->identity), ")"));
  }
  QK_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs.list(root));
  for (const std::string& name : names) {
    if (name == kSidecarName || name == kSidecarTemporary) continue;
    if (name == kLostAndFound) {
      QK_ASSIGN_OR_RETURN(const families::FileStat found, fs.stat(families::join_path(root, name)));
      if (found.kind == families::FileKind::kDirectory) continue;
    }
    const std::vector<std::string>& own = descriptor.root_names;
    const bool is_state = std::find(own.begin(), own.end(), name) != own.end();
    if (stopped_import) {
      if (name == kStagingName || name == kPublishingName) continue;
      QK_ASSIGN_OR_RETURN(const bool published, is_published(fs, root, name));
      if (is_state && published) continue;
    }
    return absl::AlreadyExistsError(
        cat("destination ", root, " is not empty: holds \"", name, "\"",
            is_state ? cat(", state of family ", descriptor.name) : std::string(),
            is_state && stopped_import ? ", which the import that stopped here did not make" : ""));
  }
  return fs.check_writable(root);
}

absl::Status clear_instance(FileSystem& fs, std::string_view root,
                            const families::FamilyDescriptor& descriptor) {
  std::set<std::string> published;
  for (const std::string& name : descriptor.root_names) {
    QK_ASSIGN_OR_RETURN(const bool ours, is_published(fs, root, name));
    if (ours) published.insert(name);
  }
  QK_RETURN_IF_ERROR(
      remove_content(fs, root, [&](const std::string& name) { return published.contains(name); }));
  // What says whose they are goes after them.
  return remove_content(fs, root, [](const std::string& name) {
    return name == kSidecarTemporary || name == kStagingName || name == kPublishingName;
  });
}

absl::Status remove_instance(FileSystem& fs, std::string_view root) {
  QK_ASSIGN_OR_RETURN(const bool present, families::exists(fs, root));
  if (!present) return absl::OkStatus();
  QK_RETURN_IF_ERROR(remove_content(fs, root, [](const std::string&) { return true; }));
  const absl::Status unlinked = fs.unlink(families::join_path(root, kSidecarName));
  if (!unlinked.ok() && !absl::IsNotFound(unlinked)) return unlinked;
  QK_RETURN_IF_ERROR(fs.rmdir(root));
  return fs.sync_dir(families::parent_path(root), families::SyncKind::kFull);
}

}  // namespace qk::image
