// The log of the local family against a model (a deque of entries and a first index), through
// reopening; its edges; and what recovery says about crafted files. Crashes at every disk operation
// are in conformance/crash_checks.cc.
#include "families/local/log_storage.h"

#include <catch2/catch.hpp>
#include <deque>
#include <functional>

#include "families/base/bytes.h"
#include "families/fs/file_util.h"
#include "families/testing/scratch_disk.h"

namespace qk::families::local {
namespace {

LogEntry data(int64_t index, int64_t term, size_t size) {
  return {index, term, EntryType::kData, std::string(size, static_cast<char>('a' + index % 26))};
}

// One log in a temporary directory.
class Bench {
 public:
  explicit Bench(LogOptions options = {.segment_size = 300}) : options_(options) {
    REQUIRE(SegmentLogStorage::create(fs, path()).ok());
    reopen();
  }

  const std::string& path() const { return disk_.path(); }
  SegmentLogStorage& log() { return *log_; }

  void close() { log_.reset(); }
  // As a kill leaves it: nothing is done at the end.
  void kill() {
    fail_stop_.trip(absl::AbortedError("killed"));
    close();
  }
  absl::Status try_reopen() {
    close();
    fail_stop_ = FailStop();
    auto opened = SegmentLogStorage::open(fs, path(), options_, &fail_stop_);
    if (opened.ok()) log_ = *std::move(opened);
    return opened.status();
  }
  void reopen() {
    const absl::Status status = try_reopen();
    INFO(status);
    REQUIRE(status.ok());
  }

  Outcome append(int64_t count, size_t size, int64_t term = 1) {
    std::vector<LogEntry> batch;
    for (int64_t i = 1; i <= count; ++i) {
      batch.push_back(data(log_->last_index() + i, term, size));
    }
    return log_->append(batch);
  }
  std::vector<std::string> names() { return *fs.list(path()); }
  std::string read(const std::string& name) {
    return *read_file(fs, join_path(path(), name), uint64_t{1} << 30);
  }
  void write(const std::string& name, std::string_view bytes) {
    REQUIRE(write_file(fs, join_path(path(), name), bytes).ok());
  }

 private:
  ScratchDisk disk_;

 public:
  FileSystem& fs = disk_.fs();

 private:
  LogOptions options_;
  FailStop fail_stop_;
  std::unique_ptr<SegmentLogStorage> log_;
};

struct Model {
  int64_t first = 1;
  std::deque<LogEntry> entries;

