// The same for tests.
#pragma once

#include <catch2/catch.hpp>

#include "tools/cmake/precompiled.h"
