#include "sim/cluster/state_machine.h"

#include <catch2/catch.hpp>
#include <cstring>

#include "families/base/bytes.h"
#include "families/base/hash.h"
#include "sim/cluster/counter.pb.h"

namespace qk::sim {
namespace {

using families::EntryType;
using families::FileMeta;
using families::LogEntry;
using families::SnapshotFile;
using families::SnapshotMeta;

using Tree = std::map<std::string, std::string, std::less<>>;

class TreeFile final : public families::File {
 public:
  explicit TreeFile(std::string* bytes) : bytes_(bytes) {}
  absl::StatusOr<size_t> read_at(uint64_t offset, std::span<char> buffer) override {
    const size_t size = std::min(buffer.size(), bytes_->size() - offset);
    std::memcpy(buffer.data(), bytes_->data() + offset, size);
    return size;
  }
  absl::Status write_at(uint64_t offset, std::string_view bytes) override {
    bytes_->resize(std::max<size_t>(bytes_->size(), offset + bytes.size()));
    bytes_->replace(offset, bytes.size(), bytes);
    return absl::OkStatus();
  }
  absl::Status truncate(uint64_t size) override {
    bytes_->resize(size);
    return absl::OkStatus();
  }
  absl::StatusOr<uint64_t> size() override { return bytes_->size(); }
  absl::Status sync(families::SyncKind) override { return absl::OkStatus(); }

 private:
  std::string* bytes_;
};

// A snapshot tree in memory, as both writer and reader.
class TreeSnapshot final : public families::SnapshotWriter, public families::SnapshotReader {
 public:
  TreeSnapshot() = default;
  explicit TreeSnapshot(Tree with) : tree(std::move(with)) {
    for (const auto& [path, bytes] : tree) files_.push_back({path, {}});
  }

  std::string get_path() const override { return "/tree"; }
  absl::StatusOr<std::unique_ptr<families::File>> create_file(std::string_view path) override {
    return std::make_unique<TreeFile>(&(tree[std::string(path)] = ""));
  }
  absl::Status add_file(std::string_view path, const FileMeta& meta) override {
    files_.push_back({std::string(path), meta});
    return absl::OkStatus();
  }
  absl::Status remove_file(std::string_view) override { return absl::OkStatus(); }
  absl::Status save_meta(const SnapshotMeta&) override { return absl::OkStatus(); }
  const SnapshotMeta& meta() const override { return meta_; }
  const std::vector<SnapshotFile>& files() const override { return files_; }
  absl::StatusOr<std::unique_ptr<families::File>> open_file(std::string_view path) const override {
    const auto found = tree.find(path);
    if (found == tree.end()) return absl::NotFoundError(cat(path, " is not in the table"));
    return std::make_unique<TreeFile>(&found->second);
  }
  absl::StatusOr<std::vector<std::string>> unlisted() const override {
    return std::vector<std::string>();
  }
  absl::StatusOr<std::unique_ptr<families::File>> open_unlisted(
      std::string_view place) const override {
    return absl::NotFoundError(cat(place, " is not in the tree"));
  }
  absl::Status seal() override { return absl::OkStatus(); }

  mutable Tree tree;

 private:
  std::vector<SnapshotFile> files_;
  SnapshotMeta meta_;
};

class Driver {
 public:
  Response apply(const Command& command) { return apply_bytes(encode_command(command)); }
  Response apply_bytes(std::string payload) {
    const LogEntry entry{++index_, 1, EntryType::kData, std::move(payload)};
    const auto response = decode_response(machine.apply(entry));
    REQUIRE(response.ok());
    return *response;
  }
  StateMachine machine;

