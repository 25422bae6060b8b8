// EXPORT: what an image says, from whatever instance, of one cut, whatever happens meanwhile.
#include "conformance/groups.h"
#include "conformance/history.h"
#include "conformance/image_edit.h"
#include "families/fs/file_util.h"

namespace qk::sim::conformance {
namespace {

using image::proto::ImageHeader;

std::string export_now(InstanceContext& c, uint64_t seq = 1) {
  return c.expect_value("export", export_image(c.subject(), c.family(), seq));
}

State decoded(InstanceContext& c, std::string_view image) {
  return c.expect_value("decode the image", decode_image_state(image));
}

void expect_image_is(InstanceContext& c, std::string_view what, std::string_view image,
                     const State& state) {
  c.expect_same_state(what, decoded(c, image), state);
}

// ---- What an image says

void copy_basic(InstanceContext& c) {
  RandomStream random = c.random("history");
  c.begin(random_history(random, 12));
  c.reopen();  // durable state, not what the instance remembers
  expect_image_is(c, "image", export_now(c), c.model().state());
  c.expect_state();
}

void extra_keys_copied(InstanceContext& c) {
  c.begin(full_history());
  const State state = c.model().state();
  c.expect(state.first > 1 && state.snapshot && !state.snapshot->meta.old_peers.empty() &&
               !state.hard_state.voted_for.empty(),
           "the history: expected state in every domain");
  c.reopen();
  expect_image_is(c, "image", export_now(c), state);
}

void copy_from_one(InstanceContext& c) {
  c.begin({append({entry(1)})});
  expect_image_is(c, "a log of one entry", export_now(c), c.model().state());
  c.apply({publish(snapshot(1)), truncate_prefix(2)});
  const std::string empty = export_now(c);
  expect_image_is(c, "an empty log that begins at 2", empty, c.model().state());
  const ImageHeader header = image_header(empty);
  c.expect_equal("first index in the header", static_cast<int64_t>(header.first_index()),
                 int64_t{2});
  c.expect_equal("last index in the header", static_cast<int64_t>(header.last_index()), int64_t{1});
  c.apply(append(entries(2, 4)));
  expect_image_is(c, "a log after its snapshot", export_now(c), c.model().state());
  c.apply({publish(snapshot(3)), truncate_prefix(3)});
  expect_image_is(c, "a snapshot inside the log", export_now(c), c.model().state());
  c.apply(reset(4));
  c.apply(publish(snapshot(6)));
  expect_image_is(c, "a snapshot newer than the log", export_now(c), c.model().state());
}

void nothing_yet(InstanceContext& c) {
  c.begin();
  expect_image_is(c, "a fresh instance", export_now(c), State());
}

// Term above that of the log, no vote, and votes for this node and another.
void term_and_vote(InstanceContext& c) {
  c.begin({append(entries(1, 2, 3))});
  for (const families::HardState& state :
       {families::HardState{3, ""}, families::HardState{3, std::string(kPeer)},
        families::HardState{7, std::string(kOtherPeer)}, families::HardState{9, ""}}) {
    c.apply(save_meta(state));
    const State found = decoded(c, export_now(c));
    c.expect_equal("term", found.hard_state.term, state.term);
    c.expect_equal("vote", found.hard_state.voted_for, state.voted_for);
  }
}

void header_fields(InstanceContext& c) {
  c.begin(full_history());
  const uint64_t seq = 1 + c.random("seq").below(1000);
  const std::string image = export_now(c, seq);
  c.expect_equal("magic", image.substr(0, 8), std::string("QKIMAGE\n"));
  const ImageHeader header = image_header(image);
  c.expect_equal("format major", header.format_major(), uint32_t{1});
  c.expect(header.has_format_minor(), "format minor: found none, expected one");
  c.expect_equal("source family", header.source_family(), c.family().name);
  c.expect_equal("its version", header.source_format_version(), c.family().format_version);
  c.expect_equal("group", header.group_id(), transfer_identity().group_id);
  c.expect_equal("peer", header.peer_id(), transfer_identity().peer_id);
  c.expect_equal("lineage", header.lineage(), transfer_identity().lineage);
  c.expect_equal("generation", uint64_t{header.generation()}, transfer_identity().generation);
  c.expect_equal("cut", uint64_t{header.cut_seq()}, seq);
  c.expect_equal("first index", int64_t{header.first_index()}, c.model().state().first);
  c.expect_equal("last index", int64_t{header.last_index()}, c.model().state().last());
}

// ---- One cut

// The exporter over one step at a time, whatever happens in between.
struct SteppedExport {
  SteppedExport(InstanceContext& c, uint64_t seq)
      : exporter(&c.subject(),
                 c.expect_value("take a cut", image::ExportCut::capture(c.subject(), seq)),
                 transfer_identity(), c.family().name, c.family().format_version, &sink) {}

