// `qksim sweep`: many seeds over processes. What the records say is sim/explore's business; here
// they are made, kept and printed.
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <map>

#include "families/base/printable.h"
#include "families/base/strings.h"
#include "families/base/suggest.h"
#include "families/fs/file_util.h"
#include "scenarios/values.h"
#include "sim/explore/feedback.h"
#include "sim/explore/swarm.h"
#include "sim/explore/sweep_summary.h"
#include "sim/kernel/trace_text.h"
#include "tools/qksim/output_file.h"
#include "tools/qksim/run_directory.h"
#include "tools/qksim/run_report.h"
#include "tools/qksim/scenario_argument.h"
#include "tools/qksim/sweep_directory.h"
#include "tools/qksim/sweep_progress.h"
#include "tools/qksim/sweep_report.h"
#include "tools/qksim/verbs.h"
#include "tools/qksim/worker_pool.h"

namespace qk::cli {
namespace {

constexpr uint64_t kDefaultSeeds = 1000;
constexpr std::string_view kSweeps = ".qksim/sweeps";
constexpr std::string_view kFailures = "failures";
constexpr int kWaitMs = 200;
// A seed whose process is killed so often is a finding: it may be the seed that takes all memory.
constexpr uint32_t kMaxKills = 3;
constexpr int64_t kSyncEveryMs = 1000;

enum JobKind : uint8_t {
  kFirstRun,
  kSecondRun,  // in a process of its own
  kKept,       // with a full trace and a run directory; in a process of its own
};

// One seed in a line, decimal or hexadecimal; empty lines and what follows '#' do not count.
absl::StatusOr<std::vector<uint64_t>> read_seeds(const Environment& environment,
                                                 const std::string& file) {
  constexpr uint64_t kMaxBytes = uint64_t{256} << 20;
  QK_ASSIGN_OR_RETURN(
      const std::string text,
      families::read_file(*environment.fs, absolute_path(environment, file), kMaxBytes));
  std::vector<uint64_t> seeds;
  uint64_t number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string word = text.substr(begin, end - begin);
    begin = end + 1;
    ++number;
    word.resize(std::min(word.find('#'), word.size()));
    word.erase(0, std::min(word.find_first_not_of(" \t\r"), word.size()));
    word.resize(word.find_last_not_of(" \t\r") + 1);
    if (word.empty()) continue;
    const auto seed = scenarios::parse_seed(word);
    if (!seed.ok()) {
      return absl::DataLossError(cat(file, ":", number, ": ", seed.complaint().message,
                                     ", expected one seed in each line"));
    }
    seeds.push_back(seed.value());
  }
  if (seeds.empty()) return absl::DataLossError(cat(file, ": holds no seed"));
  return seeds;
}

class Sweep {
 public:
  Sweep(const SweepArguments& arguments, const Environment& environment)
      : arguments_(arguments), environment_(environment) {}

  ExitCode run() {
    for (const auto step : {&Sweep::define, &Sweep::check_outputs, &Sweep::open_directory}) {
      if (const ExitCode code = (this->*step)(); code != ExitCode::kOk) return code;
    }
    environment_.catch_signals();
    progress_.emplace(environment_, arguments_.progress,
                      definition_.open_ended ? 0 : definition_.my_job_count(), records_.size());
    tell_start();
    WorkerPool pool(
        {.workers = arguments_.jobs > 0 ? arguments_.jobs : std::max(1U, environment_.processors),
         .cpu_limit_ms = definition_.seed_limit / sim::kMillisecond,
         .wall_ms = environment_.wall_ms},
        [this](const WorkerPool::Job& job, const WorkerPool::Send& send) { work(job, send); });
    absl::Status status = run_seeds(pool);
    const auto rate = progress_->rate_text();
    sim::SweepSummary summary =
        sim::summarize(definition_, records_, earlier_ ? &*earlier_ : nullptr);
    if (status.ok() && !environment_.interrupted()) status = keep_failures(pool, summary);
    progress_->end();
    if (!status.ok()) return sweep_error(environment_, status);
    return conclude(summary, rate);
  }

