// conformance and contract: the suite, and what it showed.
#include "tools/qksim/argument_values.h"
#include "tools/qksim/verb_syntax.h"

namespace qk::cli {

CommandSyntax conformance_syntax(Command& command) {
  const auto to = std::make_shared<ConformanceArguments>();
  CommandSyntax conformance("conformance", "Run the storage contract's checks");
  conformance.positional("FAMILY", &to->family, "A family, or all").required();
  conformance.option("--filter", "RE", &to->filter,
                     "Only cases whose id matches, as in BASIC/append_one/local/plain/sim");
  conformance.value("--seeds", "N", repetitions(&to->seeds), "Run each case with the seeds 1 to N")
      .by_default("1");
  conformance
      .value("--disk", "WHERE",
             choice(&to->disk,
                    {{"sim", Disks::kSimulated}, {"real", Disks::kReal}, {"both", Disks::kBoth}}),
             "Where instances lie: sim, real (slow) or both")
      .by_default("sim");
  conformance.flag("--list", &to->list, "List the checks, run none");
  conformance.option("--junit", "FILE", &to->junit, "Also write a JUnit report");
  conformance.value(
      "--generated", "SETTING",
      choice<std::string>(&to->generated, {{"commit", "commit"}, {"release", "release"}}),
      "Instead of the checks: every case of the contract's state graph, in the\n"
      "setting commit (minutes) or release (hours)");
  conformance.value("--shard", "K/N", shard(&to->shard, &to->shards),
                    "Generated: each N-th unit, from the K-th on");
  conformance
      .option("--resume", "DIR", &to->resume,
              "Generated: note what is done in DIR, and do not do it again")
      .not_empty();
  conformance.finish = [to, &command](const Given& given) {
    const std::string hint = "qksim help conformance";
    if (to->generated.empty()) {
      refuse_given(given, {"--shard", "--resume"}, "without --generated", hint);
    } else {
      refuse_given(given, {"--seeds", "--disk", "--junit"}, "with --generated", hint);
    }
    command = *to;
  };
  return conformance;
}

CommandSyntax contract_syntax(Command& command) {
  const auto to = std::make_shared<ContractArguments>();
  CommandSyntax show("show", "Print a requirement with its checks and cases");
  show.positional("ID", &to->show, "As in SB-18").required();
  CommandSyntax contract(
      "contract",
      "The storage contract's requirements, and what the last conformance runs showed of them");
  contract.repeated("--family", "FAMILY", &to->families, "Judge these families only");
  contract.flag("--missing", &to->missing, "Only requirements that failed or lack evidence");
  contract
      .value("--format", "FORM",
             choice(&to->format, {{"table", TableFormat::kTable},
                                  {"json", TableFormat::kJson},
                                  {"markdown", TableFormat::kMarkdown}}),
             "table, json or markdown")
      .by_default("table");
  contract.commands = {CommandSyntax("list", "List all requirements"), std::move(show)};
  contract.finish = [to, &command](const Given&) { command = *to; };
  return contract;
}

}  // namespace qk::cli
