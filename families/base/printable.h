// Text that files, directories and command lines hold, made fit for a terminal.
#pragma once

#include <string>
#include <string_view>

namespace qk {

// `text` with everything that a terminal may obey as \xNN, byte by byte: control characters of
// ASCII and of Unicode (C1), and bytes that are not UTF-8, among which a terminal in another
// encoding finds C1 too. Those in `keep`, such as "\n\t", stay.
std::string printable(std::string_view text, std::string_view keep = "");

}  // namespace qk
