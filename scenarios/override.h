// --set PATH=VALUE: one field of a scenario replaced from the command line.
//
// A path names fields joined by dots; an element of a repeated field is chosen by its id where it
// has one, or by its position from 0: "cluster.link.loss", "store[new].sqlite.synchronous",
// "at[2].crash.restart_after". A list of words is replaced as a whole: "migration[0].node=n2,n1".
// Messages on the way that the file leaves out are made.
#pragma once

#include <optional>
#include <string>

#include "scenarios/diagnostic.h"
#include "scenarios/source.h"

namespace qk::scenarios {

// Applies `assignment` to `source`; a later error at that field names the argument. On error the
// scenario is not to be used.
std::optional<Diagnostic> apply_override(ParsedSource& source, const std::string& assignment);

}  // namespace qk::scenarios
