// Damage to the rows and the layout of a store on a key-value engine: an error that names the
// place, never a wrong value, never a fresh store. Damage to the engine's files is the engine's
// matter.
#include "families/engine/format.h"
#include "families/engine/row.h"
#include "families/engine/test_util.h"

namespace qk::families {
namespace {

std::string log_key(int64_t index) {
  std::string key;
  set_log_key(&key, index);
  return key;
}

// DataLoss that names `place`.
void check_damaged(const absl::Status& status, std::string_view place) {
  INFO(status);
  REQUIRE(absl::IsDataLoss(status));
  CHECK(std::string(status.message()).find(place) != std::string::npos);
}

struct Row {
  std::string key;
  std::string name;
};

std::vector<Row> all_kinds_of_rows() {
  return {
      {state_key(StateRow::kFirstIndex), "state row \"first_index\""},
      {state_key(StateRow::kHardState), "state row \"hard_state\""},
      {state_key(StateRow::kSnapshot), "state row \"snapshot\""},
      {log_key(4), "log row 4"},
      {log_key(6), "log row 6"},
      {log_key(9), "log row 9"},
  };
}

void fill(KvInstance& instance) {
  REQUIRE_OK(instance.log().append(data_entries(1, 9, 3, 40)));
  REQUIRE_OK(instance.log().truncate_prefix(4));
  REQUIRE_OK(instance->meta().save({7, "127.0.0.1:8100:0:0"}));
  REQUIRE_OK(publish_snapshot(*instance, 3, 2, {{"data", "contents"}}));
}

TEST_CASE("a flip of any byte of any row, or its end cut off, is damage of that row") {
  KvInstance instance;
  fill(instance);
  const std::string whole = instance.state();
  for (const Row& row : all_kinds_of_rows()) {
    const std::string intact = instance.row(row.key);
    CAPTURE(row.name);
    for (size_t i = 0; i < intact.size(); ++i) {
      CAPTURE(i);
      for (const char mask : {'\x01', '\x80', '\xff'}) {
        std::string flipped = intact;
        flipped[i] = static_cast<char>(flipped[i] ^ mask);
        instance.put_row(row.key, flipped);
        check_damaged(instance.reopened_state().status(), row.name);
      }
      instance.put_row(row.key, intact.substr(0, i));
      check_damaged(instance.reopened_state().status(), row.name);
    }
    instance.put_row(row.key, intact + "x");
    check_damaged(instance.reopened_state().status(), row.name);
    instance.put_row(row.key, intact);
  }
  CHECK(*instance.reopened_state() == whole);
}

TEST_CASE("a missing row is damage and never a default") {
  KvInstance instance;
  fill(instance);
  for (const Row& row : all_kinds_of_rows()) {
    // That the last row was ever there, nothing tells: its commit is the engine's to keep.
    if (row.key == log_key(9)) continue;
    const std::string intact = instance.row(row.key);
    instance.remove_row(row.key);
    check_damaged(instance.reopened_state().status(), row.name);
    instance.put_row(row.key, intact);
    REQUIRE_OK(instance.reopened_state());
  }
}

TEST_CASE("a row in another's place is damage") {
  KvInstance instance;
  fill(instance);
  instance.put_row(log_key(6), instance.row(log_key(5)));
  check_damaged(instance.reopened_state().status(), "log row 6");
  CHECK(absl::IsDataLoss(instance.log().entry(6).status()));
  CHECK(absl::IsDataLoss(instance.log().term(6).status()));
  REQUIRE_OK(instance.log().entry(5));
  instance.put_row(state_key(StateRow::kHardState), instance.row(state_key(StateRow::kSnapshot)));
  check_damaged(instance.reopened_state().status(), "state row \"hard_state\"");
}

TEST_CASE("a term is verified without its payload") {
  KvInstance instance;
  fill(instance);
  std::string bytes = instance.row(log_key(6));
  bytes.back() ^= 1;
  instance.put_row(log_key(6), bytes);
  REQUIRE_OK(instance.open());
  CHECK(*instance.log().term(6) == 3);
  check_damaged(instance.log().entry(6).status(), "log row 6");
  bytes[0] ^= 1;
  instance.put_row(log_key(6), bytes);
  REQUIRE_OK(instance.open());
  check_damaged(instance.log().term(6).status(), "log row 6");
}

TEST_CASE("rows outside the log's range and keys of no row are damage") {
  KvInstance instance;
  fill(instance);
  const std::string row = instance.row(log_key(4));
  SECTION("below the first index") {
    instance.put_row(log_key(2), row);
    check_damaged(instance.open(), "log row 2");
  }
  SECTION("beyond a gap") {
    instance.put_row(log_key(12), row);
    REQUIRE_OK(instance.open());
    check_damaged(instance.log().scan(4, 12, [](const LogEntry&) { return absl::OkStatus(); }),
                  "log row 10");
    check_damaged(instance.log().entry(11).status(), "log row 11");
    check_damaged(instance.log().term(10).status(), "log row 10");
  }
  SECTION("too short a key") {
    instance.put_row("\x02\x01", row);
    check_damaged(instance.open(), "key 0201");
  }
  SECTION("a negative index") {
    instance.put_row(log_key(-1), row);
    check_damaged(instance.open(), "key 02ffffffffffffffff");
  }
}

TEST_CASE("a damaged snapshot is an error and never none") {
  KvInstance instance;
  fill(instance);
  const std::string file = cat(instance.root, "/snapshot/00000000000000000003-2/data");
  REQUIRE_OK(write_file(instance.fs, file, "contentz"));
  REQUIRE_OK(instance.open());
  check_damaged(instance->snapshot().open().status(), file);
  CHECK(instance->snapshot().current()->last_included_index == 3);
}

TEST_CASE("a store that lost its database is damaged, never fresh") {
  KvInstance instance;
  fill(instance);
  instance.close();
  const bool create = GENERATE(false, true);
  SECTION("no database") {
    REQUIRE_OK(remove_tree(instance.fs, instance.db));
    check_damaged(instance.open(create), "/snapshot/00000000000000000003-2");
  }
  SECTION("an empty directory") {
    REQUIRE_OK(remove_tree(instance.fs, instance.db));
    REQUIRE_OK(instance.fs.mkdir(instance.db));
    check_damaged(instance.open(create), "empty directory");
  }
  SECTION("a file") {
    REQUIRE_OK(remove_tree(instance.fs, instance.db));
    REQUIRE_OK(write_file(instance.fs, instance.db, "x"));
    check_damaged(instance.open(create), "expected a directory");
  }
  SECTION("the engine's files are gone") {
    REQUIRE_OK(instance.fs.unlink(cat(instance.db, "/commits")));
    check_damaged(instance.open(create), "commits");
  }
  SECTION("FORMAT is gone") {
    REQUIRE_OK(instance.fs.unlink(cat(instance.db, "/FORMAT")));
    check_damaged(instance.open(create), "FORMAT: missing");
  }
}

TEST_CASE("a store of another family or format is refused before the engine sees it") {
  KvInstance instance;
  fill(instance);
  instance.close();
  // An engine that saw the directory would say so.
  const auto refusal = [&](std::string_view line) {
    REQUIRE_OK(write_file(instance.fs, cat(instance.db, "/FORMAT"), line));
    REQUIRE_OK(remove_tree(instance.fs, cat(instance.db, "/commits")));
    return instance.open(true);
  };
  const auto sealed = [](std::string text) {
    const uint32_t crc = crc32c(text);
    return cat(text, " ", hex8(crc), "\n");
  };
  SECTION("another family") {
    const absl::Status status = instance.open(true, "other");
    CHECK(status.code() == absl::StatusCode::kFailedPrecondition);
    CHECK(std::string(status.message()).find("family test, expected other") != std::string::npos);
    REQUIRE_OK(instance.open());
  }
  SECTION("a newer format") {
    const absl::Status status = refusal(sealed("qksim test 2"));
    CHECK(status.code() == absl::StatusCode::kFailedPrecondition);
    CHECK(std::string(status.message()).find("format 2 is newer") != std::string::npos);
  }
  SECTION("no format of ours") {
    for (const std::string& line :
         {sealed("qksim test"), sealed("qksim test one"), sealed("other test 1"),
          sealed("qksim  1"), sealed(""), std::string(300, 'x'), std::string()}) {
      CAPTURE(line);
      check_damaged(refusal(line), "FORMAT");
    }
  }
}

TEST_CASE("a flip of any byte of FORMAT is damage") {
  KvInstance instance;
  instance.close();
  const std::string path = cat(instance.db, "/FORMAT");
  const std::string intact = *read_file(instance.fs, path, 100);
  for (size_t i = 0; i < intact.size(); ++i) {
    std::string flipped = intact;
    flipped[i] = static_cast<char>(flipped[i] ^ 1);
    REQUIRE_OK(write_file(instance.fs, path, flipped));
    check_damaged(instance.open(true), "FORMAT");
    REQUIRE_OK(write_file(instance.fs, path, intact.substr(0, i)));
    check_damaged(instance.open(true), "FORMAT");
  }
  REQUIRE_OK(write_file(instance.fs, path, intact));
  REQUIRE_OK(instance.open());
}

}  // namespace
}  // namespace qk::families
