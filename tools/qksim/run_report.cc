#include "tools/qksim/run_report.h"

#include <algorithm>

#include "families/base/printable.h"
#include "families/base/strings.h"
#include "families/base/suggest.h"
#include "sim/explore/sweep_definition.h"
#include "sim/kernel/trace_text.h"

namespace qk::cli {
namespace {

constexpr std::string_view kGreen = "\x1b[32m";
constexpr std::string_view kRed = "\x1b[31m";
constexpr std::string_view kYellow = "\x1b[33m";
constexpr std::string_view kPlain = "\x1b[0m";

std::string painted(std::string_view word, bool colour) {
  if (!colour) return std::string(word);
  const bool good = word == "PASS" || word == "EXPECTED";
  const std::string_view paint = good ? kGreen : word == "?" ? kYellow : kRed;
  return cat(paint, word, kPlain);
}

// "60.0s sim in 1.4s  1498 events  chain 5d02c1be77a4"
std::string totals(const RunReport& report, bool timing) {
  const sim::RunResult& result = report.result;
  return cat(sim::seconds_text(result.simulated, 1), "s sim",
             timing ? cat(" in ", sim::seconds_text(report.wall_ms * sim::kMillisecond, 1), "s")
                    : std::string(),
             "  ", result.events, " events  chain ", chain_text(result.chain));
}

std::string row(std::string_view label, std::string_view text) {
  std::string out = cat("  ", label);
  out.append(12 - out.size(), ' ');
  return cat(out, printable(text), "\n");
}

// `head` begins its first line.
std::string violation_block(const RunReport& report, const sim::Violation& violation,
                            std::string_view head) {
  std::string where = violation.node.empty() ? "cluster" : violation.node;
  if (violation.index > 0) where += cat(" index ", violation.index);
  std::string out =
      cat(head, "  ", violation.oracle, " ", violation.name, "  ", printable(where),
          "  t=", sim::seconds_text(violation.t, 3), "s  event #", violation.seq, "\n");
  out += row("expected", violation.expected);
  out += row("actual", violation.actual);
  out += row("phase",
             cat(violation.phase.empty() ? std::string("-") : violation.phase, "    last fault: ",
                 violation.last_fault.empty() ? std::string("none") : violation.last_fault));
  out += row("repro", cat(repro_command(report), "    # chain ", chain_text(violation.chain),
                          " at #", violation.seq, ", build ", report.build));
  return out;
}

// Each once, in the order in which they were found: "ora.D1, ora.L5".
std::string violated_ids(const sim::RunResult& result) {
  std::vector<std::string> ids;
  for (const sim::Violation& violation : result.violations) {
    if (std::find(ids.begin(), ids.end(), violation.oracle) == ids.end()) {
      ids.push_back(violation.oracle);
    }
  }
  return join(ids);
}

std::string until_text(sim::Nanos until) {
  return until % sim::kSecond == 0 ? cat(until / sim::kSecond, "s") : cat(until, "ns");
}

}  // namespace

std::string seed_text(uint64_t seed) { return sim::hex_seed(seed); }

std::string chain_text(uint64_t chain) { return cat(hex16(chain)).substr(0, 12); }

std::string shell_quoted(std::string_view word) {
  constexpr std::string_view kSafe =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=:,@%+";
  if (!word.empty() && word.find_first_not_of(kSafe) == std::string_view::npos) {
    return std::string(word);
  }
  std::string out = "'";
  for (const char c : word) {
    if (c == '\'') {
      out += "'\\''";
    } else {
      out += c;
    }
  }
  return out + "'";
}

std::string repro_command(const RunReport& report) {
  const RunArguments& arguments = report.arguments;
  std::string out =
      cat("qksim run ", shell_quoted(arguments.scenario), " --seed ", seed_text(report.seed));
  for (const std::string& set : arguments.sets) out += cat(" --set ", shell_quoted(set));
  if (arguments.until.has_value()) out += cat(" --until ", until_text(*arguments.until));
  if (arguments.keep_going) out += " --keep-going";
  if (arguments.swarm) out += " --swarm";
  for (size_t i = 0; i < arguments.near.size(); ++i) {
    out += cat(i == 0 ? " --near " : ",", seed_text(arguments.near[i]));
  }
  if (!arguments.planted.empty()) out += cat(" --planted ", shell_quoted(arguments.planted));
  return out;
}

std::string_view verdict_word(const RunReport& report) {
  const bool planted = !report.arguments.planted.empty();
  switch (report.result.verdict) {
    case sim::Verdict::kPass:
      return planted ? "?" : "PASS";
    case sim::Verdict::kViolation:
      return "FAIL";
    case sim::Verdict::kInconclusive:
      return "?";
    case sim::Verdict::kExpected:
      return "EXPECTED";
    case sim::Verdict::kInternalError:
      return "ERROR";
  }
  QK_CHECK(false);
}

bool is_good(const RunReport& report) {
  const std::string_view word = verdict_word(report);
  return word == "PASS" || word == "EXPECTED";
}

std::string report_text(const RunReport& report, bool colour, bool timing) {
  const std::string_view word = verdict_word(report);
  const sim::RunResult& result = report.result;
  const std::string& planted = report.arguments.planted;
  std::string head = painted(word, colour);
  if (word == "EXPECTED") {
    head += cat(" ", violated_ids(result), "  ");
  } else {
    head.append(6 - word.size(), ' ');
  }
  head += cat(printable(report.name), "  seed ", seed_text(report.seed));
  if (!planted.empty()) head += cat("  planted ", printable(planted));

  // A failure is told by its violations; any other verdict, and the absence of an expected
  // violation, by one line, which the violations that there are follow.
  const bool failed = (word == "FAIL" || word == "ERROR") && !result.violations.empty();
  std::string out;
  if (!failed) out += cat(head, "  ", totals(report, timing), "\n");
  for (const sim::Violation& violation : result.violations) {
    out += violation_block(report, violation, failed ? head : "  found   ");
  }
  for (const std::string& reason : result.unmet) out += row("because", reason);
  for (const std::string& reason : result.inconclusive) out += row("because", reason);
  if (word == "?" && result.verdict == sim::Verdict::kPass) {
    out += row("because", "nothing noticed the planted bug");
  }
  if (result.violations.empty() && word != "PASS") {
    out += row("repro", cat(repro_command(report), "    # chain ", chain_text(result.chain),
                            " at #", result.events, ", build ", report.build));
  }
  // A run that ended early has judged little, and says why it ended.
  if (!result.unjudged.empty() && result.violations.empty()) {
    out += row("unjudged", join(result.unjudged));
  }
  if (result.ack_gap) {
    out += row("available", cat("longest time without a client ack ", to_text(*result.ack_gap)));
  }
  for (const std::string& wait : result.waits) out += row("waited", wait);
  for (const std::string& note : result.notes) out += row("note", note);
  for (const std::string& line : result.stops) out += row("stops", line);
  return out;
}

}  // namespace qk::cli
