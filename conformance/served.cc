#include "conformance/served.h"

#include "families/base/check.h"
#include "families/fs/file_util.h"

namespace qk::sim::conformance {
namespace {

using families::LogEntry;

// That something is there, and could not be read.
bool reads_as_absent(const absl::Status& error) {
  return absl::IsNotFound(error) || absl::IsOutOfRange(error);
}

std::string wrong_error(std::string_view what, const absl::Status& error) {
  return cat(what, ": found ", error.ToString(), ", expected it, or another error");
}

std::string other_entry(std::string_view how, int64_t index) {
  return cat(how, " gave another entry ", index);
}

std::string one_by_one(families::LogStorage& log, const State& state) {
  for (const LogEntry& expected : state.entries) {
    const int64_t index = expected.index;
    const auto entry = log.entry(index);
    if (entry.ok() && *entry != expected) return other_entry("entry()", index);
    if (reads_as_absent(entry.status())) return wrong_error(cat("entry ", index), entry.status());
    const auto term = log.term(index);
    if (term.ok() && *term != expected.term) {
      return cat("term of ", index, ": found ", *term, ", expected ", expected.term);
    }
    if (reads_as_absent(term.status())) return wrong_error(cat("term of ", index), term.status());
  }
  for (const int64_t outside : {state.first - 1, state.last() + 1}) {
    if (log.entry(outside).ok()) return cat("found an entry ", outside);
    if (log.term(outside).ok()) return cat("found a term of ", outside);
  }
  return "";
}

std::string all_at_once(families::LogStorage& log, const State& state) {
  if (state.entries.empty()) return "";
  std::string wrong;
  size_t met = 0;
  const absl::Status scanned =
      log.scan(state.first, state.last(), [&](const LogEntry& entry) -> absl::Status {
        if (wrong.empty() && (met == state.entries.size() || entry != state.entries[met])) {
          wrong = other_entry("scan()", entry.index);
        }
        ++met;
        return absl::OkStatus();
      });
  if (!wrong.empty()) return wrong;
  if (scanned.ok() && met != state.entries.size()) return cat("scan() ended after ", met);
  return reads_as_absent(scanned) ? wrong_error("scan()", scanned) : "";
}

std::string in_log(families::LogStorage& log, const State& state) {
  if (log.first_index() != state.first || log.last_index() != state.last()) {
    return cat("log: found ", log.first_index(), "..", log.last_index(), ", expected ", state.first,
               "..", state.last());
  }
  std::string wrong = one_by_one(log, state);
  return wrong.empty() ? all_at_once(log, state) : wrong;
}

absl::StatusOr<std::string> read_file(const families::SnapshotReader& reader,
                                      const std::string& path, bool unlisted) {
  QK_ASSIGN_OR_RETURN(const auto file,
                      unlisted ? reader.open_unlisted(path) : reader.open_file(path));
  QK_ASSIGN_OR_RETURN(const uint64_t size, file->size());
  std::string bytes(size, '\0');
  QK_RETURN_IF_ERROR(families::read_exact(*file, path, 0, bytes));
  return bytes;
}

std::string in_file(const families::SnapshotReader& reader, const std::string& path,
                    const TreeFile& expected) {
  const auto bytes = read_file(reader, path, expected.unlisted);
  if (bytes.ok() && *bytes != expected.bytes) return cat("file ", path, " has other bytes");
  return reads_as_absent(bytes.status()) ? wrong_error(cat("file ", path), bytes.status()) : "";
}

std::string in_files(const families::SnapshotReader& reader, const SnapshotState& expected) {
  if (reader.meta() != expected.meta) return "the reader is of another snapshot than current()";
  std::vector<families::SnapshotFile> listed;
  std::vector<std::string> unlisted;
  for (const auto& [path, file] : expected.files) {
    if (file.unlisted) {
      unlisted.push_back(path);
    } else {
      listed.push_back({path, file.meta});
    }
  }
  if (reader.files() != listed) return "the table of the snapshot is another one";
  const auto found = reader.unlisted();
  if (found.ok() && *found != unlisted) return "other files lie in the tree unlisted";
  for (const auto& [path, file] : expected.files) {
    std::string wrong = in_file(reader, path, file);
    if (!wrong.empty()) return wrong;
  }
  return "";
}

std::string in_snapshot(families::SnapshotStorage& storage, const State& state) {
  const auto meta = storage.current();
  if (meta.has_value() != state.snapshot.has_value() || (meta && *meta != state.snapshot->meta)) {
    return cat("snapshot: found ", meta ? meta->last_included_index : 0, ", expected ",
               state.snapshot ? state.snapshot->meta.last_included_index : 0);
  }
  const auto reader = storage.open();
  if (!state.snapshot) return reader.ok() ? "current() says none, and open() has one" : "";
  if (reader.ok()) return in_files(**reader, *state.snapshot);
  return reads_as_absent(reader.status()) ? wrong_error("snapshot", reader.status()) : "";
}

std::string misfit_of(families::Family& family, const State& state) {
  std::string wrong = in_log(family.log(), state);
  if (wrong.empty() && family.meta().hard_state() != state.hard_state) {
    wrong = cat("term: found ", family.meta().hard_state().term, ", expected ",
                state.hard_state.term, ", or another vote");
  }
  return wrong.empty() ? in_snapshot(family.snapshot(), state) : wrong;
}

}  // namespace

std::string misfit(families::Family& family, const std::vector<State>& states) {
  QK_CHECK(!states.empty());
  std::vector<std::string> all;
  for (const State& state : states) {
    all.push_back(misfit_of(family, state));
    if (all.back().empty()) return "";
  }
  if (all.size() == 1) return all.front();
  return cat("neither the state before (", all.front(), ") nor the one after (", all.back(), ")");
}

}  // namespace qk::sim::conformance
