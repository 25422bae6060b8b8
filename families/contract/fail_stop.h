// FailStop: after the first failed write or sync nobody knows what the disk holds, so the instance
// refuses every further mutation until it is reopened and reread. One per family instance.
#pragma once

#include <utility>

#include "families/contract/outcome.h"

namespace qk::families::local {

class FailStop {
 public:
  // OK, or FailedPrecondition that names the first failure.
  absl::Status check() const {
    if (cause_.ok()) return absl::OkStatus();
    return absl::FailedPreconditionError(
        cat("refused until reopened, an earlier write failed: ", to_std(cause_.message())));
  }

  // Remembers the first failure.
  void trip(const absl::Status& cause) {
    if (cause_.ok()) cause_ = cause;
  }

  Outcome fail(const absl::Status& cause, int64_t count = 0) {
    trip(cause);
    return Outcome::indeterminate(cause, count);
  }

 private:
  absl::Status cause_;
};

}  // namespace qk::families::local
