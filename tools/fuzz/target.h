// What every fuzz target defines. A target is one file: it takes bytes that nobody vouches for,
// gives them to one parser, and holds the parser to more than "does not crash": what it accepts
// must read the same again, and what it writes must be what it read (QK_CHECK).
//
// The same two functions serve libFuzzer (`./qk fuzz NAME`) and an ordinary test, which replays the
// seeds and every input that ever failed (tools/fuzz/inputs/NAME), so that a fixed bug stays fixed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace qk::fuzz {

// Valid inputs, from real directories where there are any: where a run begins.
std::vector<std::string> seeds();

// One input. The same input does the same, always.
void run(std::string_view input);

}  // namespace qk::fuzz
