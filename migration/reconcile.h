// Reconciliation at start (migration.md 7): the one mutation per lane that a crash may have cut in
// half is completed on both families or undone on both, and nothing else is ever changed. A state
// that no crash of that mutation explains is reported, never repaired.
#pragma once

#include <string>
#include <vector>

#include "migration/intent_journal.h"

namespace qk::migration {

struct ReconcileReport {
  std::vector<std::string> actions;  // what was redone or undone, for the trace and the operator
};

// `primary` and `mirror` are the families as just opened; records of other instances are ignored.
// DataLoss: a lane is in a state outside {before, declared partial, after} of its newest record.
absl::StatusOr<ReconcileReport> reconcile(const IntentJournal& journal, families::Family& primary,
                                          std::string_view primary_instance,
                                          families::Family& mirror,
                                          std::string_view mirror_instance);

}  // namespace qk::migration
