// Target: packets of the legacy RPCs and what they hold (sim/raft/wire).
//
// Input: a packet. What decodes must encode to a packet that decodes to the same; the message in
// it, to a packet that gives the same message. The body alone is also tried as a snapshot table.
#include "families/base/check.h"
#include "sim/raft/wire/convert.h"
#include "sim/raft/wire/packet.h"
#include "tools/fuzz/target.h"

namespace qk::fuzz {
namespace {

using families::EntryType;
using raft::Message;
using raft::Packet;

constexpr const char* kGroup = "g";
constexpr const char* kSelf = "127.0.0.1:8100:0:0";
constexpr const char* kPeer = "127.0.0.1:8101:0:0";

bool same(const Packet& a, const Packet& b) {
  return a.method == b.method && a.response == b.response && a.call_id == b.call_id &&
         a.body == b.body && a.attachment == b.attachment && a.error == b.error;
}

// A message goes out as one packet only, so two messages are equal if theirs are.
Packet resent(Message message) {
  message.peer = kSelf;
  return raft::to_packet(message, kGroup, kPeer);
}

void check_message(const Packet& packet) {
  const auto message = raft::from_packet(packet, kGroup, kSelf, kPeer);
  if (!message.ok()) return;
  QK_CHECK(raft::term_of(*message) >= 0 && raft::term_of(*message) <= raft::kMaxNumber);
  const Packet sent = resent(*message);
  const auto again = raft::from_packet(sent, kGroup, kSelf, kPeer);
  QK_CHECK(again.ok());
  QK_CHECK(same(resent(*again), sent));
}

void check_file(const Packet& packet) {
  if (packet.response) {
    const auto response = raft::file_response(packet);
    if (!response.ok()) return;
    const auto again =
        raft::file_response(raft::file_response(packet.call_id, response->eof, packet.attachment));
    QK_CHECK(again.ok() && again->eof == response->eof);
    return;
  }
  const auto request = raft::file_request(packet);
  if (!request.ok()) return;
  const auto again = raft::file_request(raft::to_packet(*request, packet.call_id));
  QK_CHECK(again.ok());
  QK_CHECK(again->reader_id == request->reader_id && again->filename == request->filename &&
           again->offset == request->offset && again->count == request->count);
}

void check_table(std::string_view bytes) {
  const auto table = raft::decode_table(bytes);
  if (!table.ok()) return;
  const auto again = raft::decode_table(raft::encode_table(table->meta, table->files));
  QK_CHECK(again.ok());
  QK_CHECK(again->meta == table->meta && again->files == table->files);
}

}  // namespace

std::vector<std::string> seeds() {
  const families::SnapshotMeta meta{9, 3, {kSelf, kPeer}, {kSelf}};
  const std::vector<families::LogEntry> entries = {
      {6, 2, EntryType::kNoOp, ""},
      {7, 3, EntryType::kData, "payload"},
      {8, 3, EntryType::kConfiguration, families::encode_configuration({{kSelf, kPeer}, {kSelf}})}};
  const std::vector<Message> messages = {
      {kSelf, 1, raft::VoteRequest{true, 4, {5, 2}}},
      {kSelf, 2, raft::VoteRequest{false, 4, {5, 2}}},
      {kSelf, 3, raft::VoteResponse{false, 4, true}},
      {kSelf, 4, raft::AppendRequest{3, {5, 2}, 5, entries}},
      {kSelf, 5, raft::AppendResponse{3, true, 8}},
      {kSelf, 6, raft::InstallRequest{3, meta, "remote://127.0.0.1:8100/7"}},
      {kSelf, 7, raft::InstallResponse{3, true}},
      {kSelf, 8, raft::TimeoutNowRequest{3}},
      {kSelf, 9, raft::TimeoutNowResponse{3, true}},
  };
  std::vector<std::string> inputs;
  for (const Message& message : messages) {
    inputs.push_back(encode(raft::to_packet(message, kGroup, kPeer)));
  }
  inputs.push_back(encode(raft::to_packet(raft::FileRequest{7, "data", 0, 65536}, 10)));
  inputs.push_back(encode(raft::file_response(10, true, "bytes of a file")));
  Packet failed;
  failed.response = true;
  failed.error = 5;
  inputs.push_back(encode(failed));
  Packet table = raft::file_response(11, true, "");
  table.body = raft::encode_table(meta, {{"data", {"user", 0, "sum"}}, {"nested/data", {}}});
  inputs.push_back(encode(table));
  return inputs;
}

void run(std::string_view input) {
  const auto packet = raft::decode(input);
  if (!packet.ok()) return;
  const auto again = raft::decode(encode(*packet));
  QK_CHECK(again.ok());
  QK_CHECK(same(*again, *packet));
  check_table(packet->body);
  if (packet->method == raft::Method::kGetFile) {
    check_file(*packet);
  } else {
    check_message(*packet);
  }
}

}  // namespace qk::fuzz
