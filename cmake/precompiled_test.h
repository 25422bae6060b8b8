// The same for tests.
#pragma once

#include "cmake/precompiled.h"

#include <catch2/catch.hpp>
