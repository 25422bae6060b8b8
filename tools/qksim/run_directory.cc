#include "tools/qksim/run_directory.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "families/base/bytes.h"
#include "families/base/hash.h"
#include "families/base/printable.h"
#include "families/base/strings.h"
#include "families/fs/file_util.h"
#include "scenarios/written_plan.h"
#include "sim/explore/chain_record.h"
#include "sim/kernel/trace_text.h"
#include "viz/render.h"
#include "viz/timeline_dot.h"
#include "viz/timeline_model.h"

namespace qk::cli {
namespace {

// Collects lines and writes them in large pieces; a full trace has millions.
class TextFile {
 public:
  TextFile(families::FileSystem& fs, std::string path) : fs_(fs), path_(std::move(path)) {}

  void add(std::string_view line) {
    buffer_ += line;
    if (buffer_.size() >= kPiece) flush();
  }
  absl::Status finish() {
    flush();
    return status_;
  }

 private:
  static constexpr size_t kPiece = 1 << 20;

  void flush() {
    if (!status_.ok()) return;
    if (file_ == nullptr) {
      auto opened = fs_.open(path_, {.create = true, .truncate = true});
      if (!opened.ok()) {
        status_ = opened.status();
        return;
      }
      file_ = *std::move(opened);
    }
    status_ = file_->write_at(offset_, buffer_);
    offset_ += buffer_.size();
    buffer_.clear();
  }

