// CLI11 2.1 cuts words into options; everything a user reads about a mistake is ours, because its
// own messages suggest nothing, print unknown words in reverse order, and let "--seed -1" pass as
// 2^64-1.
#include "tools/qksim/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <optional>
#include <set>

#include "families/base/strings.h"
#include "families/base/suggest.h"

namespace qk::cli {
namespace {

constexpr char kHelp[] = "help";

CLI::Validator not_empty() {
  return {[](std::string& text) {
            return std::string(text.empty() ? "expected a value, found \"\"" : "");
          },
          ""};
}

struct Bind {
  CLI::App& app;
  const OptionSyntax& syntax;

  CLI::Option* operator()(bool* to) const { return app.add_flag(syntax.name, *to, syntax.text); }
  CLI::Option* operator()(std::string* to) const {
    return app.add_option(syntax.name, *to, syntax.text)->type_name(syntax.type);
  }
  CLI::Option* operator()(std::vector<std::string>* to) const {
    CLI::Option* const option =
        app.add_option(syntax.name, *to, syntax.text)->type_name(syntax.type);
    // A vector option would swallow the positionals after it.
    if (!option->get_positional()) option->take_all()->allow_extra_args(false);
    return option;
  }
};

void add_option(CLI::App& app, const OptionSyntax& syntax) {
  CLI::Option* const option = std::visit(Bind{app, syntax}, syntax.to);
  if (!syntax.default_word.empty()) option->default_str(syntax.default_word);
  if (syntax.needs_text) option->check(not_empty());
  if (syntax.is_required) option->required();
  if (syntax.is_hidden) option->group("");
  if (!syntax.excluded.empty()) option->excludes(app.get_option(syntax.excluded));
}

void add_words(CLI::App& app, const CommandSyntax& syntax) {
  for (const OptionSyntax& option : syntax.options) add_option(app, option);
  for (const CommandSyntax& command : syntax.commands) {
    add_words(*app.add_subcommand(command.name, command.text), command);
  }
  if (!syntax.commands.empty()) app.require_subcommand(syntax.needs_command ? 1 : 0, 1);
}

// A command of the program as its words are read, in both forms.
struct Level {
  CLI::App* app;
  const CommandSyntax* syntax;

  std::optional<Level> below(const std::string& name) const {
    for (const CommandSyntax& command : syntax->commands) {
      if (command.name == name) return Level{app->get_subcommand(name), &command};
    }
    return std::nullopt;
  }
  // " image export": the commands that lead here, without the program's name.
  std::string path() const { return path_of(*app); }
  std::string help() const {
    return app->get_parent() == nullptr ? app->help()
                                        : app->help(cat("qksim", path_of(*app->get_parent())));
  }

 private:
  static std::string path_of(const CLI::App& app) {
    if (app.get_parent() == nullptr) return "";
    return cat(path_of(*app.get_parent()), " ", app.get_name());
  }
};

class CommandLine {
 public:
  explicit CommandLine(const CommandSyntax& program) : program_(program), app_(program.text) {
    app_.name(program.name);
    app_.fallthrough();
    add_words(app_, program);
  }

  std::variant<CommandPath, HelpText, UsageError> parse(const std::vector<std::string>& words) {
    if (auto error = check_words(words)) return *std::move(error);
    try {
      // CLI11 takes them in reverse.
      app_.parse(std::vector<std::string>(words.rbegin(), words.rend()));
      return path();
    } catch (const CLI::CallForHelp&) {
      return HelpText{deepest(words).help()};
    } catch (const CLI::ExtrasError& error) {
      // It puts the words after a colon, the first one first.
      const std::string_view what = error.what();
      return usage_error(cat("unexpected argument", what.substr(what.rfind(": "))),
                         cat("qksim help", deepest(words).path()));
    } catch (const CLI::ParseError& error) {
      return usage_error(error.what(), cat("qksim help", deepest(words).path()));
    }
  }

  Level top() { return {&app_, &program_}; }

 private:
  CommandPath path() {
    CommandPath out;
    std::optional<Level> level = top();
    CLI::App* last = nullptr;
    while (level) {
      out.commands.push_back(level->syntax);
      last = level->app;
      const std::vector<CLI::App*> parsed = last->get_subcommands();
      level = parsed.empty() ? std::nullopt : level->below(parsed.front()->get_name());
    }
    std::set<std::string, std::less<>> given;
    for (const CLI::Option* option : last->get_options()) {
      if (option->count() == 0) continue;
      // get_name() is empty where an option is hidden.
      for (const std::string& name : option->get_lnames()) given.insert(cat("--", name));
    }
    out.given = [given = std::move(given)](std::string_view name) {
      return given.find(name) != given.end();
    };
    return out;
  }

