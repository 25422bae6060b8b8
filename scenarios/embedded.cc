#include "scenarios/embedded.h"

#include "families/base/check.h"

namespace qk::scenarios {

std::string_view embedded(std::string_view name) {
  for (const EmbeddedFile& file : embedded_files()) {
    if (file.name == name) return file.bytes;
  }
  QK_CHECK(false);
}

}  // namespace qk::scenarios
