// absl::Status as used here: the one error type. A message names the object, what was found and
// what was expected. Errors of the operating system keep their errno as a payload.
#pragma once

#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "families/base/strings.h"

namespace qk {

// A failed call says nothing about bytes. So no errno becomes DataLoss, OutOfRange or
// InvalidArgument: those three mean that bytes were read and are not what they must be, and a
// recovery may act on them.
//
// ENOENT -> NotFound, EEXIST -> AlreadyExists, ENOSPC/EDQUOT -> ResourceExhausted, EIO -> Unknown,
// EACCES/EPERM/EROFS -> PermissionDenied, EWOULDBLOCK -> Unavailable (locked), ENODEV -> Aborted
// (the simulated machine is off), everything else -> FailedPrecondition. `what` names the operation
// and the object: "open /a/b".
absl::Status errno_status(int error, std::string_view what);

// The errno kept by errno_status(), or 0.
int status_errno(const absl::Status& status);

// The same status with "prefix: " before its message; the errno payload is kept.
absl::Status annotate(const absl::Status& status, std::string_view prefix);

}  // namespace qk

#define QK_STATUS_CONCAT_INNER(a, b) a##b
#define QK_STATUS_CONCAT(a, b) QK_STATUS_CONCAT_INNER(a, b)

#define QK_RETURN_IF_ERROR(expression)                                            \
  do {                                                                            \
    if (absl::Status qk_status = (expression); !qk_status.ok()) return qk_status; \
  } while (false)

#define QK_ASSIGN_OR_RETURN(declaration, expression) \
  QK_ASSIGN_OR_RETURN_INNER(QK_STATUS_CONCAT(qk_statusor_, __LINE__), declaration, expression)

#define QK_ASSIGN_OR_RETURN_INNER(temporary, declaration, expression) \
  auto temporary = (expression);                                      \
  if (!temporary.ok()) return std::move(temporary).status();          \
  declaration = std::move(temporary).value()
