// `qksim sweep merge`: the records of shards as one sweep, whose report is that of a sweep which
// was never divided.
#include "families/base/strings.h"
#include "families/fs/file_util.h"
#include "sim/explore/sweep_summary.h"
#include "tools/qksim/sweep_directory.h"
#include "tools/qksim/sweep_report.h"
#include "tools/qksim/verbs.h"

namespace qk::cli {
namespace {

constexpr std::string_view kShardFailures = "failures";

// Adds a shard to what is merged already; the first one says what all must be parts of.
absl::Status add_shard(SweepRecords shard, const std::string& name, std::set<uint32_t>* seen,
                       SweepRecords* whole) {
  if (seen->empty()) {
    whole->definition = shard.definition;
  } else if (whole->definition.shards != shard.definition.shards ||
             unsharded_text(whole->definition) != unsharded_text(shard.definition)) {
    return absl::DataLossError(cat(name, ": is part of another sweep than the first directory"));
  }
  if (!seen->insert(shard.definition.shard).second) {
    return absl::DataLossError(cat(name, ": shard ", shard.definition.shard, "/",
                                   shard.definition.shards, " is given twice"));
  }
  for (auto& [job, record] : shard.by_job) whole->by_job.emplace(job, std::move(record));
  return absl::OkStatus();
}

// The run directory of a finding lies in the shard that had its shortest seed.
absl::Status copy_failure(families::FileSystem& fs, const std::string& from,
                          const std::string& to) {
  QK_ASSIGN_OR_RETURN(const bool there, families::exists(fs, from));
  if (!there) return absl::OkStatus();
  QK_ASSIGN_OR_RETURN(const std::vector<std::string> names, families::list_tree(fs, from));
  QK_RETURN_IF_ERROR(families::make_directories(fs, to));
  for (const std::string& name : names) {
    QK_RETURN_IF_ERROR(families::copy_file(fs, families::join_path(from, name), fs,
                                           families::join_path(to, name)));
  }
  return absl::OkStatus();
}

absl::Status write_merged(const SweepMergeArguments& arguments, const Environment& environment,
                          const SweepRecords& whole, const sim::SweepSummary& summary,
                          const std::string& report) {
  QK_ASSIGN_OR_RETURN(const auto directory,
                      SweepDirectory::create(environment, absolute_path(environment, arguments.out),
                                             whole.definition));
  for (const auto& [job, record] : whole.by_job) {
    QK_RETURN_IF_ERROR(directory->append(sim::to_line(record)));
  }
  QK_RETURN_IF_ERROR(directory->sync());
  for (const sim::SweepFinding* finding : findings_to_keep(summary)) {
    const std::string name =
        families::join_path(kShardFailures, failure_name(whole.definition, *finding));
    for (const std::string& shard : arguments.directories) {
      QK_RETURN_IF_ERROR(copy_failure(*environment.fs,
                                      families::join_path(absolute_path(environment, shard), name),
                                      families::join_path(directory->path(), name)));
    }
  }
  return directory->write_report(report, sim::findings_text(whole.definition, summary, nullptr));
}

}  // namespace

ExitCode sweep_merge(const SweepMergeArguments& arguments, const Environment& environment) {
  SweepRecords whole;
  std::set<uint32_t> seen;
  for (const std::string& name : arguments.directories) {
    auto shard = read_sweep(environment, absolute_path(environment, name));
    if (!shard.ok()) return sweep_input_error(environment, shard.status());
    const absl::Status status = add_shard(*std::move(shard), name, &seen, &whole);
    if (!status.ok()) return sweep_error(environment, status);
  }
  const uint32_t shards = whole.definition.shards;
  whole.definition.shard = 1;
  whole.definition.shards = 1;
  sim::SweepSummary summary = sim::summarize(whole.definition, whole.by_job);
  // The seeds that are left say so too, but a sweep without an end has none.
  if (seen.size() < shards) {
    summary.inconclusive.push_back(
        cat(shards - seen.size(), " of ", shards, " shards are not among what is merged"));
  }
  const std::string report = report_text(whole.definition, summary);
  const absl::Status status = write_merged(arguments, environment, whole, summary, report);
  if (!status.ok()) return sweep_error(environment, status);
  print_sweep_report(environment, report);
  *environment.out << "kept      " << arguments.out << "/\n";
  return exit_code(whole.definition, summary);
}

}  // namespace qk::cli
