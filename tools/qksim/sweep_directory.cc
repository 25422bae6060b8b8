#include "tools/qksim/sweep_directory.h"

#include <algorithm>

#include "families/base/strings.h"
#include "families/fs/file_util.h"

namespace qk::cli {
namespace {

constexpr std::string_view kDefinition = "sweep.json";
constexpr std::string_view kRecords = "records.jsonl";
constexpr std::string_view kReport = "report.txt";
constexpr std::string_view kFindings = "findings.json";
constexpr uint64_t kMaxRecords = uint64_t{4} << 30;
constexpr uint64_t kMaxDefinition = uint64_t{256} << 20;

std::string file_in(const std::string& path, std::string_view name) {
  return families::join_path(path, name);
}

absl::StatusOr<sim::SweepDefinition> read_definition(families::FileSystem& fs,
                                                     const std::string& path) {
  const auto text = families::read_file(fs, file_in(path, kDefinition), kMaxDefinition);
  if (absl::IsNotFound(text.status())) {
    return absl::NotFoundError(
        cat(path, ": there is no ", kDefinition, ", expected the directory of a sweep"));
  }
  QK_RETURN_IF_ERROR(text.status());
  auto definition = sim::parse_definition(*text);
  if (!definition.ok()) return annotate(definition.status(), file_in(path, kDefinition));
  return definition;
}

// Parses the whole lines; *whole gets how many bytes these are.
absl::Status parse_records(std::string_view text, const std::string& file, SweepRecords* out,
                           uint64_t* whole) {
  *whole = 0;
  for (uint64_t line = 1; *whole < text.size(); ++line) {
    const std::string_view rest = text.substr(*whole);
    const size_t end = rest.find('\n');
    const bool whole_line = end != std::string_view::npos;
    const auto record = sim::parse_record(rest.substr(0, end));
    if (!whole_line || !record.ok()) {
      // A kill may leave a part of the last line, and a power cut its length without its bytes. What
      // begins otherwise is no line of ours, and is not cut off.
      const bool last = !whole_line || end + 1 == rest.size();
      if (last && (rest[0] == '{' || rest[0] == '\0')) return absl::OkStatus();
      if (record.ok()) return absl::OkStatus();
      return annotate(record.status(), cat(file, ": line ", line));
    }
    const auto job = out->definition.job_of(record->variant, record->seed);
    if (!job || !out->definition.is_mine(*job)) {
      return absl::DataLossError(cat(file, ": line ", line, ": seed ", sim::hex_seed(record->seed),
                                     " of variant ", record->variant,
                                     " is not part of the sweep in ", kDefinition));
    }
    if (!out->by_job.emplace(*job, *record).second) {
      return absl::DataLossError(cat(file, ": line ", line, ": seed ", sim::hex_seed(record->seed),
                                     " of variant ", record->variant, " is there twice"));
    }
    *whole += end + 1;
  }
  return absl::OkStatus();
}

absl::StatusOr<SweepRecords> read_whole(families::FileSystem& fs, const std::string& path,
                                        uint64_t* whole) {
  SweepRecords out;
  QK_ASSIGN_OR_RETURN(out.definition, read_definition(fs, path));
  const std::string file = file_in(path, kRecords);
  *whole = 0;
  if (const auto text = families::read_file(fs, file, kMaxRecords); text.ok()) {
    QK_RETURN_IF_ERROR(parse_records(*text, file, &out, whole));
  } else if (!absl::IsNotFound(text.status())) {
    return text.status();
  }
  const auto findings = families::read_file(fs, file_in(path, kFindings), kMaxDefinition);
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
  families::FileSystem& fs = *environment.fs;
  std::unique_ptr<SweepDirectory> out(new SweepDirectory(environment, path));
  QK_RETURN_IF_ERROR(families::make_directories(fs, path));
  QK_RETURN_IF_ERROR(out->lock());
  QK_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs.list(path));
  if (!names.empty()) {
    const bool sweep = std::find(names.begin(), names.end(), kDefinition) != names.end();
    return absl::FailedPreconditionError(
        cat("directory ", path, " is not empty: it holds ",
            sweep ? std::string("a sweep; go on with it by --resume") : names[0]));
  }
  QK_RETURN_IF_ERROR(
      families::replace_file(fs, file_in(path, kDefinition), sim::to_text(definition)));
  QK_RETURN_IF_ERROR(out->open_records(0));
  return out;
}

absl::StatusOr<std::unique_ptr<SweepDirectory>> SweepDirectory::resume(
    const Environment& environment, const std::string& path, SweepRecords* found) {
  families::FileSystem& fs = *environment.fs;
  std::unique_ptr<SweepDirectory> out(new SweepDirectory(environment, path));
  QK_RETURN_IF_ERROR(read_definition(fs, path).status());
  QK_RETURN_IF_ERROR(out->lock());
  uint64_t whole = 0;
  QK_ASSIGN_OR_RETURN(*found, read_whole(fs, path, &whole));
  QK_RETURN_IF_ERROR(out->open_records(whole));
  return out;
}

absl::Status SweepDirectory::lock() {
  QK_ASSIGN_OR_RETURN(const std::string real, environment_.fs->real_path(path_));
  auto lock = environment_.fs->lock_directory(real);
  if (absl::IsUnavailable(lock.status())) {
    return absl::UnavailableError(cat(path_, " is in use by another sweep"));
  }
  QK_RETURN_IF_ERROR(lock.status());
  lock_ = *std::move(lock);
  return absl::OkStatus();
}

// What lies behind `size` is a torn line.
absl::Status SweepDirectory::open_records(uint64_t size) {
  families::FileSystem& fs = *environment_.fs;
  QK_ASSIGN_OR_RETURN(records_, fs.open(file_in(path_, kRecords), {.create = true}));
  QK_RETURN_IF_ERROR(records_->truncate(size));
  end_ = size;
  QK_RETURN_IF_ERROR(records_->sync(families::SyncKind::kFull));
  return fs.sync_dir(path_, families::SyncKind::kFull);
}

absl::Status SweepDirectory::append(std::string_view line) {
  QK_RETURN_IF_ERROR(records_->write_at(end_, line));
  end_ += line.size();
  return absl::OkStatus();
}

absl::Status SweepDirectory::sync() { return records_->sync(families::SyncKind::kData); }

absl::Status SweepDirectory::write_report(std::string_view report, std::string_view findings) {
  families::FileSystem& fs = *environment_.fs;
  QK_RETURN_IF_ERROR(families::replace_file(fs, file_in(path_, kReport), report));
  return families::replace_file(fs, file_in(path_, kFindings), findings);
}

}  // namespace qk::cli
