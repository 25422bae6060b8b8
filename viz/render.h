// render(): has Graphviz draw a graph whose nodes are all pinned. Runs the program `dot` from the
// path, without a shell, input and output through pipes; touches no file.
//
// What Graphviz makes of it depends on its version and the fonts of the machine: the DOT text is
// what tests compare, never the picture.
#pragma once

#include <string>
#include <string_view>

#include "families/base/status.h"

namespace qk::viz {

// `format` is one of Graphviz's: "svg", "png", "pdf". NotFound if there is no `dot`; Internal with
// what it said if it fails.
absl::StatusOr<std::string> render(std::string_view dot, std::string_view format);

}  // namespace qk::viz
