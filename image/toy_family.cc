#include "image/toy_family.h"

#include <algorithm>

#include "families/base/hash.h"
#include "families/contract/rules.h"
#include "families/fs/file_util.h"
#include "image/canonical.h"

namespace qk::image {
namespace {

using namespace families;

const ToyFaults kNoFaults;

// What the file `toy` holds.
struct State {
  int64_t first = 1;
  std::vector<LogEntry> entries;
  HardState hard_state;
  uint64_t next_tree = 1;
  uint64_t tree = 0;  // of the current snapshot
  SnapshotHead snapshot;
  std::vector<SnapshotFile> files;

  int64_t last() const { return first + static_cast<int64_t>(entries.size()) - 1; }
};

std::string encode(const State& state) {
  std::string out;
  put_le64(&out, static_cast<uint64_t>(state.first));
  put_le64(&out, state.entries.size());
  for (const LogEntry& entry : state.entries) encode_entry(&out, entry);
  encode_hard_state(&out, state.hard_state);
  put_le64(&out, state.next_tree);
  put_le64(&out, state.tree);
  encode_snapshot_head(&out, state.snapshot);
  for (const SnapshotFile& file : state.files) encode_file_head(&out, {file, 0});
  put_le32(&out, crc32c(out));
  return out;
}

absl::StatusOr<State> decode(std::string_view bytes) {
  const absl::Status damaged = absl::DataLossError("toy: damaged");
  if (bytes.size() < 4) return damaged;
  const std::string_view body = bytes.substr(0, bytes.size() - 4);
  if (crc32c(body) != get_le32(bytes.data() + body.size())) return damaged;
  ByteReader reader(body);
  State state;
  state.first = static_cast<int64_t>(reader.le64());
  for (uint64_t left = reader.le64(); left > 0; --left) {
    if (!decode_entry(&reader, &state.entries.emplace_back())) return damaged;
  }
  if (!decode_hard_state(&reader, &state.hard_state)) return damaged;
  state.next_tree = reader.le64();
  state.tree = reader.le64();
  if (!decode_snapshot_head(&reader, &state.snapshot)) return damaged;
  for (uint64_t left = state.snapshot.files; left > 0; --left) {
    FileHead head;
    if (!decode_file_head(&reader, &head)) return damaged;
    state.files.push_back(head.file);
  }
  if (!reader.done()) return damaged;
  return state;
}

struct Toy {
  FileSystem* fs;
  std::string root;
  const ToyFaults* faults;
  State state;

  Outcome commit(State next, int64_t count = 0) {
    absl::Status status = replace_file(*fs, join_path(root, "toy"), encode(next));
    if (!status.ok()) return Outcome::indeterminate(std::move(status));
    state = std::move(next);
    return Outcome::success(count);
  }
  std::string tree_path(uint64_t tree) const { return cat(root, "/trees/", tree); }
};

class ToyLog final : public LogStorage {
 public:
  explicit ToyLog(Toy* toy) : toy_(toy) {}
  int64_t first_index() const override { return toy_->state.first; }
  int64_t last_index() const override { return toy_->state.last(); }
  absl::StatusOr<LogEntry> entry(int64_t index) override {
    if (index < first_index() || index > last_index()) return absl::OutOfRangeError("toy: index");
    if (toy_->faults->unreadable.count(index) > 0) {
      return absl::DataLossError(cat("toy: entry ", index, " is unreadable"));
    }
    return toy_->state.entries[static_cast<size_t>(index - first_index())];
  }
  absl::StatusOr<int64_t> term(int64_t index) override {
    QK_ASSIGN_OR_RETURN(const LogEntry found, entry(index));
    return found.term;
  }
  absl::Status scan(int64_t from, int64_t to, const Visitor& visit) override {
    QK_RETURN_IF_ERROR(check_scan("toy", {first_index(), last_index()}, from, to));
    for (int64_t index = from; index <= to; ++index) {
      const int64_t lost = toy_->faults->lost_in_scan;
      if (lost > 0 && index == lost) return absl::OkStatus();
      QK_ASSIGN_OR_RETURN(const LogEntry found, entry(index));
      QK_RETURN_IF_ERROR(visit(found));
    }
    return absl::OkStatus();
  }
  Outcome append(std::span<const LogEntry> entries) override {
    State next = toy_->state;
    absl::Status legal = check_append("toy", next.last() + 1, entries);
    if (!legal.ok()) return Outcome::failed_clean(std::move(legal));
    for (const LogEntry& entry : entries) {
      next.entries.push_back(entry);
      if (entry.index == toy_->faults->mangled) next.entries.back().payload += "!";
    }
    return toy_->commit(std::move(next), static_cast<int64_t>(entries.size()));
  }
  Outcome truncate_prefix(int64_t first_kept) override {
    if (first_kept > last_index() + 1) return reset(first_kept);
    if (first_kept <= first_index()) return Outcome::success();
    State next = toy_->state;
    next.entries.erase(next.entries.begin(), next.entries.begin() + (first_kept - next.first));
    next.first = first_kept;
    return toy_->commit(std::move(next));
  }
  Outcome truncate_suffix(int64_t last_kept) override {
    if (last_kept >= last_index()) return Outcome::success();
    if (last_kept < first_index() - 1) {
      return Outcome::failed_clean(absl::InvalidArgumentError("toy: truncate"));
    }
    State next = toy_->state;
    next.entries.resize(static_cast<size_t>(last_kept - next.first + 1));
    return toy_->commit(std::move(next));
  }
  Outcome reset(int64_t next_index) override {
    if (next_index < 1) return Outcome::failed_clean(absl::InvalidArgumentError("toy: reset"));
    State next = toy_->state;
    next.first = next_index;
    next.entries.clear();
    return toy_->commit(std::move(next));
  }

