// The one registration file: a new family is its folder and one line in builtin.cc.
#pragma once

#include "families/contract/family.h"

namespace qk::families {

Registry builtin_families();

}  // namespace qk::families
