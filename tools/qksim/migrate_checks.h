// What must hold at a destination before `qksim migrate` reads a byte of the source: hours of work
// must not end in a rename that cannot be made. Each check is a function of its own; nothing is
// changed but names in the stage.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "image/transfer.h"
#include "tools/qksim/environment.h"
#include "tools/qksim/storage_argument.h"

namespace qk::cli {

struct MigratePlaces {
  StorageArgument from;
  std::vector<std::string> from_directories;  // real paths that hold the source
  StorageArgument to;                         // its root: a real parent, and a name in it
  bool fence_source = false;
  bool accept_owner = false;
};

struct Precheck {
  std::string name;
  std::function<absl::StatusOr<std::string>()> run;  // what was found, or why not
};

// Of the destination as it is now, and of the source for a fence.
std::vector<Precheck> place_checks(const Environment& environment, const MigratePlaces& places);
// Those that make and remove a directory in the stage, which this process holds.
std::vector<Precheck> stage_checks(const Environment& environment, const MigratePlaces& places,
                                   const std::string& stage);
// Whether the source can be fenced: with place_checks() if it is to be, and before it is.
Precheck fence_check(const Environment& environment, const MigratePlaces& places);
// Whether a copy of what was read fits.
Precheck space_check(const Environment& environment, const MigratePlaces& places,
                     const image::ImageTotals& totals);

// The first error. With `out` each result is printed there, and all run; without it the first error
// ends it.
absl::Status run_checks(const std::vector<Precheck>& checks, std::ostream* out);

}  // namespace qk::cli
