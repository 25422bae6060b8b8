// Diagnostic: one complaint about a scenario, with its place.
//
//   rolling.qks.txtpb:21:25: error: sqlite store has no field "synchronus"
//      21 |   sqlite { journal: WAL synchronus: NORMAL }
//         |                         ^
//   hint: did you mean "synchronous"? values: FULL, EXTRA
#pragma once

#include <string>
#include <vector>

namespace qk::scenarios {

struct Diagnostic {
  std::string file;  // or "--set PATH=VALUE"
  int line = 0;      // from 1; 0: no place in a file
  int column = 0;    // from 1, in bytes
  std::string message;
  std::string source;  // the line, without its end
  std::string hint;
};

// A pass stops here; who has made twenty mistakes reads the first ones again anyway.
inline constexpr size_t kMaxDiagnostics = 20;

// Ends with a newline. `colour` paints the word "error:" for a terminal.
std::string to_string(const Diagnostic& diagnostic, bool colour = false);
std::string to_string(const std::vector<Diagnostic>& diagnostics, bool colour = false);

}  // namespace qk::scenarios