 private:
  // --- What is to run.

  ExitCode define() {
    if (!arguments_.resume.empty()) return define_from_directory();
    if (const ExitCode code = check_planted(environment_, arguments_.planted);
        code != ExitCode::kOk) {
      return code;
    }
    sim::SweepDefinition& to = definition_;
    to.build = environment_.build;
    to.directory = environment_.directory;
    to.swarm = arguments_.swarm;
    to.feedback = arguments_.feedback;
    to.planted = arguments_.planted;
    to.again_ppm = arguments_.again_ppm;
    to.max_failures = arguments_.max_failures;
    to.seed_limit = arguments_.seed_limit;
    to.sometimes = arguments_.sometimes;
    to.shard = arguments_.shard;
    to.shards = arguments_.shards;
    for (const std::string& probe : arguments_.sometimes) {
      if (const absl::Status status = sim::check_probe(probe); !status.ok()) {
        return sweep_error(environment_, annotate(status, "--sometimes"));
      }
    }
    const auto axes = sim::combinations(arguments_.axes);
    if (!axes.ok()) return sweep_error(environment_, annotate(axes.status(), "--axis"));
    if (const ExitCode code = define_seeds(axes->size() * arguments_.scenarios.size());
        code != ExitCode::kOk) {
      return code;
    }
    for (const std::string& scenario : arguments_.scenarios) {
      for (const std::vector<std::string>& axis : *axes) {
        if (const ExitCode code = add_variant(scenario, axis); code != ExitCode::kOk) return code;
      }
    }
    if (const absl::Status status = sim::check(to); !status.ok()) {
      return sweep_error(environment_, status);
    }
    return ExitCode::kOk;
  }

  ExitCode define_seeds(uint64_t variants) {
    definition_.seeds = arguments_.seeds;
    if (!arguments_.seeds_from.empty()) {
      auto seeds = read_seeds(environment_, arguments_.seeds_from);
      if (!seeds.ok()) return sweep_input_error(environment_, seeds.status());
      for (const sim::SeedRange& range : sim::ranges_of(*std::move(seeds))) {
        definition_.seeds.push_back(range);
      }
    }
    auto& seeds = definition_.seeds;
    std::sort(seeds.begin(), seeds.end(),
              [](const auto& a, const auto& b) { return a.first < b.first; });
    if (!seeds.empty()) return ExitCode::kOk;
    definition_.open_ended = arguments_.time.has_value();
    seeds = {{1, definition_.open_ended ? sim::kMaxSweepJobs / std::max<uint64_t>(1, variants)
                                        : kDefaultSeeds}};
    return ExitCode::kOk;
  }

  ExitCode add_variant(const std::string& scenario, const std::vector<std::string>& axis) {
    sim::SweepVariant variant;
    variant.scenario = scenario;
    variant.sets = arguments_.sets;
    variant.sets.insert(variant.sets.end(), axis.begin(), axis.end());
    std::optional<sim::Plan> plan;
    if (const ExitCode code = load_first(variant, &plan); code != ExitCode::kOk) return code;
    variant.name = plan->name;
    for (const std::string& value : axis) variant.name += cat(" ", value);
    variant.scenario_hash = plan->scenario_hash;
    if (!plan->planted.empty() && plan->planted != definition_.planted) {
      print_error(environment_,
                  cat("scenario ", in_quotes(plan->name), " switches the planted bug ",
                      in_quotes(plan->planted), " on, expected --planted ", plan->planted));
      return ExitCode::kUsage;
    }
    variant.oracles = sim::oracles_with_subject(*plan);
    variant.random_faults = plan->random.any();
    for (const sim::SweepVariant& other : definition_.variants) {
      if (other.name != variant.name) continue;
      print_error(environment_, cat("scenario ", in_quotes(variant.name), " is given twice"));
      return ExitCode::kUsage;
    }
    definition_.variants.push_back(std::move(variant));
    return ExitCode::kOk;
  }