  int64_t last() const { return first + static_cast<int64_t>(entries.size()) - 1; }
  void truncate_prefix(int64_t first_kept) {
    while (first < first_kept) {
      if (!entries.empty()) entries.pop_front();
      ++first;
    }
  }
  void truncate_suffix(int64_t last_kept) {
    while (last() > last_kept) entries.pop_back();
  }
  void reset(int64_t next) {
    entries.clear();
    first = next;
  }
};

void require_equal(SegmentLogStorage& log, const Model& model) {
  REQUIRE(log.first_index() == model.first);
  REQUIRE(log.last_index() == model.last());
  if (model.entries.empty()) return;
  size_t position = 0;
  REQUIRE(log.scan(model.first, model.last(),
                   [&](const LogEntry& entry) {
                     REQUIRE(entry == model.entries[position++]);
                     return absl::OkStatus();
                   })
              .ok());
  REQUIRE(position == model.entries.size());
  for (const LogEntry& entry : model.entries) REQUIRE(*log.term(entry.index) == entry.term);
}

// xorshift; the same sequence everywhere.
struct Dice {
  uint64_t state;
  int64_t roll(int64_t sides) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return static_cast<int64_t>(state % static_cast<uint64_t>(sides));
  }
};

void random_mutation(Dice& dice, SegmentLogStorage& log, Model& model) {
  const int64_t length = model.last() - model.first + 1;
  switch (dice.roll(8)) {
    case 0: {
      const int64_t first_kept = model.first + dice.roll(length + 4);
      REQUIRE(log.truncate_prefix(first_kept).ok());
      return model.truncate_prefix(first_kept);
    }
    case 1:
    case 2: {
      const int64_t last_kept = model.last() - dice.roll(length + 1);
      REQUIRE(log.truncate_suffix(last_kept).ok());
      return model.truncate_suffix(last_kept);
    }
    case 3: {
      if (dice.roll(4) > 0) return;
      const int64_t next = std::max<int64_t>(1, model.first - 5 + dice.roll(length + 12));
      REQUIRE(log.reset(next).ok());
      return model.reset(next);
    }
    default: {
      std::vector<LogEntry> batch;
      const int64_t count = dice.roll(12);
      for (int64_t i = 0; i < count; ++i) {
        LogEntry entry{model.last() + 1, 1 + dice.roll(4), EntryType::kData, ""};
        if (dice.roll(6) == 0) entry.type = EntryType::kNoOp;
        if (dice.roll(6) == 0) {
          entry.type = EntryType::kConfiguration;
          entry.payload = encode_configuration({{"127.0.0.1:8100:0:0"}, {}});
        }
        if (entry.type == EntryType::kData) {
          entry.payload.assign(static_cast<size_t>(dice.roll(90)),
                               static_cast<char>(dice.roll(256)));
        }
        model.entries.push_back(entry);
        batch.push_back(entry);
      }
      const Outcome outcome = log.append(batch);
      REQUIRE(outcome.ok());
      REQUIRE(outcome.count() == count);
    }
  }
}

TEST_CASE("random histories equal the model, before and after reopening") {
  for (const ChecksumType checksum : {ChecksumType::kCrc32c, ChecksumType::kMurmur32}) {
    Dice dice{0x9e3779b97f4a7c15 + static_cast<uint64_t>(checksum)};
    Bench bench({.segment_size = 300, .checksum_type = checksum});
    Model model;
    for (int step = 0; step < 250; ++step) {
      INFO("step " << step);
      random_mutation(dice, bench.log(), model);
      require_equal(bench.log(), model);
      if (dice.roll(3) == 0) {
        bench.reopen();
        require_equal(bench.log(), model);
      }
    }
  }
}

TEST_CASE("a sparse index finds every entry of a long segment") {
  Bench bench({.segment_size = 1 << 20});
  REQUIRE(bench.append(150, 10, 3).ok());
  REQUIRE(bench.append(150, 0, 4).ok());
  for (int round = 0; round < 2; ++round) {
    for (int64_t index = 1; index <= 300; ++index) {
      const int64_t term = index <= 150 ? 3 : 4;
      REQUIRE(*bench.log().term(index) == term);
      const auto entry = bench.log().entry(index);
      REQUIRE(entry.ok());
      REQUIRE(*entry == data(index, term, index <= 150 ? 10 : 0));
    }
    bench.reopen();
  }
}

TEST_CASE("bad arguments are refused and change nothing") {
  Bench bench;
  REQUIRE(bench.append(3, 10).ok());
  const auto refused = [&](const Outcome& outcome) {
    CHECK(outcome.kind() == Outcome::Kind::kFailedClean);
    CHECK(absl::IsInvalidArgument(outcome.status()));
    CHECK(bench.log().first_index() == 1);
    CHECK(bench.log().last_index() == 3);
  };
  const auto append = [&](std::vector<LogEntry> batch) { return bench.log().append(batch); };
  refused(append({data(5, 1, 1)}));                 // gap
  refused(append({data(3, 1, 1)}));                 // overwrite
  refused(append({data(4, 1, 1), data(6, 1, 1)}));  // gap inside
  refused(append({data(4, 0, 1)}));                 // term
  refused(append({{4, 1, EntryType::kConfiguration, "\xff"}}));
  refused(bench.log().truncate_suffix(-1));
  refused(bench.log().reset(0));
  CHECK(append({}).ok());
  CHECK(absl::IsOutOfRange(bench.log().entry(0).status()));
  CHECK(absl::IsOutOfRange(bench.log().entry(4).status()));
  CHECK(absl::IsOutOfRange(bench.log().term(4).status()));
  const auto ignore = [](const LogEntry&) { return absl::OkStatus(); };
  CHECK(absl::IsOutOfRange(bench.log().scan(2, 4, ignore)));
  CHECK(absl::IsOutOfRange(bench.log().scan(0, 1, ignore)));
  // The instance goes on.
  CHECK(append({data(4, 1, 1)}).ok());
}

TEST_CASE("truncations beyond their range do nothing") {
  Bench bench;
  REQUIRE(bench.append(3, 10).ok());
  CHECK(bench.log().truncate_prefix(1).ok());
  CHECK(bench.log().truncate_prefix(-7).ok());
  CHECK(bench.log().truncate_suffix(3).ok());
  CHECK(bench.log().truncate_suffix(99).ok());
  CHECK(bench.log().first_index() == 1);
  CHECK(bench.log().last_index() == 3);
}

TEST_CASE("an error of the visitor ends a scan") {
  Bench bench;
  REQUIRE(bench.append(30, 30).ok());
  int seen = 0;
  const absl::Status status = bench.log().scan(1, 30, [&](const LogEntry& entry) {
    ++seen;
    return entry.index == 17 ? absl::CancelledError("enough") : absl::OkStatus();
  });
  CHECK(absl::IsCancelled(status));
  CHECK(seen == 17);
}

TEST_CASE("an empty log remembers its range") {
  Bench bench;
  REQUIRE(bench.log().reset(101).ok());
  for (int round = 0; round < 2; ++round) {
    CHECK(bench.log().first_index() == 101);
    CHECK(bench.log().last_index() == 100);
    bench.reopen();
  }
  REQUIRE(bench.append(1, 5).ok());
  CHECK(bench.log().last_index() == 101);
}

TEST_CASE("segments without log_meta are damage, also those of a log that begins at 1") {
  for (const int64_t count : {1, 40}) {
    Bench bench;
    REQUIRE(bench.append(count, 20).ok());
    REQUIRE(bench.fs.unlink(join_path(bench.path(), "log_meta")).ok());
    const std::vector<std::string> names = bench.names();
    const absl::Status opened = bench.try_reopen();
    INFO(opened);
    CHECK(absl::IsDataLoss(opened));
    CHECK(bench.names() == names);
  }
}

TEST_CASE("log_meta's former note of a truncation is not obeyed, braft may have written since") {
  Bench bench;
  REQUIRE(bench.append(40, 40).ok());
  const std::string found = bench.read("log_meta");
  REQUIRE(found == std::string("\0\0\0\2\x08\1", 6));
  bench.write("log_meta", std::string("\0\0\0\4\x08\1\x10\7", 8));
  bench.reopen();
  CHECK(bench.log().first_index() == 1);
  CHECK(bench.log().last_index() == 40);
}

TEST_CASE("an interrupted roll is repaired, and two real open segments are refused") {
  Bench bench;
  REQUIRE(bench.append(3, 40).ok());
  bench.write("log_inprogress_00000000000000000004", "");
  bench.reopen();
  CHECK(bench.log().last_index() == 3);
  REQUIRE(bench.append(1, 40).ok());
  bench.reopen();
  CHECK(bench.log().last_index() == 4);
  bench.write("log_inprogress_00000000000000000005", "x");
  CHECK(absl::IsDataLoss(bench.try_reopen()));
}

TEST_CASE("rot in a closed payload is found when it is read, and names the place") {
  Bench bench;
  REQUIRE(bench.append(40, 40).ok());
  const std::string name = bench.names()[0];
  std::string bytes = bench.read(name);
  bytes[24 + 3] ^= 1;
  bench.write(name, bytes);
  bench.reopen();
  const absl::Status status = bench.log().entry(1).status();
  CHECK(absl::IsDataLoss(status));
  CHECK_THAT(std::string(status.message()), Catch::Contains(name + ", offset 0, index 1"));
  CHECK(bench.log().entry(2).ok());
}

// A batch of four entries of 1000 bytes after two synced ones, in the middle of its write: its
// sectors may be lost one by one. The batch note is there, as it was before the write.
class TornBatch {
 public:
  TornBatch() : bench_({.segment_size = 1 << 20}) {
    REQUIRE(bench_.append(2, 300).ok());
    synced_ = bench_.read(kName).size();
    note = {1, synced_, synced_ + (1 << 20)};
    REQUIRE(bench_.append(4, 1000).ok());
    bytes_ = bench_.read(kName);
    bench_.close();
  }
  void lose_sector(size_t number, char with = '\0') {
    for (size_t i = std::max(synced_, number * 512);
         i < std::min(bytes_.size(), number * 512 + 512); ++i) {
      bytes_[i] = with == '\0' ? '\0' : static_cast<char>(bytes_[i] ^ with);
    }
  }
  std::string& bytes() { return bytes_; }
  size_t synced() const { return synced_; }
  absl::Status reopen() {
    bench_.close();
    bench_.write(kName, bytes_);
    if (note) bench_.write(std::string(kBatchNoteName), encode_batch_note(*note));
    return bench_.try_reopen();
  }
  // A refused directory is as it was.
  bool refused() {
    const absl::Status status = reopen();
    UNSCOPED_INFO(status);
    if (absl::IsDataLoss(status)) CHECK(bench_.read(kName) == bytes_);
    return absl::IsDataLoss(status);
  }
  int64_t last_index() { return bench_.log().last_index(); }
  std::vector<std::string> names() { return bench_.names(); }

