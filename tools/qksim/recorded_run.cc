#include "tools/qksim/recorded_run.h"

#include "families/base/strings.h"
#include "families/base/suggest.h"
#include "families/fs/file_util.h"
#include "tools/qksim/run_directory.h"
#include "tools/qksim/run_report.h"
#include "tools/qksim/scenario_argument.h"

namespace qk::cli {
namespace {

// A longer trace.txt is not read; what is in it is made again instead.
constexpr uint64_t kMaxTraceBytes = uint64_t{1} << 30;

bool is_run_id(std::string_view word) {
  return word == "latest" || word == "last-failed" ||
         (word.size() == 8 && word.find_first_not_of("0123456789abcdef") == std::string_view::npos);
}

// A directory that is there wins over an id of the same name.
std::string path_of(const Environment& environment, const std::string& argument) {
  const std::string direct = absolute_path(environment, argument);
  const auto there = families::exists(*environment.fs, families::join_path(direct, "chain.txt"));
  if ((there.ok() && *there) || !is_run_id(argument)) return direct;
  return absolute_path(environment, cat(kRuns, "/", argument));
}

}  // namespace

ExitCode find_recorded_run(const Environment& environment, const std::string& argument,
                           RecordedRun* run) {
  run->path = path_of(environment, argument);
  run->shown = argument;
  const std::string chain = families::join_path(run->path, "chain.txt");
  const auto text = families::read_file(*environment.fs, chain, sim::kMaxChainRecordBytes);
  if (!text.ok()) {
    print_error(environment, cat("run ", in_quotes(argument), ": ", to_std(text.status().message()),
                                 "; expected a run directory with its chain.txt, the id of one in ",
                                 kRuns, ", latest or last-failed"));
    return ExitCode::kNoInput;
  }
  auto record = sim::parse_chain_record(*text);
  if (!record.ok()) {
    print_error(environment, cat(chain, ": ", to_std(record.status().message())));
    return ExitCode::kData;
  }
  run->record = *std::move(record);

  // The written plan has all that the run drew or was given, a swarm's share included.
  scenarios::ScenarioSource source;
  ExitCode code = find_scenario(environment, families::join_path(run->path, "plan.txtpb"), &source);
  if (code != ExitCode::kOk) return code;
  scenarios::LoadResult loaded;
  code = load_scenario(environment, source, {}, run->record.seed, &loaded);
  if (code != ExitCode::kOk) return code;
  run->plan = *std::move(loaded.plan);
  run->options.keep_going = run->record.keep_going;
  return ExitCode::kOk;
}

std::optional<std::string> recorded_trace(const Environment& environment, const RecordedRun& run) {
  if (run.record.level != sim::TraceLevel::kFull) return std::nullopt;
  auto text = families::read_file(*environment.fs, families::join_path(run.path, "trace.txt"),
                                  kMaxTraceBytes);
  if (!text.ok()) return std::nullopt;
  return *std::move(text);
}

sim::RunResult run_again(const Environment& environment, const RecordedRun& run,
                         sim::TraceLevel level) {
  sim::RunOptions options = run.options;
  options.trace = level;
  return environment.run(run.plan, options);
}

std::string head_line(const RecordedRun& run) {
  const sim::ChainPoint& end = run.record.points.back();
  return cat(run.plan.name, "  seed ", seed_text(run.record.seed),
             run.record.planted.empty() ? std::string() : cat("  planted ", run.record.planted),
             "  ", end.events, " events  chain ", chain_text(end.chain));
}

}  // namespace qk::cli
