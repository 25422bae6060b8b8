#include "cli/run_directory.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/strings.h"
#include "families/fs/file_util.h"
#include "sim/kernel/trace_text.h"
#include "viz/render.h"
#include "viz/timeline_dot.h"
#include "viz/timeline_model.h"

namespace qk::cli {
namespace {

constexpr std::string_view kRuns = ".qksim/runs";

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
    std::string store = node.store;
    for (const sim::MigrationPlan& migration : plan.migrations) {
      const bool listed = migration.nodes.empty() ||
                          std::find(migration.nodes.begin(), migration.nodes.end(), node.id) !=
                              migration.nodes.end();
      if (listed && migration.from == store) store = migration.to;
    }
    out.push_back({store_of(plan, node.store).family,
                   store == node.store ? std::string() : store_of(plan, store).family});
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

// Replaces a symbolic link in one step, so that it always leads somewhere. Links are a convenience
// for people and carry no bytes; FileSystem, which is for durable state, has none.
absl::Status point_link(const std::string& link, const std::string& target) {
  const std::string temporary = cat(link, ".", getpid());
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

}  // namespace

absl::Status forget_latest(const Environment& environment) {
  const std::string link = latest_link(environment);
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
  put_u8(&bytes, static_cast<uint8_t>(arguments.planted));
  return cat(hex8(static_cast<uint32_t>(xxh3_64(bytes) >> 32)));
}

absl::StatusOr<RunDirectory> plan_run_directory(const RunReport& report, uint64_t scenario_hash,
                                                const Environment& environment) {
  RunDirectory directory;
  if (report.arguments.out.empty()) {
    const std::string relative = cat(kRuns, "/", run_id(report, scenario_hash));
    directory.path = absolute_path(environment, relative);
    directory.shown = cat(relative, "/");
    return directory;
  }
  directory.path = absolute_path(environment, report.arguments.out);
  directory.shown = report.arguments.out;
  if (!directory.shown.ends_with('/')) directory.shown += '/';
  QK_ASSIGN_OR_RETURN(const bool there, families::exists(*environment.fs, directory.path));
  if (there) {
    QK_ASSIGN_OR_RETURN(const std::vector<std::string> names, environment.fs->list(directory.path));
    if (!names.empty()) {
      return absl::FailedPreconditionError(
          cat("directory ", report.arguments.out, " (--out) is not empty: it holds ", names[0]));
    }
  }
  return directory;
}

absl::Status write_run_directory(const RunReport& report, const sim::Plan& plan,
                                 const std::string& effective, const Environment& environment,
                                 RunDirectory* directory) {
  families::FileSystem& fs = *environment.fs;
  const bool ours = report.arguments.out.empty();
  // What an earlier run of another trace level left there would not be this run's.
  if (ours) QK_RETURN_IF_ERROR(families::remove_tree(fs, directory->path));
  QK_RETURN_IF_ERROR(families::make_directories(fs, directory->path));
  const auto write = [&](const std::string& name, std::string_view text) {
    directory->files.push_back(name);
    return families::write_file(fs, families::join_path(directory->path, name), text);
  };
  QK_RETURN_IF_ERROR(write("scenario.txtpb", effective));
  QK_RETURN_IF_ERROR(write("report.txt", report_text(report, /*colour=*/false, /*timing=*/false)));
  const sim::Trace* trace = report.result.trace.get();
  if (trace != nullptr && report.arguments.trace != sim::TraceLevel::kNone) {
    TextFile file(fs, families::join_path(directory->path, "trace.txt"));
    directory->files.emplace_back("trace.txt");
    sim::write_text(*trace, [&](std::string_view line) { file.add(line); });
    QK_RETURN_IF_ERROR(file.finish());
    const std::string id(families::base_name(directory->path));
    const std::string dot =
        viz::timeline_dot(viz::build_timeline(*trace, summary_of(report, plan, id)));
    QK_RETURN_IF_ERROR(write("timeline.dot", dot));
    const absl::StatusOr<std::string> svg = viz::render(dot, "svg");
    if (svg.ok()) {
      QK_RETURN_IF_ERROR(write("timeline.svg", *svg));
    } else {
      // The picture can be drawn later from the DOT text; the run itself is not in doubt.
      *environment.err << "note: no timeline.svg: " << svg.status().message() << "\n";
    }
  }
  if (!ours) return absl::OkStatus();
  const std::string runs = absolute_path(environment, std::string(kRuns));
  const std::string id(families::base_name(directory->path));
  QK_RETURN_IF_ERROR(point_link(latest_link(environment), id));
  if (is_good(report)) return absl::OkStatus();
  return point_link(families::join_path(runs, "last-failed"), id);
}

}  // namespace qk::cli
