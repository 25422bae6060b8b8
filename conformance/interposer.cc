#include "conformance/interposer.h"

#include <utility>

#include "families/contract/family_wrapper.h"
#include "families/fs/file_system_wrapper.h"

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

class Log final : public families::LogWrapper {
 public:
  Log(Interposer* hooks, families::LogStorage* inner) : LogWrapper(inner), hooks_(*hooks) {}

  absl::StatusOr<LogEntry> entry(int64_t index) override {
    QK_RETURN_IF_ERROR(read(index));
    return inner().entry(index);
  }
  absl::Status scan(int64_t from, int64_t to, const Visitor& visit) override {
    if (hooks_.scans_end_at > 0) to = std::min(to, hooks_.scans_end_at);
    if (to < from) return absl::OkStatus();
    return inner().scan(from, to, [&](const LogEntry& entry) -> absl::Status {
      QK_RETURN_IF_ERROR(read(entry.index));
      return visit(entry);
    });
  }
  Outcome append(std::span<const LogEntry> entries) override {
    return pass(hooks_, Operation::kAppend,
                [&] { return inner().append(stored(hooks_, entries)); });
  }
  Outcome truncate_prefix(int64_t first_kept) override {
    return pass(hooks_, Operation::kTruncatePrefix,
                [&] { return inner().truncate_prefix(first_kept); });
  }
  Outcome truncate_suffix(int64_t last_kept) override {
    return pass(hooks_, Operation::kTruncateSuffix,
                [&] { return inner().truncate_suffix(last_kept); });
  }
  Outcome reset(int64_t next_index) override {
    return pass(hooks_, Operation::kReset, [&] { return inner().reset(next_index); });
  }
  absl::StatusOr<std::unique_ptr<families::LogLoader>> bulk_load(int64_t first_index) override {
    ++hooks_.loads;
    QK_ASSIGN_OR_RETURN(auto inner, inner().bulk_load(first_index));
    return std::make_unique<Loader>(&hooks_, std::move(inner));
  }

 private:
  absl::Status read(int64_t index) {
    ++hooks_.entries_read;
    return hooks_.read_entry ? hooks_.read_entry(index) : absl::OkStatus();
  }

  Interposer& hooks_;
};

class Meta final : public families::MetaWrapper {
 public:
  Meta(Interposer* hooks, families::MetaStorage* inner) : MetaWrapper(inner), hooks_(*hooks) {}

  Outcome save(const families::HardState& state) override {
    return pass(hooks_, Operation::kSaveMeta, [&] {
      families::HardState next = state;
      if (hooks_.store_hard_state) hooks_.store_hard_state(&next);
      return inner().save(next);
    });
  }

 private:
  Interposer& hooks_;
};

class HookedFile final : public families::FileWrapper {
 public:
  HookedFile(Interposer* hooks, std::string path, std::unique_ptr<families::File> inner)
      : FileWrapper(std::move(inner)), hooks_(*hooks), path_(std::move(path)) {}
  absl::StatusOr<size_t> read_at(uint64_t offset, std::span<char> buffer) override {
    if (hooks_.read_file) QK_RETURN_IF_ERROR(hooks_.read_file(path_));
    return inner().read_at(offset, buffer);
  }

 private:
  Interposer& hooks_;
  const std::string path_;
};

class Reader final : public families::SnapshotReaderWrapper {
 public:
  Reader(Interposer* hooks, std::shared_ptr<families::SnapshotReader> inner)
      : SnapshotReaderWrapper(std::move(inner)), hooks_(*hooks) {}

  absl::StatusOr<std::unique_ptr<families::File>> open_file(std::string_view path) const override {
    ++hooks_.files_opened;
    if (hooks_.open_file) QK_RETURN_IF_ERROR(hooks_.open_file(path));
    QK_ASSIGN_OR_RETURN(auto file, inner().open_file(path));
    return std::make_unique<HookedFile>(&hooks_, std::string(path), std::move(file));
  }

 private:
  Interposer& hooks_;
};

class FlippedFile final : public families::FileWrapper {
 public:
  using FileWrapper::FileWrapper;
  absl::Status write_at(uint64_t offset, std::string_view bytes) override {
    std::string written(bytes);
    if (offset == 0 && !written.empty()) written[0] ^= 1;
    return inner().write_at(offset, written);
  }
};

class Writer final : public families::SnapshotWriterWrapper {
 public:
  Writer(Interposer* hooks, std::unique_ptr<families::SnapshotWriter> inner)
      : SnapshotWriterWrapper(std::move(inner)), hooks_(*hooks) {}

  absl::StatusOr<std::unique_ptr<families::File>> create_file(std::string_view path) override {
    QK_ASSIGN_OR_RETURN(auto file, inner().create_file(stored_path(path)));
    if (!hooks_.flip_file_bytes) return file;
    return std::make_unique<FlippedFile>(std::move(file));
  }
  absl::Status add_file(std::string_view path, const families::FileMeta& meta) override {
    families::SnapshotFile file{std::string(path), meta};
    if (hooks_.store_file) hooks_.store_file(&file);
    if (file.path.empty()) return absl::OkStatus();
    return inner().add_file(file.path, file.meta);
  }
  absl::Status save_meta(const families::SnapshotMeta& meta) override {
    families::SnapshotMeta next = meta;
    if (hooks_.store_snapshot_meta) hooks_.store_snapshot_meta(&next);
    return inner().save_meta(next);
  }

 private:
  // A renamed file is created under its new name.
  std::string stored_path(std::string_view path) const {
    families::SnapshotFile file{std::string(path), {}};
    if (hooks_.store_file) hooks_.store_file(&file);
    return file.path.empty() ? std::string(path) : file.path;
  }

  Interposer& hooks_;
};

class Snapshots final : public families::SnapshotWrapper {
 public:
  Snapshots(Interposer* hooks, families::SnapshotStorage* inner)
      : SnapshotWrapper(inner), hooks_(*hooks) {}

  absl::StatusOr<std::shared_ptr<families::SnapshotReader>> open() override {
    if (hooks_.open_snapshot) QK_RETURN_IF_ERROR(hooks_.open_snapshot());
    QK_ASSIGN_OR_RETURN(auto reader, inner().open());
    return std::make_shared<Reader>(&hooks_, std::move(reader));
  }
  absl::StatusOr<std::unique_ptr<families::SnapshotWriter>> create() override {
    QK_ASSIGN_OR_RETURN(auto writer, inner().create());
    return std::make_unique<Writer>(&hooks_, std::move(writer));
  }
  Outcome publish(std::unique_ptr<families::SnapshotWriter> writer) override {
    return pass(hooks_, Operation::kPublish, [&] {
      std::unique_ptr<Writer> own(static_cast<Writer*>(writer.release()));
      return inner().publish(Writer::unwrap(std::move(own)));
    });
  }

 private:
  Interposer& hooks_;
};

class InterposedFamily final : public families::FamilyWrapper {
 public:
  InterposedFamily(Interposer* hooks, std::unique_ptr<Family> inner)
      : FamilyWrapper(std::move(inner)),
        log_(hooks, &FamilyWrapper::log()),
        meta_(hooks, &FamilyWrapper::meta()),
        snapshot_(hooks, &FamilyWrapper::snapshot()) {}

  families::LogStorage& log() override { return log_; }
  families::MetaStorage& meta() override { return meta_; }
  families::SnapshotStorage& snapshot() override { return snapshot_; }

 private:
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
