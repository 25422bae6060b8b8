// families and scenarios: what this build has.
#include "tools/qksim/verb_syntax.h"

namespace qk::cli {

CommandSyntax families_syntax(Command& command) {
  const auto to = std::make_shared<FamiliesArguments>();
  CommandSyntax show("show", "Say what a family stores, and its options");
  show.positional("FAMILY", &to->show, "A family of `qksim families list`").required();
  CommandSyntax families("families", "The storage families of this build");
  families.needs_command = true;
  families.commands = {CommandSyntax("list", "List the families"), std::move(show)};
  families.finish = [to, &command](const Given&) { command = *to; };
  return families;
}

CommandSyntax scenarios_syntax(Command& command) {
  const auto listed = std::make_shared<ScenariosListArguments>();
  CommandSyntax list("list", "List the built-in scenarios");
  list.option("--tag", "TEXT", &listed->tag, "Only those with this tag");
  list.finish = [listed, &command](const Given&) { command = *listed; };

  const auto shown = std::make_shared<ScenariosShowArguments>();
  CommandSyntax show("show", "Print a scenario");
  show.positional("SCENARIO", &shown->scenario, "A file or a name").required();
  show.finish = [shown, &command](const Given&) { command = *shown; };

  const auto checked = std::make_shared<ScenariosValidateArguments>();
  CommandSyntax validate("validate", "Check files without running them");
  validate.positional("FILE", &checked->files, "Files or names").required();
  validate.finish = [checked, &command](const Given&) { command = *checked; };

  CommandSyntax scenarios("scenarios", "The scenarios of this build, and files");
  scenarios.needs_command = true;
  scenarios.commands = {std::move(list), std::move(show), std::move(validate)};
  return scenarios;
}

}  // namespace qk::cli
