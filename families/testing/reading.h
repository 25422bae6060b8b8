// Reading: all that an instance shows through the contract, item by item, errors included. For
// tests that damage an instance, and ask whether it then shows something else than it held.
#pragma once

#include <map>
#include <string>

#include "families/contract/family.h"

namespace qk::families {

// "first", "last", "hard state", "entry 7", "term 7", "snapshot", "file data": the value as text,
// or the error of reading it.
using Reading = std::map<std::string, absl::StatusOr<std::string>>;

Reading read_everything(Family& family);

// One line per item, an error as its code.
std::string to_text(const Reading& reading);

}  // namespace qk::families