 private:
  int64_t index_ = 0;
};

std::string foreign_add(int64_t value) {
  proto::FetchAddRequest request;
  request.set_value(value);
  return request.SerializeAsString();
}

Command read(std::string key) { return {.kind = CommandKind::kRead, .key = std::move(key)}; }
Command write(std::string key, std::string value) {
  return {.kind = CommandKind::kWrite, .key = std::move(key), .value = std::move(value)};
}

// A history that touches every kind of state, n-th entry.
Command sample(int n) {
  Command command{.session = 1 + static_cast<uint64_t>(n % 3),
                  .request = 1 + static_cast<uint64_t>(n / 3),
                  .kind = static_cast<CommandKind>(1 + n % 5),
                  .key = cat("k", n % 7),
                  .value = cat("v", n),
                  .amount = n};
  if (command.kind == CommandKind::kCas) command.expected = cat("v", n - 1);
  return command;
}

TEST_CASE("commands and responses round trip, and nothing else decodes") {
  Command command = sample(12);
  command.expected = std::string("\0x", 2);
  command.amount = -5;
  const std::string bytes = encode_command(command);
  REQUIRE(is_command(bytes));
  REQUIRE(*decode_command(bytes) == command);
  for (size_t size = 0; size < bytes.size(); ++size) {
    REQUIRE_FALSE(decode_command(bytes.substr(0, size)).ok());
  }
  REQUIRE_FALSE(decode_command(bytes + "x").ok());
  std::string bad_kind = bytes;
  bad_kind[20] = 6;
  REQUIRE_FALSE(decode_command(bad_kind).ok());

  const Response response{ResponseStatus::kMismatch, "value", -9};
  REQUIRE(*decode_response(encode_response(response)) == response);
  REQUIRE_FALSE(decode_response(encode_response(response) + "x").ok());
  REQUIRE_FALSE(decode_response("").ok());
}

TEST_CASE("commands do what they say") {
  Driver driver;
  REQUIRE(driver.apply(read("a")).value.empty());
  REQUIRE(driver.apply(write("a", "1")).status == ResponseStatus::kOk);
  REQUIRE(driver.apply(read("a")).value == "1");
  Command cas{.kind = CommandKind::kCas, .key = "a", .value = "3", .expected = "2"};
  REQUIRE(driver.apply(cas) == Response{ResponseStatus::kMismatch, "1", 0});
  cas.expected = "1";
  REQUIRE(driver.apply(cas).status == ResponseStatus::kOk);
  driver.apply({.kind = CommandKind::kAppend, .key = "a", .value = "45"});
  REQUIRE(driver.apply(read("a")).value == "345");
  REQUIRE(driver.apply({.kind = CommandKind::kAdd, .amount = 7}).counter == 0);
  REQUIRE(driver.apply({.kind = CommandKind::kAdd, .amount = -2}).counter == 7);
  REQUIRE(driver.machine.counter() == 5);
}

TEST_CASE("an entry without the magic is a counter request of braft") {
  Driver driver;
  REQUIRE(driver.apply_bytes(foreign_add(40)).counter == 0);
  REQUIRE(driver.apply_bytes(foreign_add(2)).counter == 40);
  REQUIRE(driver.machine.counter() == 42);
  const uint64_t hash = driver.machine.state_hash();
  for (const std::string& payload :
       {std::string(), std::string("junk"), std::string("\0qk\1", 4)}) {
    REQUIRE(driver.apply_bytes(payload).status == ResponseStatus::kMalformed);
  }
  REQUIRE(driver.machine.state_hash() == hash);
  REQUIRE(driver.machine.apply({5, 1, EntryType::kNoOp, ""}).empty());
  REQUIRE(driver.machine.apply({6, 1, EntryType::kConfiguration, foreign_add(1)}).empty());
  REQUIRE(driver.machine.state_hash() == hash);
}

TEST_CASE("the counter wraps instead of overflowing") {
  Driver driver;
  driver.apply({.kind = CommandKind::kAdd, .amount = INT64_MAX});
  driver.apply({.kind = CommandKind::kAdd, .amount = 1});
  REQUIRE(driver.machine.counter() == INT64_MIN);
}

TEST_CASE("a repeated request takes effect once and gets the same answer") {
  Driver driver;
  Command add{.session = 9, .request = 1, .kind = CommandKind::kAdd, .amount = 5};
  REQUIRE(driver.apply(add).counter == 0);
  const uint64_t hash = driver.machine.state_hash();
  REQUIRE(driver.apply(add).counter == 0);
  REQUIRE(driver.machine.counter() == 5);
  REQUIRE(driver.machine.state_hash() == hash);
  add.request = 2;
  REQUIRE(driver.apply(add).counter == 5);
  add.request = 1;
  REQUIRE(driver.apply(add).status == ResponseStatus::kStale);
  REQUIRE(driver.machine.counter() == 10);
  add.session = 10;
  REQUIRE(driver.apply(add).counter == 10);
  // Exactly-once holds across a snapshot.
  TreeSnapshot snapshot;
  REQUIRE(driver.machine.save(snapshot).ok());
  REQUIRE(driver.machine.load(snapshot).ok());
  REQUIRE(driver.apply(add).counter == 10);
  REQUIRE(driver.machine.counter() == 15);
}

TEST_CASE("the state hash is a function of the state, whatever snapshot a node started from") {
  Driver straight;
  for (int n = 0; n < 200; ++n) straight.apply(sample(n));
  for (int cut = 0; cut <= 200; cut += 8) {
    Driver early;
    for (int n = 0; n < cut; ++n) early.apply(sample(n));
    TreeSnapshot snapshot;
    REQUIRE(early.machine.save(snapshot).ok());
    Driver late;
    REQUIRE(late.machine.load(snapshot).ok());
    REQUIRE(late.machine.state_hash() == early.machine.state_hash());
    for (int n = cut; n < 200; ++n) late.apply(sample(n));
    REQUIRE(late.machine.state_hash() == straight.machine.state_hash());
    TreeSnapshot saved_straight, saved_late;
    REQUIRE(straight.machine.save(saved_straight).ok());
    REQUIRE(late.machine.save(saved_late).ok());
    REQUIRE(saved_straight.tree == saved_late.tree);
  }
}

TEST_CASE("the state hash sees every part of the state") {
  Driver base;
  base.apply(write("a", "1"));
  base.apply({.session = 1, .request = 1, .kind = CommandKind::kRead, .key = "a"});
  const uint64_t hash = base.machine.state_hash();
  Driver other = base;
  other.apply(write("a", "2"));
  REQUIRE(other.machine.state_hash() != hash);
  other.apply(write("a", "1"));
  REQUIRE(other.machine.state_hash() == hash);
  other.apply(write("b", "1"));
  REQUIRE(other.machine.state_hash() != hash);
  other.apply(write("b", ""));
  REQUIRE(other.machine.state_hash() == hash);
  other.apply({.kind = CommandKind::kAdd, .amount = 1});
  REQUIRE(other.machine.state_hash() != hash);
  other = base;
  other.apply({.session = 1, .request = 2, .kind = CommandKind::kRead, .key = "a"});
  REQUIRE(other.machine.state_hash() != hash);
}

TEST_CASE("a snapshot of braft's counter loads, and data is written as braft writes it") {
  const std::string data("\0\0\0\3\x08\xb9\x43", 7);
  StateMachine machine;
  REQUIRE(machine.load(TreeSnapshot(Tree{{"data", data}})).ok());
  REQUIRE(machine.counter() == 8633);
  TreeSnapshot saved;
  REQUIRE(machine.save(saved).ok());
  REQUIRE(saved.tree["data"] == data);
  REQUIRE(saved.files() == std::vector<SnapshotFile>{{"data", {}}, {"kv", {}}});
}

TEST_CASE("other contents are refused and change nothing") {
  Driver driver;
  for (int n = 0; n < 20; ++n) driver.apply(sample(n));
  TreeSnapshot good;
  REQUIRE(driver.machine.save(good).ok());
  const uint64_t hash = driver.machine.state_hash();
  std::vector<Tree> bad = {
      {},
      {{"kv", good.tree["kv"]}},
      {{"data", good.tree["data"]}, {"other", ""}},
      {{"data", ""}},
      {{"data", std::string("\0\0\0\0", 4)}},            // no value
      {{"data", std::string("\0\0\0\x04\x08\x01", 6)}},  // shorter than it says
      {{"data", std::string("\0\0\0\1\xff", 5)}},
      {{"data", std::string(1000, '\0')}},
      {{"data", good.tree["data"]}, {"kv", ""}},
      {{"data", good.tree["data"]}, {"kv", good.tree["kv"] + "x"}},
  };
  for (size_t i = 0; i < good.tree["kv"].size(); ++i) {
    Tree flipped = good.tree;
    flipped["kv"][i] = static_cast<char>(flipped["kv"][i] ^ 1);
    bad.push_back(flipped);
  }
  std::string counts = good.tree["kv"];  // more keys than there are, under a right checksum
  counts[8] = 100;
  counts.resize(counts.size() - 4);
  put_le32(&counts, crc32c(counts));
  bad.push_back({{"data", good.tree["data"]}, {"kv", counts}});
  for (const Tree& tree : bad) {
    REQUIRE_FALSE(driver.machine.load(TreeSnapshot(tree)).ok());
    REQUIRE(driver.machine.state_hash() == hash);
  }
  REQUIRE(driver.machine.load(good).ok());
}

}  // namespace
}  // namespace qk::sim