  // The plan of the first seed, with its initial directories checked: whatever is wrong with a
  // scenario is said before anything runs.
  ExitCode load_first(const sim::SweepVariant& variant, std::optional<sim::Plan>* plan) {
    scenarios::ScenarioSource& source = sources_[variant.scenario];
    if (source.text.empty()) {
      const ExitCode code = find_scenario(environment_, place_of(variant.scenario), &source);
      if (code != ExitCode::kOk) return code;
    }
    scenarios::LoadResult loaded;
    const ExitCode code =
        load_scenario(environment_, source, variant.sets, definition_.seeds.front().first, &loaded);
    if (code == ExitCode::kOk) *plan = std::move(loaded.plan);
    return code;
  }

  // Of a sweep that goes on, a file that is named relative to where the sweep began; if it is not
  // there any more, relative to here.
  std::string place_of(const std::string& scenario) const {
    if (arguments_.resume.empty() || definition_.directory.empty() || scenario.starts_with('/')) {
      return scenario;
    }
    for (const scenarios::ScenarioSource& builtin : scenarios::builtin_scenarios()) {
      if (scenarios::scenario_stem(builtin.file) == scenario) return scenario;
    }
    const std::string there =
        absolute_path(environment_, families::join_path(definition_.directory, scenario));
    const auto found = environment_.fs->stat(there);
    return found.ok() ? there : scenario;
  }

  ExitCode define_from_directory() {
    auto found = read_sweep(environment_, absolute_path(environment_, arguments_.resume));
    if (!found.ok()) return sweep_input_error(environment_, found.status());
    definition_ = std::move(found->definition);
    if (definition_.feedback) {
      print_error(environment_, cat(arguments_.resume,
                                    ": the sweep was made with --feedback, which "
                                    "cannot be resumed: its plans depend on what the runs before "
                                    "came to, and that is not kept"));
      return ExitCode::kUsage;
    }
    const auto refuse = [&](std::string_view what, std::string_view was, std::string_view is) {
      print_error(environment_, cat(arguments_.resume, ": the sweep was made with ", what, " ", was,
                                    ", this is ", is, "; its records cannot be added to"));
      return ExitCode::kData;
    };
    if (definition_.build != environment_.build) {
      return refuse("build", definition_.build, environment_.build);
    }
    for (const sim::SweepVariant& variant : definition_.variants) {
      std::optional<sim::Plan> plan;
      if (const ExitCode code = load_first(variant, &plan); code != ExitCode::kOk) return code;
      if (plan->scenario_hash != variant.scenario_hash) {
        return refuse(cat("another text of scenario ", variant.scenario, ", of hash"),
                      cat(hex16(variant.scenario_hash)), cat(hex16(plan->scenario_hash)));
      }
    }
    return ExitCode::kOk;
  }

  // Whatever cannot be written is found out before hours of runs.
  ExitCode check_outputs() {
    if (!arguments_.junit.empty()) {
      const absl::Status status =
          check_junit_replaceable(absolute_path(environment_, arguments_.junit), "sweep");
      if (!status.ok()) return sweep_error(environment_, annotate(status, "--junit"));
    }
    if (arguments_.against.empty()) return ExitCode::kOk;
    const auto before = read_sweep(environment_, absolute_path(environment_, arguments_.against));
    if (!before.ok()) {
      return sweep_input_error(environment_, annotate(before.status(), "--against"));
    }
    auto earlier = sim::earlier_sweep(
        before->definition, sim::summarize(before->definition, before->by_job), before->findings);
    if (!earlier.ok()) return sweep_error(environment_, annotate(earlier.status(), "--against"));
    earlier_ = *std::move(earlier);
    return ExitCode::kOk;
  }

