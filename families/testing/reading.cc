#include "families/testing/reading.h"

#include "families/base/check.h"
#include "families/fs/file_util.h"

namespace qk::families {
namespace {

constexpr uint64_t kMaxFile = uint64_t{1} << 30;

absl::StatusOr<std::string> read_whole(absl::StatusOr<std::unique_ptr<File>> file,
                                       const std::string& path) {
  QK_RETURN_IF_ERROR(file.status());
  QK_ASSIGN_OR_RETURN(const uint64_t size, (*file)->size());
  QK_CHECK(size <= kMaxFile);
  std::string bytes(size, '\0');
  QK_RETURN_IF_ERROR(read_exact(**file, path, 0, bytes));
  return bytes;
}

void read_log(LogStorage& log, Reading* reading) {
  reading->emplace("first", cat(log.first_index()));
  reading->emplace("last", cat(log.last_index()));
  for (int64_t index = log.first_index(); index <= log.last_index(); ++index) {
    const auto entry = log.entry(index);
    if (entry.ok()) QK_CHECK(entry->index == index);
    reading->emplace(cat("entry ", index),
                     entry.ok()
                         ? absl::StatusOr<std::string>(
                               cat(entry->term, " ", to_string(entry->type), " ", entry->payload))
                         : entry.status());
    const auto term = log.term(index);
    reading->emplace(cat("term ", index),
                     term.ok() ? absl::StatusOr<std::string>(cat(*term)) : term.status());
  }
}

std::string describe(const SnapshotMeta& meta) {
  std::string text = cat(meta.last_included_index, "/", meta.last_included_term);
  for (const std::string& peer : meta.peers) text += cat(" peer ", peer);
  for (const std::string& peer : meta.old_peers) text += cat(" old peer ", peer);
  return text;
}

std::string describe(const FileMeta& meta) {
  return cat(meta.user_meta ? cat(" user meta ", *meta.user_meta) : "",
             meta.source ? cat(" source ", *meta.source) : "",
             meta.checksum ? cat(" checksum ", *meta.checksum) : "");
}

void read_snapshot(SnapshotStorage& snapshot, Reading* reading) {
  const auto meta = snapshot.current();
  const auto reader = snapshot.open();
  if (!meta) {
    if (absl::IsNotFound(reader.status())) {
      reading->emplace("snapshot", "none");
    } else {
      reading->emplace("snapshot", reader.status());
    }
    return;
  }
  if (!reader.ok()) {
    reading->emplace("snapshot", reader.status());
    return;
  }
  QK_CHECK((*reader)->meta() == *meta);
  reading->emplace("snapshot", describe(*meta));
  for (const SnapshotFile& file : (*reader)->files()) {
    auto bytes = read_whole((*reader)->open_file(file.path), file.path);
    if (bytes.ok()) *bytes += describe(file.meta);
    reading->emplace(cat("file ", file.path), std::move(bytes));
  }
}

}  // namespace

Reading read_everything(Family& family) {
  Reading reading;
  read_log(family.log(), &reading);
  const HardState state = family.meta().hard_state();
  reading.emplace("hard state", cat(state.term, " ", state.voted_for));
  read_snapshot(family.snapshot(), &reading);
  return reading;
}

std::string to_text(const Reading& reading) {
  std::string text;
  for (const auto& [item, value] : reading) {
    text += cat(item, ": ", value.ok() ? *value : cat("error ", value.status().raw_code()), "\n");
  }
  return text;
}

}  // namespace qk::families
