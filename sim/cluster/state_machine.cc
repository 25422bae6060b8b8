#include "sim/cluster/state_machine.h"

#include <utility>

#include "families/base/bytes.h"
#include "families/base/hash.h"
#include "sim/cluster/counter.pb.h"

namespace qk::sim {
namespace {

constexpr std::string_view kDataFile = "data";
constexpr std::string_view kKvFile = "kv";
constexpr uint32_t kKvMagic = 0x31766b71;  // "qkv1"
constexpr uint32_t kKvVersion = 1;
constexpr uint64_t kMaxDataSize = 4 + 64;  // envelope, and more than an int64 field can take
constexpr uint64_t kMaxKvSize = 1ull << 30;

// Seeds that keep the three kinds of state apart in the hash.
constexpr uint64_t kValueSeed = 1;
constexpr uint64_t kSessionSeed = 2;
constexpr uint64_t kCounterSeed = 3;

uint64_t hash_value(std::string_view key, std::string_view value) {
  return xxh3_64(value, xxh3_64(key, kValueSeed));
}

uint64_t hash_session(uint64_t session, uint64_t request, std::string_view response) {
  std::string id;
  put_le64(&id, session);
  put_le64(&id, request);
  return xxh3_64(response, xxh3_64(id, kSessionSeed));
}

absl::StatusOr<std::string> read_snapshot_file(const families::SnapshotReader& reader,
                                               std::string_view path, uint64_t max_size) {
  QK_ASSIGN_OR_RETURN(const std::unique_ptr<families::File> file, reader.open_file(path));
  QK_ASSIGN_OR_RETURN(const uint64_t size, file->size());
  if (size > max_size) {
    return absl::InvalidArgumentError(
        cat("snapshot file ", path, ": ", size, " bytes, expected at most ", max_size));
  }
  std::string bytes(size, '\0');
  QK_ASSIGN_OR_RETURN(const size_t got, file->read_at(0, bytes));
  if (got != size) {
    return absl::DataLossError(
        cat("snapshot file ", path, ": read ", got, " bytes, expected ", size));
  }
  return bytes;
}

absl::Status write_snapshot_file(families::SnapshotWriter& writer, std::string_view path,
                                 std::string_view bytes) {
  QK_ASSIGN_OR_RETURN(const std::unique_ptr<families::File> file, writer.create_file(path));
  QK_RETURN_IF_ERROR(file->write_at(0, bytes));
  return writer.add_file(path, families::FileMeta{});
}

std::string encode_data(int64_t counter) {
  proto::Snapshot snapshot;
  snapshot.set_value(counter);
  const std::string message = snapshot.SerializeAsString();
  std::string out;
  put_be32(&out, static_cast<uint32_t>(message.size()));
  return out + message;
}

absl::StatusOr<int64_t> decode_data(std::string_view bytes) {
  // As in braft, bytes after the message are ignored. Parsed as partial, because protobuf would
  // print a complaint about a missing field itself.
  proto::Snapshot snapshot;
  if (bytes.size() < 4 || get_be32(bytes.data()) > bytes.size() - 4 ||
      !snapshot.ParsePartialFromArray(bytes.data() + 4, static_cast<int>(get_be32(bytes.data()))) ||
      !snapshot.has_value()) {
    return absl::DataLossError(cat("snapshot file data: ", bytes.size(),
                                   " bytes are not a counter snapshot in a ProtoBufFile"));
  }
  return snapshot.value();
}

}  // namespace

std::string StateMachine::apply(const families::LogEntry& entry) {
  if (entry.type != families::EntryType::kData) return {};
  if (!is_command(entry.payload)) {
    proto::FetchAddRequest request;
    if (!request.ParsePartialFromString(entry.payload) || !request.has_value()) {
      return encode_response({.status = ResponseStatus::kMalformed});
    }
    return encode_response(add(request.value()));
  }
  const auto command = decode_command(entry.payload);
  if (!command.ok()) return encode_response({.status = ResponseStatus::kMalformed});
  if (command->session == 0) return encode_response(execute(*command));

  const auto [found, inserted] = sessions_.try_emplace(command->session);
  Session& session = found->second;
  if (!inserted) {
    if (command->request == session.request) return session.response;
    if (command->request < session.request) {
      return encode_response({.status = ResponseStatus::kStale});
    }
    hash_ -= hash_session(command->session, session.request, session.response);
  }
  session.request = command->request;
  session.response = encode_response(execute(*command));
  hash_ += hash_session(command->session, session.request, session.response);
  return session.response;
}

Response StateMachine::execute(const Command& command) {
  const auto found = values_.find(command.key);
  const std::string_view held = found == values_.end() ? std::string_view() : found->second;
  switch (command.kind) {
    case CommandKind::kRead:
      return {.value = std::string(held)};
    case CommandKind::kWrite:
      set(command.key, command.value);
      return {};
    case CommandKind::kCas:
      if (held != command.expected) {
        return {.status = ResponseStatus::kMismatch, .value = std::string(held)};
      }
      set(command.key, command.value);
      return {};
    case CommandKind::kAppend:
      set(command.key, std::string(held) + command.value);
      return {};
    case CommandKind::kAdd:
      return add(command.amount);
  }
  return {.status = ResponseStatus::kMalformed};
}

Response StateMachine::add(int64_t amount) {
  const int64_t before = counter_;
  // Wraps, as the counter of braft does on every machine it runs on.
  counter_ = static_cast<int64_t>(static_cast<uint64_t>(counter_) + static_cast<uint64_t>(amount));
  return {.counter = before};
}

void StateMachine::set(const std::string& key, std::string value) {
  const auto found = values_.find(key);
  if (found != values_.end()) {
    hash_ -= hash_value(key, found->second);
    if (value.empty()) {
      values_.erase(found);
      return;
    }
  } else if (value.empty()) {
    return;
  }
  hash_ += hash_value(key, value);
  values_[key] = std::move(value);
}

uint64_t StateMachine::state_hash() const {
  std::string counter;
  put_le64(&counter, static_cast<uint64_t>(counter_));
  return hash_ + xxh3_64(counter, kCounterSeed);
}

absl::Status StateMachine::save(families::SnapshotWriter& writer) const {
  QK_RETURN_IF_ERROR(write_snapshot_file(writer, kDataFile, encode_data(counter_)));
  return write_snapshot_file(writer, kKvFile, encode_kv());
}

absl::Status StateMachine::load(const families::SnapshotReader& reader) {
  bool has_data = false;
  bool has_kv = false;
  for (const families::SnapshotFile& file : reader.files()) {
    if (file.path == kDataFile) {
      has_data = true;
    } else if (file.path == kKvFile) {
      has_kv = true;
    } else {
      return absl::InvalidArgumentError(cat("snapshot ", reader.get_path(), ": found file ",
                                            file.path, ", expected only data and kv"));
    }
  }
  if (!has_data) {
    return absl::InvalidArgumentError(
        cat("snapshot ", reader.get_path(), ": no file data, expected a counter snapshot"));
  }
  StateMachine loaded;
  QK_ASSIGN_OR_RETURN(const std::string data, read_snapshot_file(reader, kDataFile, kMaxDataSize));
  QK_ASSIGN_OR_RETURN(loaded.counter_, decode_data(data));
  if (has_kv) {
    QK_ASSIGN_OR_RETURN(const std::string kv, read_snapshot_file(reader, kKvFile, kMaxKvSize));
    QK_RETURN_IF_ERROR(annotate(loaded.decode_kv(kv), "snapshot file kv"));
  }
  *this = std::move(loaded);
  return absl::OkStatus();
}

std::string StateMachine::encode_kv() const {
  std::string out;
  put_le32(&out, kKvMagic);
  put_le32(&out, kKvVersion);
  put_le64(&out, values_.size());
  for (const auto& [key, value] : values_) {
    put_bytes(&out, key);
    put_bytes(&out, value);
  }
  put_le64(&out, sessions_.size());
  for (const auto& [id, session] : sessions_) {
    put_le64(&out, id);
    put_le64(&out, session.request);
    put_bytes(&out, session.response);
  }
  put_le32(&out, crc32c(out));
  return out;
}

// Into a fresh instance; on error it is garbage.
absl::Status StateMachine::decode_kv(std::string_view bytes) {
  if (bytes.size() < 4 ||
      get_le32(bytes.data() + bytes.size() - 4) != crc32c(bytes.substr(0, bytes.size() - 4))) {
    return absl::DataLossError(cat(bytes.size(), " bytes with a wrong checksum"));
  }
  ByteReader reader(bytes.substr(0, bytes.size() - 4));
  const uint32_t magic = reader.le32();
  const uint32_t version = reader.le32();
  if (magic != kKvMagic || version != kKvVersion) {
    return absl::InvalidArgumentError(cat("magic ", hex8(magic), " version ", version,
                                          ", expected ", hex8(kKvMagic), " version ", kKvVersion));
  }
  const uint64_t values = reader.le64();
  for (uint64_t i = 0; i < values && reader.ok(); ++i) {
    std::string key(reader.bytes());
    set(key, std::string(reader.bytes()));
  }
  const uint64_t sessions = reader.le64();
  for (uint64_t i = 0; i < sessions && reader.ok(); ++i) {
    const uint64_t id = reader.le64();
    const uint64_t request = reader.le64();
    Session session{request, std::string(reader.bytes())};
    hash_ += hash_session(id, session.request, session.response);
    sessions_[id] = std::move(session);
  }
  if (!reader.done() || values_.size() != values || sessions_.size() != sessions) {
    return absl::DataLossError("counts do not agree with the content");
  }
  return absl::OkStatus();
}

}  // namespace qk::sim