  families::FileSystem& fs_;
  std::string path_;
  std::unique_ptr<families::File> file_;
  std::string buffer_;
  uint64_t offset_ = 0;
  absl::Status status_;
};

const sim::StorePlan& store_of(const sim::Plan& plan, const std::string& id) {
  for (const sim::StorePlan& store : plan.stores) {
    if (store.id == id) return store;
  }
  QK_CHECK(false);
}

// The family each node starts with, and the one that its last migration leads to.
std::vector<viz::RunSummary::Families> families_of(const sim::Plan& plan) {
  std::vector<viz::RunSummary::Families> out;
  for (const sim::NodePlan& node : plan.cluster.nodes) {
    out.push_back({store_of(plan, node.store).family, ""});
  }
  const auto moves = sim::planned_moves(plan);
  for (size_t i = 0; i < moves.size(); ++i) {
    for (const size_t node : moves[i]) {
      out[node].to = store_of(plan, plan.migrations[i].to).family;
    }
  }
  return out;
}

viz::RunSummary summary_of(const RunReport& report, const sim::Plan& plan, std::string id) {
  viz::RunSummary summary;
  summary.scenario = report.name;
  summary.seed = report.seed;
  summary.version = cat("qksim ", report.version, " (", report.build, ")");
  summary.verdict = report.result.verdict;
  // The report's first line says it all, without its trailing newline.
  const std::string text = report_text(report, /*colour=*/false, /*timing=*/false);
  summary.verdict_text = text.substr(0, text.find('\n'));
  summary.run_id = std::move(id);
  summary.events = report.result.events;
  summary.chain = chain_text(report.result.chain);
  summary.repro = repro_command(report);
  summary.families = families_of(plan);
  return summary;
}

constexpr std::string_view kMarker = ".qksim-run";
constexpr std::string_view kMarkerHead = "qksim run directory 1\n";

// Of a file's bytes; it may be large.
absl::StatusOr<uint64_t> hash_of_file(families::FileSystem& fs, const std::string& path) {
  QK_ASSIGN_OR_RETURN(const auto file, fs.open(path, {.read_only = true}));
  constexpr size_t kChunk = 1 << 20;
  std::string chunk(kChunk, '\0');
  std::string hashes;
  for (uint64_t offset = 0;; offset += kChunk) {
    QK_ASSIGN_OR_RETURN(const size_t got, file->read_at(offset, chunk));
    put_le64(&hashes, xxh3_64(std::string_view(chunk).substr(0, got)));
    if (got < kChunk) return xxh3_64(hashes);
  }
}

// What the marker of a directory says that holds these files.
absl::StatusOr<std::string> marker_text(families::FileSystem& fs, const std::string& directory,
                                        const std::vector<std::string>& files) {
  std::string text(kMarkerHead);
  for (const std::string& name : files) {
    QK_ASSIGN_OR_RETURN(const uint64_t hash,
                        hash_of_file(fs, families::join_path(directory, name)));
    text += cat(hex16(hash), " ", name, "\n");
  }
  return text;
}

// OK if the directory is as a run left it, or NotFound; FailedPrecondition names what
// was added or changed since.
absl::Status check_ours(families::FileSystem& fs, const std::string& directory) {
  constexpr uint64_t kMaxMarkerBytes = 64 << 10;
  QK_ASSIGN_OR_RETURN(const families::FileStat stat, fs.stat(directory));
  if (stat.kind != families::FileKind::kDirectory) {
    return absl::FailedPreconditionError(
        cat(directory, " is not a directory; expected one that qksim left, or nothing"));
  }
  const std::string path = families::join_path(directory, kMarker);
  const auto marker = families::read_file(fs, path, kMaxMarkerBytes);
  if (!marker.ok() || !std::string_view(*marker).starts_with(kMarkerHead)) {
    // It may have been replaced a moment ago.
    QK_RETURN_IF_ERROR(fs.stat(directory).status());
    return absl::FailedPreconditionError(cat(
        directory, " is not replaced: it holds no ", kMarker,
        ", the list by which qksim knows what a run left there, so qksim did not make "
        "it, or an older version did; move it away or remove it to run this again, or give --out"));
  }
  QK_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs.list(directory));
  for (const std::string& name : names) {
    if (name == kMarker) continue;
    const std::string file = families::join_path(directory, name);
    QK_ASSIGN_OR_RETURN(const families::FileStat found, fs.stat(file));
    bool same = found.kind == families::FileKind::kFile;
    if (same) {
      QK_ASSIGN_OR_RETURN(const uint64_t hash, hash_of_file(fs, file));
      same = marker->find(cat("\n", hex16(hash), " ", name, "\n")) != std::string::npos;
    }
    if (same) continue;
    return absl::FailedPreconditionError(
        cat(file,
            " was added or changed since qksim left the directory, which is therefore not "
            "replaced; move it away or remove it to run this again, or give --out"));
  }
  return absl::OkStatus();
}

// OK if there is nothing at `link`, or a link to a run directory in the same place.
absl::Status check_our_link(const std::string& link) {
  constexpr size_t kIdDigits = 8;
  char target[kIdDigits + 2];
  const ssize_t size = ::readlink(link.c_str(), target, sizeof target);
  if (size < 0 && (errno == ENOENT || errno == ENOTDIR)) return absl::OkStatus();
  const std::string_view to(target, size < 0 ? 0 : static_cast<size_t>(size));
  if (to.size() == kIdDigits &&
      to.find_first_not_of("0123456789abcdef") == std::string_view::npos) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(
      cat(link, " is not a link that qksim made; move it away, or use --artifacts none"));
}

// Replaces a symbolic link in one step, so that it always leads somewhere. Links are a convenience
// for people and carry no bytes; FileSystem, which is for durable state, has none.
absl::Status point_link(const std::string& link, const std::string& target,
                        const Environment& environment) {
  QK_RETURN_IF_ERROR(check_our_link(link));
  const std::string temporary = cat(link, ".", getpid(), ".", hex16(environment.random_seed()));
  if (::symlink(target.c_str(), temporary.c_str()) != 0) {
    return errno_status(errno, cat("link ", link));
  }
  if (::rename(temporary.c_str(), link.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary.c_str());
    return errno_status(error, cat("link ", link));
  }
  return absl::OkStatus();
}

std::string latest_link(const Environment& environment) {
  return families::join_path(absolute_path(environment, std::string(kRuns)), "latest");
}

// A directory below `runs` that is this process's own, and the lock which says so.
struct Staging {
  std::string path;
  std::unique_ptr<families::FileLock> lock;
};

constexpr std::string_view kStagingPrefix = ".staging-";

// Removes what killed runs left half written: no process holds its lock.
void remove_stale(families::FileSystem& fs, const std::string& runs) {
  const auto names = fs.list(runs);
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    if (!name.starts_with(kStagingPrefix)) continue;
    const std::string path = families::join_path(runs, name);
    const auto lock = fs.lock_directory(path);
    if (lock.ok()) families::remove_tree(fs, path).IgnoreError();
  }
}

absl::StatusOr<Staging> make_staging(const std::string& runs, const Environment& environment) {
  families::FileSystem& fs = *environment.fs;
  constexpr int kAttempts = 100;
  absl::Status status;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    Staging staging;
    staging.path = families::join_path(
        runs, cat(kStagingPrefix, hex16(environment.random_seed()), "-", attempt));
    status = fs.mkdir(staging.path);
    if (!status.ok() && !absl::IsAlreadyExists(status)) return status;
    if (!status.ok()) continue;
    auto lock = fs.lock_directory(staging.path);
    status = lock.status();
    // Another run may have taken it for a stale one before it was locked.
    if (!status.ok()) continue;
    staging.lock = *std::move(lock);
    return staging;
  }
  return status;
}

