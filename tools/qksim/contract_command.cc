// contract: the requirement catalogue joined with the evidence of conformance runs. Every id is
// printed, also those that nothing tests; "not built" and "not run" never count as "holds".
#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "conformance/groups.h"
#include "conformance/mutants.h"
#include "conformance/requirements.h"
#include "families/base/printable.h"
#include "families/base/suggest.h"
#include "tools/qksim/conformance_evidence.h"
#include "tools/qksim/conformance_verbs.h"
#include "tools/qksim/family_argument.h"
#include "tools/qksim/padded.h"

namespace qk::cli {
namespace {

using sim::conformance::CheckEvidence;
using sim::conformance::Evidence;
using sim::conformance::ExpectedCases;
using sim::conformance::Kill;
using sim::conformance::Level;
using sim::conformance::Requirement;
using sim::conformance::Standing;
using sim::conformance::Support;
using sim::conformance::Verdict;

struct Row {
  const Requirement* requirement = nullptr;
  bool tested = false;         // some check cites it; whether one ran is another matter
  const Kill* kill = nullptr;  // the mutant that its check fails for
  Standing standing = Standing::kMissing;
  uint64_t expected = 0;  // cases, of all judged families; a pair's count for both
  uint64_t ran = 0;
  std::vector<std::string> cells;  // one per column
};

constexpr std::string_view kNoTest = "no test";
constexpr std::string_view kNotRun = "not run";

std::string cell_text(const Support& support, bool tested) {
  if (support.none()) return std::string(tested ? kNotRun : kNoTest);
  if (support.failed > 0) return cat(support.passed, "/", support.passed + support.failed, " !");
  if (support.ran < support.expected) return cat(support.ran, " of ", support.expected);
  if (support.passed == 0) return "n/a";
  return cat(support.passed, "/", support.passed);
}

// What is judged, and how it is shown.
class Table {
 public:
  Table(const Evidence& evidence, const ExpectedCases& expected, std::vector<std::string> judged,
        std::vector<std::string> others)
      : judged_(std::move(judged)), columns_(judged_) {
    columns_.insert(columns_.end(), others.begin(), others.end());
    std::set<std::string> tested;
    for (const sim::conformance::Check& check : sim::conformance::all_checks()) {
      tested.insert(check.requirements.begin(), check.requirements.end());
    }
    for (const Requirement& requirement : sim::conformance::requirements()) {
      Row row;
      row.requirement = &requirement;
      row.tested = tested.count(requirement.id) > 0;
      row.kill = sim::conformance::kill_of(requirement.id);
      row.standing = sim::conformance::standing_of(evidence, requirement.id, judged_, expected);
      for (const std::string& family : judged_) {
        const Support support =
            sim::conformance::support_of(evidence, requirement.id, family, expected);
        row.expected += support.expected;
        row.ran += support.ran;
        row.cells.push_back(cell_text(support, row.tested));
      }
      row.cells.resize(columns_.size(), "not built");
      rows_.push_back(std::move(row));
    }
  }

  const std::vector<std::string>& columns() const { return columns_; }
  const std::vector<Row>& rows() const { return rows_; }
  void keep_only_missing() {
    std::erase_if(rows_, [](const Row& row) { return row.standing == Standing::kHolds; });
  }

