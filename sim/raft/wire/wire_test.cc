// Packets and the conversion between typed messages and braft's: round trips, golden bytes, bad
// input.
#include <google/protobuf/stubs/logging.h>

#include <catch2/catch.hpp>

#include "families/base/bytes.h"
#include "sim/raft/wire/convert.h"
#include "sim/raft/wire/raft.pb.h"

namespace qk::raft {
namespace {

using families::EntryType;
using families::LogEntry;

const std::string kGroup = "Counter";
const std::string kA = "127.0.0.1:8100:0:0";
const std::string kB = "127.0.0.1:8101:0:0";

Message append_message() {
  AppendRequest body{3, {7, 2}, 6, {}};
  body.entries.push_back({8, 2, EntryType::kData, "first"});
  body.entries.push_back(
      {9, 3, EntryType::kConfiguration, families::encode_configuration({{kA, kB}, {kA}})});
  body.entries.push_back({10, 3, EntryType::kNoOp, ""});
  body.entries.push_back({11, 3, EntryType::kData, ""});
  body.entries.push_back({12, 3, EntryType::kData, "last"});
  return {kB, 5, body};
}

// What B makes of a message that A sends.
absl::StatusOr<Message> transmit(const Message& message) {
  const auto packet = decode(encode(to_packet(message, kGroup, kA)));
  REQUIRE(packet.ok());
  return from_packet(*packet, kGroup, kB, kA);
}

TEST_CASE("payloads travel in the attachment, configurations in EntryMeta") {
  const Packet packet = to_packet(append_message(), kGroup, kA);
  CHECK(packet.attachment == "firstlast");
  braft::AppendEntriesRequest proto;
  REQUIRE(proto.ParseFromString(packet.body));
  REQUIRE(proto.entries_size() == 5);
  CHECK(proto.entries(0).data_len() == 5);
  CHECK(proto.entries(1).peers_size() == 2);
  CHECK(proto.entries(1).old_peers_size() == 1);
  CHECK_FALSE(proto.entries(1).has_data_len());
  CHECK(proto.server_id() == kA);
  CHECK(proto.peer_id() == kB);
}

TEST_CASE("field numbers are braft's") {
  const Packet packet = to_packet({kB, 1, VoteRequest{false, 4, {9, 3}}}, "g", "1.2.3.4:5:0:0");
  // group_id=1, server_id=2, peer_id=3, term=4, last_log_term=5, last_log_index=6.
  CHECK(to_hex(packet.body) ==
        "0a0167"
        "120d312e322e332e343a353a303a30"
        "1a123132372e302e302e313a383130313a303a30"
        "200428033009");
}

TEST_CASE("append entries round trip") {
  const Message sent = append_message();
  const auto received = transmit(sent);
  REQUIRE(received.ok());
  CHECK(received->peer == kA);
  CHECK(received->call_id == 5);
  const auto& body = std::get<AppendRequest>(received->body);
  const auto& expected = std::get<AppendRequest>(sent.body);
  CHECK(body.entries == expected.entries);
  CHECK(body.prev == expected.prev);
  CHECK(body.committed == 6);
  CHECK(body.term == 3);
}

TEST_CASE("a request for somebody else is refused") {
  const Packet packet = to_packet(append_message(), kGroup, kA);
  CHECK(from_packet(packet, "other", kB, kA).status().message() ==
        "append_entries: for group \"Counter\", expected \"other\"");
  CHECK_FALSE(from_packet(packet, kGroup, kA, kA).ok());
  CHECK_FALSE(from_packet(packet, kGroup, kB, kB).ok());
  // The three-part form of older nodes names the same peer.
  CHECK(from_packet(to_packet(append_message(), kGroup, "127.0.0.1:8100"), kGroup, kB, kA).ok());
}

TEST_CASE("fields that no correct node sends are refused") {
  const auto with = [](auto change) {
    Message message = append_message();
    change(std::get<AppendRequest>(message.body));
    return transmit(message).ok();
  };
  CHECK(with([](AppendRequest&) {}));
  CHECK_FALSE(with([](AppendRequest& r) { r.term = -1; }));
  CHECK_FALSE(with([](AppendRequest& r) { r.term = INT64_MAX; }));
  CHECK_FALSE(with([](AppendRequest& r) { r.prev.index = -1; }));
  CHECK_FALSE(with([](AppendRequest& r) { r.committed = INT64_MAX; }));
  CHECK_FALSE(with([](AppendRequest& r) { r.entries[0].term = 0; }));
  CHECK_FALSE(with([](AppendRequest& r) { r.entries[2].term = 2; }));  // terms go down
  CHECK_FALSE(with([](AppendRequest& r) { r.entries[4].term = 4; }));  // beyond the leader's
  CHECK_FALSE(with([](AppendRequest& r) { r.entries[2].payload = "no-op with bytes"; }));

  Packet packet = to_packet(append_message(), kGroup, kA);
  packet.attachment.pop_back();
  CHECK_FALSE(from_packet(packet, kGroup, kB, kA).ok());
  packet.attachment += "xx";
  CHECK_FALSE(from_packet(packet, kGroup, kB, kA).ok());
}

TEST_CASE("a damaged packet is refused or decodes to something, but never more") {
  google::protobuf::LogSilencer silence;  // debug builds complain of strings that are not UTF-8
  const std::string bytes = encode(to_packet(append_message(), kGroup, kA));
  for (size_t length = 0; length < bytes.size(); ++length) {
    CHECK_FALSE(decode(std::string_view(bytes).substr(0, length)).ok());
  }
  CHECK_FALSE(decode(bytes + "x").ok());
  for (size_t at = 0; at < bytes.size(); ++at) {
    for (const int mask : {0x01, 0x80, 0xff}) {
      std::string damaged = bytes;
      damaged[at] = static_cast<char>(damaged[at] ^ mask);
      const auto packet = decode(damaged);
      if (packet.ok() && packet->method != Method::kGetFile) {
        (void)from_packet(*packet, kGroup, kB, kA);
      }
    }
  }
}

TEST_CASE("snapshot tables keep presence and refuse unsafe names") {
  const families::SnapshotMeta meta{9, 2, {kA}, {}};
  std::vector<families::SnapshotFile> files(2);
  files[0].path = "data";
  files[1].path = "dir/with\xff";
  files[1].meta.checksum = "";
  files[1].meta.source = 1;
  const auto table = decode_table(encode_table(meta, files));
  REQUIRE(table.ok());
  CHECK(table->meta == meta);
  CHECK(table->files == files);

  for (const char* name :
       {"../up", "/..", "a/", "", "__raft_snapshot_meta", "./__raft_snapshot_meta", "a/../../b"}) {
    files[0].path = name;
    CHECK_FALSE(decode_table(encode_table(meta, files)).ok());
  }
  // Names as braft's users list them are kept.
  files[0].path = "/max_id.json";
  files[1].path = "./dir//x";
  const auto as_listed = decode_table(encode_table(meta, files));
  REQUIRE(as_listed.ok());
  CHECK(as_listed->files == files);
  files[0].path = "dir";
  CHECK_FALSE(decode_table(encode_table(meta, files)).ok());
  files[0].path = files[1].path;
  CHECK_FALSE(decode_table(encode_table(meta, files)).ok());
  CHECK_FALSE(decode_table("\x01").ok());
}

TEST_CASE("get_file round trip") {
  const auto request = file_request(to_packet(FileRequest{7, "data", 10, 20}, 3));
  REQUIRE(request.ok());
  CHECK(request->reader_id == 7);
  CHECK(request->filename == "data");
  CHECK(request->offset == 10);
  CHECK(request->count == 20);
  Packet packet = file_response(3, true, "bytes");
  REQUIRE(file_response(packet).ok());
  CHECK(file_response(packet)->eof);
  packet.attachment += "x";
  CHECK_FALSE(file_response(packet).ok());
  CHECK_FALSE(file_request(to_packet(FileRequest{7, "data", -1, 20}, 3)).ok());
  CHECK_FALSE(file_request(to_packet(FileRequest{7, "data", 0, 0}, 3)).ok());
}

}  // namespace
}  // namespace qk::raft
