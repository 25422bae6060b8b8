#include "sim/raft/snapshot_download.h"

#include <charconv>

#include "families/base/check.h"
#include "sim/raft/snapshot_server.h"

namespace qk::raft {

absl::StatusOr<std::unique_ptr<SnapshotDownload>> SnapshotDownload::begin(
    Download offer, uint32_t chunk, families::StorageDriver* driver) {
  const std::string prefix = cat("remote://", endpoint_of(offer.leader), "/");
  const std::string_view uri = offer.uri;
  int64_t reader_id = 0;
  const bool right_leader = uri.substr(0, prefix.size()) == prefix;
  const std::string_view digits = right_leader ? uri.substr(prefix.size()) : "";
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), reader_id);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size()) {
    return absl::InvalidArgumentError(
        cat("install_snapshot: uri \"", offer.uri, "\", expected ", prefix, "READER_ID"));
  }
  return std::unique_ptr<SnapshotDownload>(
      new SnapshotDownload(std::move(offer), reader_id, chunk, driver));
}

Packet SnapshotDownload::request(uint64_t call_id) {
  call_id_ = call_id;
  FileRequest request;
  request.reader_id = reader_id_;
  request.filename =
      writer_ == nullptr ? std::string(kSnapshotTableName) : table_.files[file_].path;
  request.offset = offset_;
  request.count = chunk_;
  return to_packet(request, call_id);
}

SnapshotDownload::Result SnapshotDownload::end(Result result, absl::Status status) {
  status_ = std::move(status);
  return result;
}

SnapshotDownload::Result SnapshotDownload::on_response(const Packet& packet) {
  if (packet.call_id != call_id_) return Result::kIgnored;
  call_id_ = 0;
  timeouts_ = 0;
  const auto response = file_response(packet);
  if (!response.ok()) return end(Result::kAbandoned, response.status());
  if (writer_ != nullptr) return on_chunk(packet.attachment, response->eof);
  if (!response->eof) {
    return end(Result::kAbandoned, absl::InvalidArgumentError("snapshot table without its end"));
  }
  return on_table(packet.attachment);
}

SnapshotDownload::Result SnapshotDownload::on_table(std::string_view bytes) {
  auto table = decode_table(bytes);
  if (!table.ok()) return end(Result::kAbandoned, table.status());
  if (table->meta != offer_.meta) {
    return end(
        Result::kAbandoned,
        absl::InvalidArgumentError(cat(
            "snapshot table is for index ", table->meta.last_included_index, ", term ",
            table->meta.last_included_term, ", expected index ", offer_.meta.last_included_index,
            ", term ", offer_.meta.last_included_term, " and the same peers")));
  }
  table_ = std::move(*table);
  auto writer = driver_->create_snapshot();
  if (!writer.ok()) return end(Result::kStorageError, writer.status());
  writer_ = std::move(*writer);
  return next_file();
}

SnapshotDownload::Result SnapshotDownload::next_file() {
  offset_ = 0;
  open_file_.reset();
  if (file_ == table_.files.size()) {
    const absl::Status saved = writer_->save_meta(offer_.meta);
    return saved.ok() ? Result::kComplete : end(Result::kStorageError, saved);
  }
  auto file = writer_->create_file(table_.files[file_].path);
  if (!file.ok()) return end(Result::kStorageError, file.status());
  open_file_ = std::move(*file);
  return Result::kContinue;
}

SnapshotDownload::Result SnapshotDownload::on_chunk(std::string_view bytes, bool eof) {
  QK_CHECK(open_file_ != nullptr);
  const families::SnapshotFile& file = table_.files[file_];
  if (bytes.size() > chunk_ || (bytes.empty() && !eof)) {
    return end(Result::kAbandoned, absl::InvalidArgumentError(cat(
                                       "snapshot file ", file.path, ": chunk of ", bytes.size(),
                                       " bytes at offset ", offset_, ", expected 1..", chunk_)));
  }
  if (!bytes.empty()) {
    const absl::Status written = open_file_->write_at(static_cast<uint64_t>(offset_), bytes);
    if (!written.ok()) return end(Result::kStorageError, written);
  }
  offset_ += static_cast<int64_t>(bytes.size());
  if (!eof) return Result::kContinue;
  open_file_.reset();
  const absl::Status added = writer_->add_file(file.path, file.meta);
  if (!added.ok()) return end(Result::kStorageError, added);
  ++file_;
  return next_file();
}

}  // namespace qk::raft
