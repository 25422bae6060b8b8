#include "families/memory/store.h"

#include "families/base/hash.h"
#include "families/engine/store_root.h"
#include "families/fs/file_util.h"

namespace qk::families {
namespace {

constexpr std::string_view kFileName = "instance";
constexpr std::string_view kMagic = "qksim memory instance ";
constexpr uint64_t kMaxFileBytes = 4096;

std::string encode_file(std::string_view id) {
  std::string text = cat(kMagic, kMemoryFormatVersion, "\nid ", id, "\n");
  return cat(text, "crc ", hex8(crc32c(text)), "\n");
}

// The id, of a file that encode_file() made.
absl::StatusOr<std::string> decode_file(std::string_view path, std::string_view text) {
  const std::string magic = cat(kMagic, kMemoryFormatVersion, "\n");
  const std::string_view line = text.substr(0, text.find('\n'));
  if (text.starts_with(kMagic) && !text.starts_with(magic) && line.size() < text.size()) {
    const std::string_view version = line.substr(kMagic.size());
    if (version.find_first_not_of("0123456789") == std::string_view::npos) {
      return absl::FailedPreconditionError(cat(path, ": found format version ", version,
                                               ", this build reads ", kMemoryFormatVersion));
    }
  }
  const size_t id_begin = magic.size() + std::string_view("id ").size();
  const size_t id_end = text.find('\n', std::min(id_begin, text.size()));
  if (id_end != std::string_view::npos) {
    std::string id(text.substr(id_begin, id_end - id_begin));
    if (text == encode_file(id)) return id;
  }
  return absl::DataLossError(cat(path, ": found ", text.size(),
                                 " bytes that are not the id of a memory instance with its "
                                 "checksum"));
}

absl::StatusOr<std::shared_ptr<MemoryState>> create(const OpenRequest& request,
                                                    VolatileMemory* memory,
                                                    const std::string& path) {
  QK_RETURN_IF_ERROR(make_directories(*request.fs, request.root));
  const std::string id = memory->new_id();
  auto state = std::make_shared<MemoryState>();
  for (const StateRow row : kStateRows) state->rows[row] = initial_state(row);
  memory->put(id, state);
  if (absl::Status written = replace_file(*request.fs, path, encode_file(id)); !written.ok()) {
    memory->drop(id);
    return written;
  }
  return state;
}

absl::StatusOr<std::shared_ptr<MemoryState>> find(const OpenRequest& request,
                                                  VolatileMemory* memory, const std::string& path) {
  auto text = read_file(*request.fs, path, kMaxFileBytes);
  if (!absl::IsNotFound(text.status())) {
    QK_RETURN_IF_ERROR(text.status());
    QK_ASSIGN_OR_RETURN(const std::string id, decode_file(path, *text));
    auto state = std::static_pointer_cast<MemoryState>(memory->find(id));
    if (state != nullptr) return state;
    return absl::NotFoundError(cat(request.root, ": absent: memory instance ", id,
                                   " was lost in a crash, or is of another process"));
  }
  const std::string trees = snapshot_root(request.root);
  QK_ASSIGN_OR_RETURN(const bool traces, exists(*request.fs, trees));
  if (traces) {
    return absl::DataLossError(
        cat(path, ": missing beside ", trees, ", expected the id of a memory instance"));
  }
  if (!request.create) {
    return absl::NotFoundError(cat(request.root, ": absent: no memory instance"));
  }
  return create(request, memory, path);
}

}  // namespace

MemoryStore::MemoryStore(const OpenRequest& request, std::shared_ptr<MemoryState> state)
    : RowStore(request.fs, request.root, request.root), state_(std::move(state)) {
  state_->open = true;
}

MemoryStore::~MemoryStore() { state_->open = false; }

absl::StatusOr<std::unique_ptr<MemoryStore>> MemoryStore::open(const OpenRequest& request,
                                                               VolatileMemory* memory) {
  QK_ASSIGN_OR_RETURN(auto state, find(request, memory, join_path(request.root, kFileName)));
  if (state->open) {
    return absl::UnavailableError(cat(request.root, ": the memory instance is open already"));
  }
  return std::unique_ptr<MemoryStore>(new MemoryStore(request, std::move(state)));
}

std::deque<LogEntry>::iterator MemoryStore::at(int64_t index) {
  return state_->entries.begin() + (index - state_->entries.front().index);
}

absl::StatusOr<std::optional<LogRange>> MemoryStore::find_rows() {
  const std::deque<LogEntry>& entries = state_->entries;
  if (entries.empty()) return std::nullopt;
  return LogRange{entries.front().index, entries.back().index};
}

absl::Status MemoryStore::read_row(int64_t index, LogEntry* entry) {
  *entry = *at(index);
  return absl::OkStatus();
}

absl::StatusOr<int64_t> MemoryStore::read_term(int64_t index) { return at(index)->term; }

absl::Status MemoryStore::scan_rows(const LogRange& range, const LogStorage::Visitor& visit) {
  for (int64_t index = range.first; index <= range.last; ++index) {
    QK_RETURN_IF_ERROR(visit(*at(index)));
  }
  return absl::OkStatus();
}

absl::Status MemoryStore::write(const RowChange& change) {
  std::deque<LogEntry>& entries = state_->entries;
  if (!change.removed.empty()) {
    entries.erase(at(change.removed.first), at(change.removed.last) + 1);
  }
  entries.insert(entries.end(), change.added.begin(), change.added.end());
  if (change.state) state_->rows[change.state->row] = change.state->value;
  return absl::OkStatus();
}

}  // namespace qk::families
