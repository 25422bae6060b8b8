// `qksim migrate`: moves the storage of a stopped node to another family, on real directories.
//
// The source is only read (unless it is to be fenced, at the very end). The new instance is made in
// a stage beside the destination (migrate_stage.h), read back by its own opener, compared domain by
// domain, and moved to the destination by one rename. A process that is killed at any moment leaves
// the destination absent or whole; --resume then goes on, and ends with the same digest.
//
//   1   the copy, or a destination that is there already, differs from the source
//   64  unknown family, malformed URI or peer            69  family not in this build
//   65  the source is damaged, cannot start a node, may have lost its vote, or is another node's;
//       the stage is another migration's or not one at all
//   66  the source is missing, unreadable, in use, or changed meanwhile
//   73  a check of the destination failed, another migration works there, an unfinished one is
//       there and --resume is not given, or writing failed
//   130 SIGINT, SIGTERM or SIGHUP came; what is left, and how to go on, is said
//
// It is a bootstrap with full validation, and no rolling migration (RM-33): the node is stopped.
#pragma once

#include "tools/qksim/arguments.h"
#include "tools/qksim/environment.h"
#include "tools/qksim/exit_codes.h"

namespace qk::cli {

ExitCode migrate_command(const MigrateArguments& arguments, const Environment& environment);

}  // namespace qk::cli
