#include "image/report.h"

#include <algorithm>
#include <optional>

#include "image/digest.h"
#include "image/walk.h"

namespace qk::image {
namespace {

using families::Family;
using families::LogStorage;

// A view of one side for messages.
std::string describe(const families::LogEntry& entry) {
  return cat("entry ", entry.index, ", term ", entry.term, ", ", families::to_string(entry.type),
             ", ", entry.payload.size(), " bytes, sha256 ",
             to_hex(sha256(entry.payload)).substr(0, 12));
}
std::string describe_range(int64_t first, int64_t last) {
  return last < first ? cat("empty log, next index ", first) : cat("entries ", first, "..", last);
}
std::string describe(const families::HardState& state) {
  return cat("term ", state.term, ", vote ", state.voted_for.empty() ? "nobody" : state.voted_for);
}
std::string describe(const families::SnapshotMeta& meta) {
  std::string text = cat("snapshot ", meta.last_included_index, "/", meta.last_included_term);
  const auto list = [&](std::string_view name, const std::vector<std::string>& peers) {
    if (peers.empty()) return;
    text += cat(", ", name);
    for (const std::string& peer : peers) text += cat(" ", peer);
  };
  list("peers", meta.peers);
  list("old peers", meta.old_peers);
  return text;
}
std::string describe(const FileHead& head, const Digest& content) {
  std::string text = cat("file of ", head.size, " bytes, sha256 ", to_hex(content).substr(0, 12));
  const families::FileMeta& meta = head.file.meta;
  if (meta.user_meta) text += cat(", user meta ", meta.user_meta->size(), " bytes");
  if (meta.source) text += cat(", source ", *meta.source);
  if (meta.checksum) text += cat(", checksum ", *meta.checksum);
  return text;
}

Difference unreadable(Domain domain, std::string_view side, const absl::Status& status) {
  Difference difference;
  difference.domain = domain;
  difference.kind = DifferenceKind::kUnreadable;
  (side == "a" ? difference.a : difference.b) = to_std(status.message());
  return difference;
}

Difference log_difference(DifferenceKind kind, int64_t index, std::string a, std::string b,
                          int64_t last_equal) {
  Difference difference;
  difference.domain = Domain::kLog;
  difference.kind = kind;
  difference.index = index;
  difference.a = std::move(a);
  difference.b = std::move(b);
  difference.last_equal = last_equal;
  return difference;
}

// Hash per entry of [from, to].
absl::Status hash_entries(LogStorage& log, int64_t from, int64_t to, std::vector<Digest>* hashes) {
  hashes->clear();
  std::string bytes;
  return scan_exactly(log, from, to, [&](const families::LogEntry& entry) {
    bytes.clear();
    encode_entry(&bytes, entry);
    hashes->push_back(sha256(bytes));
    return absl::OkStatus();
  });
}

std::string describe_entry(LogStorage& log, int64_t index) {
  const auto entry = log.entry(index);
  return entry.ok() ? describe(*entry) : std::string(to_std(entry.status().message()));
}

std::optional<Difference> compare_logs(LogStorage& a, LogStorage& b, EquivalenceReport* report) {
  const int64_t a_first = a.first_index(), a_last = a.last_index();
  const int64_t b_first = b.first_index(), b_last = b.last_index();
  if (auto s = check_log_range(a_first, a_last); !s.ok()) return unreadable(Domain::kLog, "a", s);
  if (auto s = check_log_range(b_first, b_last); !s.ok()) return unreadable(Domain::kLog, "b", s);
  if (a_first != b_first) {
    return log_difference(DifferenceKind::kStructural, std::min(a_first, b_first),
                          describe_range(a_first, a_last), describe_range(b_first, b_last), 0);
  }
  const int64_t common = std::min(a_last, b_last);
  std::vector<Digest> a_hashes, b_hashes;
  for (int64_t from = a_first; from <= common;) {
    const int64_t to = std::min(common, block_last(block_of(from)));
    if (auto s = hash_entries(a, from, to, &a_hashes); !s.ok()) {
      return unreadable(Domain::kLog, "a", s);
    }
    if (auto s = hash_entries(b, from, to, &b_hashes); !s.ok()) {
      return unreadable(Domain::kLog, "b", s);
    }
    const auto [at, unused] = std::mismatch(a_hashes.begin(), a_hashes.end(), b_hashes.begin());
    report->entries_compared += static_cast<uint64_t>(at - a_hashes.begin());
    if (at != a_hashes.end()) {
      const int64_t index = from + (at - a_hashes.begin());
      return log_difference(DifferenceKind::kContent, index, describe_entry(a, index),
                            describe_entry(b, index), index > a_first ? index - 1 : 0);
    }
    from = to + 1;
  }
  if (a_last == b_last) return std::nullopt;
  // A log that ends sooner is what the reference was earlier; one that goes on is something else.
  return log_difference(b_last < a_last ? DifferenceKind::kFreshness : DifferenceKind::kStructural,
                        common + 1, describe_range(a_first, a_last),
                        describe_range(b_first, b_last), common >= a_first ? common : 0);
}

std::optional<Difference> compare_meta(const families::HardState& a, const families::HardState& b) {
  if (a == b) return std::nullopt;
  Difference difference;
  difference.domain = Domain::kMeta;
  difference.kind = DifferenceKind::kContent;
  difference.a = describe(a);
  difference.b = describe(b);
  return difference;
}

// Walks the files of both snapshots in path order.
class SnapshotComparison {
 public:
  SnapshotComparison(const families::SnapshotReader* a, const families::SnapshotReader* b,
                     EquivalenceReport* report)
      : a_(a), b_(b), report_(report) {}

