// A fifth family, for tests: it shows that image code needs nothing of a family but the contract.
//
// The whole state but the snapshot's files is one file, `toy`, replaced at each mutation; snapshot
// trees lie in `trees/<n>`. Written for size, not speed. It keeps the contract's promises after a
// crash, because replace_file() does.
#pragma once

#include <set>

#include "families/contract/family.h"

namespace qk::image {

families::FamilyDescriptor toy_family();

// Knobs of the faulty toy below, which fails reads on demand.
struct ToyFaults {
  std::set<int64_t> unreadable;  // entries that fail with DataLoss
  int64_t lost_in_scan = 0;      // this and later entries silently do not come
  int64_t mangled = 0;           // this entry is stored with another payload
};
// Named "faulty-toy"; `faults` must outlive its instances.
families::FamilyDescriptor faulty_toy_family(const ToyFaults* faults);

}  // namespace qk::image
