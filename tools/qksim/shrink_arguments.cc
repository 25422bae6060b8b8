#include "tools/qksim/argument_values.h"
#include "tools/qksim/verb_syntax.h"

namespace qk::cli {

CommandSyntax shrink_syntax(Command& command) {
  const auto to = std::make_shared<ShrinkArguments>();
  CommandSyntax shrink("shrink", "Make a run that fails as small as it goes");
  shrink
      .positional("SCENARIO", &to->scenario,
                  "A file, a built-in scenario's name, a run directory, latest or last-failed")
      .required();
  shrink.value("--seed", "N", seed(&to->seed),
               "The seed that fails; default: the scenario's, or 1");
  shrink.repeated("--set", "PATH=VALUE", &to->sets, "Replace one field of the scenario");
  shrink.flag(
      "--swarm", &to->swarm,
      "Let the seed draw which kinds of fault are on, and how strong, as `run --swarm` did");
  shrink.value("--for", "TIME", duration(&to->time_limit),
               "Stop after this time, with what there is by then");
  shrink.option("-o,--output", "FILE", &to->output, "The file; default: NAME-shrunk.qks.txtpb");
  shrink.flag("--any-phase", &to->any_phase,
              "A failure of the same oracle counts, whatever the phase of the node");
  shrink.option("--planted", "TEXT", &to->planted, "Switch a known defect on").hidden();
  shrink.finish = [to, &command](const Given&) { command = *to; };
  return shrink;
}

}  // namespace qk::cli