  std::optional<BatchNote> note;

 private:
  static constexpr const char* kName = "log_inprogress_00000000000000000001";
  Bench bench_;
  size_t synced_ = 0;
  std::string bytes_;
};

TEST_CASE("a torn batch is cut at its first lost sector") {
  // Offsets: entries 3..6 begin at 648, 1672, 2696, 3720 and end at 4744.
  const struct {
    size_t sector;
    int64_t last;
  } kExpected[] = {{1, 2}, {2, 2}, {3, 2}, {4, 3}, {5, 3}, {6, 4}, {7, 4}, {8, 5}, {9, 5}};
  for (const auto& expected : kExpected) {
    INFO("sector " << expected.sector);
    TornBatch batch;
    batch.lose_sector(expected.sector);
    REQUIRE(batch.reopen().ok());
    CHECK(batch.last_index() == expected.last);
    // The next open needs no note, and finds none.
    CHECK(batch.names() ==
          std::vector<std::string>{"log_inprogress_00000000000000000001", "log_meta"});
    batch.note.reset();
  }
}

TEST_CASE("without a note of its own range, a torn batch cannot be told from corruption") {
  TornBatch batch;
  batch.lose_sector(3);
  SECTION("no note") { batch.note.reset(); }
  SECTION("of another segment") { batch.note->segment = 2; }
  SECTION("acknowledged since") { batch.note->acknowledged = batch.bytes().size(); }
  SECTION("acknowledged up to no entry's end") { batch.note->acknowledged -= 1; }
  SECTION("of a range before it") { batch.note->end = batch.synced(); }
  CHECK(batch.refused());
}

TEST_CASE("rot before an intact entry is an error, at the end it is a torn entry") {
  const struct {
    size_t offset;
    bool refused;
  } kExpected[] = {{0, true},    {30, true},   {648, true},   {700, true},
                   {1672, true}, {3000, true}, {3720, false}, {4743, false}};
  for (const auto& expected : kExpected) {
    INFO("offset " << expected.offset);
    TornBatch batch;
    batch.bytes()[expected.offset] ^= 0x10;
    CHECK(batch.refused() == expected.refused);
    if (!expected.refused) CHECK(batch.last_index() == 5);
  }
}

TEST_CASE("a lost sector full of garbage before an intact entry is refused") {
  TornBatch batch;
  batch.lose_sector(3, 0x5a);
  CHECK(batch.refused());
}

// Entries whose payloads hold what a lost sector looks like, appended and acknowledged in batches;
// then some bytes change. `killed`: the instance was not closed.
void check_rot(bool killed, const std::function<bool(std::string* bytes, size_t begin)>& rot) {
  constexpr size_t kEntry = 24 + 4000;
  for (size_t entry = 0; entry < 11; ++entry) {
    Bench bench({.segment_size = 1 << 20});
    for (int batch = 0; batch < 3; ++batch) {
      std::vector<LogEntry> entries;
      for (int64_t i = 1; i <= 4; ++i) {
        entries.push_back(
            {bench.log().last_index() + i, 1, EntryType::kData,
             std::string(1000, 'a') + std::string(2000, '\0') + std::string(1000, 'b')});
      }
      REQUIRE(bench.log().append(entries).ok());
    }
    if (killed) {
      bench.kill();
    } else {
      bench.close();
    }
    const std::string name = "log_inprogress_00000000000000000001";
    std::string bytes = bench.read(name);
    REQUIRE(bytes.size() == 12 * kEntry);
    if (!rot(&bytes, entry * kEntry)) continue;
    bench.write(name, bytes);
    const std::vector<std::string> names = bench.names();
    const absl::Status status = bench.try_reopen();
    INFO("entry " << entry + 1 << ": " << status);
    CHECK(absl::IsDataLoss(status));
    CHECK_THAT(std::string(status.message()),
               Catch::Contains(cat("index ", entry + 1, ":")) &&
                   Catch::Contains("an intact entry follows at offset"));
    CHECK(bench.read(name) == bytes);
    CHECK(bench.names() == names);
  }
}

TEST_CASE("acknowledged entries that rot are never cut, whatever their payloads hold") {
  const bool killed = GENERATE(false, true);
  SECTION("a flipped bit in a payload that holds zeros") {
    check_rot(killed, [](std::string* bytes, size_t begin) {
      (*bytes)[begin + 30] ^= 1;
      return true;
    });
  }
  SECTION("a flipped bit in a header") {
    check_rot(killed, [](std::string* bytes, size_t begin) {
      (*bytes)[begin + 13] ^= 4;
      return true;
    });
  }
  SECTION("a zeroed sector inside a payload") {
    check_rot(killed, [](std::string* bytes, size_t begin) {
      std::fill_n(bytes->begin() + static_cast<long>((begin + 511) / 512 * 512), 512, '\0');
      return true;
    });
  }
  SECTION("a zeroed header") {
    check_rot(killed, [](std::string* bytes, size_t begin) {
      std::fill_n(bytes->begin() + static_cast<long>(begin), 24, '\0');
      return true;
    });
  }
  SECTION("512 zeroed bytes at the start") {
    check_rot(killed, [](std::string* bytes, size_t begin) {
      if (begin > 0) return false;
      std::fill_n(bytes->begin(), 512, '\0');
      return true;
    });
  }
}

TEST_CASE("a payload that holds an entry may be torn before it") {
  Bench bench({.segment_size = 1 << 20});
  REQUIRE(bench.append(1, 100).ok());
  const std::string name = "log_inprogress_00000000000000000001";
  std::string inner;
  encode_entry(data(9, 1, 50), ChecksumType::kCrc32c, &inner);
  const size_t synced = bench.read(name).size();
  REQUIRE(
      bench.log()
          .append(std::vector<LogEntry>{{2, 1, EntryType::kData, std::string(1500, 'p') + inner}})
          .ok());
  CHECK(bench.names()[2] == kBatchNoteName);
  std::string bytes = bench.read(name);
  bench.close();
  std::fill_n(bytes.begin() + 124, 388, '\0');  // the rest of its first sector
  bench.write(name, bytes);
  bench.write(std::string(kBatchNoteName), encode_batch_note({1, synced, synced + 5000}));
  bench.reopen();
  CHECK(bench.log().last_index() == 1);
}

TEST_CASE("a batch note is written once for many batches, and says what was acknowledged") {
  Bench bench({.segment_size = 1 << 20});
  const std::string name(kBatchNoteName);
  const auto noted = [&] { return *load_batch_note(bench.fs, bench.path()); };
  // One entry, and entries inside one sector, need none.
  REQUIRE(bench.append(1, 3060).ok());
  REQUIRE(bench.append(2, 20).ok());
  CHECK_FALSE(noted());
  REQUIRE(bench.append(4, 1000).ok());
  const std::string segment = "log_inprogress_00000000000000000001";
  REQUIRE(noted());
  CHECK(noted()->acknowledged == bench.read(segment).size());
  const uint64_t end = noted()->end;
  for (int i = 0; i < 10; ++i) {
    REQUIRE(bench.append(1 + i % 3, 1000).ok());
    CHECK(noted()->acknowledged == bench.read(segment).size());
    CHECK(noted()->end == end);
  }
  // What it says would be wrong after a cut.
  REQUIRE(bench.log().truncate_suffix(5).ok());
  CHECK_FALSE(noted());
  REQUIRE(bench.append(4, 1000).ok());
  CHECK(noted()->acknowledged == bench.read(segment).size());
  bench.close();
  CHECK_FALSE(noted());
  CHECK(bench.names() == std::vector<std::string>{segment, "log_meta"});
}

TEST_CASE("a search after damage costs little, whatever the file holds") {
  // 4 MiB after a damaged first entry: bytes that look like the start of a header everywhere.
  const std::string name = "log_inprogress_00000000000000000001";
  std::string bytes;
  SECTION("the cheap marks of a header at every byte that can have them") {
    while (bytes.size() < (4u << 20)) bytes += std::string("\1\1\0\0", 4);
  }
  SECTION("good headers without their payloads") {
    std::string header;
    encode_entry(data(1, 1, 1 << 20), ChecksumType::kCrc32c, &header);
    header.resize(24);
    while (bytes.size() < (4u << 20)) bytes += header;
    bytes[0] ^= 1;
  }
  Bench bench;
  bench.write(name, bytes);
  const absl::Status status = bench.try_reopen();
  INFO(status);
  // The first has nothing intact after it. Of the second that cannot be said at a bounded cost.
  if (status.ok()) {
    CHECK(bench.log().last_index() == 0);
  } else {
    CHECK_THAT(std::string(status.message()), Catch::Contains("too many headers"));
    CHECK(bench.read(name) == bytes);
  }
}

TEST_CASE("every length of the open segment opens with the whole entries that it holds") {
  TornBatch batch;
  const std::string whole = batch.bytes();
  for (size_t size = 0; size <= whole.size(); size += 37) {
    INFO("size " << size);
    batch.bytes() = whole.substr(0, size);
    REQUIRE(batch.reopen().ok());
    const size_t big = size < 648 ? 0 : (size - 648) / 1024;
    CHECK(batch.last_index() == static_cast<int64_t>(size < 648 ? size / 324 : 2 + big));
  }
}

TEST_CASE("any flipped byte is an error or a cut, never another entry") {
  Bench bench({.segment_size = 1 << 20});
  REQUIRE(bench.append(4, 30).ok());
  const std::string name = "log_inprogress_00000000000000000001";
  const std::string whole = bench.read(name);
  for (size_t i = 0; i < whole.size(); ++i) {
    std::string bytes = whole;
    bytes[i] = static_cast<char>(bytes[i] ^ (1 << (i % 8)));
    bench.write(name, bytes);
    INFO("offset " << i);
    if (!bench.try_reopen().ok()) continue;
    // Only damage to the last entry opens, without that entry; reserved bytes are covered too.
    REQUIRE(bench.log().last_index() == 3);
    REQUIRE(i >= 3 * 54);
    for (int64_t index = 1; index <= 3; ++index) {
      REQUIRE(*bench.log().entry(index) == data(index, 1, 30));
    }
  }
}

}  // namespace
}  // namespace qk::families::local