  std::optional<Difference> run() {
    if (a_ == nullptr && b_ == nullptr) return std::nullopt;
    if (a_ == nullptr || b_ == nullptr) {
      const bool lagging = b_ == nullptr;
      return difference(lagging ? DifferenceKind::kFreshness : DifferenceKind::kStructural, "",
                        describe_side(a_), describe_side(b_));
    }
    if (!(a_->meta() == b_->meta())) {
      const int64_t a_index = a_->meta().last_included_index;
      const int64_t b_index = b_->meta().last_included_index;
      const DifferenceKind kind = b_index < a_index   ? DifferenceKind::kFreshness
                                  : b_index > a_index ? DifferenceKind::kStructural
                                                      : DifferenceKind::kContent;
      return difference(kind, "", describe_side(a_), describe_side(b_));
    }
    auto a_files = sorted_files(a_);
    if (!a_files.ok()) return unreadable(Domain::kSnapshot, "a", a_files.status());
    auto b_files = sorted_files(b_);
    if (!b_files.ok()) return unreadable(Domain::kSnapshot, "b", b_files.status());
    for (size_t i = 0; i < std::max(a_files->size(), b_files->size()); ++i) {
      const FileHead* a = i < a_files->size() ? &(*a_files)[i] : nullptr;
      const FileHead* b = i < b_files->size() ? &(*b_files)[i] : nullptr;
      if (a == nullptr || b == nullptr || a->file.path != b->file.path) {
        const bool only_a = b == nullptr || (a != nullptr && a->file.path < b->file.path);
        const FileHead& there = only_a ? *a : *b;
        return difference(DifferenceKind::kStructural, there.file.path,
                          only_a ? presence(there) : "not listed",
                          only_a ? "not listed" : presence(there));
      }
      if (a->unlisted != b->unlisted) {
        return difference(DifferenceKind::kStructural, a->file.path, presence(*a), presence(*b));
      }
      if (auto found = compare_file(*a, *b)) return found;
    }
    return std::nullopt;
  }

 private:
  static std::string presence(const FileHead& file) {
    return file.unlisted ? "there without being listed" : "listed";
  }

  std::optional<Difference> compare_file(const FileHead& a, const FileHead& b) {
    FileHead a_head, b_head;
    Digest a_hash{}, b_hash{};
    if (auto s = read(*a_, a, &a_head, &a_hash); !s.ok()) {
      return unreadable(Domain::kSnapshot, "a", s);
    }
    if (auto s = read(*b_, b, &b_head, &b_hash); !s.ok()) {
      return unreadable(Domain::kSnapshot, "b", s);
    }
    if (a_head.size != b_head.size || a_hash != b_hash || !(a.file == b.file)) {
      return difference(DifferenceKind::kContent, a.file.path, describe(a_head, a_hash),
                        describe(b_head, b_hash));
    }
    ++report_->files_compared;
    report_->file_bytes_compared += a_head.size;
    return std::nullopt;
  }

