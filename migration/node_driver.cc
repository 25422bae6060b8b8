#include "migration/node_driver.h"

#include <algorithm>

#include "families/base/check.h"
#include "families/contract/family_wrapper.h"
#include "families/contract/rules.h"

namespace qk::migration {
namespace {

using families::Family;
using families::Mutation;
using families::Operation;
using families::Outcome;

constexpr size_t kCopyChunk = 64 * 1024;

absl::Status copy_bytes(families::File& from, families::File& to, std::string& buffer) {
  for (uint64_t offset = 0;;) {
    QK_ASSIGN_OR_RETURN(const size_t got, from.read_at(offset, buffer));
    if (got == 0) return absl::OkStatus();
    QK_RETURN_IF_ERROR(to.write_at(offset, std::string_view(buffer).substr(0, got)));
    offset += got;
  }
}

// SnapshotReader and sealed SnapshotWriter both show their files and their meta.
template <typename Source>
absl::Status copy_tree(const Source& from, families::SnapshotWriter& writer) {
  std::string buffer(kCopyChunk, '\0');
  for (const families::SnapshotFile& file : from.files()) {
    QK_ASSIGN_OR_RETURN(auto input, from.open_file(file.path));
    QK_ASSIGN_OR_RETURN(auto output, writer.create_file(file.path));
    QK_RETURN_IF_ERROR(copy_bytes(*input, *output, buffer));
    QK_RETURN_IF_ERROR(writer.add_file(file.path, file.meta));
  }
  QK_ASSIGN_OR_RETURN(const std::vector<std::string> unlisted, from.unlisted());
  for (const std::string& place : unlisted) {
    QK_ASSIGN_OR_RETURN(auto input, from.open_unlisted(place));
    QK_ASSIGN_OR_RETURN(auto output, writer.create_file(place));
    QK_RETURN_IF_ERROR(copy_bytes(*input, *output, buffer));
  }
  return writer.save_meta(from.meta());
}

absl::Status check_arguments(Family& family, const Mutation& mutation) {
  const families::LogRange log{family.log().first_index(), family.log().last_index()};
  switch (mutation.operation) {
    case Operation::kAppend:
      return families::check_append("node", log.last + 1, mutation.entries);
    case Operation::kTruncateSuffix:
      return families::check_truncate_suffix("node", log, mutation.index);
    case Operation::kReset:
      return families::check_reset("node", mutation.index);
    case Operation::kSaveMeta:
      return families::check_hard_state_change(family.meta().hard_state(), mutation.hard_state);
    default:
      return absl::OkStatus();
  }
}

// What create_snapshot() hands out: a writer that knows whose it is. It may be filled for a while,
// and the roles may change meanwhile.
class OwnedWriter final : public families::SnapshotWriterWrapper {
 public:
  OwnedWriter(std::unique_ptr<families::SnapshotWriter> inner, const Family* owner)
      : SnapshotWriterWrapper(std::move(inner)), owner_(owner) {}

  const Family* owner() const { return owner_; }

