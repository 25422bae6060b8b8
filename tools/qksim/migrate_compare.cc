#include "tools/qksim/migrate_compare.h"

#include "families/base/suggest.h"

namespace qk::cli {
namespace {

std::string log_text(const StateFacts& facts, bool digests) {
  const int64_t count = facts.last - facts.first + 1;
  std::string out =
      count == 0 ? cat("no entries, next index ", facts.first)
                 : cat(count, count == 1 ? " entry " : " entries ", facts.first, "..", facts.last);
  if (digests) out += cat(", digest ", qk::to_hex(facts.totals.state.log));
  return out;
}

std::string snapshot_text(const StateFacts& facts) {
  if (!facts.snapshot) return "no snapshot";
  const families::SnapshotMeta& meta = *facts.snapshot;
  return cat("index ", meta.last_included_index, ", term ", meta.last_included_term, ", peers ",
             join(meta.peers), ", old peers ", join(meta.old_peers));
}

std::string files_text(const StateFacts& facts) {
  return cat(facts.totals.files, facts.totals.files == 1 ? " file of " : " files of ",
             facts.totals.file_bytes, " bytes, digest ", qk::to_hex(facts.totals.state.snapshot));
}

}  // namespace

StateFacts facts_of(const image::ExportCut& cut) {
  StateFacts facts;
  facts.first = cut.first;
  facts.last = cut.last;
  facts.hard_state = cut.hard_state;
  if (cut.snapshot != nullptr) facts.snapshot = cut.snapshot->meta();
  return facts;
}

StateFacts facts_of(const image::Reading& reading) {
  StateFacts facts = facts_of(reading.cut());
  facts.totals = reading.known().totals;
  return facts;
}

std::vector<ComparedDomain> compare_domains(const StateFacts& found, const StateFacts& expected,
                                            bool digests) {
  const auto term = [](const StateFacts& f) { return cat(f.hard_state.term); };
  const auto vote = [](const StateFacts& f) {
    return f.hard_state.voted_for.empty() ? std::string("nobody") : f.hard_state.voted_for;
  };
  std::vector<ComparedDomain> domains = {
      {"log", log_text(found, digests), log_text(expected, digests)},
      {"term", term(found), term(expected)},
      {"vote", vote(found), vote(expected)},
      {"snapshot meta", snapshot_text(found), snapshot_text(expected)}};
  if (digests) domains.push_back({"files", files_text(found), files_text(expected)});
  return domains;
}

absl::Status check_equal(const std::vector<ComparedDomain>& domains) {
  std::string text;
  for (const ComparedDomain& domain : domains) {
    if (domain.equal()) continue;
    text += cat(text.empty() ? "" : "; ", domain.name, ": found ", domain.found, ", expected ",
                domain.expected);
  }
  return text.empty() ? absl::OkStatus() : absl::FailedPreconditionError(text);
}

}  // namespace qk::cli
