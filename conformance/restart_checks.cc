// RESTART: what a clean end and a new beginning show, and what opening may do to the disk. What an
// unclean end leaves is CRASH.
#include "conformance/groups.h"
#include "families/fs/file_util.h"
#include "families/fs/overlay_file_system.h"

namespace qk::sim::conformance {
namespace {

std::vector<Change> some_history() {
  return {save_meta({2, std::string(kPeer)}), append(entries(1, 12, 1, 60)), publish(snapshot(6)),
          truncate_prefix(5), append(entries(13, 16, 2, 60))};
}

// Every file below the node's directory with its bytes.
std::map<std::string, std::string> files_of(InstanceContext& c, const std::string& root) {
  std::map<std::string, std::string> files;
  for (const std::string& name :
       c.expect_value("list the root", families::list_tree(c.fs(), root))) {
    files[name] = c.expect_value(
        name, families::read_file(c.fs(), families::join_path(root, name), uint64_t{1} << 28));
  }
  return files;
}

void after_each_op(InstanceContext& c) {
  c.set_options(small_units(c.family()));
  c.begin();
  const std::vector<Change> history = {append(entries(1, 7, 1, 60)),
                                       save_meta({2, ""}),
                                       save_meta({2, std::string(kPeer)}),
                                       append(entries(8, 12, 2, 60)),
                                       publish(snapshot(6)),
                                       truncate_prefix(4),
                                       truncate_suffix(10),
                                       publish(snapshot(9, 2)),
                                       truncate_prefix(40),
                                       append(entries(40, 42, 2)),
                                       reset(90),
                                       append({entry(90, 3)}),
                                       publish(snapshot(90, 3)),
                                       truncate_prefix(91),
                                       save_meta({9, ""})};
  for (const Change& change : history) {
    c.apply(change);
    c.reopen();
  }
}

void reopen_twice(InstanceContext& c) {
  c.begin(some_history());
  c.reopen();
  c.reopen();
  c.reopen();
}

// Opening and closing changes nothing that a later opening would see differently.
void reopen_idempotent(InstanceContext& c) {
  c.begin(some_history());
  c.reopen();
  const auto first = c.expect_value("digest", image::compute_digest(c.subject()));
  for (int i = 0; i < 5; ++i) {
    c.reopen();
    const auto again = c.expect_value("digest", image::compute_digest(c.subject()));
    c.expect(again == first, cat("digest after restart ", i, ": found ", image::to_hex(again),
                                 ", expected ", image::to_hex(first)));
  }
}

void save_empty(InstanceContext& c) {
  c.begin();
  c.reopen();
  c.reopen();
  c.expect_same_state("a fresh instance", c.state(), State());
  c.apply(append({entry(1)}));
  c.reopen();
}

void append_close_load_append(InstanceContext& c) {
  c.set_options(small_units(c.family()));
  c.begin();
  for (int64_t index = 1; index <= 30; index += 3) {
    c.apply(append(entries(index, index + 2, index, 40)));
    c.reopen();
  }
}

// A source is read through an overlay, which shows the same and leaves the disk as it is.
void open_read_only_equals(InstanceContext& c) {
  c.set_options(small_units(c.family()));
  c.begin(some_history());
  c.close();
  const auto before = files_of(c, c.root());
  {
    families::OverlayFileSystem overlay(&c.fs());
    families::OpenRequest request = c.bare_request();
    request.fs = &overlay;
    request.options = c.options();
    const auto opened = c.expect_value("open read-only", c.family().open(request));
    c.expect_same_state("read-only", c.expect_value("read", read_state(*opened)),
                        c.model().state());
  }
  c.expect(files_of(c, c.root()) == before, "files after a read-only open: found others");
  c.expect_ok("open", c.open());
  c.expect_state();
}

// Names that no version ever wrote, beside the instance's own: a restart neither uses nor removes
// what it does not know, and the state is the same.
void name_scan(InstanceContext& c) {
  c.begin(some_history());
  c.close();
  const std::string stray = families::join_path(c.root(), "not-of-this-family");
  c.expect_ok("write a stray file", families::write_file(c.fs(), stray, "stray"));
  c.settle();
  c.expect_ok("open", c.open());
  c.expect_state();
  c.apply(append(entries(17, 18, 2)));
  c.reopen();
  c.expect_equal("the stray file", c.expect_value("read", families::read_file(c.fs(), stray, 100)),
                 std::string("stray"));
}

void recover_larger_log(InstanceContext& c) {
  c.begin();
  constexpr int64_t kBatch = 128;
  for (int64_t from = 1; from <= 4 * kBatch; from += kBatch) {
    c.apply(append(entries(from, from + kBatch - 1, 1, 4096)));
  }
  c.reopen();
  c.apply(truncate_prefix(3 * kBatch));
  c.reopen();
}

void random_restarts(InstanceContext& c) {
  RandomStream random = c.random("restarts");
  c.set_options(small_units(c.family()));
  c.begin();
  int64_t term = 1;
  for (int i = 0; i < 40; ++i) {
    const State& state = c.model().state();
    const int64_t last = state.last();
    switch (random.below(7)) {
      case 0:
        c.apply(save_meta({++term, random.chance_ppm(500'000) ? std::string(kPeer) : ""}));
        break;
      case 1:
        if (last >= 1) c.apply(publish(snapshot(last, term)));
        break;
      case 2:
        c.apply(truncate_prefix(random.between(state.first, last + 2)));
        break;
      case 3:
        c.apply(truncate_suffix(random.between(state.first - 1, last + 1)));
        break;
      default:
        c.apply(append(entries(last + 1, last + random.between(1, 6), term,
                               static_cast<size_t>(random.between(0, 120)))));
    }
    if (random.chance_ppm(300'000)) c.reopen();
  }
  c.reopen();
}

}  // namespace

std::vector<Check> restart_checks() {
  std::vector<Check> checks;
  const auto add = [&](std::string name, std::vector<std::string> ids,
                       std::function<void(InstanceContext&)> run) {
    checks.push_back(instance_check("RESTART", std::move(name), std::move(ids), std::move(run)));
  };
  add("after_each_op", {"SB-9", "SB-25", "CI-3"}, after_each_op);
  add("reopen_twice", {"SB-25"}, reopen_twice);
  add("reopen_idempotent", {"SB-25", "EV-7"}, reopen_idempotent);
  add("save_empty", {"SB-16", "SB-25"}, save_empty);
  add("append_close_load_append", {"SB-25", "SB-30"}, append_close_load_append);
  add("open_read_only_equals", {"SB-3", "SB-25"}, open_read_only_equals);
  add("name_scan", {"SB-25", "EV-17"}, name_scan);
  add("recover_larger_log", {"SB-25", "SB-27"}, recover_larger_log);
  add("random_restarts", {"SB-9", "SB-25", "SB-27"}, random_restarts);
  return checks;
}

}  // namespace qk::sim::conformance
