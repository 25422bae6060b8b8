// Identity sidecar: one small file in a family's root that says whose state lies there and whether
// it may serve (migration.md 1, contract A-9, CI-X1). Families know nothing of it; only the
// migration controller, the importer and the tools write it.
//
// After a crash the sidecar is the old or the new one, whole (replaced atomically). A sidecar that
// is damaged is DataLoss, never "absent". A root without one is a bare legacy directory: it has no
// lineage, and what its group and peer are is for the caller to say.
//
// This file does not decide which of two instances has authority; the manifest does.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "families/contract/family.h"

namespace qk::image {

struct Identity {
  std::string group_id;
  std::string peer_id;      // canonical PeerId text
  std::string lineage;      // empty: state that was never migrated (a bare legacy directory)
  uint64_t generation = 0;  // grows with each migration attempt of a node
  friend bool operator==(const Identity&, const Identity&) = default;
};
// "group g, peer 127.0.0.1:8100:0:0, lineage l, generation 2"
std::string to_string(const Identity& identity);
// FailedPrecondition naming `what` and both identities unless all four parts are equal (CI-X1).
absl::Status check_identity(std::string_view what, const Identity& found, const Identity& expected);

enum class InstanceState : uint8_t {
  kEmpty = 0,
  kImporting = 1,   // content incomplete; never opens
  kCatchingUp = 2,  // equal to the export cut, lags its primary
  kCurrent = 3,     // holds everything acknowledged
  kStale = 4,
  kFenced = 5,
  kRetired = 6,
};
std::string_view to_string(InstanceState state);

struct Sidecar {
  Identity identity;
  std::string family;    // "sqlite"
  std::string instance;  // one per created instance; a new import gets a new one
  InstanceState state = InstanceState::kEmpty;
  friend bool operator==(const Sidecar&, const Sidecar&) = default;
};

// The name of a new lineage or instance: 32 hexadecimal digits of two numbers from `random`, which
// must be such that no two names of one group's nodes are ever equal.
std::string fresh_id(const std::function<uint64_t()>& random);

inline constexpr std::string_view kSidecarName = "qk_identity";
// The directory below a root in which an import builds the instance.
inline constexpr std::string_view kStagingName = "qk_importing";
// What that directory is called from the moment on from which its names move into the root: without
// it, no name of the family in the root is the import's.
inline constexpr std::string_view kPublishingName = "qk_publishing";
// In it: the names that move, a line each. No other name in the root is the import's.
inline constexpr std::string_view kPublishedNames = "qk_names";
// Whether a name in a root is not a family's to use.
bool is_reserved_name(std::string_view name);

// nullopt: no sidecar (or no root). DataLoss: there is one and it is damaged. InvalidArgument: its
// identity is one that families::check_identity_text() refuses. Unimplemented: it was written by a
// newer version.
absl::StatusOr<std::optional<Sidecar>> read_sidecar(families::FileSystem& fs,
                                                    std::string_view root);
// Durable on return; `root` must exist. InvalidArgument for what read_sidecar() would refuse.
absl::Status write_sidecar(families::FileSystem& fs, std::string_view root, const Sidecar& sidecar);

// Opens an instance that may be opened: refuses (FailedPrecondition) a foreign identity, another
// family's instance, and the states importing, stale, fenced and retired (mig.I4, ora.L14). A root
// without a sidecar opens only if `expected` has no lineage. Under a sidecar, `request.create`
// counts only in state empty: an instance that held state never comes back fresh (ora.L13).
absl::StatusOr<std::unique_ptr<families::Family>> open_instance(
    const families::Registry& registry, const families::OpenRequest& request,
    std::string_view family, const Identity& expected);

// OK if `root` is absent, an empty directory, or holds nothing but a sidecar in state empty,
// or what a stopped import into the same family left, which never opens: a sidecar in state
// importing, the staging directory, and names of the family. The lost+found of a volume's root does
// not count. Otherwise AlreadyExists naming what lies there, be it state of `descriptor`'s family,
// a tombstone, a leftover temporary or a foreign file; a symbolic link is refused too, whatever it
// leads to. PermissionDenied if this process may not write there. Changes nothing.
absl::Status check_empty_destination(families::FileSystem& fs, std::string_view root,
                                     const families::FamilyDescriptor& descriptor);

// Removes what an import into `root` made or left, durably: its own directory, and the names of
// `descriptor`'s family that it moved from there into the root, but not the sidecar, which says
// importing first, so that no crash leaves a part that opens. Other names stay.
absl::Status clear_instance(families::FileSystem& fs, std::string_view root,
                            const families::FamilyDescriptor& descriptor);

// Removes an instance with its root, and with everything else in it: first the content as
// clear_instance() does, then the sidecar, then the directory. Missing is fine; a root with content
// but no sidecar is refused (FailedPrecondition).
absl::Status remove_instance(families::FileSystem& fs, std::string_view root);

}  // namespace qk::image
