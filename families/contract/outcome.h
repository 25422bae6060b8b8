// Outcome of a mutation (contract A-2): every mutation of every family returns one of three.
//
//   ok             durable under the family's sync policy
//   failed-clean   provably not applied; the instance goes on as before
//   indeterminate  applied wholly, partly (within partials(op)) or not at all; until it is reopened
//                  the instance refuses mutations, and its reads show one of these states, or fail
#pragma once

#include <string_view>
#include <utility>

#include "families/base/check.h"
#include "families/base/status.h"

namespace qk::families {

class [[nodiscard]] Outcome {
 public:
  enum class Kind : uint8_t { kOk, kFailedClean, kIndeterminate };

  static Outcome success(int64_t count = 0) { return Outcome(Kind::kOk, absl::OkStatus(), count); }
  static Outcome failed_clean(absl::Status status) {
    QK_CHECK(!status.ok());
    return Outcome(Kind::kFailedClean, std::move(status), 0);
  }
  static Outcome indeterminate(absl::Status status, int64_t count = 0) {
    QK_CHECK(!status.ok());
    return Outcome(Kind::kIndeterminate, std::move(status), count);
  }

  Kind kind() const { return kind_; }
  bool ok() const { return kind_ == Kind::kOk; }
  const absl::Status& status() const { return status_; }
  // Append: how many entries of the batch are known durable. Publish: 1 if the snapshot
  // became the current one, 0 if it was already published. Otherwise 0.
  int64_t count() const { return count_; }

 private:
  Outcome(Kind kind, absl::Status status, int64_t count)
      : kind_(kind), status_(std::move(status)), count_(count) {}

  Kind kind_;
  absl::Status status_;
  int64_t count_;
};

}  // namespace qk::families
