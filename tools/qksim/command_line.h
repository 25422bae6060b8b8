// Cuts the words of a command line into commands, options and values, as their syntax says, and
// explains them. CLI11 2.1 is in command_line.cc alone (half a minute of compile time).
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "tools/qksim/command_syntax.h"
#include "tools/qksim/usage_error.h"

namespace qk::cli {

// The commands that the words lead to, the program first. What their options point to is filled,
// nothing is converted yet.
struct CommandPath {
  std::vector<const CommandSyntax*> commands;
  Given given;  // of the last of them
};
struct HelpText {
  std::string text;  // ready to print
};

std::variant<CommandPath, HelpText, UsageError> parse_words(const CommandSyntax& program,
                                                            const std::vector<std::string>& words);
// What `topic` leads to, as in {"image", "export"}; the program itself if it is empty.
// `more_topics`: what else there is to explain, for the hint that lists what is allowed.
std::variant<HelpText, UsageError> help_on(const CommandSyntax& program,
                                           const std::vector<std::string>& topic,
                                           const std::vector<std::string>& more_topics);

}  // namespace qk::cli