  ExitCode open_directory() {
    if (!arguments_.resume.empty()) {
      SweepRecords found;
      auto opened = SweepDirectory::resume(environment_,
                                           absolute_path(environment_, arguments_.resume), &found);
      if (!opened.ok()) return sweep_error(environment_, opened.status());
      directory_ = *std::move(opened);
      shown_ = arguments_.resume;
      records_ = std::move(found.by_job);
      cut_ = sim::failure_cut(definition_, records_);
      return ExitCode::kOk;
    }
    shown_ = arguments_.out;
    if (shown_.empty()) {
      shown_ = cat(kSweeps, "/", hex8(static_cast<uint32_t>(environment_.random_seed())));
    }
    auto created =
        SweepDirectory::create(environment_, absolute_path(environment_, shown_), definition_);
    if (!created.ok()) {
      print_error(environment_, std::string(to_std(created.status().message())));
      return ExitCode::kCannotWrite;
    }
    directory_ = *std::move(created);
    return ExitCode::kOk;
  }

  void tell_start() {
    if (arguments_.progress == ProgressForm::kNone) return;
    *environment_.err << printable(
                             cat("sweep ", shown_, " seeds ", sim::seeds_text(definition_.seeds)))
                      << "\n"
                      << std::flush;
  }

  // --- Running.

  absl::Status run_seeds(WorkerPool& pool) {
    started_ms_ = environment_.wall_ms();
    int64_t synced_ms = started_ms_;
    while (!environment_.interrupted()) {
      while (pool.idle() > 0) {
        const std::optional<WorkerPool::Job> job = next();
        if (!job) break;
        QK_RETURN_IF_ERROR(pool.start(*job));
      }
      if (pool.busy() == 0) break;
      for (WorkerPool::Outcome& outcome : pool.wait(kWaitMs)) {
        QK_RETURN_IF_ERROR(take(std::move(outcome)));
      }
      if (environment_.wall_ms() - synced_ms < kSyncEveryMs) continue;
      QK_RETURN_IF_ERROR(directory_->sync());
      synced_ms = environment_.wall_ms();
    }
    return directory_->sync();
  }

  // What a plan is made from is settled so many jobs before it, so that it depends neither on how many
  // run at a time nor on which of them ends first.
  static constexpr uint64_t kFeedbackLag = 64;

  // Whether all is known of the runs that job `number` may be made from.
  bool settle_feedback(uint64_t number) {
    for (; settled_ + kFeedbackLag < number; ++settled_) {
      const auto record = records_.find(settled_);
      if (record == records_.end()) return false;
      feedback_[record->second.variant].ran(record->second.seed, record->second.near,
                                            tuples_[settled_]);
      tuples_.erase(settled_);
    }
    return true;
  }

  WorkerPool::Job job_of(uint64_t number, JobKind kind, bool alone,
                         const std::vector<uint64_t>& near) const {
    WorkerPool::Job job{.number = number, .kind = kind, .alone = alone};
    static_assert(WorkerPool::kMaxNumbers >= sim::Feedback::kMaxAncestors);
    QK_CHECK(near.size() <= job.numbers.size());
    std::copy(near.begin(), near.end(), job.numbers.begin());
    job.count = static_cast<uint8_t>(near.size());
    return job;
  }
  static std::vector<uint64_t> near_of(const WorkerPool::Job& job) {
    return {job.numbers.begin(), job.numbers.begin() + job.count};
  }

  std::optional<WorkerPool::Job> next() {
    if (!killed_.empty()) {
      WorkerPool::Job job = killed_.front();
      killed_.pop_front();
      job.alone = true;
      return job;
    }
    if (!again_.empty()) {
      const uint64_t number = again_.front();
      again_.pop_front();
      return job_of(number, kSecondRun, true, pending_.at(number).near);
    }
    if (arguments_.time &&
        environment_.wall_ms() - started_ms_ >= *arguments_.time / sim::kMillisecond) {
      return std::nullopt;
    }
    const uint64_t end = std::min(cut_.value_or(UINT64_MAX), definition_.job_count());
    while (cursor_ < end && (!definition_.is_mine(cursor_) || records_.count(cursor_) > 0)) {
      ++cursor_;
    }
    if (cursor_ >= end) return std::nullopt;
    if (!definition_.feedback) return job_of(cursor_++, kFirstRun, false, {});
    if (!settle_feedback(cursor_)) return std::nullopt;
    const auto near =
        feedback_[definition_.variant_of(cursor_)].ancestors(definition_.seed_of(cursor_));
    return job_of(cursor_++, kFirstRun, false, near);
  }

