// LogMark: the file `db.mark` in the root of an engine's instance. It names the write-ahead log
// that holds acknowledged changes which are nowhere else, so that an instance whose log was lost is
// an error, and not the state before that log.
//
// Why. A log that is missing or empty looks exactly like one to which nothing was written yet: the
// engines open as of what they last folded into their tables, with term and vote of that time. No
// file of theirs tells.
//
// Order. A log is named after its first commit was synced and before that commit is acknowledged;
// it is named no longer once its content is durable elsewhere, and before it is emptied or removed.
// So a named log always holds at least one whole commit, at every level up to P2, and naming costs
// one sync for each log and none for each commit. What it does not show: commits lost after the
// first one of a log, if the log was cut exactly between two commits.
//
// The file has two slots, each in a sector of its own, which are written in turn: a crash may tear
// the one that is being written, and the other then counts, which is the state before that write.
// Either state is right at that moment, because of the order above.
//
// An instance without the file (made by an earlier build, or killed while it was made) gets one
// when it is opened. A `db.mark` without a database is the trace of a lost one.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "families/fs/file_system.h"

namespace qk::families {

inline constexpr std::string_view kLogMarkName = "db.mark";
// Of a mark that was being made when the process died; means nothing.
inline constexpr std::string_view kUnfinishedLogMarkName = "db.mark.tmp";

class LogMark {
 public:
  // Reads the mark in `root`, or makes one that names no log. It is durable on return. DataLoss: a
  // file that is not a mark.
  static absl::StatusOr<std::unique_ptr<LogMark>> open(FileSystem* fs, std::string_view root);

  const std::string& path() const { return path_; }
  // The number (or salts) of the log that must exist and begin with a whole commit.
  const std::optional<uint64_t>& log() const { return log_; }
  // Names `log`, or none, durably. Free if it is named already. After an error either is named.
  absl::Status name(std::optional<uint64_t> log);

 private:
  explicit LogMark(std::string path) : path_(std::move(path)) {}

  absl::Status read();

  const std::string path_;
  std::unique_ptr<File> file_;
  uint64_t sequence_ = 0;  // of the slot that counts
  std::optional<uint64_t> log_;
};

}  // namespace qk::families
