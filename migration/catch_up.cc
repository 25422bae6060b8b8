#include "migration/catch_up.h"

#include <algorithm>
#include <limits>

namespace qk::migration {
namespace {

using families::LogEntry;
using families::Mutation;
using families::Operation;

constexpr size_t kChunk = 64 * 1024;

}  // namespace

CatchUp::CatchUp(NodeDriver* driver, families::Family* target, std::function<int64_t()> clock)
    : driver_(driver), target_(target), clock_(std::move(clock)) {}

bool CatchUp::nearly_done(size_t mutations, uint64_t bytes) const {
  const std::deque<QueuedMutation>& queue = driver_->queue();
  return queue.size() <= mutations && driver_->queued_bytes() <= bytes &&
         std::none_of(queue.begin(), queue.end(), [](const QueuedMutation& queued) {
           return queued.operation == Operation::kPublish;
         });
}

absl::Status CatchUp::step(const Limits& limits) {
  const int64_t begin = clock_();
  uint64_t bytes = 0;
  while (driver_->queue_size() > 0) {
    QK_ASSIGN_OR_RETURN(const uint64_t done, piece(limits.bytes - bytes));
    bytes += done;
    if (bytes >= limits.bytes || clock_() - begin >= limits.time_ns) break;
  }
  return absl::OkStatus();
}

absl::Status CatchUp::drain() {
  while (driver_->queue_size() > 0) {
    QK_RETURN_IF_ERROR(piece(std::numeric_limits<uint64_t>::max()).status());
  }
  return absl::OkStatus();
}

// The bytes that it wrote.
absl::StatusOr<uint64_t> CatchUp::piece(uint64_t max_bytes) {
  const QueuedMutation& front = driver_->queue().front();
  if (front.operation == Operation::kAppend) return append(max_bytes);
  if (front.operation == Operation::kPublish) return publish();
  Mutation mutation;
  mutation.operation = front.operation;
  mutation.index = front.index;
  mutation.hard_state = front.hard_state;
  const families::Outcome outcome = families::apply(*target_, mutation);
  if (!outcome.ok()) return annotate(outcome.status(), "catch-up");
  driver_->pop_queued();
  return uint64_t{0};
}

// The appends at the front, as one, as far as they fit. Nobody reads the target before it holds all
// of them, so where one ends and the next begins is nobody's business.
absl::StatusOr<uint64_t> CatchUp::append(uint64_t max_bytes) {
  uint64_t bytes = 0;
  std::vector<LogEntry> joined;
  size_t whole = 0;           // queued appends that end in it
  size_t next = front_done_;  // entry of the one after them
  for (const QueuedMutation& queued : driver_->queue()) {
    if (queued.operation != Operation::kAppend) break;
    for (; next < queued.entries.size(); ++next) {
      const uint64_t size = queued.entries[next].payload.size();
      if (!joined.empty() && bytes + size > max_bytes) break;
      bytes += size;
      joined.push_back(queued.entries[next]);
    }
    if (next < queued.entries.size()) break;
    ++whole;
    next = 0;
  }
  if (!joined.empty()) {
    const families::Outcome outcome = target_->log().append(joined);
    if (!outcome.ok()) return annotate(outcome.status(), "catch-up");
  }
  for (; whole > 0; --whole) driver_->pop_queued();
  front_done_ = next;
  return bytes;
}

// The next chunk of the snapshot at the front, or its end.
absl::StatusOr<uint64_t> CatchUp::publish() {
  if (!publish_) {
    publish_ = Publish{};  // emplace() needs a constructor that clang++ 14 does not see here
    publish_->reader = driver_->queue().front().snapshot;
    QK_ASSIGN_OR_RETURN(publish_->writer, target_->snapshot().create());
  }
  Publish& copy = *publish_;
  if (copy.file == copy.reader->files().size()) {
    QK_RETURN_IF_ERROR(copy.writer->save_meta(copy.reader->meta()));
    const families::Outcome outcome = target_->snapshot().publish(std::move(copy.writer));
    publish_.reset();
    if (!outcome.ok()) return annotate(outcome.status(), "catch-up");
    driver_->pop_queued();
    return uint64_t{0};
  }
  const families::SnapshotFile& file = copy.reader->files()[copy.file];
  if (copy.input == nullptr) {
    QK_ASSIGN_OR_RETURN(copy.input, copy.reader->open_file(file.path));
    QK_ASSIGN_OR_RETURN(copy.output, copy.writer->create_file(file.path));
    copy.offset = 0;
  }
  std::string buffer(kChunk, '\0');
  QK_ASSIGN_OR_RETURN(const size_t got, copy.input->read_at(copy.offset, buffer));
  if (got > 0) {
    QK_RETURN_IF_ERROR(copy.output->write_at(copy.offset, std::string_view(buffer).substr(0, got)));
    copy.offset += got;
    return uint64_t{got};
  }
  copy.input.reset();
  copy.output.reset();
  QK_RETURN_IF_ERROR(copy.writer->add_file(file.path, file.meta));
  ++copy.file;
  return uint64_t{0};
}

}  // namespace qk::migration
