// The scripts of the archive: the mutations that real braft carried out in each healthy case, for any
// family that writes braft's files. A part of a test: what a script cannot do fails it.
//
// Payloads that a script only describes ("fill 30 1 40 1": 30 entries of 40 random bytes) are taken
// from the directory. One that was dropped before the end is replaced by zeros of the same length.
#pragma once

#include <string>
#include <vector>

#include "families/contract/family.h"

namespace qk::families {

// In what the tree that `family` writes for a case differs from the one that braft wrote.
std::vector<std::string> script_differences(const FamilyDescriptor& family,
                                            const std::string& name);

}  // namespace qk::families
