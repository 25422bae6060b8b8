// A family on a key-value engine. A family of this kind is an engine (engine.h), its options, and:
//
//   FamilyDescriptor family = kv_family_descriptor("rocksdb");
//   family.options = ...;
//   family.open = [](const OpenRequest& request) -> absl::StatusOr<std::unique_ptr<Family>> {
//     ... check request.options
//     return open_kv_family(request, "rocksdb", open_rocksdb);
//   };
//
// Layout, crashes and refusals: store.h.
#pragma once

#include <memory>
#include <string_view>

#include "families/contract/family.h"
#include "families/engine/engine.h"

namespace qk::families {

// All that families of this kind have in common: no partial outcomes, the names in the root, the
// format's version. Options, refusals and open() are the family's own.
FamilyDescriptor kv_family_descriptor(std::string_view name);

absl::StatusOr<std::unique_ptr<Family>> open_kv_family(const OpenRequest& request,
                                                       std::string_view family,
                                                       const OpenKvEngine& open_engine);

}  // namespace qk::families
