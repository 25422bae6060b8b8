// Shared by the tests of the sqlite family.
#pragma once

#include "families/sqlite/sqlite_family.h"
#include "families/testing/util.h"

namespace qk::families {

inline absl::StatusOr<std::unique_ptr<Family>> open_sqlite(FileSystem& fs, const std::string& root,
                                                           bool create,
                                                           FamilyOptions options = {}) {
  OpenRequest request;
  request.fs = &fs;
  request.root = root;
  request.create = create;
  request.options = std::move(options);
  return sqlite_family().open(request);
}

}  // namespace qk::families
