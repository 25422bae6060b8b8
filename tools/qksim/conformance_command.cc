#include <algorithm>
#include <map>

#include "conformance/groups.h"
#include "conformance/runner.h"
#include "families/base/failure_scope.h"
#include "families/base/printable.h"
#include "families/base/suggest.h"
#include "tools/qksim/conformance_evidence.h"
#include "tools/qksim/conformance_junit.h"
#include "tools/qksim/conformance_verbs.h"
#include "tools/qksim/family_argument.h"
#include "tools/qksim/generated_command.h"
#include "tools/qksim/output_file.h"
#include "tools/qksim/padded.h"

namespace qk::cli {
namespace {

using sim::conformance::CaseResult;
using sim::conformance::Check;
using sim::conformance::Report;
using sim::conformance::Verdict;

void list_checks(const std::vector<Check>& checks, const std::string& filter, std::ostream& out) {
  for (const Check& check : checks) {
    const std::string name = cat(check.group, "/", check.name);
    if (!sim::conformance::matches(filter, name)) continue;
    out << padded(name, 48) << " " << padded(check.pair != nullptr ? "pair" : "instance", 9)
        << join(check.requirements) << "\n";
  }
}

// Rows are groups, columns families; a pair counts in the column of its first.
void print_table(const Report& report, std::ostream& out) {
  struct Cell {
    uint64_t passed = 0;
    uint64_t judged = 0;
    uint64_t not_applicable = 0;
  };
  std::vector<std::string> groups;
  std::vector<std::string> families;
  std::map<std::pair<std::string, std::string>, Cell> cells;
  const auto note = [](std::vector<std::string>* names, const std::string& name) {
    if (std::find(names->begin(), names->end(), name) == names->end()) names->push_back(name);
  };
  for (const CaseResult& result : report.results) {
    const std::string& group = result.what.check->group;
    const std::string& family = result.what.family->name;
    note(&groups, group);
    note(&families, family);
    Cell& cell = cells[{group, family}];
    if (result.verdict == Verdict::kNotApplicable) {
      ++cell.not_applicable;
    } else {
      ++cell.judged;
      cell.passed += result.verdict == Verdict::kPassed ? 1 : 0;
    }
  }
  constexpr size_t kWidth = 18;
  std::string head = padded("group", 10);
  for (const std::string& family : families) head += padded(family, kWidth);
  out << head.substr(0, head.find_last_not_of(' ') + 1) << "\n";
  for (const std::string& group : groups) {
    std::string line = padded(group, 10);
    for (const std::string& family : families) {
      const Cell& cell = cells[{group, family}];
      std::string text = cat(cell.passed, "/", cell.judged);
      if (cell.passed < cell.judged) text += " !";
      if (cell.not_applicable > 0) text += cat(" (", cell.not_applicable, " n/a)");
      line += padded(text, kWidth);
    }
    out << line.substr(0, line.find_last_not_of(' ') + 1) << "\n";
  }
}

// Why a check does not apply to a family, once for all its roles and disks.
void print_not_applicable(const Report& report, std::ostream& out) {
  std::vector<std::string> lines;
  for (const CaseResult& result : report.results) {
    if (result.verdict != Verdict::kNotApplicable) continue;
    std::string line = cat("n/a   ", result.what.check->group, "/", result.what.check->name, " ",
                           result.what.family->name, ": ", result.message, "\n");
    if (std::find(lines.begin(), lines.end(), line) == lines.end()) {
      out << line;
      lines.push_back(std::move(line));
    }
  }
}

void print_failure(const CaseResult& result, std::ostream& out) {
  const sim::conformance::Case& what = result.what;
  out << "FAIL  " << what.id() << "  seed " << result.seed << "\n"
      << "  " << printable(result.message) << "\n"
      << "  requirements  " << join(what.check->requirements) << "\n"
      << "  repro         "
      << sim::conformance::repro_command(what.id(), {what.family->name}, result.seed) << "\n";
}

std::vector<sim::conformance::DiskKind> disks_of(Disks disks) {
  using sim::conformance::DiskKind;
  switch (disks) {
    case Disks::kSimulated:
      return {DiskKind::kSimulated};
    case Disks::kReal:
      return {DiskKind::kReal};
    case Disks::kBoth:
      return {};
  }
  QK_CHECK(false);
}

std::string_view disk_text(Disks disks) {
  return disks == Disks::kSimulated ? "sim" : disks == Disks::kReal ? "real" : "both";
}

// How far a run has come, every few seconds, and what to say when it ends by a bug of our own.
class Progress {
 public:
  explicit Progress(const Environment& environment)
      : environment_(environment), said_ms_(environment.wall_ms()) {}

  void starting(const sim::conformance::Case& what, uint64_t seed, size_t number, size_t count) {
    what_ = &what;
    seed_ = seed;
    const int64_t now_ms = environment_.wall_ms();
    if (now_ms - said_ms_ < kEveryMs) return;
    said_ms_ = now_ms;
    *environment_.err << "case " << number << " of " << count << ": " << what.id() << "\n"
                      << std::flush;
  }

