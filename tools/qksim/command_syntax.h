// What words a command takes, as plain data: each VERB_arguments.cc writes its own down, and
// command_line.cc hands them to CLI11. Options fill a struct that `finish` keeps alive:
//
//   CommandSyntax replay_syntax(Command& command) {
//     const auto to = std::make_shared<ReplayArguments>();
//     CommandSyntax replay("replay", "Run a recorded run again and compare the chains");
//     replay.positional("RUN", &to->run, "A run directory").required();
//     replay.value("--to", "SEQ", ordinal(&to->to), "Print the trace up to this event");
//     replay.finish = [to, &command](const Given&) { command = *to; };
//     return replay;
//   }
//
// Help lists options in the order in which they are written down.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace qk::cli {

// Makes a value of the word after `option`; throws BadValue (argument_values.h) if it cannot.
using Convert = std::function<void(std::string_view option, const std::string& word)>;
// Whether an option of the command, by its long name, was among the words.
using Given = std::function<bool(std::string_view option)>;

struct OptionSyntax {
  std::string name;  // "--seed", "-o,--output"; of a positional: "SCENARIO"
  std::string text;
  std::variant<bool*, std::string*, std::vector<std::string>*> to;
  std::string type = "TEXT";      // what help calls the word
  std::string default_word = {};  // empty: none
  std::string excluded = {};      // option that cannot stand beside it; empty: none
  bool is_required = false;
  bool is_hidden = false;
  bool needs_text = false;
  // Of value() alone: where `to` points, and what is called with it unless the word is left out and
  // has no default.
  std::shared_ptr<std::string> word = nullptr;
  Convert convert = nullptr;

  OptionSyntax& required() { return is_required = true, *this; }
  // Refuses "": an unset shell variable must not count as an option that was left out.
  OptionSyntax& not_empty() { return needs_text = true, *this; }
  // Left out of help: for tests only.
  OptionSyntax& hidden() { return is_hidden = true, *this; }
  OptionSyntax& called(std::string shown) { return type = std::move(shown), *this; }
  OptionSyntax& excludes(std::string other) { return excluded = std::move(other), *this; }
  OptionSyntax& by_default(std::string value) {
    return *std::get<std::string*>(to) = default_word = std::move(value), *this;
  }
};

struct CommandSyntax {
  CommandSyntax(std::string command_name, std::string command_text)
      : name(std::move(command_name)), text(std::move(command_text)) {}

  std::string name;
  std::string text;
  std::vector<OptionSyntax> options = {};
  std::vector<CommandSyntax> commands = {};
  bool needs_command = false;  // one of `commands` must follow
  // Called at the end, when every option is converted, of the innermost command that has one.
  std::function<void(const Given&)> finish = nullptr;

  OptionSyntax& positional(std::string option, std::string* to, std::string what) {
    return add({std::move(option), std::move(what), to});
  }
  OptionSyntax& positional(std::string option, std::vector<std::string>* to, std::string what) {
    return add({std::move(option), std::move(what), to});
  }
  OptionSyntax& flag(std::string option, bool* to, std::string what) {
    return add({std::move(option), std::move(what), to});
  }
  // The word is the value.
  OptionSyntax& option(std::string option, std::string type, std::string* to, std::string what) {
    return add({std::move(option), std::move(what), to}).called(std::move(type));
  }
  // May be given several times.
  OptionSyntax& repeated(std::string option, std::string type, std::vector<std::string>* to,
                         std::string what) {
    return add({std::move(option), std::move(what), to}).called(std::move(type));
  }
  OptionSyntax& value(std::string option, std::string type, Convert convert, std::string what) {
    auto word = std::make_shared<std::string>();
    OptionSyntax& added = add({std::move(option), std::move(what), word.get()});
    added.word = std::move(word);
    added.convert = std::move(convert);
    return added.called(std::move(type)).not_empty();
  }

 private:
  OptionSyntax& add(OptionSyntax option) {
    options.push_back(std::move(option));
    return options.back();
  }
};

inline std::vector<std::string> command_names(const CommandSyntax& syntax) {
  std::vector<std::string> names;
  for (const CommandSyntax& command : syntax.commands) names.push_back(command.name);
  return names;
}

}  // namespace qk::cli
