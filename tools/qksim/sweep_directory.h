// The directory of a sweep:
//
//   sweep.json      what it runs (sim/explore/sweep_definition.h)
//   records.jsonl   one line for each seed that is done, in the order in which they were done
//   report.txt      what it found; no time of day and no duration in it
//   findings.json   the same for --against of a later sweep
//   failures/       a run directory for the shortest seed of each finding
//
// record_directory.h says what a kill leaves of it.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "families/base/status.h"
#include "sim/explore/seed_record.h"
#include "sim/explore/sweep_definition.h"
#include "tools/qksim/environment.h"
#include "tools/qksim/record_directory.h"

namespace qk::cli {

struct SweepRecords {
  sim::SweepDefinition definition;
  std::map<uint64_t, sim::SeedRecord> by_job;
  std::string findings;  // the text of findings.json; empty: not there
};

// Reads a directory; nothing is written. NotFound if no sweep made it, DataLoss for damage.
absl::StatusOr<SweepRecords> read_sweep(const Environment& environment, const std::string& path);

// Prints the error of one of these calls, and says which exit code it is.
ExitCode sweep_error(const Environment& environment, const absl::Status& status);

// The same for what a sweep reads and does not write.
ExitCode sweep_input_error(const Environment& environment, const absl::Status& status);

class SweepDirectory {
 public:
  // A new one; `path` must not exist or be empty (FailedPrecondition).
  static absl::StatusOr<std::unique_ptr<SweepDirectory>> create(
      const Environment& environment, const std::string& path,
      const sim::SweepDefinition& definition);
  // One to go on with; `found` gets what is there.
  static absl::StatusOr<std::unique_ptr<SweepDirectory>> resume(const Environment& environment,
                                                                const std::string& path,
                                                                SweepRecords* found);

  const std::string& path() const { return records_->path(); }
  // Durable at the latest after sync().
  absl::Status append(std::string_view line) { return records_->append(line); }
  absl::Status sync() { return records_->sync(); }
  // Replaces report.txt and findings.json.
  absl::Status write_report(std::string_view report, std::string_view findings);

 private:
  explicit SweepDirectory(std::unique_ptr<RecordDirectory> records)
      : records_(std::move(records)) {}

  const std::unique_ptr<RecordDirectory> records_;
};

}  // namespace qk::cli