absl::StatusOr<bool> equal_files(families::FileSystem& fs, const std::string& a,
                                 const std::string& b) {
  QK_ASSIGN_OR_RETURN(const auto one, fs.open(a, {.read_only = true}));
  QK_ASSIGN_OR_RETURN(const auto other, fs.open(b, {.read_only = true}));
  constexpr size_t kChunk = 1 << 20;
  std::string left(kChunk, '\0'), right(kChunk, '\0');
  for (uint64_t offset = 0;; offset += kChunk) {
    QK_ASSIGN_OR_RETURN(const size_t got, one->read_at(offset, left));
    QK_ASSIGN_OR_RETURN(const size_t same, other->read_at(offset, right));
    if (got != same || left.compare(0, got, right, 0, same) != 0) return false;
    if (got < kChunk) return true;
  }
}

absl::StatusOr<bool> equal_trees(families::FileSystem& fs, const std::string& a,
                                 const std::string& b) {
  QK_ASSIGN_OR_RETURN(const std::vector<std::string> names, families::list_tree(fs, a));
  QK_ASSIGN_OR_RETURN(const std::vector<std::string> others, families::list_tree(fs, b));
  if (names != others) return false;
  for (const std::string& name : names) {
    QK_ASSIGN_OR_RETURN(const bool same, equal_files(fs, families::join_path(a, name),
                                                     families::join_path(b, name)));
    if (!same) return false;
  }
  return true;
}

absl::Status write_marker(families::FileSystem& fs, const std::string& directory,
                          const std::vector<std::string>& files) {
  QK_ASSIGN_OR_RETURN(const std::string text, marker_text(fs, directory, files));
  return families::write_file(fs, families::join_path(directory, kMarker), text);
}

// Gives the finished directory its name. Any number of runs of one id may do so at once: what is
// there already stays if it says the same, and is otherwise moved aside whole before it is removed.
absl::Status install(families::FileSystem& fs, const std::string& staging,
                     const std::string& path) {
  constexpr int kAttempts = 1000;
  absl::Status status;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    status = fs.rename_new(staging, path);
    if (!absl::IsAlreadyExists(status)) return status;
    const auto same = equal_trees(fs, staging, path);
    if (same.ok() && *same) return families::remove_tree(fs, staging);
    const absl::Status ours = check_ours(fs, path);
    if (absl::IsNotFound(ours)) continue;
    QK_RETURN_IF_ERROR(ours);
    const std::string aside = cat(staging, "-old-", attempt);
    const absl::Status moved = fs.rename(path, aside);
    if (absl::IsNotFound(moved)) continue;
    QK_RETURN_IF_ERROR(moved);
    // Somebody may have written into it meanwhile; then it stays, under the name it has now.
    QK_RETURN_IF_ERROR(check_ours(fs, aside));
    families::remove_tree(fs, aside).IgnoreError();
  }
  return status;
}

sim::ChainRecord chain_of(const RunReport& report, const sim::Trace& trace) {
  sim::ChainRecord record = sim::chain_record_of(trace);
  record.build = report.build;
  record.seed = report.seed;
  record.until = report.arguments.until;
  record.keep_going = report.arguments.keep_going;
  record.planted = report.arguments.planted;
  return record;
}

absl::Status write_files(const RunReport& report, const sim::Plan& plan,
                         const std::string& effective, const Environment& environment,
                         const std::string& id, const std::string& path,
                         std::vector<std::string>* files) {
  families::FileSystem& fs = *environment.fs;
  const auto write = [&](const std::string& name, std::string_view text) {
    files->push_back(name);
    return families::write_file(fs, families::join_path(path, name), text);
  };
  QK_RETURN_IF_ERROR(write("scenario.txtpb", effective));
  QK_RETURN_IF_ERROR(write(
      "plan.txtpb", scenarios::written_plan(effective, plan.name, plan, report.result.injected)));
  QK_RETURN_IF_ERROR(write("report.txt", report_text(report, /*colour=*/false, /*timing=*/false)));
  const sim::Trace* trace = report.result.trace.get();
  if (trace == nullptr) return absl::OkStatus();
  QK_RETURN_IF_ERROR(write("chain.txt", sim::chain_text_of(chain_of(report, *trace))));
  if (report.arguments.trace == sim::TraceLevel::kNone) return absl::OkStatus();
  TextFile file(fs, families::join_path(path, "trace.txt"));
  files->emplace_back("trace.txt");
  sim::write_text(*trace, [&](std::string_view line) { file.add(line); });
  QK_RETURN_IF_ERROR(file.finish());
  const std::string dot =
      viz::timeline_dot(viz::build_timeline(*trace, summary_of(report, plan, id)));
  QK_RETURN_IF_ERROR(write("timeline.dot", dot));
  const absl::StatusOr<std::string> svg = viz::render(dot, "svg");
  if (svg.ok()) return write("timeline.svg", *svg);
  // The picture can be drawn later from the DOT text; the run itself is not in doubt.
  *environment.err << "note: no timeline.svg: " << printable(to_std(svg.status().message()))
                   << "\n";
  return absl::OkStatus();
}

