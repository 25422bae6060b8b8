// A family on a RowStore: its log, hard state and snapshot, and the life of all three.
#pragma once

#include <memory>

#include "families/contract/family.h"
#include "families/engine/row_store.h"

namespace qk::families {

absl::StatusOr<std::unique_ptr<Family>> open_row_family(std::unique_ptr<RowStore> store);

}  // namespace qk::families
