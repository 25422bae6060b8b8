#include "sim/raft/snapshot_server.h"

#include <algorithm>
#include <cerrno>

namespace qk::raft {
namespace {

constexpr int64_t kMaxChunk = 1 << 20;

}  // namespace

std::string_view endpoint_of(std::string_view peer) {
  const size_t port = peer.find(':');
  if (port == std::string_view::npos) return peer;
  return peer.substr(0, peer.find(':', port + 1));
}

SnapshotServer::Transfer& SnapshotServer::open(const std::string& follower,
                                               std::shared_ptr<families::SnapshotReader> reader,
                                               Nanos now) {
  Transfer& transfer = transfers_[follower];
  transfer = Transfer();
  transfer.reader_id = next_reader_id_++;
  transfer.reader = std::move(reader);
  transfer.last_activity = now;
  return transfer;
}

SnapshotServer::Transfer* SnapshotServer::find(const std::string& follower) {
  const auto it = transfers_.find(follower);
  return it == transfers_.end() ? nullptr : &it->second;
}

std::string SnapshotServer::uri_of(const Transfer& transfer) const {
  return cat("remote://", endpoint_of(self_), "/", transfer.reader_id);
}

Packet SnapshotServer::serve(const Packet& request, Nanos now) {
  const auto refuse = [&](int32_t error) {
    Packet packet;
    packet.method = Method::kGetFile;
    packet.response = true;
    packet.call_id = request.call_id;
    packet.error = error;
    return packet;
  };
  const auto file = file_request(request);
  if (!file.ok()) return refuse(EINVAL);
  const auto it = std::find_if(transfers_.begin(), transfers_.end(), [&](const auto& t) {
    return t.second.reader_id == file->reader_id;
  });
  if (it == transfers_.end()) return refuse(ENOENT);
  it->second.last_activity = now;
  auto answer = read(it->second, *file, request.call_id);
  return answer.ok() ? std::move(*answer)
                     : refuse(absl::IsNotFound(answer.status()) ? ENOENT : EIO);
}

absl::StatusOr<Packet> SnapshotServer::read(Transfer& transfer, const FileRequest& request,
                                            uint64_t call_id) {
  families::SnapshotReader& reader = *transfer.reader;
  if (request.filename == kSnapshotTableName) {
    return file_response(call_id, true, encode_table(reader.meta(), reader.files()));
  }
  if (transfer.open_file == nullptr || transfer.open_path != request.filename) {
    QK_ASSIGN_OR_RETURN(transfer.open_file, reader.open_file(request.filename));
    transfer.open_path = request.filename;
  }
  QK_ASSIGN_OR_RETURN(const uint64_t size, transfer.open_file->size());
  const uint64_t offset = static_cast<uint64_t>(request.offset);
  const uint64_t left = offset < size ? size - offset : 0;
  std::string bytes(static_cast<size_t>(std::min<uint64_t>(
                        left, static_cast<uint64_t>(std::min(request.count, kMaxChunk)))),
                    '\0');
  QK_ASSIGN_OR_RETURN(const size_t got, transfer.open_file->read_at(offset, bytes));
  if (got != bytes.size()) {
    return absl::DataLossError(cat("snapshot file ", request.filename, ": read ", got,
                                   " bytes at offset ", offset, ", expected ", bytes.size()));
  }
  return file_response(call_id, offset + got >= size, std::move(bytes));
}

}  // namespace qk::raft