 private:
  std::vector<std::string> judged_;
  std::vector<std::string> columns_;
  std::vector<Row> rows_;
};

struct Counts {
  uint64_t all = 0;
  uint64_t hold = 0;
  uint64_t failed = 0;
  uint64_t partly = 0;
  uint64_t not_run = 0;
  uint64_t no_test = 0;
  uint64_t tested = 0;
  uint64_t with_mutant = 0;
};

// Of the M rows of these sections.
Counts count_musts(const std::vector<Row>& rows, const std::vector<std::string_view>& sections) {
  Counts counts;
  for (const Row& row : rows) {
    const std::string_view section = sim::conformance::section_of(row.requirement->id);
    if (row.requirement->level != Level::kMust ||
        std::find(sections.begin(), sections.end(), section) == sections.end()) {
      continue;
    }
    ++counts.all;
    counts.tested += row.tested ? 1 : 0;
    counts.with_mutant += row.kill != nullptr ? 1 : 0;
    counts.hold += row.standing == Standing::kHolds ? 1 : 0;
    counts.failed += row.standing == Standing::kFailed ? 1 : 0;
    counts.partly += row.standing == Standing::kPartly ? 1 : 0;
    const bool missing = row.standing == Standing::kMissing;
    counts.not_run += missing && row.tested ? 1 : 0;
    counts.no_test += missing && !row.tested ? 1 : 0;
  }
  return counts;
}

std::string standing_text(const Row& row) {
  switch (row.standing) {
    case Standing::kHolds:
      return "holds";
    case Standing::kFailed:
      return "failed";
    case Standing::kPartly:
      return cat("partly: ", row.ran, " of ", row.expected, " cases ran, none failed");
    case Standing::kMissing:
      return std::string(row.tested ? kNotRun : kNoTest);
  }
  QK_CHECK(false);
}

std::string missing_text(const Counts& counts) {
  return cat(counts.failed, " failed, ", counts.partly, " partly run, ", counts.not_run,
             " not run, ", counts.no_test, " without a test");
}

std::string mutant_text(const Row& row) {
  return row.kill == nullptr ? std::string("no mutant")
                             : cat(row.kill->mutant, ", ", row.kill->check);
}

void print_table(const Table& table, std::ostream& out) {
  constexpr size_t kWidth = 12;
  constexpr size_t kMutantWidth = 58;
  std::string head = padded("id", 8) + padded("level", 7);
  for (const std::string& column : table.columns()) head += padded(column, kWidth);
  out << head << padded("mutant, and the check that it fails", kMutantWidth) << "requirement\n";
  for (const Row& row : table.rows()) {
    out << padded(row.requirement->id, 8) << padded(to_string(row.requirement->level), 7);
    for (const std::string& cell : row.cells) out << padded(cell, kWidth);
    out << padded(mutant_text(row), kMutantWidth) << row.requirement->text << "\n";
  }
}

void print_markdown(const Table& table, std::ostream& out) {
  out << "| id | level |";
  for (const std::string& column : table.columns()) out << " " << column << " |";
  out << " mutant, and the check that it fails | requirement |\n|---|---|---|";
  for (size_t i = 0; i < table.columns().size(); ++i) out << "---|";
  out << "---|\n";
  for (const Row& row : table.rows()) {
    out << "| " << row.requirement->id << " | " << to_string(row.requirement->level) << " |";
    for (const std::string& cell : row.cells) out << " " << cell << " |";
    out << " " << mutant_text(row) << " | " << row.requirement->text << " |\n";
  }
}

void print_json(const Table& table, const Evidence& evidence, std::ostream& out) {
  nlohmann::json rows = nlohmann::json::array();
  for (const Row& row : table.rows()) {
    nlohmann::json families = nlohmann::json::object();
    for (size_t i = 0; i < table.columns().size(); ++i) {
      families[table.columns()[i]] = row.cells[i];
    }
    nlohmann::json mutant;
    if (row.kill != nullptr) {
      mutant = {{"name", std::string(row.kill->mutant)}, {"fails", std::string(row.kill->check)}};
    }
    rows.push_back({{"id", row.requirement->id},
                    {"level", std::string(to_string(row.requirement->level))},
                    {"requirement", row.requirement->text},
                    {"standing", standing_text(row)},
                    {"mutant", std::move(mutant)},
                    {"families", std::move(families)}});
  }
  const nlohmann::json document = {{"schema", "qksim.contract/1"},
                                   {"evidence_build", evidence.build},
                                   {"requirements", std::move(rows)}};
  out << document.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
}

void print_check(const std::string& name, const CheckEvidence& check, std::ostream& out) {
  uint64_t passed = 0;
  uint64_t seeds = 0;
  for (const auto& [id, one] : check.cases) {
    passed += one.verdict == Verdict::kPassed ? 1 : 0;
    seeds = std::max(seeds, one.seeds);
  }
  out << "  " << padded(printable(name), 46) << " " << passed << "/" << check.cases.size()
      << " cases, seeds 1.." << seeds << "\n";
  for (const auto& [id, one] : check.cases) {
    if (one.verdict == Verdict::kPassed) continue;
    out << "    " << (one.verdict == Verdict::kFailed ? "FAIL " : "n/a  ") << printable(id) << ": "
        << printable(one.message) << "\n";
    if (one.verdict != Verdict::kFailed) continue;
    out << "         repro  "
        << printable(sim::conformance::repro_command(id, one.families, one.seed)) << "\n";
  }
}

std::string citing_checks(std::string_view requirement) {
  std::vector<std::string> names;
  for (const sim::conformance::Check& check : sim::conformance::all_checks()) {
    const std::vector<std::string>& ids = check.requirements;
    if (std::find(ids.begin(), ids.end(), requirement) != ids.end()) {
      names.push_back(cat(check.group, "/", check.name));
    }
  }
  return join(names);
}

ExitCode show(const ContractArguments& arguments, const Evidence& evidence,
              const ExpectedCases& expected, const std::vector<std::string>& families,
              const Environment& environment) {
  const Requirement* requirement = sim::conformance::find_requirement(arguments.show);
  if (requirement == nullptr) {
    std::vector<std::string> ids;
    for (const Requirement& known : sim::conformance::requirements()) ids.push_back(known.id);
    print_error(environment, cat("there is no requirement ", in_quotes(arguments.show)));
    const std::string_view near = nearest(arguments.show, ids);
    *environment.err << "hint: "
                     << (near.empty() ? std::string() : cat("did you mean ", in_quotes(near), "? "))
                     << "qksim contract list\n";
    return ExitCode::kUsage;
  }
  std::ostream& out = *environment.out;
  out << requirement->id << "  level " << to_string(requirement->level) << "\n"
      << requirement->text << "\n";
  const Kill* const kill = sim::conformance::kill_of(requirement->id);
  if (kill == nullptr) out << "  no mutant\n";
  for (const sim::conformance::ProductMutant& mutant : sim::conformance::product_mutants()) {
    if (kill == nullptr || mutant.name != kill->mutant) continue;
    out << "  mutant  " << mutant.name << ": " << mutant.what << "\n          fails " << kill->check
        << "\n";
  }
  bool any = false;
  for (const auto& [name, check] : evidence.checks) {
    const std::vector<std::string>& ids = check.requirements;
    if (std::find(ids.begin(), ids.end(), requirement->id) == ids.end()) continue;
    any = true;
    print_check(name, check, out);
  }
  if (!any) {
    const std::string citing = citing_checks(requirement->id);
    out << "  no evidence: " << (citing.empty() ? "no check cites it" : cat("not run: ", citing))
        << "\n";
  }
  for (const std::string& family : families) {
    const Support support =
        sim::conformance::support_of(evidence, requirement->id, family, expected);
    if (support.none() || support.ran == support.expected) continue;
    out << "  " << family << ": partly: " << support.ran << " of " << support.expected
        << " cases ran, " << (support.failed == 0 ? std::string("none") : cat(support.failed))
        << " failed\n";
  }
  switch (sim::conformance::standing_of(evidence, requirement->id, families, expected)) {
    case Standing::kHolds:
      return ExitCode::kOk;
    case Standing::kFailed:
      return ExitCode::kViolated;
    case Standing::kPartly:
    case Standing::kMissing:
      return requirement->level == Level::kMust ? ExitCode::kInconclusive : ExitCode::kOk;
  }
  return ExitCode::kOk;
}

}  // namespace

ExitCode contract_command(const ContractArguments& arguments, const Environment& environment) {
  std::vector<std::string> judged;
  for (const std::string& name : arguments.families) {
    const families::FamilyDescriptor* family = nullptr;
    const ExitCode code = find_family(environment, name, "--family", &family);
    if (family == nullptr) return code;
    judged.push_back(family->name);
  }
  std::vector<std::string> others;
  if (judged.empty()) {
    for (const families::FamilyDescriptor& f : environment.registry->all()) {
      judged.push_back(f.name);
    }
    others = families_not_built(environment);
  }

  auto loaded = load_evidence(environment);
  if (!loaded.ok()) {
    print_error(environment, cat(kEvidenceFile, ": ", to_std(loaded.status().message())));
    return absl::IsDataLoss(loaded.status()) ? ExitCode::kData : ExitCode::kNoInput;
  }
  const Evidence evidence = loaded->value_or(Evidence());
  const bool same_build = evidence.build == environment.build;
  if (!*loaded) {
    *environment.err << "note: no evidence yet; qksim conformance all\n";
  } else if (!same_build) {
    *environment.err << "note: the evidence is of build " << printable(evidence.build)
                     << ", this is " << environment.build << "; qksim conformance all\n";
  }
  const ExpectedCases expected =
      sim::conformance::expected_cases(sim::conformance::all_checks(), *environment.registry);
  const ExitCode stale = same_build ? ExitCode::kOk : ExitCode::kInconclusive;
  if (!arguments.show.empty()) {
    return worst(show(arguments, evidence, expected, judged, environment), stale);
  }

  Table table(evidence, expected, judged, others);
  const Counts storage = count_musts(table.rows(), {"SB", "CI", "EV", "BC"});
  const Counts cluster = count_musts(table.rows(), {"RM", "WC"});
  const bool any_failed = std::any_of(table.rows().begin(), table.rows().end(), [](const Row& row) {
    return row.standing == Standing::kFailed;
  });
  if (arguments.missing) table.keep_only_missing();
  std::ostream& out = *environment.out;
  if (arguments.format == TableFormat::kJson) {
    print_json(table, evidence, out);
  } else if (arguments.format == TableFormat::kMarkdown) {
    print_markdown(table, out);
  } else {
    print_table(table, out);
    out << storage.hold << " of " << storage.all
        << " M rows of SB, CI, EV and BC hold for every judged family; " << missing_text(storage)
        << "\n"
        << cluster.hold << " of " << cluster.all
        << " M rows of RM and WC, which whole clusters show, hold; " << missing_text(cluster)
        << "\n"
        << storage.with_mutant + cluster.with_mutant << " of " << storage.tested + cluster.tested
        << " M rows that a check cites name a mutant of the product, for which that check fails\n";
  }
  uint64_t missing = 0;
  for (const Counts& counts : {storage, cluster}) {
    missing += counts.partly + counts.not_run + counts.no_test;
  }
  const ExitCode verdict = any_failed    ? ExitCode::kViolated
                           : missing > 0 ? ExitCode::kInconclusive
                                         : ExitCode::kOk;
  return worst(verdict, stale);
}

}  // namespace qk::cli
