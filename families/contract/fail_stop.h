// FailStop: after the first failed write or sync nobody knows what the disk holds, so the instance
// refuses every further mutation until it is reopened and reread. One per family instance;
// each mutation asks it first, before it looks at its arguments.
#pragma once

#include <utility>

#include "families/contract/outcome.h"

namespace qk::families {

class FailStop {
 public:
  // OK, or a status with the code and errno of the first failure, which it names.
  absl::Status check() const {
    return annotate(cause_, "refused until reopened, an earlier write failed");
  }

  // Remembers the first failure, which names its object.
  void trip(const absl::Status& cause) {
    if (cause_.ok()) cause_ = cause;
  }

  // The outcome of the mutation that failed.
  Outcome fail(const absl::Status& cause, int64_t count = 0) {
    trip(cause);
    return Outcome::indeterminate(cause, count);
  }

 private:
  absl::Status cause_;
};

}  // namespace qk::families

// In a mutation that has done nothing yet: an error refuses it, failed-clean.
#define QK_REFUSE_IF_ERROR(expression)                                    \
  do {                                                                    \
    if (absl::Status qk_status = (expression); !qk_status.ok()) {         \
      return ::qk::families::Outcome::failed_clean(std::move(qk_status)); \
    }                                                                     \
  } while (false)