  sim::SeedRecord record_of(const WorkerPool::Outcome& outcome) const {
    const uint32_t variant = definition_.variant_of(outcome.job.number);
    const uint64_t seed = definition_.seed_of(outcome.job.number);
    if (outcome.answered) {
      const std::string_view line = outcome.message;
      auto record = sim::parse_record(line.substr(0, line.find('\n')));
      if (record.ok() && record->variant == variant && record->seed == seed) {
        return *std::move(record);
      }
      return sim::record_of_death(variant, seed, "an answer that is not a record of this seed");
    }
    return outcome.stuck ? sim::record_of_stuck(variant, seed, definition_.seed_limit)
                         : sim::record_of_death(variant, seed, outcome.ended);
  }

  // Behind the record, a tuple in each line.
  static std::vector<std::string> tuples_of(const WorkerPool::Outcome& outcome) {
    std::vector<std::string> tuples;
    if (!outcome.answered) return tuples;
    const std::string_view message = outcome.message;
    size_t begin = std::min(message.find('\n'), message.size() - 1) + 1;
    while (begin < message.size()) {
      const size_t end = std::min(message.find('\n', begin), message.size());
      tuples.emplace_back(message.substr(begin, end - begin));
      begin = end + 1;
    }
    return tuples;
  }

  absl::Status take(WorkerPool::Outcome outcome) {
    const uint64_t number = outcome.job.number;
    if (outcome.killed && ++kills_[number] < kMaxKills) {
      progress_->tell(cat("note: the process that ran seed ",
                          seed_text(definition_.seed_of(number)),
                          " was killed, from outside or because memory is short; it runs again"));
      killed_.push_back(outcome.job);
      return absl::OkStatus();
    }
    sim::SeedRecord record = record_of(outcome);
    record.near = near_of(outcome.job);
    if (outcome.job.kind == kFirstRun) {
      if (definition_.feedback) tuples_[number] = tuples_of(outcome);
      if (!sim::is_finding(record.verdict) && !definition_.runs_twice(record.seed)) {
        return finish(number, std::move(record));
      }
      pending_[number] = std::move(record);
      again_.push_back(number);
      return absl::OkStatus();
    }
    const auto first = pending_.find(number);
    QK_CHECK(first != pending_.end());
    sim::SeedRecord whole = std::move(first->second);
    pending_.erase(first);
    return finish(number, sim::with_second_run(std::move(whole), std::move(record)));
  }

  absl::Status finish(uint64_t number, sim::SeedRecord record) {
    QK_RETURN_IF_ERROR(directory_->append(sim::to_line(record)));
    const bool differs = record.second == sim::SecondRun::kDiffers;
    if (differs || sim::is_finding(record.verdict)) {
      progress_->tell(cat(differs ? "DIVERGED" : sim::to_string(record.verdict), "  ",
                          definition_.variants[record.variant].name, "  seed ",
                          seed_text(record.seed), "  ",
                          differs ? record.difference : record.signature));
    }
    progress_->add(record);
    const bool failure = sim::is_failure(record.verdict);
    records_.emplace(number, std::move(record));
    if (failure) cut_ = sim::failure_cut(definition_, records_);
    return absl::OkStatus();
  }

