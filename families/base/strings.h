// cat(...): concatenates strings and numbers. Debian's abseil has a string_view of its own, which
// std::string_view does not convert to; this is the one place that knows.
#pragma once

#include <concepts>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"

namespace qk {

namespace internal {
inline absl::string_view to_alpha(std::string_view s) { return {s.data(), s.size()}; }
inline absl::string_view to_alpha(const char* s) { return s; }
inline absl::string_view to_alpha(const std::string& s) { return s; }
inline absl::string_view to_alpha(absl::string_view s) { return s; }
template <typename T>
requires std::integral<T> T to_alpha(T value) { return value; }
inline absl::AlphaNum to_alpha(absl::Hex value) { return value; }
}  // namespace internal

template <typename... Args>
std::string cat(const Args&... args) {
  return absl::StrCat(internal::to_alpha(args)...);
}

inline absl::string_view to_absl(std::string_view s) { return {s.data(), s.size()}; }
inline std::string_view to_std(absl::string_view s) { return {s.data(), s.size()}; }

// Fixed-width lower-case hexadecimal, as checksums and hashes are printed.
inline absl::Hex hex8(uint32_t value) { return absl::Hex(value, absl::kZeroPad8); }
inline absl::Hex hex16(uint64_t value) { return absl::Hex(value, absl::kZeroPad16); }

}  // namespace qk
