// What the tests of the pure core share.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "families/base/check.h"
#include "families/base/strings.h"
#include "sim/raft/core.h"

namespace qk::raft::testing {

// What the disk holds of a log.
struct MemoryLog final : LogView {
  int64_t first_index = 1;
  std::deque<families::LogEntry> stored;

  int64_t first() const override { return first_index; }
  int64_t last() const override { return first_index + static_cast<int64_t>(stored.size()) - 1; }
  absl::StatusOr<int64_t> term(int64_t index) override {
    QK_CHECK(index >= first() && index <= last());
    return stored[static_cast<size_t>(index - first_index)].term;
  }
  absl::StatusOr<std::vector<families::LogEntry>> entries(int64_t from, int64_t to,
                                                          size_t) override {
    QK_CHECK(from >= first() && to <= last());
    const auto begin = stored.begin() + static_cast<std::ptrdiff_t>(from - first_index);
    return std::vector<families::LogEntry>(begin,
                                           begin + static_cast<std::ptrdiff_t>(to - from + 1));
  }
  void apply(families::Mutation& m) {
    using families::Operation;
    switch (m.operation) {
      case Operation::kAppend:
        for (families::LogEntry& entry : m.entries) {
          QK_CHECK(entry.index == last() + 1);
          stored.push_back(std::move(entry));
        }
        return;
      case Operation::kTruncateSuffix:
        while (last() > m.index) stored.pop_back();
        return;
      case Operation::kTruncatePrefix:
        while (!stored.empty() && first_index < m.index) {
          stored.pop_front();
          ++first_index;
        }
        first_index = m.index;
        return;
      case Operation::kReset:
        stored.clear();
        first_index = m.index;
        return;
      default:
        QK_CHECK(!"a mutation of the log");
    }
  }
};

inline std::string describe(const families::LogId& id) { return cat(id.index, "/", id.term); }

// What a message says, in one line.
struct Describe {
  std::string operator()(const VoteRequest& r) const {
    return cat(r.pre ? "pre_vote" : "request_vote", " term ", r.term, " last ",
               describe(r.last_log));
  }
  std::string operator()(const VoteResponse& r) const {
    return cat(r.pre ? "pre_vote" : "request_vote", " answer term ", r.term,
               r.granted ? " granted" : " refused");
  }
  std::string operator()(const AppendRequest& r) const {
    std::string out =
        cat("append term ", r.term, " prev ", describe(r.prev), " committed ", r.committed);
    for (const families::LogEntry& entry : r.entries) {
      out += cat(" ", entry.index, "/", entry.term, ":",
                 entry.type == families::EntryType::kData ? entry.payload
                                                          : std::string(to_string(entry.type)));
    }
    return out;
  }
  std::string operator()(const AppendResponse& r) const {
    return cat("append answer term ", r.term, r.success ? " ok" : " refused", " last ",
               r.last_log_index);
  }
  std::string operator()(const InstallRequest& r) const {
    return cat("install_snapshot term ", r.term, " at ", r.meta.last_included_index);
  }
  std::string operator()(const InstallResponse& r) const {
    return cat("install_snapshot answer term ", r.term, r.success ? " ok" : " refused");
  }
  std::string operator()(const TimeoutNowRequest& r) const {
    return cat("timeout_now term ", r.term);
  }
  std::string operator()(const TimeoutNowResponse& r) const {
    return cat("timeout_now answer term ", r.term, r.success ? " ok" : " refused");
  }
};

}  // namespace qk::raft::testing
