// Columns of text.
#pragma once

#include <string>
#include <string_view>

namespace qk::cli {

// `text` followed by spaces, at least `width` wide.
inline std::string padded(std::string_view text, size_t width) {
  std::string out(text);
  if (out.size() < width) out.append(width - out.size(), ' ');
  return out;
}

}  // namespace qk::cli
