// The rocksdb family (`rocksdb://path`): the key-value storage of families/engine on RocksEngine.
//
// After a crash the state is that after the last ok mutation or the one that was executing; there
// are no partial outcomes, and no image of P0-P2 is refused. Rot of the very last commit looks like
// a torn tail and is not detected; every other damage is DataLoss.
#pragma once

#include "families/contract/family.h"

namespace qk::families {

FamilyDescriptor rocksdb_family();

}  // namespace qk::families
