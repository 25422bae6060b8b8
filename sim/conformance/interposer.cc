#include "sim/conformance/interposer.h"

#include <utility>

namespace qk::sim::conformance {
namespace {

using families::Family;
using families::LogEntry;
using families::Operation;
using families::Outcome;

// The operation, with `hooks` around it.
template <typename Do>
Outcome pass(Interposer& hooks, Operation operation, const Do& run) {
  ++hooks.mutations[operation];
  if (hooks.instead) {
    if (std::optional<Outcome> outcome = hooks.instead(operation)) return *std::move(outcome);
  }
  Outcome outcome = run();
  return hooks.after ? hooks.after(operation, std::move(outcome)) : outcome;
}

std::vector<LogEntry> stored(const Interposer& hooks, std::span<const LogEntry> entries) {
  std::vector<LogEntry> out(entries.begin(), entries.end());
  if (hooks.store_entry) {
    for (LogEntry& entry : out) hooks.store_entry(&entry);
  }
  return out;
}

class Loader final : public families::LogLoader {
 public:
  Loader(Interposer* hooks, std::unique_ptr<families::LogLoader> inner)
      : hooks_(*hooks), inner_(std::move(inner)) {}
  absl::Status append(std::span<const LogEntry> entries) override {
    std::vector<LogEntry> batch = stored(hooks_, entries);
    if (hooks_.drop_last_loaded && !batch.empty()) batch.pop_back();
    return inner_->append(batch);
  }
  absl::Status finish() override { return inner_->finish(); }

 private:
  Interposer& hooks_;
  const std::unique_ptr<families::LogLoader> inner_;
};

class Log final : public families::LogStorage {
 public:
  Log(Interposer* hooks, families::LogStorage* inner) : hooks_(*hooks), inner_(*inner) {}

  int64_t first_index() const override { return inner_.first_index(); }
  int64_t last_index() const override { return inner_.last_index(); }
  absl::StatusOr<LogEntry> entry(int64_t index) override {
    QK_RETURN_IF_ERROR(read(index));
    return inner_.entry(index);
  }
  absl::StatusOr<int64_t> term(int64_t index) override { return inner_.term(index); }
  absl::Status scan(int64_t from, int64_t to, const Visitor& visit) override {
    if (hooks_.scans_end_at > 0) to = std::min(to, hooks_.scans_end_at);
    if (to < from) return absl::OkStatus();
    return inner_.scan(from, to, [&](const LogEntry& entry) -> absl::Status {
      QK_RETURN_IF_ERROR(read(entry.index));
      return visit(entry);
    });
  }
  Outcome append(std::span<const LogEntry> entries) override {
    return pass(hooks_, Operation::kAppend, [&] { return inner_.append(stored(hooks_, entries)); });
  }
  Outcome truncate_prefix(int64_t first_kept) override {
    return pass(hooks_, Operation::kTruncatePrefix,
                [&] { return inner_.truncate_prefix(first_kept); });
  }
  Outcome truncate_suffix(int64_t last_kept) override {
    return pass(hooks_, Operation::kTruncateSuffix,
                [&] { return inner_.truncate_suffix(last_kept); });
  }
  Outcome reset(int64_t next_index) override {
    return pass(hooks_, Operation::kReset, [&] { return inner_.reset(next_index); });
  }
  absl::StatusOr<std::unique_ptr<families::LogLoader>> bulk_load(int64_t first_index) override {
    ++hooks_.loads;
    QK_ASSIGN_OR_RETURN(auto inner, inner_.bulk_load(first_index));
    return std::make_unique<Loader>(&hooks_, std::move(inner));
  }

 private:
  absl::Status read(int64_t index) {
    ++hooks_.entries_read;
    return hooks_.read_entry ? hooks_.read_entry(index) : absl::OkStatus();
  }

  Interposer& hooks_;
  families::LogStorage& inner_;
};

class Meta final : public families::MetaStorage {
 public:
  Meta(Interposer* hooks, families::MetaStorage* inner) : hooks_(*hooks), inner_(*inner) {}
  families::HardState hard_state() const override { return inner_.hard_state(); }
  Outcome save(const families::HardState& state) override {
    return pass(hooks_, Operation::kSaveMeta, [&] {
      families::HardState next = state;
      if (hooks_.store_hard_state) hooks_.store_hard_state(&next);
      return inner_.save(next);
    });
  }

 private:
  Interposer& hooks_;
  families::MetaStorage& inner_;
};

class Reader final : public families::SnapshotReader {
 public:
  Reader(Interposer* hooks, std::shared_ptr<families::SnapshotReader> inner)
      : hooks_(*hooks), inner_(std::move(inner)) {}
  const families::SnapshotMeta& meta() const override { return inner_->meta(); }
  const std::vector<families::SnapshotFile>& files() const override { return inner_->files(); }
  std::string get_path() const override { return inner_->get_path(); }
  absl::StatusOr<std::unique_ptr<families::File>> open_file(std::string_view path) const override {
    ++hooks_.files_opened;
    if (hooks_.open_file) QK_RETURN_IF_ERROR(hooks_.open_file(path));
    return inner_->open_file(path);
  }

