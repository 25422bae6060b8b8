// What was wrong with the words of a command line, ready for stderr. The exit code is kUsage.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace qk::cli {

struct UsageError {
  std::string text;  // "error: ...\nhint: ...\n"
};

// An empty hint gives no second line.
UsageError usage_error(std::string_view message, std::string_view hint);
// `what`: of what kind the word is, as in "command". `label`: what the allowed ones are called.
UsageError unknown_word(std::string_view what, std::string_view word, std::string_view label,
                        const std::vector<std::string>& allowed);
// "did you mean \"x\"? allowed: x, y"
std::string hint_of_allowed(std::string_view word, std::string_view label,
                            const std::vector<std::string>& allowed);

}  // namespace qk::cli