  static absl::Status read(const families::SnapshotReader& reader, const FileHead& file,
                           FileHead* head, Digest* hash) {
    QK_ASSIGN_OR_RETURN(const OpenedFile opened, open_sorted(reader, file));
    *head = opened.head;
    QK_ASSIGN_OR_RETURN(*hash, hash_file(*opened.file, file.file.path, opened.head.size));
    return absl::OkStatus();
  }

  static std::string describe_side(const families::SnapshotReader* reader) {
    return reader == nullptr ? std::string("no snapshot") : describe(reader->meta());
  }

  Difference difference(DifferenceKind kind, std::string path, std::string a, std::string b) const {
    Difference result;
    result.domain = Domain::kSnapshot;
    result.kind = kind;
    result.index = (a_ != nullptr ? a_ : b_)->meta().last_included_index;
    result.path = std::move(path);
    result.a = std::move(a);
    result.b = std::move(b);
    return result;
  }

  const families::SnapshotReader* a_;
  const families::SnapshotReader* b_;
  EquivalenceReport* report_;
};

std::optional<Difference> compare_snapshots(Family& a, Family& b, EquivalenceReport* report) {
  const auto a_reader = open_snapshot(a);
  if (!a_reader.ok()) return unreadable(Domain::kSnapshot, "a", a_reader.status());
  const auto b_reader = open_snapshot(b);
  if (!b_reader.ok()) return unreadable(Domain::kSnapshot, "b", b_reader.status());
  return SnapshotComparison(a_reader->get(), b_reader->get(), report).run();
}

}  // namespace

std::string_view to_string(Domain domain) {
  switch (domain) {
    case Domain::kLog:
      return "log";
    case Domain::kMeta:
      return "meta";
    case Domain::kSnapshot:
      return "snapshot";
  }
  return "?";
}

std::string_view to_string(DifferenceKind kind) {
  switch (kind) {
    case DifferenceKind::kStructural:
      return "structural";
    case DifferenceKind::kContent:
      return "content";
    case DifferenceKind::kFreshness:
      return "freshness";
    case DifferenceKind::kUnreadable:
      return "unreadable";
  }
  return "?";
}

EquivalenceReport compare(Family& a, Family& b, uint64_t seq) {
  EquivalenceReport report;
  report.seq = seq;
  const auto note = [&](std::optional<Difference> difference) {
    if (difference) report.differences.push_back(*std::move(difference));
  };
  note(compare_logs(a.log(), b.log(), &report));
  note(compare_meta(a.meta().hard_state(), b.meta().hard_state()));
  note(compare_snapshots(a, b, &report));
  report.equal = report.differences.empty();
  return report;
}

std::string to_text(const EquivalenceReport& report) {
  const std::string counts =
      cat(report.entries_compared, " entries, term and vote, ", report.files_compared,
          " snapshot files of ", report.file_bytes_compared, " bytes");
  if (report.equal) return cat("equal at cut ", report.seq, ": ", counts);
  std::string text = cat("differ at cut ", report.seq, "; equal so far: ", counts);
  for (const Difference& d : report.differences) {
    text += cat("\n  ", to_string(d.domain), " ", to_string(d.kind));
    if (d.domain == Domain::kLog && d.index > 0) text += cat(" at index ", d.index);
    if (!d.path.empty()) text += cat(" at \"", d.path, "\"");
    if (d.kind == DifferenceKind::kUnreadable) {
      text += d.b.empty() ? cat(": a: ", d.a) : cat(": b: ", d.b);
      continue;
    }
    text += cat(": a has ", d.a, "; b has ", d.b);
    if (d.domain == Domain::kLog && d.last_equal > 0) text += cat("; equal up to ", d.last_equal);
  }
  return text;
}

}  // namespace qk::image
