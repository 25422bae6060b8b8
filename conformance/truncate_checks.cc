// TRUNC: dropping entries from either end, dropping all of them, and what the log is afterwards.
#include "conformance/groups.h"

namespace qk::sim::conformance {
namespace {

using families::LogEntry;

// Entries 1..20 in two terms with a snapshot at 12, in units as small as the family allows.
void begin_small(InstanceContext& c) {
  c.set_options(small_units(c.family()));
  c.begin({append(entries(1, 9, 1, 60)), append(entries(10, 20, 2, 60)), publish(snapshot(12, 2))});
}

void expect_range(InstanceContext& c, int64_t first, int64_t last) {
  c.expect_equal("first index", c.log().first_index(), first);
  c.expect_equal("last index", c.log().last_index(), last);
}

// The change, a restart, entries after it, another restart.
void change_and_go_on(InstanceContext& c, const Change& change, int64_t first, int64_t last) {
  c.apply(change);
  expect_range(c, first, last);
  c.reopen();
  expect_range(c, first, last);
  c.apply(append(entries(last + 1, last + 3, 3, 60)));
  c.reopen();
}

// ---- From the front

void prefix_noop_empty(InstanceContext& c) {
  c.begin();
  for (const int64_t index : {-5, 0, 1}) c.apply(truncate_prefix(index));
  change_and_go_on(c, truncate_prefix(1), 1, 0);
}

void prefix_noop_before_first(InstanceContext& c) {
  begin_small(c);
  c.apply(truncate_prefix(8));
  for (const int64_t index : {INT64_MIN, int64_t{0}, int64_t{1}, int64_t{7}, int64_t{8}}) {
    c.apply(truncate_prefix(index));
  }
  expect_range(c, 8, 20);
  c.reopen();
}

void prefix_inside_segment(InstanceContext& c) {
  c.begin({append(entries(1, 20))});
  change_and_go_on(c, truncate_prefix(7), 7, 20);
}

void prefix_drops_segments(InstanceContext& c) {
  begin_small(c);
  change_and_go_on(c, truncate_prefix(13), 13, 20);
}

void prefix_one_by_one(InstanceContext& c) {
  begin_small(c);
  for (int64_t first = 2; first <= 21; ++first) c.apply(truncate_prefix(first));
  expect_range(c, 21, 20);
  c.reopen();
}

void prefix_all(InstanceContext& c) {
  begin_small(c);
  change_and_go_on(c, truncate_prefix(21), 21, 20);
}

void prefix_beyond_last(InstanceContext& c) {
  begin_small(c);
  change_and_go_on(c, truncate_prefix(1000), 1000, 999);
}

void prefix_beyond_last_of_empty(InstanceContext& c) {
  c.begin();
  change_and_go_on(c, truncate_prefix(30), 30, 29);
}

// ---- From the back

void suffix_none(InstanceContext& c) {
  begin_small(c);
  for (const int64_t index : {int64_t{20}, int64_t{21}, int64_t{500}, INT64_MAX}) {
    c.apply(truncate_suffix(index));
  }
  expect_range(c, 1, 20);
  c.reopen();
}

void suffix_of_empty(InstanceContext& c) {
  c.begin();
  for (const int64_t index : {0, 1, 7}) c.apply(truncate_suffix(index));
  change_and_go_on(c, truncate_suffix(0), 1, 0);
}

void suffix_after_11_5_0(InstanceContext& c) {
  begin_small(c);
  for (const int64_t last : {11, 5, 0}) change_and_go_on(c, truncate_suffix(last), 1, last);
}

void suffix_inside_segment(InstanceContext& c) {
  c.begin({append(entries(1, 20))});
  change_and_go_on(c, truncate_suffix(13), 1, 13);
}

void suffix_drops_segments(InstanceContext& c) {
  begin_small(c);
  change_and_go_on(c, truncate_suffix(3), 1, 3);
}

void suffix_one_by_one(InstanceContext& c) {
  begin_small(c);
  for (int64_t last = 19; last >= 0; --last) c.apply(truncate_suffix(last));
  expect_range(c, 1, 0);
  c.reopen();
}

void suffix_to_empty(InstanceContext& c) {
  begin_small(c);
  c.apply(truncate_prefix(6));
  change_and_go_on(c, truncate_suffix(5), 6, 5);
}

void suffix_below_first_refused(InstanceContext& c) {
  begin_small(c);
  c.apply(truncate_prefix(6));
  for (const int64_t index : {int64_t{4}, int64_t{0}, int64_t{-1}, INT64_MIN}) {
    c.apply(truncate_suffix(index));
  }
  expect_range(c, 6, 20);
  change_and_go_on(c, truncate_suffix(6), 6, 6);
}

// A conflict: the same indices come again with other terms and payloads, shorter ones too.
void overwritten_tail(InstanceContext& c) {
  begin_small(c);
  for (int64_t term = 3; term <= 6; ++term) {
    const int64_t kept = 20 - 3 * term;
    c.apply(truncate_suffix(kept));
    c.apply(append(entries(kept + 1, kept + 4, term, static_cast<size_t>(90 - 12 * term))));
    c.expect_lookups();
    c.reopen();
    c.expect_lookups();
  }
}

// Each length of a log in which terms change often, and at each of them as much of new terms
// behind: no length and no border of a term is special.
void suffix_at_every_length(InstanceContext& c) {
  const auto more = [](int64_t from, int64_t to, int64_t term) {
    std::vector<LogEntry> log;
    for (int64_t index = from; index <= to; ++index) {
      log.push_back(entry(index, term + (index - from) / 3));
    }
    return append(std::move(log));
  };
  c.begin({more(1, 40, 1)});
  int64_t term = 15;
  for (int64_t kept = 36; kept >= 0; --kept, term += 10) {
    c.apply(truncate_suffix(kept));
    c.expect_lookups();
    c.apply(more(kept + 1, kept + 25, term));
    c.expect_lookups();
  }
  c.reopen();
}

// ---- All of it

void delete_everything(InstanceContext& c) {
  begin_small(c);
  change_and_go_on(c, reset(21), 21, 20);
}

void reset_lower(InstanceContext& c) {
  begin_small(c);
  c.apply(truncate_prefix(10));
  change_and_go_on(c, reset(4), 4, 3);
}

void reset_equal(InstanceContext& c) {
  begin_small(c);
  change_and_go_on(c, reset(1), 1, 0);
  change_and_go_on(c, reset(1), 1, 0);
}

void reset_higher(InstanceContext& c) {
  begin_small(c);
  change_and_go_on(c, reset(5000), 5000, 4999);
}

void reset_inside(InstanceContext& c) {
  begin_small(c);
  change_and_go_on(c, reset(12), 12, 11);
}

void reset_below_one_refused(InstanceContext& c) {
  begin_small(c);
  for (const int64_t index : {int64_t{0}, int64_t{-1}, INT64_MIN}) c.apply(reset(index));
  expect_range(c, 1, 20);
  c.reopen();
}

void restart_at_other_index(InstanceContext& c) {
  c.begin();
  for (const int64_t next : {50, 7, 1, 200}) change_and_go_on(c, reset(next), next, next - 1);
}

// The range of an empty log is state.
void range_after_restart(InstanceContext& c) {
  c.begin({append(entries(1, 5)), publish(snapshot(5)), truncate_prefix(6)});
  expect_range(c, 6, 5);
  for (int i = 0; i < 3; ++i) {
    c.reopen();
    expect_range(c, 6, 5);
  }
}

// What a node does after a snapshot: some entries are kept for slow followers.
void truncate_after_snapshot(InstanceContext& c) {
  begin_small(c);
  c.apply(publish(snapshot(18, 2)));
  c.apply(truncate_prefix(15));
  c.reopen();
  c.apply(append(entries(21, 30, 2, 60)));
  c.apply(publish(snapshot(30, 2)));
  c.apply(truncate_prefix(31));
  c.reopen();
}

void append_after_each(InstanceContext& c) {
  begin_small(c);
  const std::vector<Change> cuts = {truncate_prefix(4),  truncate_suffix(17), truncate_prefix(18),
                                    truncate_suffix(18), reset(40),           truncate_prefix(50)};
  for (const Change& cut : cuts) {
    c.apply(cut);
    const int64_t next = c.model().state().last() + 1;
    c.apply(append(entries(next, next + 4, 4, 60)));
    c.expect_lookups();
  }
  c.reopen();
}

// Whatever the order, the log is what the model says.
void random_cuts(InstanceContext& c) {
  RandomStream random = c.random("cuts");
  begin_small(c);
  for (int i = 0; i < 40; ++i) {
    const State& state = c.model().state();
    switch (random.below(6)) {
      case 0:
        c.apply(truncate_prefix(random.between(state.first - 2, state.last() + 4)));
        break;
      case 1:
        c.apply(truncate_suffix(random.between(state.first - 3, state.last() + 2)));
        break;
      case 2:
        if (random.chance_ppm(200'000)) c.apply(reset(random.between(0, state.last() + 9)));
        break;
      default:
        c.apply(append(entries(state.last() + 1, state.last() + random.between(1, 7), 1 + i,
                               static_cast<size_t>(random.between(0, 150)))));
    }
    if (random.chance_ppm(150'000)) c.reopen();
    c.expect_lookups();
  }
  c.reopen();
}

}  // namespace

std::vector<Check> truncate_checks() {
  std::vector<Check> checks;
  const auto add = [&](std::string name, std::vector<std::string> ids,
                       std::function<void(InstanceContext&)> run) {
    checks.push_back(instance_check("TRUNC", std::move(name), std::move(ids), std::move(run)));
  };
  add("prefix_noop_empty", {"SB-16", "SB-31"}, prefix_noop_empty);
  add("prefix_noop_before_first", {"SB-16", "SB-31"}, prefix_noop_before_first);
  add("prefix_inside_segment", {"SB-16", "SB-27", "SB-31"}, prefix_inside_segment);
  add("prefix_drops_segments", {"SB-16", "SB-27", "SB-31", "SB-34"}, prefix_drops_segments);
  add("prefix_one_by_one", {"SB-16", "SB-27", "SB-31"}, prefix_one_by_one);
  add("prefix_all", {"SB-16", "SB-31"}, prefix_all);
  add("prefix_beyond_last", {"SB-16", "SB-31"}, prefix_beyond_last);
  add("prefix_beyond_last_of_empty", {"SB-16", "SB-31"}, prefix_beyond_last_of_empty);
  add("suffix_none", {"SB-16", "SB-31"}, suffix_none);
  add("suffix_of_empty", {"SB-16", "SB-31"}, suffix_of_empty);
  add("suffix_after_11_5_0", {"SB-16", "SB-27", "SB-31"}, suffix_after_11_5_0);
  add("suffix_inside_segment", {"SB-16", "SB-27", "SB-31"}, suffix_inside_segment);
  add("suffix_drops_segments", {"SB-16", "SB-27", "SB-31", "SB-34"}, suffix_drops_segments);
  add("suffix_one_by_one", {"SB-16", "SB-27", "SB-31"}, suffix_one_by_one);
  add("suffix_at_every_length", {"SB-17", "SB-31", "EV-9"}, suffix_at_every_length);
  checks.back().disks = kSimulatedOnly;
  add("suffix_to_empty", {"SB-16", "SB-31"}, suffix_to_empty);
  add("suffix_below_first_refused", {"SB-16", "SB-31"}, suffix_below_first_refused);
  add("overwritten_tail", {"SB-17", "SB-31", "EV-9", "EV-11"}, overwritten_tail);
  add("delete_everything", {"SB-16", "SB-31"}, delete_everything);
  add("reset_lower", {"SB-16", "SB-31"}, reset_lower);
  add("reset_equal", {"SB-16", "SB-31"}, reset_equal);
  add("reset_higher", {"SB-16", "SB-31"}, reset_higher);
  add("reset_inside", {"SB-16", "SB-31"}, reset_inside);
  add("reset_below_one_refused", {"SB-31"}, reset_below_one_refused);
  add("restart_at_other_index", {"SB-16", "SB-31"}, restart_at_other_index);
  add("range_after_restart", {"SB-16", "EV-2"}, range_after_restart);
  add("truncate_after_snapshot", {"SB-31", "SB-33", "SB-34"}, truncate_after_snapshot);
  add("append_after_each", {"SB-30", "SB-31"}, append_after_each);
  add("random_cuts", {"SB-27", "SB-30", "SB-31", "SB-42"}, random_cuts);
  return checks;
}

}  // namespace qk::sim::conformance
