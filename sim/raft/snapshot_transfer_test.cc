// The two ends of a snapshot transfer against each other, and each against a partner that lies.
#include <catch2/catch.hpp>
#include <cerrno>

#include "families/builtin.h"
#include "families/fs/file_util.h"
#include "families/fs/overlay_file_system.h"
#include "families/fs/posix_file_system.h"
#include "families/fs/temp_directory.h"
#include "sim/raft/snapshot_download.h"
#include "sim/raft/snapshot_server.h"

namespace qk::raft {
namespace {

using Result = SnapshotDownload::Result;

const std::string kLeader = "127.0.0.1:8100:0:0";
const std::string kFollower = "127.0.0.1:8101:0:0";
constexpr uint32_t kChunk = 10;

// A family with its driver, on a file system in memory.
struct Storage {
  families::TempDirectory directory;
  families::PosixFileSystem posix;
  families::OverlayFileSystem fs{&posix};
  families::VolatileMemory memory{1};
  families::Registry registry = families::builtin_families(&memory);
  std::unique_ptr<families::Family> family;
  std::unique_ptr<families::PlainDriver> driver;

  Storage() {
    families::OpenRequest request;
    request.fs = &fs;
    request.root = directory.path() + "/data";
    request.create = true;
    auto opened = registry.all().front().open(request);
    REQUIRE(opened.ok());
    family = std::move(*opened);
    driver = std::make_unique<families::PlainDriver>(family.get());
  }
};

const families::SnapshotMeta kMeta{7, 3, {kLeader, kFollower}, {}};

std::shared_ptr<families::SnapshotReader> publish_one(Storage& storage) {
  auto writer = storage.driver->create_snapshot();
  REQUIRE(writer.ok());
  for (const auto& [path, bytes] :
       std::vector<std::pair<std::string, std::string>>{{"a/b/long", std::string(35, 'x')},
                                                        {"empty", ""},
                                                        {"exact", std::string(kChunk, 'y')}}) {
    auto file = (*writer)->create_file(path);
    REQUIRE(file.ok());
    REQUIRE((*file)->write_at(0, bytes).ok());
    families::FileMeta meta;
    meta.checksum = path;
    REQUIRE((*writer)->add_file(path, meta).ok());
  }
  REQUIRE((*writer)->save_meta(kMeta).ok());
  REQUIRE(storage.driver->apply(families::Mutation::publish(std::move(*writer))).ok());
  auto reader = storage.family->snapshot().open();
  REQUIRE(reader.ok());
  return *reader;
}

Download offer(const std::string& uri = "remote://127.0.0.1:8100/5") {
  return Download{kLeader, 1, kMeta, uri};
}

std::unique_ptr<SnapshotDownload> begin(Storage& storage) {
  auto download = SnapshotDownload::begin(offer(), kChunk, storage.driver.get());
  REQUIRE(download.ok());
  return std::move(*download);
}

// A download that was given this table and waits for the first chunk.
std::unique_ptr<SnapshotDownload> with_table(Storage& storage, const std::string& path,
                                             Result expected) {
  auto download = begin(storage);
  (void)download->request(1);
  families::SnapshotFile file;
  file.path = path;
  CHECK(download->on_response(file_response(1, true, encode_table(kMeta, {file}))) == expected);
  return download;
}

TEST_CASE("a snapshot arrives as it was") {
  Storage from, to;
  SnapshotServer server(kLeader, 5);
  auto& transfer = server.open(kFollower, publish_one(from), 0);
  CHECK(server.uri_of(transfer) == offer().uri);
  auto download = begin(to);
  int requests = 0;
  Result result = Result::kContinue;
  while (result == Result::kContinue) {
    const uint64_t call = static_cast<uint64_t>(100 + requests++);
    result = download->on_response(server.serve(download->request(call), 1));
  }
  REQUIRE(result == Result::kComplete);
  CHECK(requests == 1 + 4 + 1 + 1);
  CHECK_FALSE(to.family->snapshot().current());
  REQUIRE(to.driver->apply(families::Mutation::publish(download->take_writer())).ok());
  auto reader = to.family->snapshot().open();
  REQUIRE(reader.ok());
  CHECK((*reader)->meta() == kMeta);
  CHECK((*reader)->files() == transfer.reader->files());
  const auto bytes = families::read_file(to.fs, (*reader)->get_path() + "/a/b/long", 100);
  REQUIRE(bytes.ok());
  CHECK(*bytes == std::string(35, 'x'));
}

TEST_CASE("the server answers nothing but listed files of open readers") {
  Storage from;
  SnapshotServer server(kLeader, 5);
  server.open(kFollower, publish_one(from), 0);
  const auto error_of = [&](FileRequest request) {
    return server.serve(to_packet(request, 1), 9).error;
  };
  CHECK(error_of({5, "empty", 0, 10}) == 0);
  CHECK(error_of({6, "empty", 0, 10}) == ENOENT);
  CHECK(error_of({5, "../raft_meta/raft_meta", 0, 10}) != 0);
  CHECK(error_of({5, "unlisted", 0, 10}) != 0);
  CHECK(error_of({5, "empty", 0, 0}) == EINVAL);
  CHECK(server.find(kFollower)->last_activity == 9);
  // Beyond the end there is nothing, and a huge count does not allocate a huge buffer.
  const Packet beyond = server.serve(to_packet(FileRequest{5, "exact", 1000, 10}, 1), 9);
  CHECK(beyond.attachment.empty());
  CHECK(server.serve(to_packet(FileRequest{5, "exact", 0, INT64_MAX}, 1), 9).attachment.size() ==
        kChunk);
  // A second transfer of the same follower ends the first.
  auto reader = from.family->snapshot().open();
  REQUIRE(reader.ok());
  server.open(kFollower, *reader, 10);
  CHECK(error_of({5, "empty", 0, 10}) == ENOENT);
  CHECK(error_of({6, "empty", 0, 10}) == 0);
}

TEST_CASE("only the leader's own uri is followed") {
  Storage to;
  for (const char* uri :
       {"remote://127.0.0.1:8100/", "remote://127.0.0.1:8100/5x", "remote://127.0.0.1:8102/5",
        "local:///etc/passwd", "", "remote://127.0.0.1:81000/5"}) {
    INFO(uri);
    CHECK_FALSE(SnapshotDownload::begin(offer(uri), kChunk, to.driver.get()).ok());
  }
}

TEST_CASE("a table for another snapshot, or with unsafe names, is not followed") {
  Storage to;
  families::SnapshotMeta other = kMeta;
  other.last_included_index = 8;
  auto download = begin(to);
  (void)download->request(1);
  CHECK(download->on_response(file_response(1, true, encode_table(other, {}))) ==
        Result::kAbandoned);
  CHECK(to_std(download->status().message()) ==
        "snapshot table is for index 8, term 3, expected index 7, term 3 and the same peers");
  with_table(to, "fine", Result::kContinue);
  with_table(to, "../escape", Result::kAbandoned);
  with_table(to, "__raft_snapshot_meta/x", Result::kAbandoned);
  with_table(to, "/as-listed", Result::kContinue);
}

TEST_CASE("chunks are bounded and in order") {
  Storage to;
  auto download = with_table(to, "file", Result::kContinue);
  (void)download->request(2);
  CHECK(download->on_response(file_response(1, false, "stale")) == Result::kIgnored);
  CHECK(download->on_response(file_response(2, false, "fresh")) == Result::kContinue);
  CHECK(download->on_response(file_response(2, false, "again")) == Result::kIgnored);
  const auto next = file_request(download->request(3));
  REQUIRE(next.ok());
  CHECK(next->offset == 5);
  CHECK(download->on_response(file_response(3, true, std::string(kChunk + 1, 'x'))) ==
        Result::kAbandoned);
  download.reset();  // one writer at a time

  download = with_table(to, "file", Result::kContinue);
  (void)download->request(2);
  CHECK(download->on_response(file_response(2, false, "")) == Result::kAbandoned);
  download.reset();

  download = with_table(to, "file", Result::kContinue);
  Packet gone = file_response(2, true, "");
  gone.error = ENOENT;
  (void)download->request(2);
  CHECK(download->on_response(gone) == Result::kAbandoned);
  download.reset();
  CHECK_FALSE(to.family->snapshot().current());
}

TEST_CASE("a leader that is silent for long is given up") {
  Storage to;
  auto download = begin(to);
  int again = 0;
  while (download->on_timeout()) ++again;
  CHECK(again == 9);
}

}  // namespace
}  // namespace qk::raft
