#include "families/testing/golden_support.h"

#include <algorithm>

#include "families/base/bytes.h"
#include "families/base/check.h"
#include "families/base/hash.h"
#include "families/fs/file_util.h"

namespace qk::families {
namespace {

using nlohmann::json;

template <typename T>
std::string show(const T& value) {
  if constexpr (std::is_same_v<T, std::string>) {
    return value;
  } else {
    return cat(value);
  }
}

// Collects "what: found X, expected Y".
struct Report {
  std::vector<std::string> lines;

  template <typename T>
  void expect(const std::string& what, const T& found, const T& expected) {
    if (found == expected) return;
    lines.push_back(cat(what, ": found ", show(found), ", expected ", show(expected)));
  }
  void add(const std::string& what, const absl::Status& status) {
    lines.push_back(cat(what, ": ", to_std(status.message())));
  }
};

std::string braft_name(EntryType type) {
  switch (type) {
    case EntryType::kNoOp:
      return "NO_OP";
    case EntryType::kData:
      return "DATA";
    case EntryType::kConfiguration:
      return "CONFIGURATION";
  }
  return "UNKNOWN";
}

std::string join(const std::vector<std::string>& items) {
  std::string all;
  for (const std::string& item : items) all += cat(item, " ");
  return all;
}

std::string optional_text(const std::optional<std::string>& text) {
  return text ? cat("\"", *text, "\"") : "absent";
}
std::string optional_text(const json& object, const char* key) {
  return object.contains(key) ? cat("\"", object[key].get<std::string>(), "\"") : "absent";
}

// braft hands out configurations as parsed peers, so their payload is compared in that form.
std::string canonical_payload(const LogEntry& entry, Report* report) {
  if (entry.type != EntryType::kConfiguration) return entry.payload;
  auto configuration = decode_configuration(entry.payload);
  if (!configuration.ok()) {
    report->add(cat("entry ", entry.index), configuration.status());
    return entry.payload;
  }
  for (auto* peers : {&configuration->peers, &configuration->old_peers}) {
    for (std::string& peer : *peers) {
      const auto canonical = canonical_peer(peer);
      // braft reads a peer that it cannot parse as "no vote".
      peer = legacy_peer(canonical.ok() ? *canonical : "");
    }
  }
  return encode_configuration(*configuration);
}

void compare_entry(const LogEntry& entry, const json& expected, Report* report) {
  const std::string where = cat("entry ", entry.index, " ");
  report->expect(where + "index", entry.index, expected["index"].get<int64_t>());
  report->expect(where + "term", entry.term, expected["term"].get<int64_t>());
  report->expect(where + "type", braft_name(entry.type), expected["type"].get<std::string>());
  const std::string payload = canonical_payload(entry, report);
  report->expect(where + "length", payload.size(), expected["len"].get<size_t>());
  report->expect(where + "sha256", to_hex(sha256(payload)), expected["sha256"].get<std::string>());
}

void compare_file(const SnapshotReader& reader, const SnapshotFile& file, const json& expected,
                  Report* report) {
  const std::string where = cat("snapshot file ", to_hex(file.path), " ");
  report->expect(where + "path", to_hex(file.path), expected["path_hex"].get<std::string>());
  std::optional<std::string> user_meta;
  if (file.meta.user_meta) user_meta = to_hex(*file.meta.user_meta);
  report->expect(where + "user_meta", optional_text(user_meta),
                 optional_text(expected, "user_meta_hex"));
  report->expect(where + "checksum", optional_text(file.meta.checksum),
                 optional_text(expected, "checksum"));
  report->expect(where + "source", file.meta.source ? int64_t{*file.meta.source} : int64_t{-1},
                 expected.contains("source") ? expected["source"].get<int64_t>() : int64_t{-1});
  const auto opened = reader.open_file(file.path);
  if (expected.contains("error")) return report->expect(where + "opens", int{opened.ok()}, 0);
  if (!opened.ok()) return report->add(where, opened.status());
  const auto size = (*opened)->size();
  if (!size.ok()) return report->add(where, size.status());
  std::string bytes(*size, '\0');
  const absl::Status read = read_exact(**opened, file.path, 0, bytes);
  if (!read.ok()) return report->add(where, read);
  report->expect(where + "size", bytes.size(), expected["size"].get<size_t>());
  report->expect(where + "sha256", to_hex(sha256(bytes)), expected["sha256"].get<std::string>());
}

void read_below(FileSystem& fs, const std::string& root, const std::string& relative,
                GoldenArchive::Tree* tree) {
  const auto names = fs.list(relative.empty() ? root : join_path(root, relative));
  QK_CHECK(names.ok());
  for (const std::string& name : *names) {
    const std::string child = relative.empty() ? name : cat(relative, "/", name);
    const std::string path = join_path(root, child);
    const auto stat = fs.stat(path);
    QK_CHECK(stat.ok());
    if (stat->kind == FileKind::kDirectory) {
      tree->directories.push_back(child);
      read_below(fs, root, child, tree);
    } else {
      auto bytes = read_file(fs, path, uint64_t{64} << 20);
      QK_CHECK(bytes.ok());
      tree->files.emplace(child, *std::move(bytes));
    }
  }
}

// Where two byte strings part, for a message.
std::string first_difference(const std::string& found, const std::string& expected) {
  size_t at = 0;
  while (at < found.size() && at < expected.size() && found[at] == expected[at]) ++at;
  return cat("differs at offset ", at, ": found ", found.size(), " bytes, expected ",
             expected.size());
}

}  // namespace

const GoldenArchive& golden_archive() {
  static const GoldenArchive* const archive = [] {
    auto loaded = GoldenArchive::load(QK_SOURCE_DIR "/families/local/testdata/braft-golden.tar.gz");
    QK_CHECK(loaded.ok());
    return new GoldenArchive(*std::move(loaded));
  }();
  return *archive;
}

std::vector<std::string> golden_cases(const std::vector<std::string_view>& prefixes) {
  std::vector<std::string> found;
  for (const std::string& name : golden_archive().cases()) {
    for (const std::string_view prefix : prefixes) {
      if (std::string_view(name).substr(0, prefix.size()) == prefix) found.push_back(name);
    }
  }
  return found;
}

json golden_expectation(std::string_view name, std::string_view file) {
  const auto text = golden_archive().file(name, file);
  QK_CHECK(text.ok());
  return json::parse(*text);
}

GoldenArchive::Tree read_tree(FileSystem& fs, const std::string& root) {
  GoldenArchive::Tree tree;
  read_below(fs, root, "", &tree);
  std::sort(tree.directories.begin(), tree.directories.end());
  return tree;
}

std::vector<std::string> tree_differences(const GoldenArchive::Tree& found,
                                          const GoldenArchive::Tree& expected) {
  Report report;
  report.expect("directories", join(found.directories), join(expected.directories));
  for (const auto& [path, bytes] : found.files) {
    const auto it = expected.files.find(path);
    if (it == expected.files.end()) {
      report.lines.push_back(cat(path, ": not expected"));
    } else if (it->second != bytes) {
      report.lines.push_back(cat(path, ": ", first_difference(bytes, it->second)));
    }
  }
  for (const auto& [path, bytes] : expected.files) {
    if (found.files.count(path) == 0) report.lines.push_back(cat(path, ": missing"));
  }
  return report.lines;
}

std::vector<std::string> log_differences(LogStorage& log, const json& expected) {
  Report report;
  report.expect("first_log_index", log.first_index(), expected["first_log_index"].get<int64_t>());
  report.expect("last_log_index", log.last_index(), expected["last_log_index"].get<int64_t>());
  const json& entries = expected["entries"];
  report.expect("entries", static_cast<size_t>(log.last_index() - log.first_index() + 1),
                entries.size());
  if (!report.lines.empty() || entries.empty()) return report.lines;
  const auto unreadable = [](const json& entry) { return entry.contains("error"); };
  if (std::none_of(entries.begin(), entries.end(), unreadable)) {
    size_t position = 0;
    const absl::Status scanned =
        log.scan(log.first_index(), log.last_index(), [&](const LogEntry& entry) {
          compare_entry(entry, entries[position++], &report);
          return absl::OkStatus();
        });
    if (!scanned.ok()) report.add("scan", scanned);
  }
  for (const json& entry : entries) {
    const auto found = log.entry(entry["index"].get<int64_t>());
    if (unreadable(entry)) {
      report.expect(cat("entry ", entry["index"].get<int64_t>(), " is read"), int{found.ok()}, 0);
      continue;
    }
    if (found.ok()) compare_entry(*found, entry, &report);
    if (!found.ok()) report.add("entry()", found.status());
    const auto term = log.term(entry["index"].get<int64_t>());
    if (!term.ok()) {
      report.add("term", term.status());
    } else {
      report.expect("term()", *term, entry["term"].get<int64_t>());
    }
  }
  return report.lines;
}

std::vector<std::string> meta_differences(const MetaStorage& meta, const json& expected) {
  Report report;
  report.expect("term", meta.hard_state().term, expected["term"].get<int64_t>());
  report.expect("vote", legacy_peer(meta.hard_state().voted_for),
                expected["voted_for"].get<std::string>());
  return report.lines;
}

std::vector<std::string> snapshot_differences(SnapshotStorage& snapshot, const json& expected) {
  Report report;
  const bool present = expected["present"].get<bool>();
  report.expect("snapshot present", int{snapshot.current().has_value()}, int{present});
  const auto reader = snapshot.open();
  report.expect("snapshot opens", int{reader.ok()}, int{present});
  if (!present || !reader.ok()) return report.lines;
  const SnapshotMeta& meta = (*reader)->meta();
  report.expect("snapshot index", meta.last_included_index,
                expected["last_included_index"].get<int64_t>());
  report.expect("snapshot term", meta.last_included_term,
                expected["last_included_term"].get<int64_t>());
  report.expect("snapshot peers", join(meta.peers),
                join(expected["peers"].get<std::vector<std::string>>()));
  report.expect("snapshot old peers", join(meta.old_peers),
                join(expected["old_peers"].get<std::vector<std::string>>()));
  const json& files = expected["files"];
  report.expect("snapshot files", (*reader)->files().size(), files.size());
  if (!report.lines.empty()) return report.lines;
  for (size_t i = 0; i < files.size(); ++i) {
    compare_file(**reader, (*reader)->files()[i], files[i], &report);
  }
  return report.lines;
}

std::vector<std::string> differences(Family& family, const json& expected) {
  std::vector<std::string> all = log_differences(family.log(), expected["log"]);
  for (const auto& more : {meta_differences(family.meta(), expected["raft_meta"]),
                           snapshot_differences(family.snapshot(), expected["snapshot"])}) {
    all.insert(all.end(), more.begin(), more.end());
  }
  return all;
}

}  // namespace qk::families
