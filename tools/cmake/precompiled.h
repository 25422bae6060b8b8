// What nearly every source includes, parsed once for the whole build: libraries only, nothing of
// ours, so that no change of a header of ours rebuilds the world. Each file still includes what it
// uses; the debug build has no precompiled header and so finds an include that is missing.
#pragma once

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
