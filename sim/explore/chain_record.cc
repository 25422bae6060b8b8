#include "sim/explore/chain_record.h"

#include <charconv>

#include "families/base/check.h"
#include "families/base/strings.h"

namespace qk::sim {
namespace {

constexpr std::string_view kHead = "qksim chain 1";
constexpr std::string_view kLevels[] = {"none", "marks", "full"};
constexpr size_t kMaxNodes = 64;
constexpr size_t kMaxWordBytes = 255;

std::optional<uint64_t> number(std::string_view text, int base) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return {};
  return value;
}

// Decimal as chain_text_of() writes it: no leading zero.
std::optional<uint64_t> decimal(std::string_view text) {
  if (text.size() > 1 && text[0] == '0') return {};
  return number(text, 10);
}

std::optional<uint64_t> hash(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  if (text.size() != 16 || text.find_first_not_of(kDigits) != std::string_view::npos) return {};
  return number(text, 16);
}

// A name of a node, a build or a planted bug: printable, without a blank.
bool is_word(std::string_view text) {
  if (text.empty() || text.size() > kMaxWordBytes) return false;
  for (const char c : text) {
    if (c <= ' ' || c > '~') return false;
  }
  return true;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : rest_(text) {}

  absl::StatusOr<ChainRecord> parse() {
    ChainRecord record;
    if (!next() || line_ != kHead) return bad(cat("expected \"", kHead, "\""));
    std::string_view value;
    if (!next() || !take("build ", &value) || !is_word(value)) return bad("expected \"build ID\"");
    record.build = std::string(value);
    if (!next() || !take("seed 0x", &value)) return bad("expected \"seed 0xHEX\"");
    const auto seed = number(value, 16);
    if (!seed) return bad("expected \"seed 0xHEX\"");
    record.seed = *seed;
    if (!next()) return bad("expected \"trace LEVEL\"");
    if (take("until ", &value)) {
      const auto until = decimal(value);
      if (!until || *until > INT64_MAX) return bad("expected \"until NANOSECONDS\"");
      record.until = static_cast<Nanos>(*until);
      next();
    }
    if (line_ == "keep-going") {
      record.keep_going = true;
      next();
    }
    if (take("planted ", &value)) {
      if (!is_word(value)) return bad("expected \"planted NAME\"");
      record.planted = std::string(value);
      next();
    }
    if (!take("trace ", &value) || !level(value, &record.level)) {
      return bad("expected \"trace none\", \"trace marks\" or \"trace full\"");
    }
    while (next() && take("node ", &value)) {
      if (!is_word(value)) return bad("expected \"node NAME\"");
      if (record.nodes.size() == kMaxNodes) return bad(cat("more than ", kMaxNodes, " nodes"));
      record.nodes.emplace_back(value);
    }
    QK_RETURN_IF_ERROR(points(&record));
    return record;
  }

 private:
  // The present line is the first one of them.
  absl::Status points(ChainRecord* record) {
    for (bool end = false; !end; next()) {
      std::string_view line = line_;
      end = take("end ", &line);
      const uint64_t due = Trace::kCheckpointEvery * record->points.size();
      auto point = this->point(line, record->nodes.size() + 1);
      if (!point) {
        return bad(cat("expected a number of events and ", record->nodes.size() + 2,
                       " hashes, the last line after \"end \""));
      }
      if (end ? point->events / Trace::kCheckpointEvery + 1 != record->points.size()
              : point->events != due) {
        return bad(end ? cat("expected the end before event ", due)
                       : cat("expected event ", due, ", or the end"));
      }
      record->points.push_back(*std::move(point));
    }
    if (!line_.empty() || !rest_.empty() || cut_) return bad("expected the end of the file");
    return absl::OkStatus();
  }

  static std::optional<ChainPoint> point(std::string_view line, size_t nodes) {
    ChainPoint point;
    for (size_t i = 0; i < nodes + 2; ++i) {
      const size_t blank = i == nodes + 1 ? line.size() : line.find(' ');
      if (blank == std::string_view::npos) return {};
      const std::string_view word = line.substr(0, blank);
      line.remove_prefix(std::min(blank + 1, line.size()));
      const auto value = i == 0 ? decimal(word) : hash(word);
      if (!value) return {};
      (i == 0 ? point.events : i == 1 ? point.chain : point.nodes.emplace_back()) = *value;
    }
    return point;
  }

  static bool level(std::string_view text, TraceLevel* level) {
    for (size_t i = 0; i < std::size(kLevels); ++i) {
      if (text != kLevels[i]) continue;
      *level = static_cast<TraceLevel>(i);
      return true;
    }
    return false;
  }

  // Sets line_; false, and an empty line, at the end of the text.
  bool next() {
    const size_t end = rest_.find('\n');
    line_ = rest_.substr(0, end);
    ++lines_;
    if (end == std::string_view::npos) {
      // A text that does not end with a newline was cut.
      cut_ = !rest_.empty();
      line_ = rest_ = {};
      return false;
    }
    rest_.remove_prefix(end + 1);
    return true;
  }
  bool take(std::string_view prefix, std::string_view* value) const {
    if (!line_.starts_with(prefix)) return false;
    *value = line_.substr(prefix.size());
    return true;
  }
  absl::Status bad(std::string_view expected) const {
    constexpr size_t kShown = 60;
    return absl::DataLossError(cat(
        "line ", lines_, ": ", expected, ", found ",
        cut_ ? std::string("a line without its end") : cat("\"", line_.substr(0, kShown), "\"")));
  }

  std::string_view rest_;
  std::string_view line_;
  size_t lines_ = 0;
  bool cut_ = false;
};

}  // namespace