  void internal_error(const std::string& error) const {
    if (what_ == nullptr) return;
    *environment_.out << "ERROR " << what_->id() << "  seed " << seed_ << "\n  " << error << "\n"
                      << "  repro         "
                      << sim::conformance::repro_command(what_->id(), {what_->family->name}, seed_)
                      << "\n"
                      << std::flush;
    environment_.exit_now(ExitCode::kInternal);
  }

 private:
  static constexpr int64_t kEveryMs = 3000;

  const Environment& environment_;
  int64_t said_ms_;
  const sim::conformance::Case* what_ = nullptr;
  uint64_t seed_ = 0;
};

ExitCode save(const Report& report, const ConformanceArguments& arguments,
              const Environment& environment) {
  sim::conformance::Evidence evidence =
      sim::conformance::evidence_of(report, arguments.seeds, environment.build);
  const auto add_to_file = [&]() -> absl::Status {
    QK_RETURN_IF_ERROR(check_evidence_replaceable(environment));
    QK_ASSIGN_OR_RETURN(auto older, load_evidence(environment));
    if (older) evidence = sim::conformance::merge(*std::move(older), evidence);
    return save_evidence(evidence, environment);
  };
  if (absl::Status status = add_to_file(); !status.ok()) {
    print_error(environment, std::string(to_std(status.message())));
    return ExitCode::kCannotWrite;
  }
  if (arguments.junit.empty()) return ExitCode::kOk;
  const std::string path = absolute_path(environment, arguments.junit);
  absl::Status status = check_junit_replaceable(path, "conformance");
  if (status.ok()) status = replace_output(environment, path, junit_text(junit_suites(report)));
  if (!status.ok()) {
    print_error(environment, cat(arguments.junit, " (--junit): ", to_std(status.message())));
    return ExitCode::kCannotWrite;
  }
  return ExitCode::kOk;
}

}  // namespace

ExitCode conformance_command(const ConformanceArguments& arguments,
                             const Environment& environment) {
  sim::conformance::RunOptions options;
  if (arguments.family != "all") {
    const families::FamilyDescriptor* family = nullptr;
    const ExitCode code = find_family(environment, arguments.family, "conformance", &family);
    if (family == nullptr) return code;
    options.families = {family->name};
  }
  if (absl::Status status = sim::conformance::check_filter(arguments.filter); !status.ok()) {
    print_error(environment, cat("--filter: ", in_quotes(arguments.filter),
                                 " is not a regular expression: ", to_std(status.message())));
    return ExitCode::kUsage;
  }
  if (!arguments.generated.empty()) {
    return generated_command(arguments, options.families, environment);
  }
  // Found out before hours of checks.
  if (!arguments.list) {
    if (absl::Status status = check_evidence_replaceable(environment); !status.ok()) {
      print_error(environment, std::string(to_std(status.message())));
      return ExitCode::kCannotWrite;
    }
  }
  const std::string junit =
      arguments.junit.empty() ? std::string() : absolute_path(environment, arguments.junit);
  if (!junit.empty() && !arguments.list) {
    const absl::Status status = check_junit_replaceable(junit, "conformance");
    if (!status.ok()) {
      print_error(environment, cat("--junit: ", to_std(status.message())));
      return ExitCode::kCannotWrite;
    }
  }
  options.filter = arguments.filter;
  options.seeds = arguments.seeds;
  options.disks = disks_of(arguments.disk);
  const std::vector<Check> checks = sim::conformance::all_checks();
  std::ostream& out = *environment.out;
  if (arguments.list) {
    list_checks(checks, arguments.filter, out);
    return ExitCode::kOk;
  }
  options.progress = [&](const CaseResult& result) {
    if (result.verdict == Verdict::kFailed) print_failure(result, out);
  };
  Progress progress(environment);
  const FailureScope last_words([&](const std::string& error) { progress.internal_error(error); });
  options.starting = [&](const sim::conformance::Case& what, uint64_t seed, size_t number,
                         size_t count) { progress.starting(what, seed, number, count); };
  sim::conformance::Host host;
  host.registry = environment.registry;
  host.lose_memory = environment.lose_memory;
  const Report report = sim::conformance::run_conformance(checks, host, options);

  print_table(report, out);
  for (const std::string& line : report.counts()) out << "count " << line << "\n";
  print_not_applicable(report, out);
  const uint64_t failed = report.count(Verdict::kFailed);
  const uint64_t passed = report.count(Verdict::kPassed);
  const bool good = failed == 0 && passed > 0;
  out << (good         ? "PASS"
          : failed > 0 ? "FAIL"
                       : "?")
      << "  " << passed << " cases passed, " << failed << " failed, "
      << report.count(Verdict::kNotApplicable) << " do not apply; seeds 1.." << arguments.seeds
      << ", disk " << disk_text(arguments.disk) << ", build " << environment.build << "\n";
  if (report.results.empty()) {
    *environment.err << "note: no case matches --filter with --disk " << disk_text(arguments.disk)
                     << "\n";
  }
  const ExitCode verdict = failed > 0 ? ExitCode::kViolated
                           : good     ? ExitCode::kOk
                                      : ExitCode::kInconclusive;
  const ExitCode code = worst(verdict, save(report, arguments, environment));
  return environment.interrupted() ? ExitCode::kInterrupted : code;
}

}  // namespace qk::cli
