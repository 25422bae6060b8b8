#include "families/base/status.h"

#include <cerrno>
#include <cstring>
#include <string>

namespace qk {
namespace {

constexpr char kErrnoPayload[] = "qk/errno";

absl::StatusCode code_of(int error) {
  switch (error) {
    case ENOENT:
      return absl::StatusCode::kNotFound;
    case EEXIST:
      return absl::StatusCode::kAlreadyExists;
    case ENOSPC:
    case EDQUOT:
      return absl::StatusCode::kResourceExhausted;
    case EIO:
      return absl::StatusCode::kUnknown;
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::StatusCode::kPermissionDenied;
    case EWOULDBLOCK:
      return absl::StatusCode::kUnavailable;
    case ENODEV:
      return absl::StatusCode::kAborted;
    default:
      return absl::StatusCode::kFailedPrecondition;
  }
}

}  // namespace

absl::Status errno_status(int error, std::string_view what) {
  absl::Status status(code_of(error), cat(what, ": ", std::strerror(error)));
  status.SetPayload(kErrnoPayload, absl::Cord(std::to_string(error)));
  return status;
}

int status_errno(const absl::Status& status) {
  const auto payload = status.GetPayload(kErrnoPayload);
  return payload ? std::stoi(std::string(*payload)) : 0;
}

absl::Status annotate(const absl::Status& status, std::string_view prefix) {
  if (status.ok()) return status;
  absl::Status result(status.code(), cat(prefix, ": ", to_std(status.message())));
  if (const auto payload = status.GetPayload(kErrnoPayload)) {
    result.SetPayload(kErrnoPayload, *payload);
  }
  return result;
}

}  // namespace qk