ChainRecord chain_record_of(const Trace& trace) {
  ChainRecord record;
  record.seed = trace.start().seed;
  record.level = trace.level();
  record.nodes = trace.start().nodes;
  const auto add = [&](uint64_t events, uint64_t chain, const auto& node_chain) {
    ChainPoint& point = record.points.emplace_back();
    point.events = events;
    point.chain = chain;
    for (NodeId node = 0; node <= trace.nodes(); ++node) point.nodes.push_back(node_chain(node));
  };
  Scheduler scheduler;
  const Trace empty(&scheduler, trace.start(), TraceLevel::kNone);
  add(0, empty.chain(), [&](NodeId node) { return empty.node_chain(node); });
  for (size_t i = 0; i < trace.checkpoints(); ++i) {
    add(Trace::kCheckpointEvery * (i + 1), trace.checkpoint_chain(i),
        [&](NodeId node) { return trace.checkpoint_node_chain(i, node); });
  }
  add(trace.events(), trace.chain(), [&](NodeId node) { return trace.node_chain(node); });
  return record;
}

std::string chain_text_of(const ChainRecord& record) {
  std::string out = cat(kHead, "\nbuild ", record.build, "\nseed 0x", absl::Hex(record.seed), "\n");
  if (record.until) out += cat("until ", *record.until, "\n");
  if (record.keep_going) out += "keep-going\n";
  if (!record.planted.empty()) out += cat("planted ", record.planted, "\n");
  out += cat("trace ", kLevels[static_cast<size_t>(record.level)], "\n");
  for (const std::string& node : record.nodes) out += cat("node ", node, "\n");
  for (const ChainPoint& point : record.points) {
    if (&point == &record.points.back()) out += "end ";
    out += cat(point.events, " ", hex16(point.chain));
    for (const uint64_t chain : point.nodes) out += cat(" ", hex16(chain));
    out += '\n';
  }
  return out;
}

absl::StatusOr<ChainRecord> parse_chain_record(std::string_view text) {
  if (text.size() > kMaxChainRecordBytes) {
    return absl::DataLossError(cat(text.size(), " bytes, expected at most ", kMaxChainRecordBytes));
  }
  return Parser(text).parse();
}

}  // namespace qk::sim