 private:
  Toy* toy_;
};

class ToyMeta final : public MetaStorage {
 public:
  explicit ToyMeta(Toy* toy) : toy_(toy) {}
  HardState hard_state() const override { return toy_->state.hard_state; }
  Outcome save(const HardState& state) override {
    absl::Status allowed = check_hard_state_change(toy_->state.hard_state, state);
    if (!allowed.ok()) return Outcome::failed_clean(std::move(allowed));
    State next = toy_->state;
    next.hard_state = state;
    return toy_->commit(std::move(next));
  }

 private:
  Toy* toy_;
};

void sort_by_path(std::vector<SnapshotFile>* files) {
  std::sort(files->begin(), files->end(),
            [](const SnapshotFile& a, const SnapshotFile& b) { return a.path < b.path; });
}

class ToyReader final : public SnapshotReader {
 public:
  explicit ToyReader(const Toy* toy)
      : fs_(toy->fs),
        path_(toy->tree_path(toy->state.tree)),
        meta_(*toy->state.snapshot.meta),
        files_(toy->state.files) {}
  const SnapshotMeta& meta() const override { return meta_; }
  const std::vector<SnapshotFile>& files() const override { return files_; }
  std::string get_path() const override { return path_; }
  absl::StatusOr<std::unique_ptr<File>> open_file(std::string_view path) const override {
    QK_ASSIGN_OR_RETURN(const std::string place, snapshot_file_place(path));
    return fs_->open(join_path(path_, place), {.read_only = true});
  }
  absl::StatusOr<std::vector<std::string>> unlisted() const override {
    return unlisted_snapshot_files(*fs_, path_, files_);
  }
  absl::StatusOr<std::unique_ptr<File>> open_unlisted(std::string_view place) const override {
    return fs_->open(join_path(path_, place), {.read_only = true});
  }

 private:
  FileSystem* fs_;
  std::string path_;
  SnapshotMeta meta_;
  std::vector<SnapshotFile> files_;
};

class ToyWriter final : public SnapshotWriter {
 public:
  ToyWriter(const Toy* toy, uint64_t tree)
      : fs_(toy->fs), tree_(tree), path_(toy->tree_path(tree)) {}
  std::string get_path() const override { return path_; }
  absl::StatusOr<std::unique_ptr<File>> create_file(std::string_view path) override {
    QK_RETURN_IF_ERROR(make_directories(*fs_, path_));
    return create_snapshot_file(*fs_, path_, path);
  }
  absl::Status add_file(std::string_view path, const FileMeta& meta) override {
    QK_RETURN_IF_ERROR(check_snapshot_files({{std::string(path), meta}}).status());
    files_.push_back({std::string(path), meta});
    sort_by_path(&files_);
    return absl::OkStatus();
  }
  absl::Status remove_file(std::string_view path) override {
    const size_t removed =
        std::erase_if(files_, [&](const SnapshotFile& file) { return file.path == path; });
    return removed > 0 ? absl::OkStatus() : absl::NotFoundError("toy: file");
  }
  absl::Status save_meta(const SnapshotMeta& meta) override {
    meta_ = meta;
    return absl::OkStatus();
  }
  const SnapshotMeta& meta() const override { return meta_; }
  const std::vector<SnapshotFile>& files() const override { return files_; }
  absl::StatusOr<std::unique_ptr<File>> open_file(std::string_view path) const override {
    QK_ASSIGN_OR_RETURN(const std::string place, snapshot_file_place(path));
    return fs_->open(join_path(path_, place), {.read_only = true});
  }
  absl::StatusOr<std::vector<std::string>> unlisted() const override {
    return unlisted_snapshot_files(*fs_, path_, files_);
  }
  absl::StatusOr<std::unique_ptr<File>> open_unlisted(std::string_view place) const override {
    return fs_->open(join_path(path_, place), {.read_only = true});
  }
  absl::Status seal() override {
    QK_RETURN_IF_ERROR(make_directories(*fs_, path_));
    return sync_tree(*fs_, path_);
  }
  uint64_t tree() const { return tree_; }