  // In the worker.
  void work(const WorkerPool::Job& job, const WorkerPool::Send& send) {
    const uint32_t number = definition_.variant_of(job.number);
    const sim::SweepVariant& variant = definition_.variants[number];
    const scenarios::ScenarioSource& source = sources_.at(variant.scenario);
    RunReport report;
    report.arguments.scenario = variant.scenario;
    report.arguments.sets = variant.sets;
    report.arguments.swarm = definition_.swarm;
    report.arguments.planted = definition_.planted;
    report.arguments.trace = job.kind == kKept ? sim::TraceLevel::kFull : sim::TraceLevel::kMarks;
    report.version = environment_.version;
    report.build = environment_.build;
    report.seed = definition_.seed_of(job.number);

    const int64_t start_ns = environment_.cpu_ns();
    scenarios::LoadResult loaded =
        scenarios::load(source, variant.sets, report.seed, *environment_.simulated,
                        scenarios::make_tree_resolver(*environment_.fs, source.directory));
    QK_CHECK(loaded.plan.has_value());  // it has for another seed
    report.arguments.near = near_of(job);
    if (job.count > 0) {
      load_near(environment_, source, variant.sets, definition_.swarm, report.arguments.near,
                report.seed, &loaded);
    } else if (definition_.swarm) {
      load_swarm(environment_, source, variant.sets, &loaded);
    }
    sim::Plan plan = *std::move(loaded.plan);
    plan.planted = report.arguments.planted;
    report.name = plan.name;
    const auto answer = [&](const sim::RunResult& result) {
      sim::SeedRecord record = sim::record_of(plan, result, number, report.seed);
      record.cpu_ns = environment_.cpu_ns() - start_ns;
      if (definition_.swarm && sim::is_finding(record.verdict)) {
        record.lines.push_back(cat("swarm     ", sim::swarm_text(plan)));
      }
      if (job.kind == kKept) {
        report.result = result;
        keep(report, plan, loaded.effective, names_.at(job.number));
      }
      std::string message = sim::to_line(record);
      for (const std::string& tuple : result.tuples) message += cat(tuple, "\n");
      send(message);
    };
    sim::RunOptions options;
    options.trace = report.arguments.trace;
    options.tuples = definition_.feedback;
    options.internal_error = [&](const sim::RunResult& result) {
      answer(result);
      ::_exit(to_int(ExitCode::kInternal));
    };
    answer(environment_.run(plan, options));
  }

  // --- Run directories of failures.

  std::string failures() const { return families::join_path(directory_->path(), kFailures); }

  absl::Status keep_failures(WorkerPool& pool, const sim::SweepSummary& summary) {
    std::map<uint64_t, const sim::SweepFinding*> wanted;  // by job
    for (const sim::SweepFinding* finding : findings_to_keep(summary)) {
      const std::string path = families::join_path(failures(), failure_name(definition_, *finding));
      QK_ASSIGN_OR_RETURN(const bool there, families::exists(*environment_.fs, path));
      if (there) continue;
      const auto job = definition_.job_of(finding->variant, finding->shortest.seed);
      QK_CHECK(job.has_value());
      wanted[*job] = finding;
      names_[*job] = failure_name(definition_, *finding);
    }
    auto job = wanted.begin();
    while (!environment_.interrupted()) {
      for (; job != wanted.end() && pool.idle() > 0; ++job) {
        QK_RETURN_IF_ERROR(pool.start(job_of(job->first, kKept, true, job->second->shortest.near)));
      }
      if (pool.busy() == 0) break;
      for (const WorkerPool::Outcome& outcome : pool.wait(kWaitMs)) {
        const sim::SweepFinding& finding = *wanted.at(outcome.job.number);
        const sim::SeedRecord kept = record_of(outcome);
        if (!sim::comparable(finding.shortest, kept)) continue;
        const std::string difference = sim::difference_of(finding.shortest, kept);
        if (difference.empty()) continue;
        kept_differ_ = true;
        print_error(environment_, cat(definition_.variants[finding.variant].name, " seed ",
                                      seed_text(finding.shortest.seed),
                                      ": with a full trace the run is another one: ", difference));
      }
    }
    return absl::OkStatus();
  }

