#include "tools/qksim/sweep_report.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "families/base/printable.h"
#include "families/base/strings.h"
#include "families/base/suggest.h"
#include "sim/cluster/reach.h"
#include "sim/kernel/phase.h"
#include "sim/kernel/trace_text.h"
#include "tools/qksim/padded.h"
#include "tools/qksim/run_report.h"

namespace qk::cli {
namespace {

using sim::SeedRecord;
using sim::SeedVerdict;
using sim::SweepDefinition;
using sim::SweepFinding;
using sim::SweepSummary;

constexpr size_t kSeedsShown = 12;
constexpr size_t kFailuresKept = 20;

std::string sweep_row(std::string_view label, std::string_view text) {
  return cat(padded(label, 10), printable(text), "\n");
}
std::string finding_row(std::string_view text) { return cat("  ", printable(text), "\n"); }

std::string ppm_text(uint64_t ppm) {
  std::string fraction = cat(ppm % 10'000);
  fraction.insert(0, 4 - fraction.size(), '0');
  return cat(ppm / 10'000, ".", fraction.substr(0, 3), " %");
}

std::string runs(uint64_t count) { return cat(count, count == 1 ? " run" : " runs"); }
std::string seeds(uint64_t count) { return cat(count, count == 1 ? " seed" : " seeds"); }

std::vector<std::string> variant_names(const SweepDefinition& definition) {
  std::vector<std::string> names;
  for (const sim::SweepVariant& variant : definition.variants) names.push_back(variant.name);
  return names;
}

std::string head_text(const SweepDefinition& definition, const SweepSummary& summary) {
  const std::vector<std::string> names = variant_names(definition);
  std::string out =
      cat("sweep of ", names.size() <= 3 ? join(names) : cat(names.size(), " variants"), "  ",
          definition.open_ended ? cat("seeds from ", sim::hex_seed(definition.seeds[0].first))
                                : cat("seeds ", sim::seeds_text(definition.seeds)));
  if (definition.swarm) out += ", swarm";
  if (definition.feedback) out += ", feedback";
  if (!definition.planted.empty()) out += cat(", planted ", definition.planted);
  if (definition.shards > 1) out += cat(", shard ", definition.shard, "/", definition.shards);
  out += definition.open_ended ? cat("  ", runs(summary.ran))
                               : cat("  ", summary.ran, " of ", runs(summary.jobs));
  return out;
}

std::string verdicts_text(const SweepDefinition& definition, const SweepSummary& summary) {
  std::vector<std::string> parts;
  for (const auto& [verdict, count] : summary.verdicts) {
    // A planted run that shows nothing is no pass.
    const bool unnoticed = !definition.planted.empty() && verdict == SeedVerdict::kPass;
    parts.push_back(cat(unnoticed ? "unnoticed" : to_string(verdict), " ", count));
  }
  return cat(parts.empty() ? std::string("none") : join(parts), "; ", summary.again, " ran twice, ",
             summary.divergences.size(), " of them differ");
}

std::string finding_text(const SweepDefinition& definition, const SweepFinding& finding) {
  const SeedRecord& shortest = finding.shortest;
  std::string head = cat(finding.signature, "  ", definition.variants[finding.variant].name, "  ",
                         seeds(finding.seeds.size()));
  if (finding.state != sim::FindingState::kNone) head += cat("  ", to_string(finding.state));
  std::string out = sweep_row(to_string(finding.verdict), head);
  out += finding_row(cat("shortest  seed ", sim::hex_seed(shortest.seed), "  ",
                         sim::seconds_text(shortest.simulated, 1), "s sim  ", shortest.events,
                         " events  chain ", chain_text(shortest.chain)));
  for (const std::string& line : shortest.lines) out += finding_row(line);
  out += finding_row(
      cat("repro     ", repro_command(definition, finding.variant, shortest.seed, shortest.near)));
  if (finding.seeds.size() > 1) {
    std::string list;
    for (size_t i = 0; i < finding.seeds.size() && i < kSeedsShown; ++i) {
      list += cat(i == 0 ? "" : " ", sim::hex_seed(finding.seeds[i]));
    }
    if (finding.seeds.size() > kSeedsShown) list += " ...";
    out += finding_row(cat("seeds     ", list));
  }
  return out;
}

std::string oracles_text(const SweepSummary& summary) {
  std::string out;
  std::vector<std::string> not_yet;
  for (const sim::OracleCount& oracle : summary.oracles) {
    if (oracle.times == 0 && !oracle.subject) {
      not_yet.push_back(oracle.oracle);
      continue;
    }
    out += sweep_row(out.empty() ? "oracles" : "",
                     cat(padded(oracle.oracle, 9), "evaluated ", oracle.times, " times in ",
                         seeds(oracle.seeds)));
  }
  if (!not_yet.empty()) out += sweep_row("", cat("without a subject here: ", join(not_yet)));
  return out;
}

std::string probes_text(const SweepSummary& summary) {
  std::string out;
  std::vector<std::string> never;
  for (const auto& [probe, count] : summary.probes) {
    if (sim::fault_cell(probe)) continue;
    if (count.times == 0) {
      never.push_back(probe);
      continue;
    }
    out += sweep_row(out.empty() ? "probes" : "",
                     cat(padded(probe, 34), " ", count.times, " times in ", seeds(count.seeds)));
  }
  if (!never.empty()) {
    out += sweep_row(out.empty() ? "probes" : "", cat("never reached: ", join(never)));
  }
  // No run here has what they need.
  std::map<sim::ReachNeed, std::vector<std::string>> not_yet;
  for (const sim::ReachInfo& probe : sim::kReachProbes) {
    const std::string name(probe.name);
    if (!summary.probes.contains(name)) not_yet[probe.need].push_back(name);
  }
  for (const auto& [need, names] : not_yet) {
    // What every run can reach is missing only if nothing ran to its end.
    if (need == sim::ReachNeed::kNothing) continue;
    out += sweep_row(out.empty() ? "probes" : "",
                     cat("without a subject here: ", join(names), "; needs ", to_string(need)));
  }
  return out;
}

// How often each kind of fault hit a node in each phase, for each pair of families.
std::string matrix_text(const SweepSummary& summary) {
  std::set<std::string> kinds;
  std::map<std::string, std::map<std::pair<std::string, std::string>, uint64_t>> by_pair;
  for (const auto& [probe, count] : summary.probes) {
    const auto cell = sim::fault_cell(probe);
    if (!cell) continue;
    kinds.insert(cell->kind);
    by_pair[cell->pair][{cell->phase, cell->kind}] += count.times;
  }
  constexpr size_t kWidth = 11;
  std::string out;
  for (const auto& [pair, cells] : by_pair) {
    std::string head = padded(pair, 24);
    for (const std::string& kind : kinds) head += padded(kind, kWidth);
    out += sweep_row(out.empty() ? "reach" : "", head.substr(0, head.find_last_not_of(' ') + 1));
    for (int phase = 0; phase < sim::kPhaseCount; ++phase) {
      const std::string name(to_string(static_cast<sim::PhaseCode>(phase)));
      std::string line = padded(cat("  ", name), 24);
      for (const std::string& kind : kinds) {
        const auto cell = cells.find({name, kind});
        line += padded(cell == cells.end() ? std::string(".") : cat(cell->second), kWidth);
      }
      out += sweep_row("", line.substr(0, line.find_last_not_of(' ') + 1));
    }
  }
  return out;
}

std::string risk_text(const SweepSummary& summary) {
  const sim::ResidualRisk& risk = summary.risk;
  std::string out;
  if (risk.classes > 0) {
    out += sweep_row("risk",
                     cat(risk.classes, " classes (probes and findings) in ", runs(risk.seeds), ", ",
                         risk.once, " of them in one run alone, ", risk.twice, " in two"));
    out += sweep_row("", cat("the next run shows ", ppm_text(risk.next_ppm),
                             " new classes on average; at least ", risk.unseen,
                             " more exist that no run showed"));
    out += sweep_row("",
                     "if the seeds are independent draws from one distribution; other "
                     "scenarios and other code are not");
    out += sweep_row("", cat("tried here: the first ", runs(risk.half), " predict ", risk.predicted,
                             " new classes in the next ", risk.half, ", which had ", risk.found));
  }
  if (!summary.failed && summary.ran > 0) {
    out += sweep_row(risk.classes > 0 ? "" : "risk",
                     cat("no failure in ", runs(summary.ran), ": with 95 % confidence at most ",
                         ppm_text(sim::unseen_share_ppm(summary.ran)), " of such runs fail"));
  }
  return out;
}

nlohmann::json summary_json(const SweepDefinition& definition, const SweepSummary& summary) {
  using nlohmann::json;
  json verdicts = json::object();
  for (const auto& [verdict, count] : summary.verdicts) {
    verdicts[std::string(to_string(verdict))] = count;
  }
  json findings = json::array();
  for (const SweepFinding& finding : summary.findings) {
    findings.push_back({{"variant", definition.variants[finding.variant].name},
                        {"signature", finding.signature},
                        {"verdict", std::string(to_string(finding.verdict))},
                        {"seeds", finding.seeds.size()},
                        {"shortest", std::to_string(finding.shortest.seed)},
                        {"state", std::string(to_string(finding.state))}});
  }
  return {{"schema", "qksim.sweep-summary/1"},
          {"verdict", std::string(verdict_word(definition, summary))},
          {"exit_code", to_int(exit_code(definition, summary))},
          {"ran", summary.ran},
          {"not_run", definition.open_ended ? 0 : summary.not_run},
          {"verdicts", std::move(verdicts)},
          {"again", summary.again},
          {"diverged", summary.divergences.size()},
          {"findings", std::move(findings)},
          {"inconclusive", summary.inconclusive}};
}

// What may be the name of a file anywhere.
std::string slug(std::string_view text) {
  constexpr size_t kMax = 60;
  std::string out;
  for (const char c : text.substr(0, kMax)) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '.' || c == '_';
    if (plain) {
      out += c;
    } else if (!out.empty() && out.back() != '-') {
      out += '-';
    }
  }
  return out;
}

}  // namespace

std::string_view verdict_word(const SweepDefinition& definition, const SweepSummary& summary) {
  switch (exit_code(definition, summary)) {
    case ExitCode::kOk:
      return "PASS";
    case ExitCode::kInconclusive:
      return "?";
    case ExitCode::kInternal:
      return "ERROR";
    default:
      return "FAIL";
  }
}

ExitCode exit_code(const SweepDefinition& /*definition*/, const SweepSummary& summary) {
  ExitCode code = ExitCode::kOk;
  if (summary.error) code = worst(code, ExitCode::kInternal);
  if (!summary.divergences.empty()) code = worst(code, ExitCode::kDiverged);
  if (summary.failed) code = worst(code, ExitCode::kViolated);
  const auto open = summary.verdicts.find(SeedVerdict::kInconclusive);
  if (open != summary.verdicts.end() || !summary.inconclusive.empty()) {
    code = worst(code, ExitCode::kInconclusive);
  }
  return code;
}

std::string repro_command(const SweepDefinition& definition, uint32_t variant, uint64_t seed,
                          const std::vector<uint64_t>& near) {
  RunReport report;
  report.arguments.scenario = definition.variants[variant].scenario;
  report.arguments.sets = definition.variants[variant].sets;
  report.arguments.swarm = definition.swarm;
  report.arguments.planted = definition.planted;
  report.arguments.near = near;
  report.seed = seed;
  return repro_command(report);
}

std::string report_text(const SweepDefinition& definition, const SweepSummary& summary) {
  std::string out = cat(padded(verdict_word(definition, summary), 6),
                        printable(head_text(definition, summary)), "\n");
  out += sweep_row("build", definition.build);
  out += sweep_row("verdicts", verdicts_text(definition, summary));
  if (summary.cut) {
    out += sweep_row(
        "ended", cat("after ", definition.max_failures, " different failures (--max-failures); ",
                     summary.not_run, " runs are left"));
  }
  for (const sim::Divergence& one : summary.divergences) {
    out += sweep_row("DIVERGED", cat(definition.variants[one.variant].name, " seed ",
                                     sim::hex_seed(one.seed), ": ", one.difference));
    out += finding_row(cat("repro     ", repro_command(definition, one.variant, one.seed, one.near),
                           " --check-determinism"));
  }
  for (const SweepFinding& finding : summary.findings) out += finding_text(definition, finding);
  for (const std::string& reason : summary.inconclusive) out += sweep_row("because", reason);
  for (const auto& [variant, signature] : summary.resolved) {
    out += sweep_row("resolved", cat(signature, "  ", variant));
  }
  for (const auto& [variant, signature] : summary.not_repeated) {
    out += sweep_row("not seen", cat(signature, "  ", variant, ": not all of its seeds ran again"));
  }
  out += oracles_text(summary);
  out += probes_text(summary);
  out += matrix_text(summary);
  out += risk_text(summary);
  out += sweep_row(
      "total", cat(sim::seconds_text(summary.simulated, 1), "s sim, ", summary.events, " events"));
  return out;
}

void print_sweep_report(const Environment& environment, std::string_view report) {
  const std::string_view word = report.substr(0, report.find(' '));
  if (!environment.colour_out) {
    *environment.out << report;
    return;
  }
  const std::string_view paint = word == "PASS" ? "\x1b[32m"
                                 : word == "?"  ? "\x1b[33m"
                                                : "\x1b[31m";
  *environment.out << paint << word << "\x1b[0m" << report.substr(word.size());
}

std::string failure_name(const SweepDefinition& definition, const SweepFinding& finding) {
  std::string out = slug(finding.signature);
  if (definition.variants.size() > 1) out += cat("-", finding.variant);
  return cat(out, "-", sim::hex_seed(finding.shortest.seed));
}

std::vector<const SweepFinding*> findings_to_keep(const SweepSummary& summary) {
  std::vector<const SweepFinding*> out;
  for (const SweepFinding& finding : summary.findings) {
    if (out.size() < kFailuresKept) out.push_back(&finding);
  }
  return out;
}

std::string json_lines(const SweepDefinition& definition,
                       const std::map<uint64_t, SeedRecord>& records, const SweepSummary& summary) {
  std::string out;
  for (const auto& [job, record] : records) out += to_line(record);
  return out +
         summary_json(definition, summary)
             .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) +
         "\n";
}

std::vector<JunitSuite> junit_suites(const SweepDefinition& definition,
                                     const std::map<uint64_t, SeedRecord>& records) {
  constexpr uint64_t kFold = 100;
  std::vector<JunitSuite> suites;
  for (const sim::SweepVariant& variant : definition.variants) {
    suites.push_back({cat("sweep ", variant.name), {}});
  }
  const auto text_of = [&](const SeedRecord& record) {
    std::string text = join(record.lines, "\n");
    if (!record.difference.empty()) text += cat("\n", record.difference);
    return cat(text, "\n", repro_command(definition, record.variant, record.seed, record.near));
  };
  std::vector<uint64_t> folded(suites.size());
  const auto fold = [&](uint32_t variant) {
    if (folded[variant] == 0) return;
    suites[variant].cases.push_back({.classname = definition.variants[variant].name,
                                     .name = cat(folded[variant], " seeds without a finding")});
    folded[variant] = 0;
  };
  for (const auto& [job, record] : records) {
    const bool differs = record.second == sim::SecondRun::kDiffers;
    if (!differs && !sim::is_finding(record.verdict)) {
      if (++folded[record.variant] == kFold) fold(record.variant);
      continue;
    }
    JunitCase one{.classname = definition.variants[record.variant].name,
                  .name = cat("seed ", sim::hex_seed(record.seed))};
    const bool error = differs || record.verdict == SeedVerdict::kInternalError ||
                       record.verdict == SeedVerdict::kDied;
    one.kind = error                                          ? JunitCase::Kind::kError
               : record.verdict == SeedVerdict::kInconclusive ? JunitCase::Kind::kSkipped
                                                              : JunitCase::Kind::kFailed;
    one.type = differs ? "diverged" : record.signature.substr(0, record.signature.find(' '));
    one.message = differs ? record.difference : record.signature;
    one.text = text_of(record);
    suites[record.variant].cases.push_back(std::move(one));
  }
  for (uint32_t variant = 0; variant < suites.size(); ++variant) fold(variant);
  return suites;
}

}  // namespace qk::cli