  // The command that the words lead to, as far as they are known.
  Level deepest(const std::vector<std::string>& words) {
    Level level = top();
    for (const std::string& word : words) {
      if (const auto next = level.below(word)) level = *next;
    }
    return level;
  }

  // Unknown commands and options, before CLI11 says it worse.
  std::optional<UsageError> check_words(const std::vector<std::string>& words) {
    Level level = top();
    std::string open_option;  // the option that the next word belongs to
    std::set<std::string> given;
    bool help = false;
    for (const std::string& word : words) {
      if (!open_option.empty()) {
        open_option.clear();
        continue;
      }
      if (word == "--") break;
      if (word.size() > 1 && word[0] == '-' && !is_number(word)) {
        const std::string name = word.substr(0, word.find('='));
        const CLI::Option* option = find_option(level.app, name);
        if (option == nullptr) return unknown_option(level.app, name);
        help = help || option == level.app->get_help_ptr();
        const bool takes_word = option->get_expected_max() > 0;
        if (option->get_multi_option_policy() == CLI::MultiOptionPolicy::Throw && takes_word &&
            !given.insert(option->get_name()).second) {
          return usage_error(cat(name, " is given twice"), cat("qksim help", level.path()));
        }
        if (takes_word && name.size() + 1 == word.size())
          return needs_value(level, name);  // "--x="
        if (takes_word && name.size() == word.size()) open_option = name;
        continue;
      }
      if (level.syntax->commands.empty()) continue;  // a positional
      const std::optional<Level> next = level.below(word);
      if (!next && takes_words(*level.app)) continue;
      if (!next) {
        return unknown_word(
            level.syntax == &program_ ? "command" : cat(level.syntax->name, " command"), word,
            "commands", command_names(*level.syntax));
      }
      level = *next;
      if (level.syntax->name == kHelp) return std::nullopt;  // the rest is its topic
    }
    if (!open_option.empty()) return needs_value(level, open_option);
    if (words.empty()) {
      return usage_error("no command", cat("commands: ", join(command_names(program_))));
    }
    if (!help && level.syntax->needs_command) {
      return usage_error(cat(level.path().substr(1), " needs a command"),
                         cat("commands: ", join(command_names(*level.syntax))));
    }
    return std::nullopt;
  }

  static UsageError needs_value(const Level& level, const std::string& option) {
    return usage_error(cat(option, " needs a value"), cat("qksim help", level.path()));
  }

  static bool takes_words(const CLI::App& app) {
    const std::vector<const CLI::Option*> options = app.get_options();
    return std::any_of(options.begin(), options.end(),
                       [](const CLI::Option* option) { return option->get_positional(); });
  }

  static bool is_number(const std::string& word) {
    return word.find_first_not_of("0123456789", 1) == std::string::npos;
  }

  static const CLI::Option* find_option(const CLI::App* app, const std::string& name) {
    for (const CLI::App* a = app; a != nullptr; a = a->get_parent()) {
      if (const CLI::Option* option = a->get_option_no_throw(name)) return option;
    }
    return nullptr;
  }

  static UsageError unknown_option(const CLI::App* app, const std::string& name) {
    std::vector<std::string> names;
    for (const CLI::App* a = app; a != nullptr; a = a->get_parent()) {
      for (const CLI::Option* option : a->get_options()) {
        if (option->get_group().empty()) continue;  // hidden
        for (const std::string& known : option->get_lnames()) {
          // --help is on every level.
          const std::string full = cat("--", known);
          if (std::find(names.begin(), names.end(), full) == names.end()) names.push_back(full);
        }
      }
    }
    return unknown_word("option", name, "options", names);
  }

  const CommandSyntax& program_;
  CLI::App app_;
};

}  // namespace

std::variant<CommandPath, HelpText, UsageError> parse_words(const CommandSyntax& program,
                                                            const std::vector<std::string>& words) {
  return CommandLine(program).parse(words);
}

std::variant<HelpText, UsageError> help_on(const CommandSyntax& program,
                                           const std::vector<std::string>& topic,
                                           const std::vector<std::string>& more_topics) {
  // After parsing, an App explains the command that it found; a fresh one explains itself.
  CommandLine line(program);
  Level level = line.top();
  for (const std::string& word : topic) {
    const std::optional<Level> next = level.below(word);
    if (!next) {
      std::vector<std::string> topics = command_names(*level.syntax);
      if (level.syntax == &program) {
        topics.insert(topics.end(), more_topics.begin(), more_topics.end());
      }
      return unknown_word("topic", word, "topics", topics);
    }
    level = *next;
  }
  return HelpText{level.help()};
}

}  // namespace qk::cli