 private:
  FileSystem* fs_;
  uint64_t tree_;
  std::string path_;
  SnapshotMeta meta_;
  std::vector<SnapshotFile> files_;
};

class ToySnapshot final : public SnapshotStorage {
 public:
  explicit ToySnapshot(Toy* toy) : toy_(toy) {}
  absl::StatusOr<std::shared_ptr<SnapshotReader>> open() override {
    if (!toy_->state.snapshot.meta) return absl::NotFoundError("toy: no snapshot");
    return std::make_shared<ToyReader>(toy_);
  }
  std::optional<SnapshotMeta> current() const override { return toy_->state.snapshot.meta; }
  absl::StatusOr<std::unique_ptr<SnapshotWriter>> create() override {
    State next = toy_->state;
    const uint64_t tree = next.next_tree++;
    const Outcome outcome = toy_->commit(std::move(next));
    if (!outcome.ok()) return outcome.status();
    return std::make_unique<ToyWriter>(toy_, tree);
  }
  Outcome publish(std::unique_ptr<SnapshotWriter> writer) override {
    const auto verdict = judge_publish(current(), writer->meta());
    if (!verdict.ok()) return Outcome::failed_clean(verdict.status());
    if (*verdict == PublishVerdict::kAlreadyPublished) return Outcome::success(0);
    if (absl::Status legal = check_snapshot_files(writer->files()).status(); !legal.ok()) {
      return Outcome::failed_clean(std::move(legal));
    }
    absl::Status sealed = writer->seal();
    if (!sealed.ok()) return Outcome::indeterminate(std::move(sealed));
    State next = toy_->state;
    next.tree = static_cast<ToyWriter*>(writer.get())->tree();
    next.files = writer->files();
    next.snapshot = {writer->meta(), next.files.size()};
    return toy_->commit(std::move(next), 1);
  }

 private:
  Toy* toy_;
};

class ToyFamily final : public Family {
 public:
  explicit ToyFamily(Toy toy) : toy_(std::move(toy)), log_(&toy_), meta_(&toy_), snapshot_(&toy_) {}
  LogStorage& log() override { return log_; }
  MetaStorage& meta() override { return meta_; }
  SnapshotStorage& snapshot() override { return snapshot_; }

 private:
  Toy toy_;
  ToyLog log_;
  ToyMeta meta_;
  ToySnapshot snapshot_;
};

absl::StatusOr<std::unique_ptr<Family>> open_toy(const OpenRequest& request,
                                                 const ToyFaults* faults) {
  Toy toy{request.fs, request.root, faults, {}};
  const std::string path = join_path(request.root, "toy");
  auto bytes = read_file(*request.fs, path, 1 << 30);
  if (absl::IsNotFound(bytes.status()) && request.create) {
    QK_RETURN_IF_ERROR(make_directories(*request.fs, request.root));
    QK_RETURN_IF_ERROR(replace_file(*request.fs, path, encode(toy.state)));
  } else {
    QK_RETURN_IF_ERROR(bytes.status());
    QK_ASSIGN_OR_RETURN(toy.state, decode(*bytes));
  }
  return std::make_unique<ToyFamily>(std::move(toy));
}

}  // namespace

FamilyDescriptor faulty_toy_family(const ToyFaults* faults) {
  FamilyDescriptor descriptor;
  descriptor.name = faults == &kNoFaults ? "toy" : "faulty-toy";
  descriptor.format_version = "1";
  descriptor.root_names = {"toy", "trees"};
  descriptor.partials = [](Operation) { return Partial::kNone; };
  descriptor.open = [faults](const OpenRequest& request) { return open_toy(request, faults); };
  return descriptor;
}

FamilyDescriptor toy_family() { return faulty_toy_family(&kNoFaults); }

}  // namespace qk::image
