// Files inside this program, so that it runs from any directory: the scenario library and the
// directories it starts from. The table is made by the build (embed.cmake).
#pragma once

#include <span>
#include <string_view>

namespace qk::scenarios {

struct EmbeddedFile {
  std::string_view name;  // without directory
  std::string_view bytes;
};

// In byte order of the names.
std::span<const EmbeddedFile> embedded_files();

// A name that is not embedded is our own bug.
std::string_view embedded(std::string_view name);

}  // namespace qk::scenarios
