// BASIC: creating and opening an instance, appending, reading.
#include "conformance/groups.h"
#include "families/fs/file_util.h"

namespace qk::sim::conformance {
namespace {

using families::LogEntry;

constexpr absl::StatusCode kOutOfRange = absl::StatusCode::kOutOfRange;

// A log 1..10 in two terms, a vote, no snapshot: something to read.
std::vector<Change> some_log() {
  return {append(entries(1, 6)), save_meta({2, std::string(kPeer)}), append(entries(7, 10, 2))};
}

void expect_outside(InstanceContext& c, int64_t index) {
  c.expect_code(cat("entry(", index, ")"), c.log().entry(index).status(), kOutOfRange);
  c.expect_code(cat("term(", index, ")"), c.log().term(index).status(), kOutOfRange);
}

// ---- Instances

void init_empty(InstanceContext& c) {
  c.begin();
  c.expect_same_state("a fresh instance", c.state(), State());
  c.reopen();
}

void initial_log_state(InstanceContext& c) {
  c.begin();
  c.expect_equal("first index", c.log().first_index(), int64_t{1});
  c.expect_equal("last index", c.log().last_index(), int64_t{0});
  for (const int64_t index : {-1, 0, 1, 2}) expect_outside(c, index);
}

void dir_missing(InstanceContext& c) {
  c.expect_code("open without create", c.family().open(c.bare_request()).status(),
                absl::StatusCode::kNotFound);
  const auto root = c.expect_value("look for the root", families::exists(c.fs(), c.root()));
  c.expect(!root, "open without create: found a root, expected none to be made");
}

void reopen_inited_dir(InstanceContext& c) {
  c.begin(some_log());
  c.reopen();
  // `create` makes an instance where none exists; an existing one stays what it is.
  c.close();
  {
    const auto again = c.expect_value("open with create", c.family().open(c.bare_request(true)));
    c.expect_same_state("an existing instance opened with create",
                        c.expect_value("read", read_state(*again)), c.model().state());
  }
  c.expect_ok("open", c.open());
  c.expect_state();
}

void root_is_a_file(InstanceContext& c) {
  c.expect_ok("write", families::write_file(c.fs(), c.root(), "not a directory"));
  c.expect(!c.family().open(c.bare_request(true)).ok(),
           "create on a root that is a file: found an instance, expected an error");
  c.expect_equal("the file", c.expect_value("read", families::read_file(c.fs(), c.root(), 100)),
                 std::string("not a directory"));
}

void illegal_options_refused(InstanceContext& c) {
  families::OpenRequest request = c.bare_request(true);
  const auto refused = [&](std::string_view what) {
    c.expect_code(what, families::open_family(c.registry(), c.family().name, request).status(),
                  kInvalid);
  };
  request.options = {{"no_such_option", "1"}};
  refused("an option that does not exist");
  for (const families::OptionDescriptor& option : c.family().options) {
    request.options = {{option.name, "no such value"}};
    refused(cat(option.name, " = no such value"));
    request.options = {{option.name, ""}};
    refused(cat(option.name, " = nothing"));
  }
  c.begin();
}

// Options say how to write from now on; what is there stays readable, or is refused in so many
// words.
void option_changed_at_reboot(InstanceContext& c) {
  c.begin(some_log());
  const std::vector<families::FamilyOptions> all = listed_options(c.family());
  if (all.empty()) c.not_applicable("no option with a list of values");
  for (const families::FamilyOptions& options : all) {
    c.close();
    c.set_options(options);
    const absl::Status opened = c.open();
    if (!opened.ok()) {
      const auto& [name, value] = *options.begin();
      c.expect_code(cat("open with ", name, " = ", value), opened, kInvalid);
      c.set_options({});
      c.expect_ok("open with the first options again", c.open());
    }
    c.expect_state();
    const int64_t next = c.model().state().last() + 1;
    c.apply(append(entries(next, next + 2, 2)));
    c.reopen();
  }
}

// Every operation has a declared set of partial outcomes, and every role opens: together with the
// pair checks, what makes a family complete.
void registry_complete(InstanceContext& c) {
  const families::FamilyDescriptor& family = c.family();
  c.expect(!family.format_version.empty(), "format_version: found nothing, expected a version");
  c.expect(!family.root_names.empty(), "root_names: found none, expected the names in the root");
  for (const auto operation : {families::Operation::kAppend, families::Operation::kTruncatePrefix,
                               families::Operation::kTruncateSuffix, families::Operation::kReset,
                               families::Operation::kSaveMeta, families::Operation::kPublish}) {
    const families::Partial partial = family.partials(operation);
    c.expect(partial == families::Partial::kNone || (partial == families::Partial::kBatchPrefix &&
                                                     operation == families::Operation::kAppend),
             cat("partials(", to_string(operation), "): found a set that the contract lacks"));
  }
  for (const families::OptionDescriptor& option : family.options) {
    c.expect(!option.name.empty() && !option.default_value.empty() && !option.allowed().empty(),
             cat("option \"", option.name, "\": expected a name, a default and what is allowed"));
    c.set_options({{option.name, option.default_value}});
  }
  c.begin({save_meta({2, std::string(kPeer)}), append(entries(1, 3)), publish(snapshot(2))});
  // Whatever it left in the root is declared.
  c.close();
  const auto names = c.expect_value("list the root", c.fs().list(c.root()));
  for (const std::string& name : names) {
    const bool declared = std::find(family.root_names.begin(), family.root_names.end(), name) !=
                              family.root_names.end() ||
                          name == image::kSidecarName;
    c.expect(declared, cat("root: found \"", name, "\", which root_names does not declare"));
  }
}

// ---- Appending

void append_one(InstanceContext& c) {
  c.begin();
  c.apply(append({entry(1)}));
  c.expect_equal("last index", c.log().last_index(), int64_t{1});
  c.reopen();
}

void append_many(InstanceContext& c) {
  c.begin();
  for (int64_t from = 1; from <= 41; from += 10) c.apply(append(entries(from, from + 9)));
  c.reopen();
}

void append_empty_batch(InstanceContext& c) {
  c.begin({append(entries(1, 2))});
  c.apply(append({}));
  c.reopen();
}

void append_sizes(InstanceContext& c) {
  c.begin();
  int64_t index = 0;
  for (const size_t bytes : {0, 1, 7, 8, 100, 511, 512, 513, 1000, 4095, 4096, 4097, 65536}) {
    ++index;
    c.apply(append({entry(index, 1, bytes)}));
  }
  c.reopen();
}

void append_across_rotation(InstanceContext& c) {
  c.set_options(small_units(c.family()));
  c.begin();
  for (int64_t index = 1; index <= 20; ++index) c.apply(append({entry(index, 1, 60)}));
  c.apply(append(entries(21, 40, 2, 60)));
  c.reopen();
  c.apply(append(entries(41, 43, 2, 60)));
  c.reopen();
}

void append_after_empty_rotation(InstanceContext& c) {
  c.set_options(small_units(c.family()));
  c.begin({append(entries(1, 12, 1, 60))});
  c.apply(truncate_prefix(13));
  c.apply(append(entries(13, 20, 1, 60)));
  c.apply(truncate_suffix(12));
  c.reopen();
  c.apply(append(entries(13, 14, 2, 60)));
  c.reopen();
}

void append_nonzero_start(InstanceContext& c) {
  c.begin();
  c.apply(reset(10));
  c.apply(append(entries(10, 14)));
  c.expect_equal("first index", c.log().first_index(), int64_t{10});
  expect_outside(c, 9);
  c.reopen();
}

void append_high_start(InstanceContext& c) {
  constexpr int64_t kHigh = int64_t{1} << 60;
  c.begin({publish(snapshot(kHigh - 1, 7)), reset(kHigh)});
  c.apply(append(entries(kHigh, kHigh + 3, 7)));
  c.reopen();
  c.apply(append({entry(kHigh + 4, int64_t{1} << 61)}));
  c.reopen();
}

void append_to_existing(InstanceContext& c) {
  c.begin(some_log());
  c.apply(append(entries(11, 15, 2)));
  c.reopen();
  c.apply(append(entries(16, 17, 3)));
  c.reopen();
}

void refused_and_goes_on(InstanceContext& c, const std::vector<Change>& refused) {
  c.begin(some_log());
  for (const Change& change : refused) {
    c.expect(c.model().judge(change) == Model::Verdict::kRefused,
             cat(describe(change), ": expected one that the contract refuses"));
    c.apply(change);
  }
  c.apply(append(entries(11, 12, 2)));
  c.reopen();
}

void append_index_gap_refused(InstanceContext& c) {
  refused_and_goes_on(c, {append(entries(12, 13, 2)), append({entry(11, 2), entry(13, 2)})});
}

void append_out_of_order_refused(InstanceContext& c) {
  refused_and_goes_on(c,
                      {append({entry(12, 2), entry(11, 2)}), append({entry(11, 2), entry(11, 2)}),
                       append({entry(11, 2), entry(12, 2), entry(11, 2)})});
}

void append_overwrite_refused(InstanceContext& c) {
  refused_and_goes_on(c, {append({entry(10, 3)}), append(entries(5, 11, 3)), append({entry(0, 3)}),
                          append({entry(-1, 3)})});
}

void append_without_term_refused(InstanceContext& c) {
  refused_and_goes_on(
      c, {append({entry(11, 0)}), append({entry(11, 2), entry(12, 0)}), append({entry(11, -1)})});
}

// ---- Reading

void get_in_range(InstanceContext& c) {
  c.begin(some_log());
  for (const LogEntry& expected : c.model().state().entries) {
    const LogEntry found =
        c.expect_value(cat("entry(", expected.index, ")"), c.log().entry(expected.index));
    c.expect(found == expected, cat("entry(", expected.index, "): found another one"));
  }
}

void get_out_of_range(InstanceContext& c) {
  c.begin({append(entries(1, 10)), publish(snapshot(4)), truncate_prefix(4)});
  for (const int64_t index :
       {INT64_MIN, int64_t{-1}, int64_t{0}, int64_t{3}, int64_t{11}, INT64_MAX}) {
    expect_outside(c, index);
  }
  const auto nothing = [](const LogEntry&) { return absl::OkStatus(); };
  for (const auto& [from, to] : {std::pair<int64_t, int64_t>{3, 5}, {8, 11}, {0, 20}, {11, 12}}) {
    c.expect(!c.log().scan(from, to, nothing).ok(),
             cat("scan(", from, ", ", to, ") of 4..10: found OK, expected an error"));
  }
  for (const auto& [from, to] : {std::pair<int64_t, int64_t>{6, 5}, {11, 10}}) {
    c.expect_code(cat("scan(", from, ", ", to, ")"), c.log().scan(from, to, nothing),
                  absl::StatusCode::kInvalidArgument);
  }
}

std::vector<LogEntry> scanned(InstanceContext& c, int64_t from, int64_t to) {
  std::vector<LogEntry> found;
  c.expect_ok(cat("scan(", from, ", ", to, ")"), c.log().scan(from, to, [&](const LogEntry& e) {
    found.push_back(e);
    return absl::OkStatus();
  }));
  return found;
}

void get_limited(InstanceContext& c) {
  c.begin(some_log());
  const std::vector<LogEntry>& all = c.model().state().entries;
  for (int64_t from = 1; from <= 10; ++from) {
    for (int64_t to = from; to <= 10; ++to) {
      const std::vector<LogEntry> expected(all.begin() + (from - 1), all.begin() + to);
      c.expect(scanned(c, from, to) == expected,
               cat("scan(", from, ", ", to, "): found other entries than those"));
    }
  }
}

void stream_entries(InstanceContext& c) {
  c.set_options(small_units(c.family()));
  c.begin({append(entries(1, 60, 1, 60))});
  c.expect(scanned(c, 1, 60) == c.model().state().entries, "scan(1, 60): found other entries");
  // An error of the visitor ends the scan and comes back.
  int64_t visited = 0;
  const absl::Status stopped = c.log().scan(1, 60, [&](const LogEntry&) {
    return ++visited == 17 ? absl::CancelledError("enough") : absl::OkStatus();
  });
  c.expect_code("a scan that its visitor ends", stopped, absl::StatusCode::kCancelled);
  c.expect_equal("entries visited", visited, int64_t{17});
}

void reader_sees_new_entries(InstanceContext& c) {
  c.begin(some_log());
  for (int64_t index = 11; index <= 14; ++index) {
    c.apply(append({entry(index, 2)}));
    c.expect(scanned(c, index, index) == std::vector<LogEntry>{entry(index, 2)},
             cat("scan(", index, ", ", index, ") after its append: found another entry"));
  }
  c.apply(truncate_suffix(11));
  expect_outside(c, 12);
  c.apply(append({entry(12, 3)}));
  c.expect_equal("term(12)", c.expect_value("term(12)", c.log().term(12)), int64_t{3});
}

void get_term(InstanceContext& c) {
  c.begin(some_log());
  for (const LogEntry& expected : c.model().state().entries) {
    const std::string what = cat("term(", expected.index, ")");
    c.expect_equal(what, c.expect_value(what, c.log().term(expected.index)), expected.term);
  }
}

void last_id(InstanceContext& c) {
  c.begin(some_log());
  c.expect_equal("last index", c.log().last_index(), int64_t{10});
  c.expect_equal("its term", c.expect_value("term", c.log().term(10)), int64_t{2});
}

void dump_equals_reader(InstanceContext& c) {
  c.set_options(small_units(c.family()));
  c.begin({append(entries(1, 30, 1, 60)), publish(snapshot(9)), truncate_prefix(8)});
  c.reopen();
  for (const LogEntry& listed : scanned(c, 8, 30)) {
    const LogEntry single =
        c.expect_value(cat("entry(", listed.index, ")"), c.log().entry(listed.index));
    c.expect(single == listed, cat("entry(", listed.index, "): found another one than the scan"));
  }
}

// ---- Payloads

void empty_payload(InstanceContext& c) {
  c.begin();
  c.apply(append({entry(1, 1, 0), entry(2, 1, 0), entry(3)}));
  c.reopen();
}

void noop_entry(InstanceContext& c) {
  c.begin({append({no_op(1), entry(2), no_op(3)})});
  c.expect(c.expect_value("entry(3)", c.log().entry(3)).type == families::EntryType::kNoOp,
           "entry(3): found another type, expected a no-op");
  c.apply(append({no_op(4, 2)}));
  c.reopen();
}

// All byte values, in an order that is not text.
void any_bytes(InstanceContext& c) {
  RandomStream random = c.random("payload");
  std::vector<LogEntry> batch;
  for (int64_t index = 1; index <= 4; ++index) {
    LogEntry one = entry(index, 1, 0);
    for (int i = 0; i < 256; ++i) one.payload += static_cast<char>(i);
    for (int i = 0; i < 64; ++i) one.payload += static_cast<char>(random.below(256));
    batch.push_back(std::move(one));
  }
  c.begin({append(batch)});
  c.apply(append({{5, 1, families::EntryType::kData, std::string(3, '\0')}}));
  c.reopen();
}

void large_entry(InstanceContext& c) {
  c.begin();
  c.apply(append({entry(1), entry(2, 1, size_t{1} << 20), entry(3)}));
  c.reopen();
}

void entry_larger_than_segment(InstanceContext& c) {
  c.set_options(small_units(c.family()));
  c.begin();
  c.apply(append({entry(1, 1, 5000)}));
  c.apply(append({entry(2, 1, 20), entry(3, 1, 9000), entry(4, 1, 20)}));
  c.reopen();
}

void multi_segment(InstanceContext& c) {
  c.set_options(small_units(c.family()));
  c.begin({append(entries(1, 50, 1, 70)), publish(snapshot(20))});
  c.apply(truncate_prefix(18));
  c.apply(truncate_suffix(44));
  c.reopen();
  c.apply(append(entries(45, 60, 3, 70)));
  c.reopen();
}

// ---- Pairs

// The six capabilities in one look; other groups go into each.
void capabilities(PairContext& c) {
  const std::vector<Change> history = {save_meta({3, std::string(kPeer)}), append(entries(1, 8)),
                                       publish(snapshot(5)), truncate_prefix(4),
                                       append(entries(9, 12, 3))};
  Model model;
  for (const Change& change : history) model.apply(change);
  c.create(PairContext::kA);
  c.apply(PairContext::kA, history);
  c.expect_ok("import", c.import_into(PairContext::kB, c.export_from(PairContext::kA)));
  c.must_open(PairContext::kB);
  c.expect_equal_digests();
  c.expect_same_state("the imported instance",
                      c.expect_value("read", read_state(c.at(PairContext::kB))), model.state());
}

}  // namespace

std::vector<Check> basic_checks() {
  std::vector<Check> checks;
  const auto add = [&](std::string name, std::vector<std::string> ids,
                       std::function<void(InstanceContext&)> run) -> Check& {
    checks.push_back(instance_check("BASIC", std::move(name), std::move(ids), std::move(run)));
    return checks.back();
  };
  add("init_empty", {"SB-16", "SB-18", "SB-19"}, init_empty);
  add("initial_log_state", {"SB-16"}, initial_log_state);
  add("dir_missing", {"SB-23"}, dir_missing).roles = kPlainOnly;
  add("reopen_inited_dir", {"SB-25"}, reopen_inited_dir).roles = kPlainOnly;
  add("root_is_a_file", {"SB-23"}, root_is_a_file).roles = kPlainOnly;
  add("illegal_options_refused", {"SB-42"}, illegal_options_refused).roles = kPlainOnly;
  add("option_changed_at_reboot", {"SB-27", "SB-42", "EV-7", "EV-12"}, option_changed_at_reboot);
  add("registry_complete", {"SB-1", "SB-2"}, registry_complete);
  add("append_one", {"SB-17", "SB-30"}, append_one);
  add("append_many", {"SB-17", "SB-30"}, append_many);
  add("append_empty_batch", {"SB-30"}, append_empty_batch);
  add("append_sizes", {"SB-17", "SB-27"}, append_sizes);
  add("append_across_rotation", {"SB-27", "SB-42", "EV-12"}, append_across_rotation);
  add("append_after_empty_rotation", {"SB-16", "SB-27", "SB-31"}, append_after_empty_rotation);
  add("append_nonzero_start", {"SB-16", "SB-31"}, append_nonzero_start);
  add("append_high_start", {"SB-16", "SB-17"}, append_high_start);
  add("append_to_existing", {"SB-25", "SB-30"}, append_to_existing);
  add("append_index_gap_refused", {"SB-17"}, append_index_gap_refused);
  add("append_out_of_order_refused", {"SB-17"}, append_out_of_order_refused);
  add("append_overwrite_refused", {"SB-17"}, append_overwrite_refused);
  add("append_without_term_refused", {"SB-17"}, append_without_term_refused);
  add("get_in_range", {"SB-17", "EV-3"}, get_in_range);
  add("get_out_of_range", {"SB-16"}, get_out_of_range);
  add("get_limited", {"SB-17"}, get_limited);
  add("stream_entries", {"SB-17", "SB-27"}, stream_entries);
  add("reader_sees_new_entries", {"SB-17", "SB-30", "SB-31"}, reader_sees_new_entries);
  add("get_term", {"SB-17", "EV-9"}, get_term);
  add("last_id", {"SB-16", "SB-17"}, last_id);
  add("dump_equals_reader", {"SB-17", "SB-27"}, dump_equals_reader);
  add("empty_payload", {"SB-17", "EV-11"}, empty_payload);
  add("noop_entry", {"SB-17", "EV-10", "BC-11"}, noop_entry);
  add("any_bytes", {"SB-17", "EV-11"}, any_bytes);
  add("large_entry", {"SB-17", "EV-11"}, large_entry);
  add("entry_larger_than_segment", {"SB-17", "SB-27"}, entry_larger_than_segment);
  add("multi_segment", {"SB-27", "SB-31", "SB-42"}, multi_segment);
  checks.push_back(pair_check("BASIC", "capabilities",
                              {"SB-1", "SB-2", "SB-3", "SB-4", "SB-5", "SB-6", "SB-13"},
                              capabilities));
  return checks;
}

}  // namespace qk::sim::conformance
