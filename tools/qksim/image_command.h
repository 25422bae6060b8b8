// The verbs of `qksim image`: bootstrap images from and to real directories.
//
// A source directory is only read (engines that write on open write into an overlay), and a change
// of it meanwhile is an error. A destination is a new instance, all or nothing.
//
//   1   verify: the image is damaged, or one that this program refuses
//   64  unknown family, malformed peer                   69  family not in this build
//   65  export: the state is damaged, cannot start a node, or its vote may be lost; export, import:
//       another node's state;
//       import, inspect: the image is damaged or refused
//   66  the input is missing, unreadable, in use, or changed meanwhile
//   73  the output exists, the destination is not empty or another import works there, or writing
//       failed
//   130 SIGINT or SIGTERM came; what was half made is removed
#pragma once

#include "tools/qksim/arguments.h"
#include "tools/qksim/environment.h"
#include "tools/qksim/exit_codes.h"

namespace qk::cli {

ExitCode image_export(const ImageExportArguments& arguments, const Environment& environment);
ExitCode image_import(const ImageImportArguments& arguments, const Environment& environment);
ExitCode image_inspect(const ImageInspectArguments& arguments, const Environment& environment);
ExitCode image_verify(const ImageVerifyArguments& arguments, const Environment& environment);

}  // namespace qk::cli