absl::Status check_empty(families::FileSystem& fs, const std::string& path,
                         const std::string& shown) {
  QK_ASSIGN_OR_RETURN(const std::vector<std::string> names, fs.list(path));
  if (names.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      cat("directory ", shown, " (--out) is not empty: it holds ", names[0]));
}

}  // namespace

absl::Status forget_latest(const Environment& environment) {
  const std::string link = latest_link(environment);
  // What is not our link shows no run of ours.
  if (!check_our_link(link).ok()) return absl::OkStatus();
  if (::unlink(link.c_str()) == 0 || errno == ENOENT || errno == ENOTDIR) return absl::OkStatus();
  return errno_status(errno, cat("remove link ", link));
}

std::string run_id(const RunReport& report, uint64_t scenario_hash) {
  const RunArguments& arguments = report.arguments;
  std::string bytes;
  put_le64(&bytes, scenario_hash);
  put_bytes(&bytes, report.name);
  put_le64(&bytes, report.seed);
  put_bytes(&bytes, report.build);
  put_le64(&bytes, static_cast<uint64_t>(arguments.until.value_or(-1)));
  put_u8(&bytes, arguments.keep_going ? 1 : 0);
  put_bytes(&bytes, arguments.planted);
  put_u8(&bytes, arguments.swarm ? 1 : 0);
  for (const uint64_t seed : arguments.near) put_le64(&bytes, seed);
  return cat(hex8(static_cast<uint32_t>(xxh3_64(bytes) >> 32)));
}

absl::StatusOr<RunDirectory> plan_run_directory(const RunReport& report, uint64_t scenario_hash,
                                                const Environment& environment) {
  RunDirectory directory;
  if (report.arguments.out.empty()) {
    const std::string relative = cat(kRuns, "/", run_id(report, scenario_hash));
    directory.path = absolute_path(environment, relative);
    directory.shown = cat(relative, "/");
    if (report.arguments.artifacts == Artifacts::kNone) return directory;
    // What else may go wrong is found out, and said, when the directory is written.
    const std::string last_failed =
        families::join_path(families::parent_path(directory.path), "last-failed");
    const auto there = families::exists(*environment.fs, directory.path);
    for (const absl::Status& status :
         {there.ok() && *there ? check_ours(*environment.fs, directory.path) : absl::OkStatus(),
          check_our_link(latest_link(environment)), check_our_link(last_failed)}) {
      if (absl::IsFailedPrecondition(status)) return status;
    }
    return directory;
  }
  directory.path = absolute_path(environment, report.arguments.out);
  directory.shown = report.arguments.out;
  if (!directory.shown.ends_with('/')) directory.shown += '/';
  QK_ASSIGN_OR_RETURN(const bool there, families::exists(*environment.fs, directory.path));
  if (there) {
    QK_RETURN_IF_ERROR(check_empty(*environment.fs, directory.path, report.arguments.out));
  }
  return directory;
}

absl::Status write_run_directory(const RunReport& report, const sim::Plan& plan,
                                 const std::string& effective, const Environment& environment,
                                 RunDirectory* directory) {
  families::FileSystem& fs = *environment.fs;
  environment.catch_signals();
  const std::string id(families::base_name(directory->path));
  const auto write_into = [&](const std::string& path) {
    return write_files(report, plan, effective, environment, id, path, &directory->files);
  };
  if (!report.arguments.out.empty()) {
    QK_RETURN_IF_ERROR(families::make_directories(fs, directory->path));
    QK_ASSIGN_OR_RETURN(const std::string real, fs.real_path(directory->path));
    QK_ASSIGN_OR_RETURN(const auto lock, fs.lock_directory(real));
    QK_RETURN_IF_ERROR(check_empty(fs, real, report.arguments.out));
    return write_into(directory->path);
  }
  const std::string runs(families::parent_path(directory->path));
  QK_RETURN_IF_ERROR(families::make_directories(fs, runs));
  remove_stale(fs, runs);
  QK_ASSIGN_OR_RETURN(const Staging staging, make_staging(runs, environment));
  absl::Status status = write_into(staging.path);
  if (status.ok()) status = write_marker(fs, staging.path, directory->files);
  if (status.ok()) status = install(fs, staging.path, directory->path);
  if (!status.ok()) {
    families::remove_tree(fs, staging.path).IgnoreError();
    return status;
  }
  QK_RETURN_IF_ERROR(point_link(latest_link(environment), id, environment));
  if (is_good(report)) return absl::OkStatus();
  return point_link(families::join_path(runs, "last-failed"), id, environment);
}

}  // namespace qk::cli