  std::string bytes;
  image::MemorySink sink{&bytes};
  image::Exporter exporter;
};

void copy_without_progress_sink(InstanceContext& c) {
  c.begin(full_history());
  const std::string whole = export_now(c);
  SteppedExport watched(c, 1);
  int64_t progress = watched.exporter.progress_ppm();
  c.expect_equal("progress before the first step", progress, int64_t{0});
  for (bool finished = false; !finished;) {
    finished = c.expect_value("step", watched.exporter.step(1));
    const int64_t now = watched.exporter.progress_ppm();
    c.expect(now >= progress && (now == 1'000'000) == finished,
             cat("progress: found ", now, " after ", progress, finished ? ", finished" : ""));
    progress = now;
  }
  c.expect(watched.bytes == whole, "an export step by step: found other bytes than of one in one");
}

// With changes of every kind between the steps: the state at the cut, or an abort that asks for a
// new one.
void cut_under_load(InstanceContext& c) {
  c.begin(full_history());
  RandomStream random = c.random("load");
  int whole = 0;
  for (int round = 0; round < 6; ++round) {
    // The last rounds lose nothing that the cut needs, so some export ends.
    const bool gentle = round >= 3;
    // What the log does not show changes for certain while it is copied, in several steps.
    std::vector<Change> certain;
    if (gentle) {
      c.apply(more_entries(c.model().state(), 9));
      const State& state = c.model().state();
      const int64_t term = state.entries.back().term;
      certain = {publish(snapshot(state.last(), term)),
                 save_meta({std::max(term, state.hard_state.term) + 1, std::string(kThirdPeer)})};
    }
    const State at_cut = c.model().state();
    SteppedExport load(c, static_cast<uint64_t>(round) + 1);
    while (true) {
      const absl::StatusOr<bool> finished = load.exporter.step(2);
      if (!finished.ok()) {
        c.expect_code("export while the log changes", finished.status(),
                      absl::StatusCode::kAborted);
        c.expect(!verify_bytes(load.bytes).ok(), "an aborted image: found it good");
        break;
      }
      if (*finished) {
        c.expect_ok("verify", verify_bytes(load.bytes));
        expect_image_is(c, cat("image of cut ", round + 1), load.bytes, at_cut);
        c.expect_equal("cut", uint64_t{image_header(load.bytes).cut_seq()},
                       static_cast<uint64_t>(round) + 1);
        ++whole;
        break;
      }
      Change change = random_change(random, c.model().state());
      while (gentle && (change.operation == families::Operation::kTruncatePrefix ||
                        change.operation == families::Operation::kTruncateSuffix ||
                        change.operation == families::Operation::kReset)) {
        change = random_change(random, c.model().state());
      }
      if (!certain.empty()) {
        change = certain.back();
        certain.pop_back();
      }
      c.apply(change);
    }
  }
  c.expect(whole >= 3, cat("exports that ended: found ", whole, ", expected at least 3"));
}

// Entries that the cut needs go away: never an image of something else.
void cut_lost(InstanceContext& c) {
  c.begin({append(entries(1, 10)), save_meta({2, ""}), publish(snapshot(4))});
  const auto lose = [&](std::string_view what, const std::vector<Change>& changes) {
    SteppedExport load(c, 1);
    c.expect(!c.expect_value("first step", load.exporter.step(1)), "an export of one step");
    c.apply(changes);
    c.expect_code(what, load.exporter.run(), absl::StatusCode::kAborted);
    c.expect_code("the step after it", load.exporter.step(1).status(), absl::StatusCode::kAborted);
    c.expect(!verify_bytes(load.bytes).ok(), cat(what, ": found a good image"));
  };
  lose("the end was truncated", {truncate_suffix(9)});
  lose("the end was replaced", {truncate_suffix(8), append({entry(9, 2), entry(10, 2)})});
  lose("the beginning was compacted away", {truncate_prefix(4)});
  lose("the log was reset", {reset(5)});
  c.expect_state();
}

void copy_cancelled(InstanceContext& c) {
  c.begin(full_history());
  const std::string path = c.path("image");
  {
    image::FileSink sink(&c.fs(), path);
    image::Exporter exporter(
        &c.subject(), c.expect_value("take a cut", image::ExportCut::capture(c.subject(), 1)),
        transfer_identity(), c.family().name, c.family().format_version, &sink);
    for (int i = 0; i < 3; ++i) {
      c.expect(!c.expect_value("step", exporter.step(1)), "an export of three steps");
    }
  }
  const auto there = c.expect_value("look for the image", families::exists(c.fs(), path));
  c.expect(!there, "a cancelled export: found an image under its name");
  c.expect_state();
  expect_image_is(c, "the next image", export_now(c), c.model().state());
}

// A machine that stops while it writes an image leaves none, or the whole one.
void cut_then_crash(InstanceContext& c) {
  if (c.is_volatile()) c.not_applicable("the instance does not survive");
  c.begin(full_history());
  const std::string path = c.path("image");
  const uint64_t before = c.disk()->operation_count();
  RandomStream random = c.random("crash");
  uint64_t operations = 0;
  for (int round = 0; round < 6; ++round) {
    auto machine = c.fork();
    c.expect_ok("open", machine->open());
    const uint64_t begin = machine->disk()->operation_count();
    if (round > 0) machine->disk()->pin_crash_at_operation(begin + 1 + random.below(operations));
    image::FileSink sink(&machine->fs(), path);
    image::Exporter exporter(
        &machine->subject(),
        c.expect_value("take a cut", image::ExportCut::capture(machine->subject(), 1)),
        transfer_identity(), c.family().name, c.family().format_version, &sink);
    c.expect_ok("export", exporter.run());
    if (round == 0) operations = machine->disk()->operation_count() - begin;
    Sampled choice(RandomStream(random.next(), "choice"));
    machine->crash(random.below(2) == 0 ? CrashLevel::kP0 : CrashLevel::kP2, choice);
    const auto bytes = families::read_file(machine->fs(), path, 1 << 20);
    if (bytes.ok()) {
      c.expect_ok("an image found after a crash", verify_bytes(*bytes));
      expect_image_is(c, "an image found after a crash", *bytes, c.model().state());
    } else {
      c.expect_code("no image after a crash", bytes.status(), absl::StatusCode::kNotFound);
    }
    c.expect_ok("open after a crash", machine->open());
    machine->expect_state();
    machine->close();
  }
  c.expect(c.disk()->operation_count() == before, "forks: found changes of the first disk");
}

// ---- Pairs

// One state has one content section, for every writer and every layout.
void content_same_for_all(PairContext& c) {
  c.create(PairContext::kA);
  c.create(PairContext::kB, small_units(c.descriptor(PairContext::kB)));
  RandomStream random = c.random("history");
  std::vector<Change> history = full_history();
  Model model(state_after(history));
  for (int i = 0; i < 6; ++i) {
    history.push_back(random_change(random, model.state()));
    model.apply(history.back());
  }
  c.apply(PairContext::kA, history);
  c.apply(PairContext::kB, history);
  const std::string a = c.export_from(PairContext::kA);
  const std::string b = c.export_from(PairContext::kB);
  c.expect(content_section(a) == content_section(b),
           "content sections: found two for one state, expected one");
  c.expect_same_state("image of A", c.expect_value("decode", decode_image_state(a)), model.state());
  ImageHeader header = image_header(b);
  header.set_source_family(c.descriptor(PairContext::kA).name);
  header.set_source_format_version(c.descriptor(PairContext::kA).format_version);
  c.expect_equal("the header but for its family", header.SerializeAsString(),
                 image_header(a).SerializeAsString());
}

}  // namespace

std::vector<Check> export_checks() {
  std::vector<Check> checks;
  const auto add = [&](std::string name, std::vector<std::string> requirements,
                       void (*run)(InstanceContext&)) {
    checks.push_back(instance_check("EXPORT", std::move(name), std::move(requirements), run));
  };
  add("copy_basic",
      {"SB-2", "SB-3", "SB-15", "SB-16", "SB-17", "SB-18", "SB-19", "SB-20", "CI-1", "CI-11",
       "CI-12", "CI-13", "CI-14", "CI-15", "CI-16", "CI-17"},
      copy_basic);
  add("extra_keys_copied", {"SB-9", "SB-17", "SB-20", "SB-21", "CI-14", "CI-17", "CI-18"},
      extra_keys_copied);
  add("copy_from_one", {"SB-16", "SB-19", "CI-12", "CI-16"}, copy_from_one);
  add("nothing_yet", {"SB-3", "SB-16", "SB-19"}, nothing_yet);
  add("term_and_vote", {"SB-18", "CI-15"}, term_and_vote);
  add("header_fields", {"CI-1", "CI-4", "CI-5", "CI-6", "CI-7", "CI-X1"}, header_fields);
  add("copy_without_progress_sink", {"SB-15", "CI-1"}, copy_without_progress_sink);
  add("cut_under_load", {"SB-15", "CI-1", "CI-2"}, cut_under_load);
  add("cut_lost", {"CI-2"}, cut_lost);
  add("copy_cancelled", {"CI-21", "SB-3"}, copy_cancelled);
  checks.push_back(
      instance_check("EXPORT", "cut_then_crash", {"SB-3", "CI-2", "CI-21"}, cut_then_crash)
          .on(kSimulatedOnly));
  checks.push_back(pair_check("EXPORT", "content_same_for_all",
                              {"SB-13", "SB-27", "SB-42", "CI-28", "CI-30", "EV-12"},
                              content_same_for_all));
  return checks;
}

}  // namespace qk::sim::conformance
