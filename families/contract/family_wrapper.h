// Wrappers of the storage contract: each forwards every call to another object. A recorder, a fault
// injector or a planted bug overrides the calls it is about and inherits the rest, so a call added
// to the contract reaches all of them.
//
// The storage wrappers do not own what they wrap, because a family hands out references. A
// FamilyWrapper owns its family; to replace one storage, override log(), meta() or snapshot() and
// return a wrapper that is a member.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "families/contract/family.h"

namespace qk::families {

class LogWrapper : public LogStorage {
 public:
  explicit LogWrapper(LogStorage* inner) : inner_(*inner) {}

  int64_t first_index() const override { return inner_.first_index(); }
  int64_t last_index() const override { return inner_.last_index(); }
  absl::StatusOr<LogEntry> entry(int64_t index) override { return inner_.entry(index); }
  absl::StatusOr<int64_t> term(int64_t index) override { return inner_.term(index); }
  absl::Status scan(int64_t from, int64_t to, const Visitor& visit) override {
    return inner_.scan(from, to, visit);
  }
  Outcome append(std::span<const LogEntry> entries) override { return inner_.append(entries); }
  Outcome truncate_prefix(int64_t first_kept) override {
    return inner_.truncate_prefix(first_kept);
  }
  Outcome truncate_suffix(int64_t last_kept) override { return inner_.truncate_suffix(last_kept); }
  Outcome reset(int64_t next_index) override { return inner_.reset(next_index); }
  absl::StatusOr<std::unique_ptr<LogLoader>> bulk_load(int64_t first_index) override {
    return inner_.bulk_load(first_index);
  }

 protected:
  LogStorage& inner() { return inner_; }
  const LogStorage& inner() const { return inner_; }

 private:
  LogStorage& inner_;
};

class MetaWrapper : public MetaStorage {
 public:
  explicit MetaWrapper(MetaStorage* inner) : inner_(*inner) {}

  HardState hard_state() const override { return inner_.hard_state(); }
  Outcome save(const HardState& state) override { return inner_.save(state); }

 protected:
  MetaStorage& inner() { return inner_; }
  const MetaStorage& inner() const { return inner_; }

 private:
  MetaStorage& inner_;
};

class SnapshotReaderWrapper : public SnapshotReader {
 public:
  explicit SnapshotReaderWrapper(std::shared_ptr<SnapshotReader> inner)
      : inner_(std::move(inner)) {}

  const SnapshotMeta& meta() const override { return inner_->meta(); }
  const std::vector<SnapshotFile>& files() const override { return inner_->files(); }
  std::string get_path() const override { return inner_->get_path(); }
  absl::StatusOr<std::unique_ptr<File>> open_file(std::string_view path) const override {
    return inner_->open_file(path);
  }
  absl::StatusOr<std::vector<std::string>> unlisted() const override { return inner_->unlisted(); }
  absl::StatusOr<std::unique_ptr<File>> open_unlisted(std::string_view place) const override {
    return inner_->open_unlisted(place);
  }

 protected:
  SnapshotReader& inner() const { return *inner_; }

 private:
  const std::shared_ptr<SnapshotReader> inner_;
};

class SnapshotWriterWrapper : public SnapshotWriter {
 public:
  explicit SnapshotWriterWrapper(std::unique_ptr<SnapshotWriter> inner)
      : inner_(std::move(inner)) {}

  std::string get_path() const override { return inner_->get_path(); }
  absl::StatusOr<std::unique_ptr<File>> create_file(std::string_view path) override {
    return inner_->create_file(path);
  }
  absl::Status add_file(std::string_view path, const FileMeta& meta) override {
    return inner_->add_file(path, meta);
  }
  absl::Status remove_file(std::string_view path) override { return inner_->remove_file(path); }
  absl::Status save_meta(const SnapshotMeta& meta) override { return inner_->save_meta(meta); }
  const SnapshotMeta& meta() const override { return inner_->meta(); }
  const std::vector<SnapshotFile>& files() const override { return inner_->files(); }
  absl::StatusOr<std::unique_ptr<File>> open_file(std::string_view path) const override {
    return inner_->open_file(path);
  }
  absl::StatusOr<std::vector<std::string>> unlisted() const override { return inner_->unlisted(); }
  absl::StatusOr<std::unique_ptr<File>> open_unlisted(std::string_view place) const override {
    return inner_->open_unlisted(place);
  }
  absl::Status seal() override { return inner_->seal(); }

  // For publish(), which takes the writer that the same storage created.
  static std::unique_ptr<SnapshotWriter> unwrap(std::unique_ptr<SnapshotWriterWrapper> wrapper) {
    return std::move(wrapper->inner_);
  }

 protected:
  SnapshotWriter& inner() const { return *inner_; }

 private:
  std::unique_ptr<SnapshotWriter> inner_;
};

class SnapshotWrapper : public SnapshotStorage {
 public:
  explicit SnapshotWrapper(SnapshotStorage* inner) : inner_(*inner) {}

  absl::StatusOr<std::shared_ptr<SnapshotReader>> open() override { return inner_.open(); }
  std::optional<SnapshotMeta> current() const override { return inner_.current(); }
  absl::StatusOr<std::unique_ptr<SnapshotWriter>> create() override { return inner_.create(); }
  // Who overrides create() with a SnapshotWriterWrapper overrides publish() to unwrap it.
  Outcome publish(std::unique_ptr<SnapshotWriter> writer) override {
    return inner_.publish(std::move(writer));
  }

 protected:
  SnapshotStorage& inner() { return inner_; }
  const SnapshotStorage& inner() const { return inner_; }

 private:
  SnapshotStorage& inner_;
};

class FamilyWrapper : public Family {
 public:
  explicit FamilyWrapper(std::unique_ptr<Family> inner) : inner_(std::move(inner)) {}

  LogStorage& log() override { return inner_->log(); }
  MetaStorage& meta() override { return inner_->meta(); }
  SnapshotStorage& snapshot() override { return inner_->snapshot(); }
  size_t pending_work() const override { return inner_->pending_work(); }
  absl::Status run_one() override { return inner_->run_one(); }
  absl::Status close() override { return inner_->close(); }

 protected:
  Family& inner() { return *inner_; }

 private:
  const std::unique_ptr<Family> inner_;
};

}  // namespace qk::families
