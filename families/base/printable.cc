#include "families/base/printable.h"

#include <cstddef>

namespace qk {
namespace {

unsigned char byte_at(std::string_view text, size_t at) {
  return at < text.size() ? static_cast<unsigned char>(text[at]) : 0;
}

// Length of the UTF-8 character that `text` begins with if it is a printable one beyond ASCII, else
// 0 (RFC 3629, section 4).
size_t wide_character(std::string_view text) {
  const unsigned char head = byte_at(text, 0);
  const unsigned char second = byte_at(text, 1);
  size_t length = 0;
  unsigned char low = 0x80, high = 0xbf;  // of the second byte
  if (head >= 0xc2 && head <= 0xdf) {
    length = 2;
    if (head == 0xc2) low = 0xa0;  // U+0080..U+009F are C1 controls
  } else if (head >= 0xe0 && head <= 0xef) {
    length = 3;
    if (head == 0xe0) low = 0xa0;   // shorter forms exist
    if (head == 0xed) high = 0x9f;  // surrogates
  } else if (head >= 0xf0 && head <= 0xf4) {
    length = 4;
    if (head == 0xf0) low = 0x90;
    if (head == 0xf4) high = 0x8f;  // beyond U+10FFFF
  } else {
    return 0;
  }
  if (second < low || second > high) return 0;
  for (size_t i = 2; i < length; ++i) {
    if ((byte_at(text, i) & 0xc0) != 0x80) return 0;
  }
  return length;
}

}  // namespace

std::string printable(std::string_view text, std::string_view keep) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  while (!text.empty()) {
    const unsigned char byte = byte_at(text, 0);
    const bool plain = (byte >= 0x20 && byte < 0x7f) || keep.find(text[0]) != keep.npos;
    const size_t length = plain ? 1 : wide_character(text);
    if (length > 0) {
      out += text.substr(0, length);
      text.remove_prefix(length);
      continue;
    }
    out += "\\x";
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
    text.remove_prefix(1);
  }
  return out;
}

}  // namespace qk
