#include "tools/qksim/generated_command.h"

#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "conformance/evidence.h"
#include "conformance/generated.h"
#include "families/base/failure_scope.h"
#include "families/base/printable.h"
#include "families/base/suggest.h"
#include "families/fs/file_util.h"
#include "tools/qksim/padded.h"

namespace qk::cli {
namespace {

using nlohmann::json;
using sim::conformance::GeneratedFailure;
using sim::conformance::GeneratedSuite;
using sim::conformance::UnitResult;

constexpr std::string_view kUnitsFile = "units.jsonl";
constexpr uint64_t kMaxUnitsBytes = uint64_t{256} << 20;
constexpr int64_t kSayEveryMs = 5000;

std::string to_line(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

json to_json(const std::string& unit, const UnitResult& result) {
  json failures = json::array();
  for (const GeneratedFailure& one : result.failures) {
    failures.push_back({{"id", one.id}, {"message", one.message}});
  }
  return {{"unit", unit},
          {"counts", result.counts},
          {"failed", result.failed},
          {"failures", std::move(failures)}};
}

// The units that were done, in a file that grows by one line with each.
class UnitsFile {
 public:
  // Makes it, or reads what is there if it is of the same run (`head`). A line without an end is one
  // whose writer was stopped; it is written again.
  static absl::StatusOr<std::unique_ptr<UnitsFile>> open(const Environment& environment,
                                                         const std::string& directory,
                                                         const json& head) {
    families::FileSystem& fs = *environment.fs;
    auto units = std::make_unique<UnitsFile>();
    const std::string path = families::join_path(directory, kUnitsFile);
    QK_RETURN_IF_ERROR(families::make_directories(fs, directory));
    QK_ASSIGN_OR_RETURN(const bool found, families::exists(fs, path));
    std::string text;
    if (found) {
      QK_ASSIGN_OR_RETURN(text, families::read_file(fs, path, kMaxUnitsBytes));
      text.resize(text.rfind('\n') == std::string::npos ? 0 : text.rfind('\n') + 1);
      QK_RETURN_IF_ERROR(annotate(units->read(text, head), path));
    }
    families::OpenFlags flags;
    flags.create = true;
    QK_ASSIGN_OR_RETURN(units->file_, fs.open(path, flags));
    QK_RETURN_IF_ERROR(units->file_->truncate(text.size()));
    units->end_ = text.size();
    if (text.empty()) QK_RETURN_IF_ERROR(units->write(to_line(head)));
    return units;
  }

  // Null: it was not done.
  const UnitResult* find(const std::string& unit) const {
    const auto it = done_.find(unit);
    return it == done_.end() ? nullptr : &it->second;
  }
  absl::Status add(const std::string& unit, const UnitResult& result) {
    return write(to_line(to_json(unit, result)));
  }

 private:
  absl::Status write(const std::string& line) {
    QK_RETURN_IF_ERROR(file_->write_at(end_, line));
    end_ += line.size();
    return absl::OkStatus();
  }

  absl::Status read(const std::string& text, const json& head) {
    size_t number = 0;
    for (size_t at = 0; at < text.size();) {
      const size_t end = text.find('\n', at);
      const json line = json::parse(text.substr(at, end - at), nullptr, false);
      at = end + 1;
      if (++number == 1) {
        if (line == head) continue;
        return absl::FailedPreconditionError(
            cat("line 1: found ",
                printable(line.dump(-1, ' ', false, json::error_handler_t::replace).substr(0, 200)),
                ", expected the run ", head.dump()));
      }
      try {
        UnitResult result;
        result.counts = line.at("counts").get<std::map<std::string, uint64_t>>();
        result.failed = line.at("failed").get<uint64_t>();
        for (const json& one : line.at("failures")) {
          result.failures.push_back(
              {one.at("id").get<std::string>(), one.at("message").get<std::string>()});
        }
        done_[line.at("unit").get<std::string>()] = std::move(result);
      } catch (const json::exception&) {
        return absl::DataLossError(cat("line ", number, ": not a unit's result"));
      }
    }
    return absl::OkStatus();
  }

  std::unique_ptr<families::File> file_;
  uint64_t end_ = 0;
  std::map<std::string, UnitResult> done_;
};

std::string text_of(const UnitResult& result) {
  std::vector<std::string> parts;
  for (const auto& [name, times] : result.counts) {
    if (times > 0) parts.push_back(cat(times, " ", name));
  }
  return join(parts, ", ");
}

void print_failures(const UnitResult& result, const ConformanceArguments& arguments,
                    std::ostream& out) {
  for (const GeneratedFailure& one : result.failures) {
    out << "FAIL  " << one.id << "\n"
        << "  " << printable(one.message) << "\n"
        << "  repro         qksim conformance " << arguments.family << " --generated "
        << arguments.generated << " --filter '^" << one.id << "$'\n";
  }
}

}  // namespace

ExitCode generated_command(const ConformanceArguments& arguments,
                           const std::vector<std::string>& families,
                           const Environment& environment) {
  std::ostream& out = *environment.out;
  const sim::conformance::GeneratedSetting* setting =
      sim::conformance::generated_setting(arguments.generated);
  QK_CHECK(setting != nullptr);
  GeneratedSuite suite(setting, environment.registry, families);
  out << "graph of " << setting->name << ": " << suite.graph().states().size() << " states, "
      << suite.graph().edges().size() << " edges, covered by " << suite.walks() << " walks of "
      << suite.walk_steps() << " steps\n";
  if (arguments.list) {
    for (size_t unit = 0; unit < suite.units(); ++unit) out << suite.unit_name(unit) << "\n";
    return ExitCode::kOk;
  }

  std::unique_ptr<UnitsFile> units;
  if (!arguments.resume.empty()) {
    const json head = {
        {"qksim.generated", 1},         {"setting", setting->name},
        {"families", arguments.family}, {"shard", cat(arguments.shard, "/", arguments.shards)},
        {"filter", arguments.filter},   {"build", environment.build}};
    auto opened = UnitsFile::open(environment, absolute_path(environment, arguments.resume), head);
    if (!opened.ok()) {
      print_error(environment, cat("--resume: ", to_std(opened.status().message())));
      return ExitCode::kCannotWrite;
    }
    units = *std::move(opened);
  }

  sim::conformance::Host host;
  host.registry = environment.registry;
  host.lose_memory = environment.lose_memory;
  environment.catch_signals();
  std::string now;
  const FailureScope last_words([&](const std::string& error) {
    out << "ERROR GEN/" << now << "\n  " << error << "\n" << std::flush;
    environment.exit_now(ExitCode::kInternal);
  });
  UnitResult total;
  std::map<std::string, UnitResult> by_subject;
  std::map<std::string, int64_t> cpu_ns;
  uint64_t done_before = 0;
  int64_t said_ms = environment.wall_ms();
  for (size_t unit = 0; unit < suite.units() && !environment.interrupted(); ++unit) {
    if (unit % arguments.shards != arguments.shard - 1) continue;
    now = suite.unit_name(unit);
    UnitResult result;
    if (const UnitResult* before = units ? units->find(now) : nullptr) {
      result = *before;
      ++done_before;
    } else {
      if (environment.wall_ms() - said_ms >= kSayEveryMs) {
        said_ms = environment.wall_ms();
        *environment.err << "unit " << unit + 1 << " of " << suite.units() << ": " << now << ", "
                         << total.cases() << " cases so far\n"
                         << std::flush;
      }
      const int64_t begin_ns = environment.cpu_ns();
      result = suite.run(unit, host, arguments.filter);
      cpu_ns[suite.subject_name(unit)] += environment.cpu_ns() - begin_ns;
      if (units) {
        if (const absl::Status written = units->add(now, result); !written.ok()) {
          print_error(environment, cat("--resume: ", to_std(written.message())));
          return ExitCode::kCannotWrite;
        }
      }
    }
    print_failures(result, arguments, out);
    by_subject[suite.subject_name(unit)].add(result);
    total.add(result);
  }

  constexpr size_t kWidth = 18;
  constexpr double kNsPerSecond = 1e9;
  for (const auto& [name, result] : by_subject) {
    if (result.cases() == 0) continue;
    out << padded(name, kWidth) << " " << text_of(result) << "\n";
    const double seconds = static_cast<double>(cpu_ns[name]) / kNsPerSecond;
    if (seconds <= 0) continue;
    *environment.err << padded(name, kWidth) << " " << static_cast<uint64_t>(seconds)
                     << " CPU seconds, "
                     << static_cast<uint64_t>(static_cast<double>(result.cases()) / seconds)
                     << " cases a second\n";
  }
  const uint64_t cases = total.cases();
  out << (total.failed > 0 ? "FAIL"
          : cases > 0      ? "PASS"
                           : "?")
      << "  " << cases << " cases, " << total.failed << " failed; shard " << arguments.shard << "/"
      << arguments.shards;
  if (done_before > 0) out << ", " << done_before << " units of it done before";
  out << ", build " << environment.build << "\n";
  const ExitCode code = total.failed > 0 ? ExitCode::kViolated
                        : cases > 0      ? ExitCode::kOk
                                         : ExitCode::kInconclusive;
  return environment.interrupted() ? worst(code, ExitCode::kInterrupted) : code;
}

}  // namespace qk::cli