 private:
  Interposer& hooks_;
  const std::shared_ptr<families::SnapshotReader> inner_;
};

class FlippedFile final : public families::File {
 public:
  explicit FlippedFile(std::unique_ptr<families::File> inner) : inner_(std::move(inner)) {}
  absl::StatusOr<size_t> read_at(uint64_t offset, std::span<char> buffer) override {
    return inner_->read_at(offset, buffer);
  }
  absl::Status write_at(uint64_t offset, std::string_view bytes) override {
    std::string written(bytes);
    if (offset == 0 && !written.empty()) written[0] ^= 1;
    return inner_->write_at(offset, written);
  }
  absl::Status truncate(uint64_t size) override { return inner_->truncate(size); }
  absl::StatusOr<uint64_t> size() override { return inner_->size(); }
  absl::Status sync(families::SyncKind kind) override { return inner_->sync(kind); }

 private:
  const std::unique_ptr<families::File> inner_;
};

class Writer final : public families::SnapshotWriter {
 public:
  Writer(Interposer* hooks, std::unique_ptr<families::SnapshotWriter> inner)
      : hooks_(*hooks), inner_(std::move(inner)) {}

  std::string get_path() const override { return inner_->get_path(); }
  absl::StatusOr<std::unique_ptr<families::File>> create_file(std::string_view path) override {
    QK_ASSIGN_OR_RETURN(auto file, inner_->create_file(stored_path(path)));
    if (!hooks_.flip_file_bytes) return file;
    return std::make_unique<FlippedFile>(std::move(file));
  }
  absl::Status add_file(std::string_view path, const families::FileMeta& meta) override {
    families::SnapshotFile file{std::string(path), meta};
    if (hooks_.store_file) hooks_.store_file(&file);
    if (file.path.empty()) return absl::OkStatus();
    return inner_->add_file(file.path, file.meta);
  }
  absl::Status remove_file(std::string_view path) override { return inner_->remove_file(path); }
  absl::Status save_meta(const families::SnapshotMeta& meta) override {
    families::SnapshotMeta next = meta;
    if (hooks_.store_snapshot_meta) hooks_.store_snapshot_meta(&next);
    return inner_->save_meta(next);
  }
  const families::SnapshotMeta& meta() const override { return inner_->meta(); }
  const std::vector<families::SnapshotFile>& files() const override { return inner_->files(); }
  absl::StatusOr<std::unique_ptr<families::File>> open_file(std::string_view path) const override {
    return inner_->open_file(path);
  }
  absl::Status seal() override { return inner_->seal(); }

  std::unique_ptr<families::SnapshotWriter> take() { return std::move(inner_); }

 private:
  // A renamed file is created under its new name.
  std::string stored_path(std::string_view path) const {
    families::SnapshotFile file{std::string(path), {}};
    if (hooks_.store_file) hooks_.store_file(&file);
    return file.path.empty() ? std::string(path) : file.path;
  }

  Interposer& hooks_;
  std::unique_ptr<families::SnapshotWriter> inner_;
};

class Snapshots final : public families::SnapshotStorage {
 public:
  Snapshots(Interposer* hooks, families::SnapshotStorage* inner) : hooks_(*hooks), inner_(*inner) {}

  absl::StatusOr<std::shared_ptr<families::SnapshotReader>> open() override {
    if (hooks_.open_snapshot) QK_RETURN_IF_ERROR(hooks_.open_snapshot());
    QK_ASSIGN_OR_RETURN(auto reader, inner_.open());
    return std::make_shared<Reader>(&hooks_, std::move(reader));
  }
  std::optional<families::SnapshotMeta> current() const override { return inner_.current(); }
  absl::StatusOr<std::unique_ptr<families::SnapshotWriter>> create() override {
    QK_ASSIGN_OR_RETURN(auto writer, inner_.create());
    return std::make_unique<Writer>(&hooks_, std::move(writer));
  }
  Outcome publish(std::unique_ptr<families::SnapshotWriter> writer) override {
    return pass(hooks_, Operation::kPublish,
                [&] { return inner_.publish(static_cast<Writer&>(*writer).take()); });
  }

 private:
  Interposer& hooks_;
  families::SnapshotStorage& inner_;
};

class InterposedFamily final : public Family {
 public:
  InterposedFamily(Interposer* hooks, std::unique_ptr<Family> inner)
      : inner_(std::move(inner)),
        log_(hooks, &inner_->log()),
        meta_(hooks, &inner_->meta()),
        snapshot_(hooks, &inner_->snapshot()) {}

  families::LogStorage& log() override { return log_; }
  families::MetaStorage& meta() override { return meta_; }
  families::SnapshotStorage& snapshot() override { return snapshot_; }
  size_t pending_work() const override { return inner_->pending_work(); }
  absl::Status run_one() override { return inner_->run_one(); }

 private:
  const std::unique_ptr<Family> inner_;
  Log log_;
  Meta meta_;
  Snapshots snapshot_;
};

}  // namespace

uint64_t Interposer::all_mutations() const {
  uint64_t sum = 0;
  for (const auto& [operation, times] : mutations) sum += times;
  return sum;
}

void Interposer::clear_counts() {
  mutations.clear();
  loads = 0;
  entries_read = 0;
  files_opened = 0;
}

families::Registry interpose(const families::Registry& registry, std::string_view family,
                             Interposer* interposer) {
  families::Registry result;
  for (families::FamilyDescriptor descriptor : registry.all()) {
    if (descriptor.name == family) {
      descriptor.open =
          [real = std::move(descriptor.open), interposer](
              const families::OpenRequest& request) -> absl::StatusOr<std::unique_ptr<Family>> {
        QK_ASSIGN_OR_RETURN(auto opened, real(request));
        if (request.root.rfind(interposer->root, 0) != 0) return opened;
        return std::make_unique<InterposedFamily>(interposer, std::move(opened));
      };
    }
    result.add(std::move(descriptor));
  }
  return result;
}

}  // namespace qk::sim::conformance
