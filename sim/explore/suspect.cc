#include "sim/explore/suspect.h"

#include <algorithm>
#include <charconv>
#include <string_view>

#include "sim/explore/sentences.h"

namespace qk::sim {
namespace {

using TopicKind = Topic::Kind;

std::optional<int64_t> number_after(std::string_view text, std::string_view words) {
  const size_t found = text.find(words);
  if (found == std::string_view::npos) return std::nullopt;
  const char* const begin = text.data() + found + words.size();
  int64_t number = 0;
  const auto read = std::from_chars(begin, text.data() + text.size(), number);
  if (read.ec != std::errc()) return std::nullopt;
  return number;
}

std::string file_in(std::string_view text) {
  const size_t begin = text.find("/node/");
  if (begin == std::string_view::npos) return "";
  std::string file(text.substr(begin, text.find_first_of(" ,:;\n", begin) - begin));
  return file;
}

// As the oracles write a digest: "snapshot (index 2, term 2, ...", "(index 7, term 2, data, ...",
// "(term 3, vote nobody)". What comes first counts.
Topic digest_in(std::string_view text) {
  Topic topic;
  const size_t snapshot = text.find("snapshot (index ");
  const size_t entry = text.find("(index ");
  const size_t meta = std::min(text.find("(term "), text.find("term "));
  const size_t log = text.find("log [");
  const size_t first = std::min({snapshot, entry, meta, log});
  if (first == std::string_view::npos) return topic;
  if (first == snapshot) {
    topic.kind = TopicKind::kSnapshot;
    topic.index = number_after(text, "snapshot (index ");
  } else if (first == entry) {
    topic.kind = TopicKind::kLog;
    topic.index = number_after(text, "(index ");
  } else if (first == log) {
    topic.kind = TopicKind::kLog;
  } else if (text.find("vote ") != std::string_view::npos) {
    topic.kind = TopicKind::kMeta;
    topic.term = number_after(text.substr(first), "term ");
  }
  return topic;
}

// As storage writes an error: a file, and what of it.
Topic error_in(std::string_view text) {
  Topic topic;
  topic.file = file_in(text);
  for (const std::string_view words : {"log row ", "begins at index ", "index "}) {
    if (topic.index) break;
    topic.index = number_after(text, words);
  }
  const auto has = [&](std::string_view part) { return text.find(part) != std::string_view::npos; };
  if (has("log row ") || topic.file.find("/log/") != std::string::npos) {
    topic.kind = TopicKind::kLog;
  } else if (topic.file.find("/snapshot") != std::string::npos) {
    topic.kind = TopicKind::kSnapshot;
  } else if (has("meta content") || topic.file.find("/raft_meta") != std::string::npos) {
    topic.kind = TopicKind::kMeta;
    topic.index.reset();
    topic.term = number_after(text, "b has term ");
  }
  return topic;
}

TopicKind kind_of(const Event& issue) {
  switch (store_op(issue)) {
    case StoreOp::kSaveMeta:
      return TopicKind::kMeta;
    case StoreOp::kSaveSnapshot:
      return TopicKind::kSnapshot;
    default:
      return TopicKind::kLog;
  }
}

// Whether the mutation is what made the state that the topic names.
bool makes(const Event& issue, const Topic& topic) {
  if (kind_of(issue) != topic.kind) return false;
  switch (topic.kind) {
    case TopicKind::kMeta:
      return !topic.term || issue.signed_arg(2) == *topic.term;
    case TopicKind::kSnapshot:
      return !topic.index || issue.signed_arg(2) == *topic.index;
    case TopicKind::kLog:
      return !topic.index ||
             (store_op(issue) == StoreOp::kAppend && issue.signed_arg(2) <= *topic.index &&
              *topic.index <= issue.signed_arg(3));
    case TopicKind::kUnknown:
      break;
  }
  return false;
}

bool ends_process(const Event& event) {
  return event.kind == EventKind::kFaultCrash || event.kind == EventKind::kNodeStop;
}

}  // namespace

Topic topic_of(const Violation& violation) {
  const bool image = violation.oracle == "ora.I1";
  Topic topic = digest_in(image ? violation.actual : violation.expected);
  if (topic.kind == TopicKind::kUnknown) topic = error_in(violation.actual);
  if (topic.kind == TopicKind::kUnknown &&
      (violation.oracle == "ora.L5" || violation.oracle == "ora.D4" ||
       violation.oracle == "ora.R2")) {
    topic.kind = TopicKind::kMeta;
  }
  if (topic.kind == TopicKind::kUnknown && violation.index > 0) topic.kind = TopicKind::kLog;
  if (topic.kind == TopicKind::kLog && violation.index > 0) topic.index = violation.index;
  return topic;
}

const Event* end_judged(const Trace& trace, const Violation& violation) {
  const Event& event = trace.event(violation.seq);
  if (event.node == 0) return nullptr;
  const bool of_storage =
      violation.oracle.starts_with("ora.L") || violation.oracle.starts_with("ora.D");
  const bool after_done =
      event.cause != 0 && trace.event(event.cause).kind == EventKind::kStoreDone;
  if (!of_storage || after_done) return nullptr;
  for (uint64_t seq = event.seq - 1; seq >= 1; --seq) {
    const Event& e = trace.event(seq);
    if (e.node != event.node) continue;
    // Done since it started: what it holds is no longer what the end left.
    if (e.kind == EventKind::kStoreDone) return nullptr;
    if (ends_process(e)) return &e;
  }
  return nullptr;
}

std::vector<const Event*> in_flight_at(const Trace& trace, const Event& end) {
  std::vector<const Event*> given;
  uint64_t begin = end.seq;
  for (; begin > 1; --begin) {
    const Event& e = trace.event(begin - 1);
    if (e.node == end.node && ends_process(e)) break;
  }
  for (uint64_t seq = begin; seq < end.seq; ++seq) {
    const Event& e = trace.event(seq);
    if (e.node != end.node) continue;
    if (e.kind == EventKind::kStoreIssue) given.push_back(&e);
    if (e.kind != EventKind::kStoreDone || e.arg(5) != 0) continue;
    std::erase_if(given, [&](const Event* issue) { return issue->seq == e.span; });
  }
  return given;
}

Suspect suspect_of(const Trace& trace, const Violation& violation) {
  const Event& event = trace.event(violation.seq);
  if (event.node == 0) return {};
  const Topic topic = topic_of(violation);
  if (const Event* const end = end_judged(trace, violation); end != nullptr) {
    const std::vector<const Event*> open = in_flight_at(trace, *end);
    // What lies damaged is of that kind; an index that is named may be of what it did not touch.
    const auto same = std::find_if(open.begin(), open.end(), [&](const Event* issue) {
      return topic.kind == kind_of(*issue) && violation.oracle == "ora.L9";
    });
    if (same != open.end()) return {*same, nullptr, end};
    if (!open.empty() && topic.kind == TopicKind::kUnknown) return {open.back(), nullptr, end};
  }
  const auto is_done = [&](const Event& e) {
    return e.node == event.node && e.kind == EventKind::kStoreDone && e.arg(5) == 0 && e.span != 0;
  };
  // What an oracle says at the end of a mutation is of that mutation, unless it names another one.
  const bool named =
      (topic.kind == TopicKind::kMeta && topic.term) ||
      (topic.kind != TopicKind::kUnknown && topic.index && violation.oracle != "ora.L2");
  const Event* const cause =
      event.cause != 0 && is_done(trace.event(event.cause)) ? &trace.event(event.cause) : nullptr;
  if (!named && cause != nullptr && topic.kind != TopicKind::kMeta &&
      topic.kind != TopicKind::kSnapshot) {
    return {&trace.event(cause->span), cause, cause};
  }
  const Event* last = nullptr;
  for (uint64_t seq = event.seq - 1; seq >= 1; --seq) {
    const Event& e = trace.event(seq);
    if (!is_done(e)) continue;
    const Event& issue = trace.event(e.span);
    if (last == nullptr) last = &e;
    if (makes(issue, topic)) return {&issue, &e, &e};
  }
  if (cause != nullptr) last = cause;
  // Nothing that makes what a finding of migrations or of the image names: it is about something else.
  const bool of_step =
      violation.oracle.starts_with("ora.M") || violation.oracle.starts_with("ora.I");
  if (last == nullptr || of_step) return {};
  return {&trace.event(last->span), last, last};
}

}  // namespace qk::sim
