#include "tools/qksim/sweep_directory.h"

#include "families/base/strings.h"
#include "families/fs/file_util.h"

namespace qk::cli {
namespace {

constexpr RecordNames kNames = {"sweep", "sweep.json"};
constexpr std::string_view kReport = "report.txt";
constexpr std::string_view kFindings = "findings.json";
constexpr uint64_t kMaxFindings = uint64_t{256} << 20;

absl::StatusOr<SweepRecords> read_whole(families::FileSystem& fs, const std::string& path,
                                        uint64_t* whole) {
  SweepRecords out;
  QK_ASSIGN_OR_RETURN(const std::string text, read_definition(fs, path, kNames));
  auto definition = sim::parse_definition(text);
  if (!definition.ok()) {
    return annotate(definition.status(), families::join_path(path, kNames.definition));
  }
  out.definition = *std::move(definition);
  QK_ASSIGN_OR_RETURN(const std::string records, read_records(fs, path));
  QK_RETURN_IF_ERROR(for_each_record(
      records, records_file(path), sim::parse_record,
      [&](const sim::SeedRecord& record, const std::string& where) -> absl::Status {
        const auto job = out.definition.job_of(record.variant, record.seed);
        const std::string of =
            cat(where, ": seed ", sim::hex_seed(record.seed), " of variant ", record.variant);
        if (!job || !out.definition.is_mine(*job)) {
          return absl::DataLossError(cat(of, " is not part of the sweep in ", kNames.definition));
        }
        if (!out.by_job.emplace(*job, record).second) {
          return absl::DataLossError(cat(of, " is there twice"));
        }
        return absl::OkStatus();
      },
      whole));
  const auto findings = families::read_file(fs, families::join_path(path, kFindings), kMaxFindings);
  if (findings.ok()) out.findings = *findings;
  if (!findings.ok() && !absl::IsNotFound(findings.status())) return findings.status();
  return out;
}

}  // namespace

ExitCode sweep_error(const Environment& environment, const absl::Status& status) {
  print_error(environment, std::string(to_std(status.message())));
  switch (status.code()) {
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kUnavailable:
      return ExitCode::kNoInput;
    case absl::StatusCode::kDataLoss:
      return ExitCode::kData;
    case absl::StatusCode::kInvalidArgument:
      return ExitCode::kUsage;
    default:
      return ExitCode::kCannotWrite;
  }
}

ExitCode sweep_input_error(const Environment& environment, const absl::Status& status) {
  const ExitCode code = sweep_error(environment, status);
  return code == ExitCode::kCannotWrite ? ExitCode::kNoInput : code;
}

absl::StatusOr<SweepRecords> read_sweep(const Environment& environment, const std::string& path) {
  uint64_t whole = 0;
  return read_whole(*environment.fs, path, &whole);
}

absl::StatusOr<std::unique_ptr<SweepDirectory>> SweepDirectory::create(
    const Environment& environment, const std::string& path,
    const sim::SweepDefinition& definition) {
  QK_ASSIGN_OR_RETURN(auto made,
                      RecordDirectory::create(environment, path, kNames, sim::to_text(definition)));
  return std::unique_ptr<SweepDirectory>(new SweepDirectory(std::move(made)));
}

absl::StatusOr<std::unique_ptr<SweepDirectory>> SweepDirectory::resume(
    const Environment& environment, const std::string& path, SweepRecords* found) {
  QK_ASSIGN_OR_RETURN(auto locked, RecordDirectory::lock(environment, path, kNames));
  uint64_t whole = 0;
  QK_ASSIGN_OR_RETURN(*found, read_whole(*environment.fs, path, &whole));
  QK_RETURN_IF_ERROR(locked->go_on(whole));
  return std::unique_ptr<SweepDirectory>(new SweepDirectory(std::move(locked)));
}

absl::Status SweepDirectory::write_report(std::string_view report, std::string_view findings) {
  QK_RETURN_IF_ERROR(records_->replace(kReport, report));
  return records_->replace(kFindings, findings);
}

}  // namespace qk::cli