 private:
  const Family* const owner_;
};

// Puts a writer of `primary` into a publish that was prepared through create_snapshot(). A tree
// that was begun in another family, because that one was primary then, is copied.
absl::Status settle_writer(Family& primary, Mutation* mutation) {
  std::unique_ptr<OwnedWriter> prepared(static_cast<OwnedWriter*>(mutation->writer.release()));
  const Family* const owner = prepared->owner();
  std::unique_ptr<families::SnapshotWriter> writer = OwnedWriter::unwrap(std::move(prepared));
  if (owner != &primary) {
    QK_RETURN_IF_ERROR(writer->seal());
    QK_ASSIGN_OR_RETURN(auto own, primary.snapshot().create());
    QK_RETURN_IF_ERROR(copy_tree(*writer, *own));
    writer = std::move(own);
  }
  mutation->writer = std::move(writer);
  return absl::OkStatus();
}

}  // namespace

absl::Status copy_snapshot(const families::SnapshotReader& from, families::SnapshotWriter& writer) {
  return copy_tree(from, writer);
}

NodeDriver::NodeDriver(Family* primary, uint64_t last_seq) : primary_(primary), seq_(last_seq) {}

absl::StatusOr<std::unique_ptr<families::SnapshotWriter>> NodeDriver::create_snapshot() {
  QK_ASSIGN_OR_RETURN(auto writer, primary_->snapshot().create());
  return std::make_unique<OwnedWriter>(std::move(writer), primary_);
}

Outcome NodeDriver::poison(absl::Status status, int64_t count) {
  failure_ = status;
  return Outcome::indeterminate(std::move(status), count);
}

Outcome NodeDriver::apply(Mutation mutation) {
  if (!failure_.ok()) {
    return Outcome::failed_clean(annotate(failure_, "the node must reopen after"));
  }
  ++seq_;
  if (mutation.operation == Operation::kPublish) {
    if (absl::Status status = settle_writer(*primary_, &mutation); !status.ok()) {
      return poison(annotate(status, "publish"));
    }
  }
  if (pair_.mirror == nullptr) return apply_plain(mutation);
  if (mutation.operation != Operation::kAppend ||
      mutation.entries.size() <= IntentJournal::kMaxEntries) {
    return apply_dual(mutation);
  }
  // A record has bounded size, so a longer batch is several mutations.
  int64_t appended = 0;
  for (size_t from = 0; from < mutation.entries.size(); from += IntentJournal::kMaxEntries) {
    const size_t to = std::min(from + IntentJournal::kMaxEntries, mutation.entries.size());
    if (from > 0) ++seq_;
    Mutation part =
        Mutation::append({mutation.entries.begin() + from, mutation.entries.begin() + to});
    const Outcome outcome = apply_dual(part);
    if (!outcome.ok()) return poison(outcome.status(), appended + outcome.count());
    appended += outcome.count();
  }
  return Outcome::success(appended);
}

Outcome NodeDriver::apply_plain(Mutation& mutation) {
  const Outcome outcome = families::apply(*primary_, mutation);
  if (outcome.kind() == Outcome::Kind::kIndeterminate) failure_ = outcome.status();
  if (!outcome.ok() || !queueing_ || overflowed_) return outcome;
  if (mutation.operation == Operation::kPublish && outcome.count() == 0) return outcome;
  enqueue(std::move(mutation));
  return outcome;
}

// The bootstrap cannot follow; it starts again from a new export.
void NodeDriver::overflow() {
  overflowed_ = true;
  clear_queue();
}

void NodeDriver::clear_queue() {
  queue_.clear();
  queued_bytes_ = 0;
}

void NodeDriver::enqueue(Mutation mutation) {
  QueuedMutation queued;
  for (const families::LogEntry& entry : mutation.entries) queued.bytes += entry.payload.size();
  if (queue_.size() >= max_queued_ || queued_bytes_ + queued.bytes > max_queued_bytes_) {
    return overflow();
  }
  queued.seq = seq_;
  queued.operation = mutation.operation;
  queued.entries = std::move(mutation.entries);
  queued.index = mutation.index;
  queued.hard_state = std::move(mutation.hard_state);
  if (queued.operation == Operation::kPublish) {
    auto reader = primary_->snapshot().open();
    if (!reader.ok()) return overflow();
    queued.snapshot = std::move(*reader);
  }
  queued_bytes_ += queued.bytes;
  queue_.push_back(std::move(queued));
}

void NodeDriver::pop_queued() {
  QK_CHECK(!queue_.empty());
  queued_bytes_ -= queue_.front().bytes;
  queue_.pop_front();
}

void NodeDriver::begin_queue(size_t max_queued, uint64_t max_bytes) {
  QK_CHECK(pair_.mirror == nullptr);
  queueing_ = true;
  overflowed_ = false;
  max_queued_ = max_queued;
  max_queued_bytes_ = max_bytes;
  clear_queue();
}

void NodeDriver::end_queue() {
  queueing_ = false;
  overflowed_ = false;
  clear_queue();
}

void NodeDriver::set_plain(Family* primary) {
  end_queue();
  primary_ = primary;
  pair_ = {};
}

void NodeDriver::set_dual(Family* primary, DualPair pair) {
  QK_CHECK(pair.mirror != nullptr && pair.journal != nullptr);
  QK_CHECK(queue_.empty());
  end_queue();
  primary_ = primary;
  pair_ = std::move(pair);
}

void NodeDriver::invalidate_caches(const Mutation& mutation) {
  for (image::DigestCache* cache : pair_.caches) {
    switch (mutation.operation) {
      case Operation::kAppend:
      case Operation::kSaveMeta:
        break;
      case Operation::kTruncatePrefix:
        cache->drop_below(mutation.index);
        break;
      case Operation::kTruncateSuffix:
        cache->invalidate_from(mutation.index + 1);
        break;
      case Operation::kReset:
        cache->clear();
        break;
      case Operation::kPublish:
        cache->invalidate_snapshot();
        break;
    }
  }
}

Intent NodeDriver::make_intent(const Mutation& mutation) {
  Intent intent;
  intent.seq = seq_;
  intent.operation = mutation.operation;
  intent.primary_instance = pair_.primary_instance;
  intent.mirror_instance = pair_.mirror_instance;
  intent.entries.reserve(mutation.entries.size());
  for (const families::LogEntry& entry : mutation.entries) {
    intent.entries.push_back(mark_of(entry));
  }
  intent.index = mutation.index;
  intent.hard_state = mutation.hard_state;
  if (mutation.writer != nullptr) intent.snapshot = mutation.writer->meta();
  intent.pre_first = primary_->log().first_index();
  intent.pre_last = primary_->log().last_index();
  intent.pre_hard_state = primary_->meta().hard_state();
  intent.pre_snapshot = primary_->snapshot().current();
  return intent;
}

Outcome NodeDriver::apply_mirror(Mutation& mutation) {
  const Outcome outcome = families::apply(*pair_.mirror, mutation);
  if (outcome.ok()) return outcome;
  // The primary has it and the mirror has not: whatever the mirror says, the pair is indeterminate.
  return poison(annotate(outcome.status(), "mirror"), outcome.count());
}

Outcome NodeDriver::apply_dual(Mutation& mutation) {
  // A publish reaches the mirror as a second sealed tree, so that both publishes are one rename
  // each.
  std::unique_ptr<families::SnapshotWriter> mirror_writer;
  if (mutation.operation == Operation::kPublish) {
    const auto verdict =
        families::judge_publish(primary_->snapshot().current(), mutation.writer->meta());
    if (!verdict.ok()) return Outcome::failed_clean(verdict.status());
    if (*verdict == families::PublishVerdict::kAlreadyPublished) {
      mutation.writer.reset();
      return Outcome::success(0);
    }
    const auto prepare = [&]() -> absl::Status {
      QK_RETURN_IF_ERROR(mutation.writer->seal());
      QK_ASSIGN_OR_RETURN(mirror_writer, pair_.mirror->snapshot().create());
      QK_RETURN_IF_ERROR(copy_tree(*mutation.writer, *mirror_writer));
      return mirror_writer->seal();
    };
    // Nothing is published yet, but a failed sync may have hit either family: stop.
    if (absl::Status status = prepare(); !status.ok()) return poison(status);
  }

  // A record is redone after a crash, so only a mutation that the contract allows may get one.
  if (absl::Status status = check_arguments(*primary_, mutation); !status.ok()) {
    return Outcome::failed_clean(status);
  }
  if (absl::Status status = pair_.journal->write(make_intent(mutation)); !status.ok()) {
    return poison(annotate(status, "intent journal"));
  }

  invalidate_caches(mutation);
  const Outcome primary = families::apply(*primary_, mutation);
  if (primary.kind() == Outcome::Kind::kFailedClean) return primary;
  if (!primary.ok()) return poison(annotate(primary.status(), "primary"), 0);

  if (mutation.operation == Operation::kPublish) mutation.writer = std::move(mirror_writer);
  const Outcome mirror = apply_mirror(mutation);
  if (!mirror.ok()) return mirror;
  if (mirror.count() != primary.count()) {
    return poison(absl::InternalError(cat(to_string(mutation.operation), ": primary applied ",
                                          primary.count(), ", mirror ", mirror.count())),
                  std::min(mirror.count(), primary.count()));
  }
  return mirror;
}

}  // namespace qk::migration
