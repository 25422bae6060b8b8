#include <exception>

#include "families/base/printable.h"
#include "families/base/strings.h"
#include "tools/qksim/image_command.h"
#include "tools/qksim/migrate_command.h"
#include "tools/qksim/verbs.h"

namespace qk::cli {
namespace {

struct Run {
  const Environment& environment;

  ExitCode operator()(const RunArguments& a) const { return run_command(a, environment); }
  ExitCode operator()(const ShrinkArguments& a) const { return shrink_command(a, environment); }
  ExitCode operator()(const ReplayArguments& a) const { return replay_command(a, environment); }
  ExitCode operator()(const DiffArguments& a) const { return diff_command(a, environment); }
  ExitCode operator()(const ExplainArguments& a) const { return explain_command(a, environment); }
  ExitCode operator()(const ImageExportArguments& a) const { return image_export(a, environment); }
  ExitCode operator()(const ImageImportArguments& a) const { return image_import(a, environment); }
  ExitCode operator()(const ImageInspectArguments& a) const {
    return image_inspect(a, environment);
  }
  ExitCode operator()(const ImageVerifyArguments& a) const { return image_verify(a, environment); }
  ExitCode operator()(const MigrateArguments& a) const { return migrate_command(a, environment); }
  ExitCode operator()(const FamiliesArguments& a) const { return families_command(a, environment); }
  ExitCode operator()(const ScenariosListArguments& a) const {
    return scenarios_list(a, environment);
  }
  ExitCode operator()(const ScenariosShowArguments& a) const {
    return scenarios_show(a, environment);
  }
  ExitCode operator()(const ScenariosValidateArguments& a) const {
    return scenarios_validate(a, environment);
  }
  ExitCode operator()(const ConformanceArguments& a) const {
    return environment.suite.conformance(a, environment);
  }
  ExitCode operator()(const ContractArguments& a) const {
    return environment.suite.contract(a, environment);
  }
  ExitCode operator()(const SweepArguments& a) const { return sweep_command(a, environment); }
  ExitCode operator()(const SweepMergeArguments& a) const { return sweep_merge(a, environment); }
  ExitCode operator()(const SelftestArguments& a) const {
    return environment.selftest(a, environment);
  }
  ExitCode operator()(const ExploreArguments& a) const {
    return environment.explore(a, environment);
  }
  ExitCode operator()(const VersionArguments&) const { return version_command(environment); }
  ExitCode operator()(const HelpArguments& a) const {
    *environment.out << a.text;
    return ExitCode::kOk;
  }
};

}  // namespace

ExitCode version_command(const Environment& environment) {
  *environment.out << "qksim " << environment.version << " (" << environment.build << ")\n";
  return ExitCode::kOk;
}

ExitCode dispatch(const std::vector<std::string>& words, Environment environment) {
  const std::variant<Arguments, UsageError> parsed = parse_arguments(words);
  if (const UsageError* error = std::get_if<UsageError>(&parsed)) {
    *environment.err << printable(error->text, "\n");
    return ExitCode::kUsage;
  }
  const Arguments& arguments = std::get<Arguments>(parsed);
  environment.colour_out = use_colour(arguments.colour, environment.terminal_out);
  environment.colour_err = use_colour(arguments.colour, environment.terminal_err);
  return std::visit(Run{environment}, arguments.command);
}

}  // namespace qk::cli
