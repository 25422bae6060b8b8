// RecordDirectory: what a long job has done so far, so that another process can go on with it:
//
//   DEFINITION      what it does, written first
//   records.jsonl   one line for each part that is done, in the order in which they were done
//
// and whatever reports the job leaves beside them. After SIGKILL or a power cut what was synced is
// there, and the last line of records.jsonl may be torn: it is cut off, and its part is done again.
// Damage anywhere else is an error. The directory is locked while a job writes to it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "families/base/status.h"
#include "families/base/strings.h"
#include "tools/qksim/environment.h"

namespace qk::cli {

// Of one kind of job.
struct RecordNames {
  std::string_view job;         // "sweep"
  std::string_view definition;  // "sweep.json"
};

// NotFound if no such job made the directory.
absl::StatusOr<std::string> read_definition(families::FileSystem& fs, const std::string& path,
                                            const RecordNames& names);
// "": there are none.
absl::StatusOr<std::string> read_records(families::FileSystem& fs, const std::string& path);
// For messages.
std::string records_file(const std::string& path);

// Gives `take` what `parse` makes of each whole line; *whole gets how many bytes these are.
template <typename Parse, typename Take>
absl::Status for_each_record(std::string_view text, const std::string& file, const Parse& parse,
                             const Take& take, uint64_t* whole) {
  *whole = 0;
  for (uint64_t line = 1; *whole < text.size(); ++line) {
    const std::string_view rest = text.substr(*whole);
    const size_t end = rest.find('\n');
    const bool whole_line = end != std::string_view::npos;
    const auto record = parse(rest.substr(0, end));
    if (!whole_line || !record.ok()) {
      // A kill may leave a part of the last line, and a power cut its length without its bytes. What
      // begins otherwise is no line of ours, and is not cut off.
      const bool last = !whole_line || end + 1 == rest.size();
      if (last && (rest[0] == '{' || rest[0] == '\0')) return absl::OkStatus();
      if (record.ok()) return absl::OkStatus();
      return annotate(record.status(), cat(file, ": line ", line));
    }
    QK_RETURN_IF_ERROR(take(*record, cat(file, ": line ", line)));
    *whole += end + 1;
  }
  return absl::OkStatus();
}

class RecordDirectory {
 public:
  // A new one; `path` must not exist or be empty (FailedPrecondition).
  static absl::StatusOr<std::unique_ptr<RecordDirectory>> create(const Environment& environment,
                                                                 const std::string& path,
                                                                 const RecordNames& names,
                                                                 std::string_view definition);
  // Locks one to go on with: its records may be read now, and before append() cut to their whole
  // lines.
  static absl::StatusOr<std::unique_ptr<RecordDirectory>> lock(const Environment& environment,
                                                               const std::string& path,
                                                               const RecordNames& names);
  absl::Status go_on(uint64_t whole) { return open_records(whole); }

  const std::string& path() const { return path_; }
  // Durable at the latest after sync().
  absl::Status append(std::string_view line);
  absl::Status sync();
  // A file beside the records.
  absl::Status replace(std::string_view name, std::string_view bytes);

 private:
  RecordDirectory(const Environment& environment, std::string path)
      : environment_(environment), path_(std::move(path)) {}
  absl::Status take_lock(const RecordNames& names);
  absl::Status open_records(uint64_t size);

  const Environment& environment_;
  const std::string path_;
  std::unique_ptr<families::FileLock> lock_;
  std::unique_ptr<families::File> records_;
  uint64_t end_ = 0;
};

}  // namespace qk::cli
