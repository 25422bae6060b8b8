#include <algorithm>

#include "families/base/printable.h"
#include "families/base/strings.h"
#include "tools/qksim/scenario_argument.h"
#include "tools/qksim/verbs.h"

namespace qk::cli {

ExitCode scenarios_list(const ScenariosListArguments& arguments, const Environment& environment) {
  for (const scenarios::ScenarioSource& source : scenarios::builtin_scenarios()) {
    const scenarios::ScenarioHead head = scenarios::head_of(source);
    const bool wanted = arguments.tag.empty() || std::find(head.tags.begin(), head.tags.end(),
                                                           arguments.tag) != head.tags.end();
    if (wanted) *environment.out << head.name << "  " << head.summary << "\n";
  }
  return ExitCode::kOk;
}

ExitCode scenarios_show(const ScenariosShowArguments& arguments, const Environment& environment) {
  scenarios::ScenarioSource source;
  const ExitCode code = find_scenario(environment, arguments.scenario, &source);
  if (code == ExitCode::kOk) *environment.out << printable(source.text, "\n\t");
  return code;
}

ExitCode scenarios_validate(const ScenariosValidateArguments& arguments,
                            const Environment& environment) {
  ExitCode code = ExitCode::kOk;
  for (const std::string& file : arguments.files) {
    scenarios::ScenarioSource source;
    ExitCode one = find_scenario(environment, file, &source);
    scenarios::LoadResult loaded;
    if (one == ExitCode::kOk) one = load_scenario(environment, source, {}, 0, &loaded);
    if (one == ExitCode::kOk) *environment.out << printable(source.file) << ": ok\n";
    code = worst(code, one);
  }
  return code;
}

}  // namespace qk::cli
