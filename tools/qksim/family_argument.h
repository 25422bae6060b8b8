// A family named on the command line.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tools/qksim/environment.h"
#include "tools/qksim/exit_codes.h"

namespace qk::cli {

// Those of real directories, or with braft as shipped those of the simulator too.
enum class Families : uint8_t { kBuiltin, kSimulated };

// Sets `family` and returns kOk; or prints what is wrong with `name`, what is allowed and the
// nearest match, and returns kUnavailable for a family that exists but not in this build, else
// kUsage. `where` says which argument it was: "--family".
ExitCode find_family(const Environment& environment, std::string_view name, std::string_view where,
                     const families::FamilyDescriptor** family,
                     Families among = Families::kBuiltin);

// Families that exist but are not in this build, in byte order.
std::vector<std::string> families_not_built(const Environment& environment);

}  // namespace qk::cli
