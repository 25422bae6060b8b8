// A key-value engine for tests: a std::map, and a file of its commits that is replayed on opening.
// As strict as an engine may be: it checks what families/engine promises to it.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "families/base/bytes.h"
#include "families/base/check.h"
#include "families/base/hash.h"
#include "families/engine/engine.h"
#include "families/fs/file_util.h"

namespace qk::families {

using KvMap = std::map<std::string, std::string, std::less<>>;

// What a test does to every engine that it handed this to.
struct TestKvControl {
  absl::Status read_error;    // of every get and of every cursor
  absl::Status commit_error;  // of every commit
  absl::Status load_error;    // of a loader's finish
  absl::Status work_error;    // of run_one
  size_t pending = 0;
  int loads = 0;  // that finished
};

class TestKvEngine final : public KvEngine {
 public:
  static absl::StatusOr<std::unique_ptr<KvEngine>> open(FileSystem* fs, const std::string& path,
                                                        bool create, TestKvControl* control) {
    auto engine = std::make_unique<TestKvEngine>();
    engine->control_ = control;
    engine->path_ = join_path(path, "commits");
    OpenFlags flags;
    flags.create = flags.exclusive = create;
    QK_ASSIGN_OR_RETURN(engine->file_, fs->open(engine->path_, flags));
    if (create) QK_RETURN_IF_ERROR(fs->sync_dir(path, SyncKind::kFull));
    QK_RETURN_IF_ERROR(engine->replay());
    return engine;
  }
  static OpenKvEngine opener(TestKvControl* control) {
    return [control](FileSystem* fs, const std::string& path, bool create, LogMark*) {
      return open(fs, path, create, control);
    };
  }

  std::unique_ptr<KvBatch> new_batch() override { return std::make_unique<Batch>(this); }

  absl::Status commit(KvBatch& batch) override {
    return commit_changes(static_cast<Batch&>(batch).changes);
  }

  absl::StatusOr<bool> get(std::string_view key, std::string* value) override {
    QK_RETURN_IF_ERROR(control_->read_error);
    const auto found = rows_.find(key);
    if (found == rows_.end()) return false;
    *value = found->second;
    return true;
  }

  std::unique_ptr<KvCursor> cursor() override { return std::make_unique<Cursor>(this); }

  absl::StatusOr<std::unique_ptr<KvLoader>> load() override {
    return std::make_unique<Loader>(this);
  }

  size_t pending_work() const override { return control_->pending; }
  absl::Status run_one() override {
    QK_RETURN_IF_ERROR(control_->work_error);
    QK_CHECK(control_->pending > 0);
    --control_->pending;
    return absl::OkStatus();
  }

 private:
  // Key, and its new value or nothing.
  using Changes = std::vector<std::pair<std::string, std::optional<std::string>>>;

  struct Batch final : KvBatch {
    explicit Batch(TestKvEngine* e) : engine(*e) {}
    void clear() override { changes.clear(); }
    void put(std::string_view key, std::string_view head, std::string_view tail) override {
      changes.emplace_back(key, cat(head, tail));
    }
    void remove(std::string_view key) override { changes.emplace_back(key, std::nullopt); }
    absl::Status remove_range(std::string_view begin, std::string_view end) override {
      QK_CHECK(begin < end);
      QK_RETURN_IF_ERROR(engine.control_->read_error);
      for (auto row = engine.rows_.lower_bound(begin);
           row != engine.rows_.end() && std::string_view(row->first) < end; ++row) {
        remove(row->first);
      }
      return absl::OkStatus();
    }
    TestKvEngine& engine;
    Changes changes;
  };

  struct Cursor final : KvCursor {
    explicit Cursor(TestKvEngine* e) : engine(*e), rows(e->rows_), at(rows.end()) {}
    void seek(std::string_view key) override { at = rows.lower_bound(key); }
    void seek_back(std::string_view key) override {
      at = rows.upper_bound(key);
      at = at == rows.begin() ? rows.end() : std::prev(at);
    }
    void next() override {
      QK_CHECK(valid());
      ++at;
    }
    bool valid() const override { return status().ok() && at != rows.end(); }
    std::string_view key() const override { return at->first; }
    std::string_view value() const override { return at->second; }
    absl::Status status() const override { return engine.control_->read_error; }
    const TestKvEngine& engine;
    const KvMap rows;
    KvMap::const_iterator at;
  };

  struct Loader final : KvLoader {
    explicit Loader(TestKvEngine* e) : engine(*e) {
      if (!e->rows_.empty()) last = e->rows_.rbegin()->first;
    }
    absl::Status put(std::string_view key, std::string_view head, std::string_view tail) override {
      QK_CHECK(key > last);
      last = key;
      changes.emplace_back(key, cat(head, tail));
      return absl::OkStatus();
    }
    absl::Status finish() override {
      QK_RETURN_IF_ERROR(engine.control_->load_error);
      ++engine.control_->loads;
      return engine.commit_changes(changes);
    }
    TestKvEngine& engine;
    std::string last;
    Changes changes;
  };

  // A commit in the file: length (4), crc (4), then of each change the key, 1 and the value, or 0.
  absl::Status commit_changes(const Changes& changes) {
    QK_RETURN_IF_ERROR(failed_);
    std::string body;
    for (const auto& [key, value] : changes) {
      put_bytes(&body, key);
      put_u8(&body, value ? 1 : 0);
      if (value) put_bytes(&body, *value);
    }
    std::string record;
    put_le32(&record, static_cast<uint32_t>(body.size()));
    put_le32(&record, crc32c(body));
    failed_ = control_->commit_error;
    if (failed_.ok()) failed_ = file_->write_at(end_, record + body);
    if (failed_.ok()) failed_ = file_->sync(SyncKind::kFull);
    QK_RETURN_IF_ERROR(failed_);
    end_ += record.size() + body.size();
    apply(changes);
    return absl::OkStatus();
  }

  void apply(const Changes& changes) {
    for (const auto& [key, value] : changes) {
      if (value) {
        rows_[key] = *value;
      } else {
        rows_.erase(key);
      }
    }
  }

  // Cuts a torn commit off; only the last can be one.
  absl::Status replay() {
    QK_ASSIGN_OR_RETURN(const uint64_t size, file_->size());
    std::string bytes(size, '\0');
    QK_RETURN_IF_ERROR(read_exact(*file_, path_, 0, bytes));
    ByteReader in(bytes);
    while (in.remaining() > 0) {
      const uint32_t length = in.le32();
      const uint32_t crc = in.le32();
      const std::string_view body = in.take(length);
      if (!in.ok() || crc32c(body) != crc) {
        if (!in.ok() || in.remaining() == 0) break;
        return absl::DataLossError(cat(path_, ": damaged at offset ", end_));
      }
      ByteReader changes_in(body);
      Changes changes;
      while (changes_in.remaining() > 0) {
        std::string key(changes_in.bytes());
        std::optional<std::string> value;
        if (changes_in.u8() == 1) value = std::string(changes_in.bytes());
        changes.emplace_back(std::move(key), std::move(value));
      }
      apply(changes);
      end_ += 8 + length;
    }
    if (end_ == size) return absl::OkStatus();
    QK_RETURN_IF_ERROR(file_->truncate(end_));
    return file_->sync(SyncKind::kFull);
  }

  TestKvControl* control_ = nullptr;
  std::string path_;
  std::unique_ptr<File> file_;
  uint64_t end_ = 0;
  KvMap rows_;
  absl::Status failed_;
};

}  // namespace qk::families
