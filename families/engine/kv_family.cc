#include "families/engine/kv_family.h"

#include "families/engine/format.h"
#include "families/engine/row_family.h"
#include "families/engine/store.h"

namespace qk::families {

FamilyDescriptor kv_family_descriptor(std::string_view name) {
  FamilyDescriptor family;
  family.name = name;
  family.format_version = cat(kKvFormatVersion);
  family.root_names = {
      "db",     "db.lock", std::string(kLogMarkName), std::string(kUnfinishedLogMarkName),
      "db.new", "snapshot"};
  // The mark tells that the newest log is missing or empty, not how many commits it had.
  family.unchecked = {{.prefix = "db/", .tail = true}};
  family.partials = [](Operation) { return Partial::kNone; };
  return family;
}

absl::StatusOr<std::unique_ptr<Family>> open_kv_family(const OpenRequest& request,
                                                       std::string_view family,
                                                       const OpenKvEngine& open_engine) {
  QK_ASSIGN_OR_RETURN(std::unique_ptr<KvStore> store, KvStore::open(request, family, open_engine));
  return open_row_family(std::move(store));
}

}  // namespace qk::families
