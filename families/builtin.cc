#include "families/builtin.h"

#include "families/local/local_family.h"

namespace qk::families {

Registry builtin_families() {
  Registry registry;
  registry.add(local_family());
  return registry;
}

}  // namespace qk::families
