#include "sim/raft/wire/convert.h"

#include <set>

#include "families/base/check.h"
#include "sim/raft/wire/file_service.pb.h"
#include "sim/raft/wire/raft.pb.h"
#include "sim/raft/wire/snapshot_table.pb.h"

namespace qk::raft {
namespace {

using families::Configuration;
using families::EntryType;
using families::LogEntry;
using families::SnapshotMeta;

absl::Status bad(Method method, std::string_view what) {
  return absl::InvalidArgumentError(cat(to_string(method), ": ", what));
}

bool in_range(int64_t value) { return value >= 0 && value <= kMaxNumber; }

template <typename Proto>
absl::StatusOr<Proto> parse(const Packet& packet) {
  Proto proto;
  // Partial, then checked: the full parser would print its complaint.
  if (packet.body.size() > kMaxPacketBytes || !proto.ParsePartialFromString(packet.body) ||
      !proto.IsInitialized()) {
    return bad(packet.method, cat("body of ", packet.body.size(), " bytes does not parse as a ",
                                  packet.response ? "response" : "request"));
  }
  return proto;
}

// The three fields by which every request says whom it is from and for.
template <typename Proto>
void fill_address(Proto* proto, const std::string& group, const std::string& self,
                  const Message& message) {
  proto->set_group_id(group);
  proto->set_server_id(self);
  proto->set_peer_id(message.peer);
}

bool same_peer(const std::string& text, const std::string& peer) {
  if (text == peer) return true;
  const auto canonical = families::canonical_peer(text);
  return canonical.ok() && *canonical == peer;
}

template <typename Proto>
absl::Status check_address(const Proto& proto, Method method, const std::string& group,
                           const std::string& self, const std::string& from) {
  if (proto.group_id() != group) {
    return bad(method, cat("for group \"", proto.group_id(), "\", expected \"", group, "\""));
  }
  if (!same_peer(proto.peer_id(), self)) {
    return bad(method, cat("for peer \"", proto.peer_id(), "\", expected \"", self, "\""));
  }
  if (!same_peer(proto.server_id(), from)) {
    return bad(method,
               cat("signed by \"", proto.server_id(), "\", but it came from \"", from, "\""));
  }
  if (!in_range(proto.term())) return bad(method, cat("term ", proto.term(), " is out of range"));
  return absl::OkStatus();
}

absl::Status check_term(int64_t term, Method method) {
  return in_range(term) ? absl::OkStatus() : bad(method, cat("term ", term, " is out of range"));
}

void fill(braft::SnapshotMeta* proto, const SnapshotMeta& meta) {
  proto->set_last_included_index(meta.last_included_index);
  proto->set_last_included_term(meta.last_included_term);
  for (const std::string& peer : meta.peers) proto->add_peers(peer);
  for (const std::string& peer : meta.old_peers) proto->add_old_peers(peer);
}

absl::StatusOr<SnapshotMeta> snapshot_meta(const braft::SnapshotMeta& proto) {
  SnapshotMeta meta;
  meta.last_included_index = proto.last_included_index();
  meta.last_included_term = proto.last_included_term();
  if (!in_range(meta.last_included_index) || !in_range(meta.last_included_term) ||
      meta.last_included_index < 1 || meta.last_included_term < 1) {
    return bad(Method::kInstallSnapshot,
               cat("snapshot at index ", meta.last_included_index, ", term ",
                   meta.last_included_term, " is out of range"));
  }
  meta.peers.assign(proto.peers().begin(), proto.peers().end());
  meta.old_peers.assign(proto.old_peers().begin(), proto.old_peers().end());
  return meta;
}

absl::StatusOr<std::vector<LogEntry>> entries_of(const braft::AppendEntriesRequest& proto,
                                                 const std::string& attachment) {
  std::vector<LogEntry> entries;
  entries.reserve(static_cast<size_t>(proto.entries_size()));
  size_t offset = 0;
  int64_t index = proto.prev_log_index();
  int64_t term = proto.prev_log_term();
  for (const braft::EntryMeta& meta : proto.entries()) {
    LogEntry entry;
    entry.index = ++index;
    entry.term = meta.term();
    if (entry.term < 1 || entry.term < term || entry.term > proto.term()) {
      return bad(Method::kAppendEntries, cat("entry ", index, " has term ", entry.term,
                                             ", expected ", term, "..", proto.term()));
    }
    term = entry.term;
    const uint64_t length = static_cast<uint64_t>(meta.data_len());
    if (meta.data_len() < 0 || length > attachment.size() - offset) {
      return bad(Method::kAppendEntries,
                 cat("entry ", index, " claims ", meta.data_len(), " bytes, the attachment has ",
                     attachment.size() - offset, " left"));
    }
    switch (meta.type()) {
      case braft::ENTRY_TYPE_CONFIGURATION:
        entry.type = EntryType::kConfiguration;
        entry.payload = families::encode_configuration(
            Configuration{{meta.peers().begin(), meta.peers().end()},
                          {meta.old_peers().begin(), meta.old_peers().end()}});
        break;
      case braft::ENTRY_TYPE_DATA:
        entry.type = EntryType::kData;
        entry.payload.assign(attachment, offset, length);
        break;
      case braft::ENTRY_TYPE_NO_OP:
        entry.type = EntryType::kNoOp;
        break;
      default:
        return bad(Method::kAppendEntries, cat("entry ", index, " is of type UNKNOWN"));
    }
    if (entry.type != EntryType::kData && length != 0) {
      return bad(Method::kAppendEntries,
                 cat("entry ", index, " of type ", to_string(entry.type), " has a payload"));
    }
    offset += length;
    entries.push_back(std::move(entry));
  }
  if (offset != attachment.size()) {
    return bad(Method::kAppendEntries,
               cat("attachment of ", attachment.size(), " bytes, its entries have ", offset));
  }
  return entries;
}

void fill(braft::EntryMeta* meta, const LogEntry& entry, std::string* attachment) {
  meta->set_term(entry.term);
  meta->set_type(static_cast<braft::EntryType>(entry.type));
  if (entry.type == EntryType::kConfiguration) {
    // The log was checked when it was loaded or received.
    const auto configuration = families::decode_configuration(entry.payload);
    QK_CHECK(configuration.ok());
    for (const std::string& peer : configuration->peers) meta->add_peers(peer);
    for (const std::string& peer : configuration->old_peers) meta->add_old_peers(peer);
    return;
  }
  if (entry.payload.empty()) return;
  meta->set_data_len(static_cast<int64_t>(entry.payload.size()));
  *attachment += entry.payload;
}

// One overload per message: fills packet.method, response, body and attachment.
struct Writer {
  const Message& message;
  const std::string& group;
  const std::string& self;
  Packet packet;

