// Which words the program takes, and what becomes of them.
#include "tools/qksim/arguments.h"

#include "families/base/strings.h"
#include "tools/qksim/argument_values.h"
#include "tools/qksim/command_line.h"
#include "tools/qksim/exit_codes.h"
#include "tools/qksim/verb_syntax.h"

namespace qk::cli {
namespace {

constexpr char kExitCodesTopic[] = "exit-codes";

std::string exit_codes_text() {
  std::string out = "exit codes\n";
  for (const ExitCodeText& row : kExitCodes) {
    std::string code = cat(to_int(row.code));
    code.insert(0, 4 - code.size(), ' ');
    out += cat(code, "  ", row.meaning, "\n");
  }
  return out;
}

HelpArguments explain_topic(const CommandSyntax& program, const std::vector<std::string>& topic) {
  if (topic.size() == 1 && topic[0] == kExitCodesTopic) return {exit_codes_text()};
  const auto help = help_on(program, topic, {kExitCodesTopic});
  if (const UsageError* error = std::get_if<UsageError>(&help)) throw BadValue{*error};
  return {std::get<HelpText>(help).text};
}

// What the words of `program` become is left in `arguments`.
void add_commands(CommandSyntax& program, Arguments& arguments) {
  Command& command = arguments.command;
  program
      .value(
          "--color", "WHEN",
          choice(&arguments.colour,
                 {{"auto", Colour::kAuto}, {"always", Colour::kAlways}, {"never", Colour::kNever}}),
          "auto, always or never")
      .by_default("auto");
  const auto version = std::make_shared<bool>(false);
  program.flag("--version", version.get(), "Same as `qksim version`");
  for (const auto verb :
       {run_syntax, shrink_syntax, sweep_syntax, replay_syntax, diff_syntax, explain_syntax,
        image_syntax, migrate_syntax, families_syntax, scenarios_syntax, conformance_syntax,
        contract_syntax, selftest_syntax, explore_syntax}) {
    program.commands.push_back(verb(command));
  }
  CommandSyntax print_version("version", "Print the version");
  print_version.finish = [&command](const Given&) { command = VersionArguments{}; };
  program.commands.push_back(std::move(print_version));

  const auto topic = std::make_shared<std::vector<std::string>>();
  CommandSyntax help("help", "Explain a command, or exit-codes");
  help.positional("TOPIC", topic.get(), "A command, as in image export, or exit-codes");
  help.finish = [&command, &program, topic](const Given&) {
    command = explain_topic(program, *topic);
  };
  program.commands.push_back(std::move(help));

  program.finish = [&command, &program, version](const Given&) {
    if (!*version) refuse("no command", cat("commands: ", join(command_names(program))));
    command = VersionArguments{};
  };
}

void convert_values(const CommandSyntax& syntax) {
  for (const OptionSyntax& option : syntax.options) {
    if (option.convert && !option.word->empty()) option.convert(option.name, *option.word);
  }
}

}  // namespace

std::variant<Arguments, UsageError> parse_arguments(const std::vector<std::string>& words) {
  Arguments arguments;
  CommandSyntax program("qksim",
                        "Simulate, inject faults into, and check the migration of Raft storage.");
  add_commands(program, arguments);
  auto parsed = parse_words(program, words);
  if (UsageError* error = std::get_if<UsageError>(&parsed)) return std::move(*error);
  if (HelpText* help = std::get_if<HelpText>(&parsed)) {
    arguments.command = HelpArguments{std::move(help->text)};
    return arguments;
  }
  const CommandPath& path = std::get<CommandPath>(parsed);
  try {
    const CommandSyntax* last = nullptr;
    for (const CommandSyntax* command : path.commands) {
      convert_values(*command);
      if (command->finish) last = command;
    }
    last->finish(path.given);
  } catch (const BadValue& bad) {
    return bad.error;
  }
  return arguments;
}

}  // namespace qk::cli
