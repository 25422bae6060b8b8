// Where an instance lies, as a command line says it: --family and a directory, or the three URIs of
// braft's NodeOptions.
#pragma once

#include <string>

#include "families/contract/uri.h"
#include "tools/qksim/environment.h"
#include "tools/qksim/exit_codes.h"

namespace qk::cli {

struct StorageArgument {
  const families::FamilyDescriptor* family = nullptr;
  std::string root;  // absolute
  families::PartPaths parts;
};

// `directory`: of the option that `option` names. Says what is wrong, as kUsage.
ExitCode find_storage(const Environment& environment, const std::string& family,
                      const std::string& directory, std::string_view option,
                      const families::UriTriple& uris, StorageArgument* out);

}  // namespace qk::cli
