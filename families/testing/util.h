// Shared by the tests of families: what to write into one, and all that it holds as text.
#pragma once

#include <catch2/catch.hpp>
#include <map>
#include <string>
#include <vector>

#include "families/contract/family.h"
#include "families/fs/file_util.h"

namespace qk::families {

#define REQUIRE_OK(expression)                    \
  do {                                            \
    const auto& qk_result = (expression);         \
    INFO(::qk::families::status_text(qk_result)); \
    REQUIRE(qk_result.ok());                      \
  } while (false)

inline std::string status_text(const absl::Status& s) { return s.ToString(); }
inline std::string status_text(const Outcome& o) { return o.status().ToString(); }
template <typename T>
std::string status_text(const absl::StatusOr<T>& s) {
  return s.status().ToString();
}

inline LogEntry data_entry(int64_t index, int64_t term, std::string payload) {
  LogEntry entry;
  entry.index = index;
  entry.term = term;
  entry.payload = std::move(payload);
  return entry;
}

// [first, last], with payloads that tell index and term.
inline std::vector<LogEntry> data_entries(int64_t first, int64_t last, int64_t term,
                                          size_t padding = 0) {
  std::vector<LogEntry> entries;
  for (int64_t i = first; i <= last; ++i) {
    entries.push_back(
        data_entry(i, term, cat("entry ", i, " term ", term, std::string(padding, 'x'))));
  }
  return entries;
}

inline absl::Status fill_file(SnapshotWriter& writer, std::string_view path,
                              std::string_view bytes) {
  QK_ASSIGN_OR_RETURN(const std::unique_ptr<File> file, writer.create_file(path));
  QK_RETURN_IF_ERROR(file->write_at(0, bytes));
  return writer.add_file(path, FileMeta{});
}

inline Outcome publish_snapshot(Family& family, int64_t index, int64_t term,
                                const std::map<std::string, std::string>& files) {
  absl::StatusOr<std::unique_ptr<SnapshotWriter>> writer = family.snapshot().create();
  if (!writer.ok()) return Outcome::failed_clean(writer.status());
  SnapshotMeta meta;
  meta.last_included_index = index;
  meta.last_included_term = term;
  meta.peers = {"127.0.0.1:8100:0:0"};
  absl::Status status = (*writer)->save_meta(meta);
  for (const auto& [path, bytes] : files) {
    if (status.ok()) status = fill_file(**writer, path, bytes);
  }
  if (!status.ok()) return Outcome::failed_clean(status);
  return family.snapshot().publish(std::move(*writer));
}

// All that a family holds, as text: equal text, equal state. An error in place of what cannot be
// read.
inline absl::StatusOr<std::string> describe(Family& family) {
  LogStorage& log = family.log();
  std::string out = cat("log ", log.first_index(), "..", log.last_index(), "\n");
  if (log.first_index() <= log.last_index()) {
    QK_RETURN_IF_ERROR(
        log.scan(log.first_index(), log.last_index(), [&](const LogEntry& entry) -> absl::Status {
          QK_ASSIGN_OR_RETURN(const int64_t term, log.term(entry.index));
          QK_CHECK(term == entry.term);
          out += cat(entry.index, " ", entry.term, " ", to_string(entry.type), " ", entry.payload,
                     "\n");
          return absl::OkStatus();
        }));
  }
  const HardState state = family.meta().hard_state();
  out += cat("term ", state.term, " vote ", state.voted_for, "\n");
  const absl::StatusOr<std::shared_ptr<SnapshotReader>> reader = family.snapshot().open();
  if (absl::IsNotFound(reader.status())) return out + "no snapshot\n";
  QK_RETURN_IF_ERROR(reader.status());
  const SnapshotMeta& meta = (*reader)->meta();
  out += cat("snapshot ", meta.last_included_index, " ", meta.last_included_term, " ");
  for (const std::string& peer : meta.peers) out += cat(peer, " ");
  out += "/ ";
  for (const std::string& peer : meta.old_peers) out += cat(peer, " ");
  out += "\n";
  for (const SnapshotFile& listed : (*reader)->files()) {
    QK_ASSIGN_OR_RETURN(const std::unique_ptr<File> file, (*reader)->open_file(listed.path));
    QK_ASSIGN_OR_RETURN(const uint64_t size, file->size());
    std::string bytes(size, '\0');
    QK_RETURN_IF_ERROR(read_exact(*file, listed.path, 0, bytes));
    out += cat(listed.path, " [", listed.meta.user_meta.value_or("-"), "|",
               listed.meta.source.value_or(-1), "|", listed.meta.checksum.value_or("-"), "] ",
               bytes, "\n");
  }
  return out;
}

}  // namespace qk::families