  template <typename Proto>
  void finish(Method method, bool response, const Proto& proto) {
    packet.method = method;
    packet.response = response;
    proto.SerializeToString(&packet.body);
  }
  void operator()(const VoteRequest& body) {
    braft::RequestVoteRequest proto;
    fill_address(&proto, group, self, message);
    proto.set_term(body.term);
    proto.set_last_log_term(body.last_log.term);
    proto.set_last_log_index(body.last_log.index);
    finish(body.pre ? Method::kPreVote : Method::kRequestVote, false, proto);
  }
  void operator()(const VoteResponse& body) {
    braft::RequestVoteResponse proto;
    proto.set_term(body.term);
    proto.set_granted(body.granted);
    finish(body.pre ? Method::kPreVote : Method::kRequestVote, true, proto);
  }
  void operator()(const AppendRequest& body) {
    braft::AppendEntriesRequest proto;
    fill_address(&proto, group, self, message);
    proto.set_term(body.term);
    proto.set_prev_log_term(body.prev.term);
    proto.set_prev_log_index(body.prev.index);
    proto.set_committed_index(body.committed);
    for (const LogEntry& entry : body.entries) {
      fill(proto.add_entries(), entry, &packet.attachment);
    }
    finish(Method::kAppendEntries, false, proto);
  }
  void operator()(const AppendResponse& body) {
    braft::AppendEntriesResponse proto;
    proto.set_term(body.term);
    proto.set_success(body.success);
    proto.set_last_log_index(body.last_log_index);
    finish(Method::kAppendEntries, true, proto);
  }
  void operator()(const InstallRequest& body) {
    braft::InstallSnapshotRequest proto;
    fill_address(&proto, group, self, message);
    proto.set_term(body.term);
    fill(proto.mutable_meta(), body.meta);
    proto.set_uri(body.uri);
    finish(Method::kInstallSnapshot, false, proto);
  }
  void operator()(const InstallResponse& body) {
    braft::InstallSnapshotResponse proto;
    proto.set_term(body.term);
    proto.set_success(body.success);
    finish(Method::kInstallSnapshot, true, proto);
  }
  void operator()(const TimeoutNowRequest& body) {
    braft::TimeoutNowRequest proto;
    fill_address(&proto, group, self, message);
    proto.set_term(body.term);
    finish(Method::kTimeoutNow, false, proto);
  }
  void operator()(const TimeoutNowResponse& body) {
    braft::TimeoutNowResponse proto;
    proto.set_term(body.term);
    proto.set_success(body.success);
    finish(Method::kTimeoutNow, true, proto);
  }
};

absl::StatusOr<Message> request_from(const Packet& packet, const std::string& group,
                                     const std::string& self, const std::string& from) {
  const Method method = packet.method;
  Message message{from, packet.call_id, {}};
  switch (method) {
    case Method::kPreVote:
    case Method::kRequestVote: {
      QK_ASSIGN_OR_RETURN(const auto proto, parse<braft::RequestVoteRequest>(packet));
      QK_RETURN_IF_ERROR(check_address(proto, method, group, self, from));
      if (!in_range(proto.last_log_index()) || !in_range(proto.last_log_term())) {
        return bad(method, cat("last log ", proto.last_log_index(), "/", proto.last_log_term(),
                               " is out of range"));
      }
      message.body = VoteRequest{method == Method::kPreVote,
                                 proto.term(),
                                 {proto.last_log_index(), proto.last_log_term()}};
      return message;
    }
    case Method::kAppendEntries: {
      QK_ASSIGN_OR_RETURN(const auto proto, parse<braft::AppendEntriesRequest>(packet));
      QK_RETURN_IF_ERROR(check_address(proto, method, group, self, from));
      if (!in_range(proto.prev_log_index()) || !in_range(proto.prev_log_term()) ||
          !in_range(proto.committed_index())) {
        return bad(method, cat("previous ", proto.prev_log_index(), "/", proto.prev_log_term(),
                               ", committed ", proto.committed_index(), ": out of range"));
      }
      AppendRequest body{proto.term(),
                         {proto.prev_log_index(), proto.prev_log_term()},
                         proto.committed_index(),
                         {}};
      QK_ASSIGN_OR_RETURN(body.entries, entries_of(proto, packet.attachment));
      message.body = std::move(body);
      return message;
    }
    case Method::kInstallSnapshot: {
      QK_ASSIGN_OR_RETURN(const auto proto, parse<braft::InstallSnapshotRequest>(packet));
      QK_RETURN_IF_ERROR(check_address(proto, method, group, self, from));
      InstallRequest body{proto.term(), {}, proto.uri()};
      QK_ASSIGN_OR_RETURN(body.meta, snapshot_meta(proto.meta()));
      if (body.meta.last_included_term > body.term) {
        return bad(method, cat("snapshot of term ", body.meta.last_included_term,
                               ", but the leader's is ", body.term));
      }
      message.body = std::move(body);
      return message;
    }
    case Method::kTimeoutNow: {
      QK_ASSIGN_OR_RETURN(const auto proto, parse<braft::TimeoutNowRequest>(packet));
      QK_RETURN_IF_ERROR(check_address(proto, method, group, self, from));
      message.body = TimeoutNowRequest{proto.term()};
      return message;
    }
    case Method::kGetFile:
      break;
  }
  return bad(method, "no Raft message");
}

absl::StatusOr<Message> response_from(const Packet& packet, const std::string& from) {
  const Method method = packet.method;
  if (packet.error != 0) return bad(method, cat("the call failed with error ", packet.error));
  Message message{from, packet.call_id, {}};
  switch (method) {
    case Method::kPreVote:
    case Method::kRequestVote: {
      QK_ASSIGN_OR_RETURN(const auto proto, parse<braft::RequestVoteResponse>(packet));
      message.body = VoteResponse{method == Method::kPreVote, proto.term(), proto.granted()};
      break;
    }
    case Method::kAppendEntries: {
      QK_ASSIGN_OR_RETURN(const auto proto, parse<braft::AppendEntriesResponse>(packet));
      if (!in_range(proto.last_log_index())) {
        return bad(method, cat("last log index ", proto.last_log_index(), " is out of range"));
      }
      message.body = AppendResponse{proto.term(), proto.success(), proto.last_log_index()};
      break;
    }
    case Method::kInstallSnapshot: {
      QK_ASSIGN_OR_RETURN(const auto proto, parse<braft::InstallSnapshotResponse>(packet));
      message.body = InstallResponse{proto.term(), proto.success()};
      break;
    }
    case Method::kTimeoutNow: {
      QK_ASSIGN_OR_RETURN(const auto proto, parse<braft::TimeoutNowResponse>(packet));
      message.body = TimeoutNowResponse{proto.term(), proto.success()};
      break;
    }
    case Method::kGetFile:
      return bad(method, "no Raft message");
  }
  QK_RETURN_IF_ERROR(check_term(term_of(message), method));
  return message;
}

}  // namespace

Packet to_packet(const Message& message, const std::string& group, const std::string& self) {
  Writer writer{message, group, self, {}};
  writer.packet.call_id = message.call_id;
  std::visit(writer, message.body);
  return std::move(writer.packet);
}

absl::StatusOr<Message> from_packet(const Packet& packet, const std::string& group,
                                    const std::string& self, const std::string& from) {
  return packet.response ? response_from(packet, from) : request_from(packet, group, self, from);
}

Packet to_packet(const FileRequest& request, uint64_t call_id) {
  braft::GetFileRequest proto;
  proto.set_reader_id(request.reader_id);
  proto.set_filename(request.filename);
  proto.set_count(request.count);
  proto.set_offset(request.offset);
  Packet packet;
  packet.method = Method::kGetFile;
  packet.call_id = call_id;
  proto.SerializeToString(&packet.body);
  return packet;
}

absl::StatusOr<FileRequest> file_request(const Packet& packet) {
  QK_ASSIGN_OR_RETURN(const auto proto, parse<braft::GetFileRequest>(packet));
  if (!in_range(proto.offset()) || proto.count() < 1) {
    return bad(packet.method,
               cat("offset ", proto.offset(), ", count ", proto.count(), ": out of range"));
  }
  return FileRequest{proto.reader_id(), proto.filename(), proto.offset(), proto.count()};
}

Packet file_response(uint64_t call_id, bool eof, std::string bytes) {
  braft::GetFileResponse proto;
  proto.set_eof(eof);
  proto.set_read_size(static_cast<int64_t>(bytes.size()));
  Packet packet;
  packet.method = Method::kGetFile;
  packet.response = true;
  packet.call_id = call_id;
  proto.SerializeToString(&packet.body);
  packet.attachment = std::move(bytes);
  return packet;
}

absl::StatusOr<FileResponse> file_response(const Packet& packet) {
  if (packet.error != 0) {
    return bad(packet.method, cat("the call failed with error ", packet.error));
  }
  QK_ASSIGN_OR_RETURN(const auto proto, parse<braft::GetFileResponse>(packet));
  if (proto.has_read_size() &&
      proto.read_size() != static_cast<int64_t>(packet.attachment.size())) {
    return bad(packet.method, cat("read_size ", proto.read_size(), ", but the attachment has ",
                                  packet.attachment.size(), " bytes"));
  }
  return FileResponse{proto.eof()};
}

std::string encode_table(const SnapshotMeta& meta,
                         const std::vector<families::SnapshotFile>& files) {
  braft::LocalSnapshotPbMeta proto;
  fill(proto.mutable_meta(), meta);
  for (const families::SnapshotFile& file : files) {
    auto* out = proto.add_files();
    out->set_name(file.path);
    auto* file_meta = out->mutable_meta();  // braft always writes it, even when empty
    if (file.meta.user_meta) file_meta->set_user_meta(*file.meta.user_meta);
    if (file.meta.source) file_meta->set_source(static_cast<braft::FileSource>(*file.meta.source));
    if (file.meta.checksum) file_meta->set_checksum(*file.meta.checksum);
  }
  return proto.SerializeAsString();
}

absl::StatusOr<SnapshotTable> decode_table(std::string_view bytes) {
  braft::LocalSnapshotPbMeta proto;
  if (bytes.size() > kMaxPacketBytes ||
      !proto.ParsePartialFromArray(bytes.data(), static_cast<int>(bytes.size())) ||
      !proto.IsInitialized() || !proto.has_meta()) {
    return absl::InvalidArgumentError(
        cat("snapshot table of ", bytes.size(), " bytes does not parse as LocalSnapshotPbMeta"));
  }
  SnapshotTable table;
  QK_ASSIGN_OR_RETURN(table.meta, snapshot_meta(proto.meta()));
  std::set<std::string_view> seen;
  families::SnapshotPlaces places;
  for (const auto& file : proto.files()) {
    const std::string& name = file.name();
    if (!seen.insert(name).second) {
      return absl::InvalidArgumentError(cat("snapshot table: file \"", name, "\" occurs twice"));
    }
    families::SnapshotFile out;
    out.path = name;
    if (file.meta().has_user_meta()) out.meta.user_meta = file.meta().user_meta();
    if (file.meta().has_source()) out.meta.source = file.meta().source();
    if (file.meta().has_checksum()) out.meta.checksum = file.meta().checksum();
    if (const absl::Status legal = places.add(out).status(); !legal.ok()) {
      return annotate(legal, "snapshot table");
    }
    table.files.push_back(std::move(out));
  }
  return table;
}

}  // namespace qk::raft
