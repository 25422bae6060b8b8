// CONC: the contract has one thread, so concurrency is interleaving: readers that stay open while
// the writer goes on, and lanes whose mutations alternate.
#include <algorithm>

#include "conformance/groups.h"
#include "conformance/transfer.h"
#include "families/fs/file_util.h"

namespace qk::sim::conformance {
namespace {

std::string read_all(InstanceContext& c, const families::SnapshotReader& reader,
                     const std::string& path) {
  const auto file = c.expect_value(cat("open_file ", path), reader.open_file(path));
  std::string bytes(c.expect_value("size", file->size()), '\0');
  c.expect_ok("read", families::read_exact(*file, path, 0, bytes));
  return bytes;
}

void expect_contents(InstanceContext& c, const families::SnapshotReader& reader,
                     const SnapshotState& expected) {
  for (const auto& [path, file] : expected.files) {
    c.expect(
        read_all(c, reader, path) == file.bytes,
        cat("snapshot ", expected.meta.last_included_index, ", ", path, ": found other bytes"));
  }
}

// Reads of every kind between any two mutations.
void readers_with_writer(InstanceContext& c) {
  c.set_options(small_units(c.family()));
  c.begin({append(entries(1, 5))});
  RandomStream random = c.random("reads");
  for (int round = 0; round < 40; ++round) {
    const State& state = c.model().state();
    const int64_t last = state.last();
    switch (random.below(5)) {
      case 0:
        if (last > state.first + 2) c.apply(truncate_prefix(state.first + 2));
        break;
      case 1:
        if (last > state.first + 2) c.apply(truncate_suffix(last - 1));
        break;
      default:
        c.apply(append(entries(last + 1, last + 3, 1 + round / 10, 60)));
    }
    const State& now = c.model().state();
    if (now.entries.empty()) continue;
    // A scan from somewhere to somewhere, with single reads inside it.
    const int64_t from = now.first + static_cast<int64_t>(random.below(now.entries.size()));
    const int64_t to =
        from + static_cast<int64_t>(random.below(static_cast<uint64_t>(now.last() - from + 1)));
    absl::Status inner;
    int64_t next = from;
    const absl::Status scanned =
        c.log().scan(from, to, [&](const families::LogEntry& entry) -> absl::Status {
          const families::LogEntry& expected = now.entries[static_cast<size_t>(next++ - now.first)];
          if (entry != expected) return absl::DataLossError(cat("entry ", entry.index));
          const auto again = c.log().entry(now.last());
          QK_RETURN_IF_ERROR(again.status());
          return *again == now.entries.back() ? absl::OkStatus() : absl::DataLossError("the last");
        });
    c.expect_ok(cat("scan(", from, ", ", to, ")"), scanned);
    c.expect_equal("entries visited", next - from, to - from + 1);
  }
  c.reopen();
}

// One scan inside another: a cursor belongs to its scan alone.
void nested_scans(InstanceContext& c) {
  c.set_options(small_units(c.family()));
  c.begin({append(entries(1, 30, 1, 60))});
  int64_t visited = 0;
  const absl::Status outer = c.log().scan(3, 12, [&](const families::LogEntry& entry) {
    int64_t next = entry.index;
    return c.log().scan(entry.index, 30, [&](const families::LogEntry& other) {
      ++visited;
      return other.index == next++ ? absl::OkStatus() : absl::DataLossError(cat(other.index));
    });
  });
  c.expect_ok("a scan in a scan", outer);
  int64_t expected = 0;
  for (int64_t index = 3; index <= 12; ++index) expected += 30 - index + 1;
  c.expect_equal("entries visited", visited, expected);
}

// Several readers of several snapshots, ended in another order than they began.
void many_readers_one_modifier(InstanceContext& c) {
  c.begin({append(entries(1, 40))});
  {
    std::map<int64_t, std::vector<std::shared_ptr<families::SnapshotReader>>> readers;
    for (const int64_t index : {5, 10, 15, 20, 25}) {
      c.apply(publish(snapshot(index)));
      for (int i = 0; i < 3; ++i) {
        readers[index].push_back(c.expect_value("open", c.snapshot().open()));
      }
      c.apply(truncate_prefix(index));
      for (const auto& [of, all] : readers) {
        for (const auto& reader : all) expect_contents(c, *reader, snapshot(of));
      }
    }
    for (const int64_t index : {15, 5, 25, 10}) {
      readers[index].pop_back();
      readers[index].pop_back();
      expect_contents(c, *readers[index].front(), snapshot(index));
      readers.erase(index);
      for (const auto& [of, all] : readers) expect_contents(c, *all.back(), snapshot(of));
    }
  }
  c.reopen();
}

// A snapshot that is being written while log and meta go on.
void lanes_interleaved(InstanceContext& c) {
  c.begin({append(entries(1, 10))});
  for (int64_t round = 0; round < 3; ++round) {
    const int64_t index = 5 + 3 * round;
    const SnapshotState tree = snapshot(index);
    auto writer = c.expect_value("create", c.driver().create_snapshot());
    for (const auto& [path, file] : tree.files) {
      const int64_t last = c.model().state().last();
      const auto to = c.expect_value("create_file", writer->create_file(path));
      c.apply(append(entries(last + 1, last + 2, 2 + round)));
      if (!file.bytes.empty()) c.expect_ok("write", to->write_at(0, file.bytes));
      c.apply(save_meta({c.model().state().hard_state.term + 1, std::string(kPeer)}));
      c.expect_ok("add_file", writer->add_file(path, file.meta));
      c.apply(truncate_suffix(last + 1));
    }
    c.expect_ok("save_meta", writer->save_meta(tree.meta));
    c.apply(truncate_prefix(c.model().state().first + 1));
    c.expect_ok("publish", c.driver().apply(families::Mutation::publish(std::move(writer))));
    c.settle();
    State state = c.model().state();
    state.snapshot = tree;
    c.adopt(state);
    c.expect_state();
  }
  c.reopen();
}

// Between any two mutations the whole instance is one state, which an image shows too.
void barrier_cut_consistent(InstanceContext& c) {
  c.begin({save_meta({1, std::string(kPeer)}), append(entries(1, 5))});
  const auto digest_of_image = [&] {
    const std::string bytes = c.expect_value("export", export_image(c.subject(), c.family(), 1));
    return bytes;
  };
  std::string before = digest_of_image();
  for (const Change& change :
       {append(entries(6, 9)), save_meta({2, std::string(kOtherPeer)}), publish(snapshot(6)),
        truncate_prefix(4), truncate_suffix(8), append(entries(9, 12, 2))}) {
    c.apply(change);
    const std::string after = digest_of_image();
    c.expect(after != before, cat(describe(change), ": found the image of the state before it"));
    c.expect(digest_of_image() == after, cat(describe(change), ": found two images of one state"));
    before = after;
  }
  c.reopen();
  c.expect(digest_of_image() == before, "after a restart: found another image of the same state");
}

// Two instances on one disk do not disturb each other.
void two_instances(PairContext& c) {
  const std::vector<Change> first = {append(entries(1, 5)), save_meta({2, std::string(kPeer)})};
  const std::vector<Change> second = {append(entries(1, 3, 7, 90)), publish(snapshot(2, 7))};
  c.create(PairContext::kA);
  c.create(PairContext::kB);
  Model a;
  Model b;
  for (size_t i = 0; i < 2; ++i) {
    c.apply(PairContext::kA, first[i]);
    a.apply(first[i]);
    c.apply(PairContext::kB, second[i]);
    b.apply(second[i]);
    c.expect_same_state("A", c.expect_value("read", read_state(c.at(PairContext::kA))), a.state());
    c.expect_same_state("B", c.expect_value("read", read_state(c.at(PairContext::kB))), b.state());
  }
  for (const auto side : {PairContext::kB, PairContext::kA}) c.close(side);
  for (const auto side : {PairContext::kA, PairContext::kB}) {
    c.expect_same_state("reopened", c.expect_value("read", read_state(c.must_open(side))),
                        side == PairContext::kA ? a.state() : b.state());
  }
}

}  // namespace

std::vector<Check> concurrency_checks() {
  std::vector<Check> checks;
  const auto add = [&](std::string name, std::vector<std::string> ids,
                       std::function<void(InstanceContext&)> run) {
    checks.push_back(instance_check("CONC", std::move(name), std::move(ids), std::move(run)));
  };
  add("readers_with_writer", {"SB-17", "SB-30", "SB-31"}, readers_with_writer);
  add("nested_scans", {"SB-17"}, nested_scans);
  add("many_readers_one_modifier", {"SB-20", "SB-33", "BC-4"}, many_readers_one_modifier);
  add("lanes_interleaved", {"SB-30", "SB-32", "SB-33"}, lanes_interleaved);
  add("barrier_cut_consistent", {"SB-15", "SB-24", "CI-1", "CI-2", "EV-30"},
      barrier_cut_consistent);
  checks.push_back(pair_check("CONC", "two_instances", {"SB-27", "SB-42"}, two_instances));
  return checks;
}

}  // namespace qk::sim::conformance
