#include "families/engine/row_log.h"

#include <algorithm>

#include "families/base/bytes.h"
#include "families/engine/row.h"

namespace qk::families {
namespace {

std::string log_key(int64_t index) {
  std::string key;
  set_log_key(&key, index);
  return key;
}

absl::StatusOr<int64_t> row_index(const KvStore& store, std::string_view key) {
  const std::optional<int64_t> index = log_key_index(key);
  if (index) return *index;
  return absl::DataLossError(
      cat(store.db_path(), ": found key ", to_hex(key), ", expected the key of a log row"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<KvLog>> KvLog::open(KvStore* store) {
  std::unique_ptr<KvLog> log(new KvLog(store));
  QK_RETURN_IF_ERROR(log->load_range());
  return log;
}

absl::Status KvLog::load_range() {
  QK_ASSIGN_OR_RETURN(const std::string value, store_.read_state(StateRow::kFirstIndex));
  QK_ASSIGN_OR_RETURN(first_, decode_first_index(value));
  last_ = first_ - 1;
  const std::unique_ptr<KvCursor> cursor = store_.engine().cursor();
  cursor->seek(kLogKeysBegin);
  QK_RETURN_IF_ERROR(cursor->status());
  if (!cursor->valid() || cursor->key() >= kLogKeysEnd) return absl::OkStatus();
  QK_ASSIGN_OR_RETURN(const int64_t lowest, row_index(store_, cursor->key()));
  if (lowest < first_) {
    return absl::DataLossError(cat(store_.db_path(), ": found log row ", lowest,
                                   ", expected none below the first index, ", first_));
  }
  if (lowest > first_) {
    return absl::DataLossError(cat(store_.db_path(), ": log row ", first_,
                                   " is missing: the first one found is ", lowest));
  }
  cursor->seek_back(kLogKeysEnd);
  QK_RETURN_IF_ERROR(cursor->status());
  if (!cursor->valid()) {
    return absl::DataLossError(cat(store_.db_path(), ": log row ", lowest,
                                   " was found going forward, but no row going back"));
  }
  QK_ASSIGN_OR_RETURN(last_, row_index(store_, cursor->key()));
  return absl::OkStatus();
}

absl::Status KvLog::check_index(int64_t index) const {
  if (index >= first_ && index <= last_) return absl::OkStatus();
  return absl::OutOfRangeError(
      cat(store_.db_path(), ": log index ", index, ", expected one in ", first_, "..", last_));
}

absl::Status KvLog::missing_row(int64_t index) const {
  return absl::DataLossError(cat(store_.db_path(), ": log row ", index,
                                 " is missing, expected all of ", first_, "..", last_));
}

absl::StatusOr<std::string> KvLog::read_row(int64_t index) {
  std::string bytes;
  QK_ASSIGN_OR_RETURN(const bool found, store_.engine().get(log_key(index), &bytes));
  if (!found) return missing_row(index);
  return bytes;
}

absl::StatusOr<LogEntry> KvLog::entry(int64_t index) {
  QK_RETURN_IF_ERROR(check_index(index));
  QK_ASSIGN_OR_RETURN(const std::string bytes, read_row(index));
  LogEntry entry;
  if (const absl::Status status = decode_log_entry(index, bytes, &entry); !status.ok()) {
    return annotate(status, store_.db_path());
  }
  return entry;
}

absl::StatusOr<int64_t> KvLog::term(int64_t index) {
  QK_RETURN_IF_ERROR(check_index(index));
  QK_ASSIGN_OR_RETURN(const std::string bytes, read_row(index));
  const absl::StatusOr<LogRow> row = decode_log_row(index, bytes);
  if (!row.ok()) return annotate(row.status(), store_.db_path());
  return row->term;
}

absl::Status KvLog::scan(int64_t from, int64_t to, const Visitor& visit) {
  if (from > to) {
    return absl::InvalidArgumentError(
        cat(store_.db_path(), ": scan of ", from, "..", to, ": the range is empty"));
  }
  QK_RETURN_IF_ERROR(check_index(from));
  QK_RETURN_IF_ERROR(check_index(to));
  const std::unique_ptr<KvCursor> cursor = store_.engine().cursor();
  std::string key = log_key(from);
  LogEntry entry;
  cursor->seek(key);
  for (int64_t index = from; index <= to; ++index, cursor->next()) {
    set_log_key(&key, index);
    if (!cursor->valid() || cursor->key() != key) {
      // An engine may have stepped over what it could not read.
      QK_RETURN_IF_ERROR(cursor->status());
      return missing_row(index);
    }
    if (const absl::Status status = decode_log_entry(index, cursor->value(), &entry);
        !status.ok()) {
      return annotate(status, store_.db_path());
    }
    QK_RETURN_IF_ERROR(visit(entry));
  }
  return absl::OkStatus();
}

Outcome KvLog::append(std::span<const LogEntry> entries) {
  if (const absl::Status status = store_.writable(); !status.ok()) {
    return Outcome::failed_clean(status);
  }
  if (const absl::Status status = check_append(store_.db_path(), last_ + 1, entries);
      !status.ok()) {
    return Outcome::failed_clean(status);
  }
  if (entries.empty()) return Outcome::success();
  Outcome outcome = store_.mutate("append", [&](KvBatch& batch) {
    for (const LogEntry& entry : entries) {
      set_log_key(&key_, entry.index);
      set_log_head(&head_, entry);
      batch.put(key_, head_, entry.payload);
    }
    return absl::OkStatus();
  });
  if (!outcome.ok()) return outcome;
  last_ = entries.back().index;
  return Outcome::success(static_cast<int64_t>(entries.size()));
}

Outcome KvLog::truncate_prefix(int64_t first_kept) {
  if (const absl::Status status = store_.writable(); !status.ok()) {
    return Outcome::failed_clean(status);
  }
  if (first_kept <= first_) return Outcome::success();
  Outcome outcome = store_.mutate("truncate_prefix", [&](KvBatch& batch) -> absl::Status {
    if (first_ <= last_)
      QK_RETURN_IF_ERROR(batch.remove_range(log_key(first_), log_key(first_kept)));
    KvStore::put_state(batch, StateRow::kFirstIndex, encode_first_index(first_kept));
    return absl::OkStatus();
  });
  if (!outcome.ok()) return outcome;
  first_ = first_kept;
  last_ = std::max(last_, first_ - 1);
  return outcome;
}

Outcome KvLog::truncate_suffix(int64_t last_kept) {
  if (const absl::Status status = store_.writable(); !status.ok()) {
    return Outcome::failed_clean(status);
  }
  if (last_kept >= last_) return Outcome::success();
  if (last_kept < first_ - 1) {
    return Outcome::failed_clean(absl::InvalidArgumentError(
        cat(store_.db_path(), ": truncate_suffix: found last kept index ", last_kept,
            ", expected at least ", first_ - 1)));
  }
  Outcome outcome = store_.mutate("truncate_suffix", [&](KvBatch& batch) {
    return batch.remove_range(log_key(last_kept + 1), log_key(last_ + 1));
  });
  if (outcome.ok()) last_ = last_kept;
  return outcome;
}

Outcome KvLog::reset(int64_t next_index) {
  if (const absl::Status status = store_.writable(); !status.ok()) {
    return Outcome::failed_clean(status);
  }
  if (next_index < 1) {
    return Outcome::failed_clean(absl::InvalidArgumentError(
        cat(store_.db_path(), ": reset: found next index ", next_index, ", expected at least 1")));
  }
  Outcome outcome = store_.mutate("reset", [&](KvBatch& batch) -> absl::Status {
    if (first_ <= last_)
      QK_RETURN_IF_ERROR(batch.remove_range(log_key(first_), log_key(last_ + 1)));
    KvStore::put_state(batch, StateRow::kFirstIndex, encode_first_index(next_index));
    return absl::OkStatus();
  });
  if (!outcome.ok()) return outcome;
  first_ = next_index;
  last_ = next_index - 1;
  return outcome;
}

class KvLog::Loader final : public LogLoader {
 public:
  Loader(KvLog* log, std::unique_ptr<KvLoader> loader)
      : log_(*log), loader_(std::move(loader)), next_(log->last_ + 1) {}

  absl::Status append(std::span<const LogEntry> entries) override {
    QK_RETURN_IF_ERROR(log_.store_.writable());
    QK_RETURN_IF_ERROR(check_append(log_.store_.db_path(), next_, entries));
    for (const LogEntry& entry : entries) {
      set_log_key(&log_.key_, entry.index);
      set_log_head(&log_.head_, entry);
      QK_RETURN_IF_ERROR(stop_on_error(loader_->put(log_.key_, log_.head_, entry.payload)));
      ++next_;
    }
    return absl::OkStatus();
  }

  absl::Status finish() override {
    QK_RETURN_IF_ERROR(log_.store_.writable());
    QK_RETURN_IF_ERROR(stop_on_error(loader_->finish()));
    log_.last_ = next_ - 1;
    return absl::OkStatus();
  }

 private:
  absl::Status stop_on_error(absl::Status status) {
    if (status.ok()) return status;
    return log_.store_.fail_stop(std::move(status), "bulk load").status();
  }

  KvLog& log_;
  const std::unique_ptr<KvLoader> loader_;
  int64_t next_;
};

absl::StatusOr<std::unique_ptr<LogLoader>> KvLog::bulk_load(int64_t first_index) {
  QK_RETURN_IF_ERROR(store_.writable());
  // Refuses a log that is not fresh, and sets the first index.
  QK_RETURN_IF_ERROR(LogStorage::bulk_load(first_index).status());
  QK_ASSIGN_OR_RETURN(std::unique_ptr<KvLoader> loader, store_.engine().load());
  return std::make_unique<Loader>(this, std::move(loader));
}

}  // namespace qk::families