  // In the worker. The directory gets its name when it is whole.
  void keep(RunReport report, const sim::Plan& plan, const std::string& effective,
            const std::string& name) {
    families::FileSystem& fs = *environment_.fs;
    const std::string staging = families::join_path(families::join_path(failures(), "tmp"), name);
    report.arguments.out = staging;
    const auto write = [&]() -> absl::Status {
      QK_RETURN_IF_ERROR(families::remove_tree(fs, staging));
      QK_RETURN_IF_ERROR(families::make_directories(fs, staging));
      QK_ASSIGN_OR_RETURN(RunDirectory directory,
                          plan_run_directory(report, plan.scenario_hash, environment_));
      QK_RETURN_IF_ERROR(write_run_directory(report, plan, effective, environment_, &directory));
      return fs.rename(staging, families::join_path(failures(), name));
    };
    if (const absl::Status status = write(); !status.ok()) {
      print_error(environment_, cat(name, ": ", to_std(status.message())));
    }
  }

  // --- The end.

  ExitCode conclude(const sim::SweepSummary& summary, const std::string& rate) {
    const std::string report = report_text(definition_, summary);
    ExitCode code = exit_code(definition_, summary);
    if (kept_differ_) code = worst(code, ExitCode::kDiverged);
    const auto write = [&]() -> absl::Status {
      QK_RETURN_IF_ERROR(directory_->write_report(
          report, sim::findings_text(definition_, summary, earlier_ ? &*earlier_ : nullptr)));
      if (arguments_.junit.empty()) return absl::OkStatus();
      const std::string junit = absolute_path(environment_, arguments_.junit);
      // Asked again: what lies there now may be what this sweep has written since.
      QK_RETURN_IF_ERROR(check_junit_replaceable(junit, "sweep"));
      return replace_output(environment_, junit, junit_text(junit_suites(definition_, records_)));
    };
    if (const absl::Status status = write(); !status.ok()) {
      print_error(environment_, std::string(to_std(status.message())));
      code = worst(code, ExitCode::kCannotWrite);
    }
    if (arguments_.json) {
      *environment_.out << json_lines(definition_, records_, summary);
    } else {
      print_sweep_report(environment_, report);
      *environment_.out << "took      " << rate << ", " << sim::seconds_text(summary.cpu_ns, 1)
                        << "s of CPU time\n"
                        << "kept      " << printable(shown_) << "/\n";
      for (const sim::SweepFinding* finding : findings_to_keep(summary)) {
        const std::string name = failure_name(definition_, *finding);
        const auto there =
            families::exists(*environment_.fs, families::join_path(failures(), name));
        if (!there.ok() || !*there) continue;
        *environment_.out << "          " << printable(cat(kFailures, "/", name)) << "/\n";
      }
    }
    if (!environment_.interrupted()) return code;
    *environment_.err << "interrupted; go on with: qksim sweep --resume "
                      << printable(shell_quoted(shown_)) << "\n";
    return ExitCode::kInterrupted;
  }

  const SweepArguments& arguments_;
  const Environment& environment_;
  sim::SweepDefinition definition_;
  std::map<std::string, scenarios::ScenarioSource> sources_;  // by scenario argument
  std::optional<sim::EarlierSweep> earlier_;
  std::unique_ptr<SweepDirectory> directory_;
  std::string shown_;  // the directory, as messages name it
  std::optional<SweepProgress> progress_;
  int64_t started_ms_ = 0;
  std::map<uint64_t, sim::SeedRecord> records_;  // by job: done
  std::map<uint64_t, sim::SeedRecord> pending_;  // a second run is to come
  std::deque<uint64_t> again_;
  std::deque<WorkerPool::Job> killed_;  // to be started once more
  std::map<uint64_t, uint32_t> kills_;  // by job
  uint64_t cursor_ = 0;
  std::optional<uint64_t> cut_;
  std::map<uint64_t, std::string> names_;  // of run directories, by job
  bool kept_differ_ = false;
  // With feedback: by variant; of jobs that are done and not settled; how many are settled.
  std::map<uint32_t, sim::Feedback> feedback_;
  std::map<uint64_t, std::vector<std::string>> tuples_;
  uint64_t settled_ = 0;
};

}  // namespace

ExitCode sweep_command(const SweepArguments& arguments, const Environment& environment) {
  return Sweep(arguments, environment).run();
}

}  // namespace qk::cli
