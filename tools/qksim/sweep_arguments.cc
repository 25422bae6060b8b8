#include "tools/qksim/argument_values.h"
#include "tools/qksim/verb_syntax.h"

namespace qk::cli {
namespace {

// "1000", "5..10", "0x10..0x1F".
sim::SeedRange seed_range(std::string_view option, const std::string& word) {
  const size_t dots = word.find("..");
  if (dots == std::string::npos) return {1, value_of(option, scenarios::parse_seed(word))};
  return {value_of(option, scenarios::parse_seed(word.substr(0, dots))),
          value_of(option, scenarios::parse_seed(word.substr(dots + 2)))};
}

CommandSyntax merge_syntax(Command& command) {
  const auto to = std::make_shared<SweepMergeArguments>();
  CommandSyntax merge("merge", "Make one sweep of its shards");
  merge.positional("DIR", &to->directories, "Directories of the shards").required();
  merge.option("--out", "DIR", &to->out, "Directory of the whole sweep").not_empty().required();
  merge.finish = [to, &command](const Given&) { command = *to; };
  return merge;
}

}  // namespace

CommandSyntax sweep_syntax(Command& command) {
  const auto to = std::make_shared<SweepArguments>();
  const auto seeds = std::make_shared<std::vector<std::string>>();
  CommandSyntax sweep(
      "sweep",
      "Run scenarios for many seeds, in several processes\n"
      "Exit code 0 says that every seed passed, every oracle with a subject was evaluated in "
      "some\n"
      "seed, every probe of --sometimes was reached, and random faults came where they are asked\n"
      "for; 1 that a seed failed, 70 that a seed ended this program, 3 that a seed gave two\n"
      "different runs, 2 that none of these happened and something was not shown");
  sweep.positional("SCENARIO", &to->scenarios, "Files, or built-in scenarios' names");
  sweep.repeated("--seeds", "A..B|N", seeds.get(),
                 "Seeds A to B, or 1 to N; default 1 to 1000, without an end if --for is given");
  sweep.option("--seeds-from", "FILE", &to->seeds_from, "Seeds of a file, one in a line");
  sweep.value("--for", "TIME", duration(&to->time),
              "Start no seed after this much time of the clock");
  sweep.value("--jobs", "N", count(&to->jobs, kMaxJobs),
              "Processes; default: as many as there are CPUs");
  sweep
      .value("--max-failures", "N", count(&to->max_failures, 1'000'000),
             "End after so many different failures; 0: do not")
      .by_default("5");
  sweep.flag("--swarm", &to->swarm,
             "Let each seed draw which kinds of fault are on, and how strong");
  sweep.flag("--feedback", &to->feedback,
             "Make half of the plans near those of runs that came to something new");
  sweep.repeated("--axis", "PATH=V1,V2", &to->axes, "Run with each of these values of a field");
  sweep.repeated("--set", "PATH=VALUE", &to->sets, "Replace one field of each scenario");
  sweep
      .value("--det-ratio", "SHARE", share(&to->again_ppm),
             "Run this share of the seeds twice and compare")
      .by_default("0.05");
  sweep
      .value(
          "--seed-limit", "TIME",
          [to](std::string_view option, const std::string& word) {
            to->seed_limit = value_of(option, scenarios::parse_duration(word));
            if (to->seed_limit >= sim::kMillisecond) return;
            refuse(cat(option, ": too short"), "allowed: 1ms or more");
          },
          "CPU time after which a seed is stuck")
      .by_default("60s");
  sweep.repeated("--sometimes", "PROBE", &to->sometimes,
                 "A probe that some seed must reach; every: each that a run may reach");
  sweep.option("--junit", "FILE", &to->junit, "Also write a JUnit report");
  sweep.option("--out", "DIR", &to->out, "Directory of the sweep, instead of .qksim/sweeps/ID")
      .not_empty();
  sweep.option("--resume", "DIR", &to->resume, "Go on with the sweep in this directory")
      .not_empty();
  sweep
      .option("--against", "DIR", &to->against,
              "Say which findings are new since the sweep in this directory")
      .not_empty();
  sweep.value("--shard", "K/N", shard(&to->shard, &to->shards),
              "Run each N-th seed, from the K-th on");
  sweep.flag("--json", &to->json, "Print one line of JSON for each seed, then one for all");
  sweep.value("--progress", "FORM", progress_form(&to->progress), "auto, plain or none")
      .by_default("auto");
  sweep.option("--planted", "TEXT", &to->planted, "Switch a known defect on").hidden();
  sweep.commands.push_back(merge_syntax(command));
  sweep.finish = [to, seeds, &command](const Given& given) {
    if (to->resume.empty() == to->scenarios.empty()) {
      refuse("sweep needs one of: SCENARIO, --resume DIR", "qksim help sweep");
    }
    for (const std::string& word : *seeds) to->seeds.push_back(seed_range("--seeds", word));
    if (!to->resume.empty()) {
      refuse_given(
          given,
          {"--seeds", "--seeds-from", "--max-failures", "--swarm", "--feedback", "--axis", "--set",
           "--det-ratio", "--seed-limit", "--sometimes", "--out", "--shard", "--planted"},
          "with --resume", "what a sweep runs is in its directory");
    }
    if (to->feedback && to->shards > 1) {
      refuse("--shard cannot be given with --feedback",
             "the plans of a sweep with feedback depend on the runs before");
    }
    command = *to;
  };
  return sweep;
}

}  // namespace qk::cli
