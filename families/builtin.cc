#include "families/builtin.h"

#include "families/local/local_family.h"
#include "families/sqlite/sqlite_family.h"

namespace qk::families {

Registry builtin_families() {
  Registry registry;
  registry.add(local_family());
  registry.add(sqlite_family());
  return registry;
}

}  // namespace qk::families
