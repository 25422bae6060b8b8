// IMPORT: an instance out of an image, for every pair of families: equal, deterministic, all or
// nothing.
#include <algorithm>
#include <cerrno>

#include "conformance/groups.h"
#include "conformance/history.h"
#include "conformance/image_edit.h"
#include "families/fs/fault_file_system.h"
#include "families/fs/file_util.h"

namespace qk::sim::conformance {
namespace {

using families::Outcome;
using image::proto::ImageHeader;
using enum PairContext::Side;

// What lies below the bench's directory, with the bytes of all files.
using Tree = std::map<std::string, std::string>;

Tree tree_of(Bench& c) {
  const std::string inside = c.path("x");
  const std::string_view base = families::parent_path(inside);
  Tree tree;
  for (const std::string& path : c.expect_value("list", families::list_tree(c.fs(), base))) {
    tree[path] = c.expect_value(
        "read", families::read_file(c.fs(), families::join_path(base, path), 1 << 24));
  }
  return tree;
}

void expect_untouched(Bench& c, std::string_view what, const Tree& before) {
  c.expect(tree_of(c) == before, cat(what, ": found files changed by a refused import"));
}

// The image of an A with this history; A is closed then.
std::string image_of(PairContext& c, const std::vector<Change>& history) {
  c.create(kA);
  c.apply(kA, history);
  std::string image = c.export_from(kA);
  c.close(kA);
  return image;
}

// ---- Every pair

void every_pair(PairContext& c) {
  RandomStream random = c.random("history");
  std::vector<Change> history = full_history();
  Model model(state_after(history));
  for (int i = 0; i < 5; ++i) {
    history.push_back(random_change(random, model.state()));
    model.apply(history.back());
  }
  c.create(kA);
  c.apply(kA, history);
  const std::string image = c.export_from(kA);
  c.expect_ok("import", c.import_into(kB, image));
  c.must_open(kB);
  c.expect_equal_digests();
  const auto read = [&] { return c.expect_value("read", read_state(c.at(kB))); };
  c.expect_same_state("imported", read(), model.state());
  c.close(kB);
  c.must_open(kB);
  c.expect_same_state("imported and opened again", read(), model.state());
  c.expect_equal_digests();
  c.expect(content_section(c.export_from(kB)) == content_section(image),
           "the image of the imported instance: found another content section");
}

// Applies the same change to both: they must answer alike, refusals included.
void apply_to_both(PairContext& c, const Change& change) {
  std::array<Outcome, 2> outcomes = {Outcome::success(), Outcome::success()};
  for (const auto side : {kA, kB}) {
    families::PlainDriver driver(&c.at(side));
    auto mutation = c.expect_value(describe(change), to_mutation(driver, change));
    outcomes[side] = driver.apply(std::move(mutation));
    c.settle();
  }
  c.expect(outcomes[kA].kind() == outcomes[kB].kind() &&
               outcomes[kA].status().code() == outcomes[kB].status().code() &&
               outcomes[kA].count() == outcomes[kB].count(),
           cat(describe(change), ": found ", outcomes[kB].status().ToString(), " of B, expected ",
               outcomes[kA].status().ToString(), " as of A"));
}

void reopen_both(PairContext& c) {
  for (const auto side : {kA, kB}) {
    c.close(side);
    c.must_open(side);
  }
  c.expect_equal_digests();
}

// What a node asks of its storage after a restart: an old and a new term, its vote, a conflict,
// more entries.
void expect_same_behaviour(PairContext& c) {
  reopen_both(c);
  const State state = c.expect_value("read", read_state(c.at(kA)));
  const int64_t term =
      std::max(state.hard_state.term, state.entries.empty() ? 0 : state.entries.back().term);
  apply_to_both(c, save_meta({state.hard_state.term - 1, ""}));
  apply_to_both(c, save_meta({state.hard_state.term, std::string(kThirdPeer)}));
  apply_to_both(c, save_meta({term + 1, std::string(kThirdPeer)}));
  apply_to_both(c, save_meta({term + 1, std::string(kPeer)}));
  apply_to_both(c, append({entry(state.last() + 2, term + 1)}));
  apply_to_both(c, append({no_op(state.last() + 1, term + 1), entry(state.last() + 2, term + 1)}));
  apply_to_both(c, truncate_suffix(state.last()));
  apply_to_both(c, append({entry(state.last() + 1, term + 2)}));
  if (state.snapshot) apply_to_both(c, publish(*state.snapshot));
  reopen_both(c);
}

void restart_at_a_cut(PairContext& c) {
  RandomStream random = c.random("cut");
  const std::vector<Change> history = full_history();
  const size_t cut = random.below(history.size() + 1);
  c.create(kA);
  c.apply(kA, {history.begin(), history.begin() + static_cast<std::ptrdiff_t>(cut)});
  c.expect_ok("import", c.import_into(kB, c.export_from(kA)));
  c.must_open(kB);
  expect_same_behaviour(c);
}

// A was killed inside an operation, whatever that left of it.
void restart_after_partial(PairContext& c) {
  if (c.any_volatile()) c.not_applicable("the source does not survive");
  RandomStream random = c.random("kill");
  c.create(kA);
  c.apply(kA, full_history());
  c.disk()->pin_crash_at_operation(c.disk()->operation_count() + 1 + random.below(6));
  const std::vector<Change> changes = one_of_each(state_after(full_history()));
  for (const Change& change : changes) {
    families::PlainDriver driver(&c.at(kA));
    auto mutation = c.expect_value(describe(change), to_mutation(driver, change));
    const Outcome outcome = driver.apply(std::move(mutation));
    if (c.disk()->pinned_crash()) break;
    c.expect_ok(describe(change), outcome);
    c.settle();
  }
  Sampled choice(RandomStream(random.next(), "choice"));
  c.crash(random.below(2) == 0 ? CrashLevel::kP0 : CrashLevel::kP2, choice);
  c.must_open(kA);
  c.expect_ok("import", c.import_into(kB, c.export_from(kA)));
  c.must_open(kB);
  expect_same_behaviour(c);
}

// Other steps, other units, another import in between: the same state, and the same image of it.
void deterministic(PairContext& c) {
  const std::string image = image_of(c, full_history());
  const image::MemorySource source("image", image);
  image::ImportRequest one = c.request_for(kB);
  image::ImportRequest other = one;
  other.root = c.path("other");
  other.options = small_units(c.descriptor(kB));
  image::Importer first(one, &source);
  image::Importer second(other, &source);
  RandomStream random = c.random("steps");
  for (bool done_one = false, done_other = false; !done_one || !done_other;) {
    if (!done_one) done_one = c.expect_value("step", first.step(random.between(1, 5)));
    if (!done_other) done_other = c.expect_value("step", second.step(1));
  }
  c.settle();
  std::vector<image::StateDigest> digests;
  for (const std::string& root : {one.root, other.root}) {
    auto opened = c.expect_value("open", open_imported(c.registry(), c.fs(), one.family, root));
    digests.push_back(c.expect_value("digest", image::compute_digest(*opened)));
    const std::string again = c.expect_value("export", export_image(*opened, c.descriptor(kB)));
    c.expect(content_section(again) == content_section(image),
             cat("image of the import into ", root, ": found another content section"));
    c.expect_ok("close", close_instance(std::move(opened)));
  }
  c.expect_equal("digest of the second import", image::to_hex(digests[1]),
                 image::to_hex(digests[0]));
}

// ---- Destinations

void non_empty_refused(PairContext& c) {
  const std::string image = image_of(c, full_history());
  const std::string& family = c.descriptor(kB).name;
  const auto refused = [&](std::string_view what, std::string_view root) {
    image::ImportRequest request = c.request_for(kB);
    request.root = c.path(root);
    const Tree before = tree_of(c);
    c.expect_code(cat("import over ", what), import_image(request, image),
                  absl::StatusCode::kAlreadyExists);
    expect_untouched(c, what, before);
  };
  const auto instance = [&](std::string_view what, std::string_view root,
                            const std::vector<Change>& history) {
    c.expect_ok(what,
                close_instance(c.expect_value(
                    what, make_instance(c.registry(), c.fs(), family, c.path(root), history))));
    c.settle();
    refused(what, root);
    families::OpenRequest request;
    request.fs = &c.fs();
    request.root = c.path(root);
    auto opened = c.expect_value(what, families::open_family(c.registry(), family, request));
    c.expect_same_state(what, c.expect_value(what, read_state(*opened)), state_after(history));
    c.expect_ok("close", close_instance(std::move(opened)));
  };
  instance("a fresh instance", "fresh", {});
  instance("one entry", "entry", {append({entry(1)})});
  instance("only a term", "meta", {save_meta({2, ""})});
  instance("only a snapshot", "snapshot", {publish(snapshot(1))});

  const auto file = [&](std::string_view what, std::string_view root, std::string_view name) {
    c.expect_ok(what, families::make_directories(c.fs(), c.path(root)));
    c.expect_ok(what, families::write_file(c.fs(), families::join_path(c.path(root), name), "x"));
    refused(what, root);
  };
  file("a temporary file", "temporary", "db.tmp");
  file("a foreign file", "foreign", "notes");
  file("a name of the family", "own", c.descriptor(kB).root_names.front());
  c.expect_ok("write", families::write_file(c.fs(), c.path("file"), "x"));
  refused("a file", "file");
  for (const auto state : {image::InstanceState::kCatchingUp, image::InstanceState::kCurrent,
                           image::InstanceState::kStale, image::InstanceState::kFenced,
                           image::InstanceState::kRetired}) {
    const std::string root = cat("tombstone-", image::to_string(state));
    c.expect_ok("make", families::make_directories(c.fs(), c.path(root)));
    c.expect_ok("mark", image::write_sidecar(c.fs(), c.path(root),
                                             {transfer_identity(), family, "old", state}));
    refused(cat("an instance that was ", image::to_string(state)), root);
  }
  // What a stopped import left is replaced, but only by an import into the same family, and only if
  // nothing else lies there.
  const auto stopped = [&](std::string_view root, const std::string& of) {
    c.expect_ok("make", families::make_directories(c.fs(), c.path(root)));
    c.expect_ok("mark", image::write_sidecar(
                            c.fs(), c.path(root),
                            {transfer_identity(), of, "old", image::InstanceState::kImporting}));
  };
  stopped("stopped-other", "another-family");
  refused("a stopped import into another family", "stopped-other");
  stopped("stopped-foreign", family);
  file("a stopped import with a foreign file", "stopped-foreign", "notes");
}

void empty_accepted(PairContext& c) {
  const std::vector<Change> history = full_history();
  const std::string image = image_of(c, history);
  const auto accepted = [&](std::string_view what, std::string_view root) {
    image::ImportRequest request = c.request_for(kB);
    request.root = c.path(root);
    c.expect_ok(cat("import into ", what), import_image(request, image));
    c.settle();
    auto opened =
        c.expect_value(what, open_imported(c.registry(), c.fs(), request.family, request.root));
    c.expect_same_state(what, c.expect_value(what, read_state(*opened)), state_after(history));
    c.expect_ok("close", close_instance(std::move(opened)));
  };
  accepted("nothing", "absent");
  c.expect_ok("make", families::make_directories(c.fs(), c.path("empty")));
  accepted("an empty directory", "empty");
  image::Sidecar reserved{transfer_identity(), c.descriptor(kB).name, "reserved",
                          image::InstanceState::kEmpty};
  c.expect_ok("make", families::make_directories(c.fs(), c.path("reserved")));
  c.expect_ok("reserve", image::write_sidecar(c.fs(), c.path("reserved"), reserved));
  accepted("a reserved place", "reserved");
  reserved.state = image::InstanceState::kImporting;
  c.expect_ok("make", families::make_directories(c.fs(), c.path("stopped")));
  c.expect_ok("mark", image::write_sidecar(c.fs(), c.path("stopped"), reserved));
  // Stopped while it moved its names there.
  c.expect_ok("leave", families::make_directories(
                           c.fs(), families::join_path(c.path("stopped"), image::kPublishingName)));
  c.expect_ok(
      "leave",
      families::write_file(
          c.fs(), families::join_path(c.path("stopped"), c.descriptor(kB).root_names.front()),
          "half"));
  c.expect_ok("leave", families::write_file(c.fs(),
                                            cat(c.path("stopped"), "/", image::kPublishingName, "/",
                                                image::kPublishedNames),
                                            cat(c.descriptor(kB).root_names.front(), "\n")));
  accepted("what a stopped import left", "stopped");
  c.expect_ok("make", families::make_directories(c.fs(), c.path("marked")));
  c.expect_ok("leave", families::write_file(c.fs(), c.path("marked/qk_identity.tmp"), "half"));
  accepted("a sidecar that was not finished", "marked");
  reserved.state = image::InstanceState::kEmpty;
  // Reserved for another one.
  reserved.identity.generation += 1;
  c.expect_ok("make", families::make_directories(c.fs(), c.path("taken")));
  c.expect_ok("reserve", image::write_sidecar(c.fs(), c.path("taken"), reserved));
  image::ImportRequest request = c.request_for(kB);
  request.root = c.path("taken");
  c.expect_code("import into another one's place", import_image(request, image),
                absl::StatusCode::kFailedPrecondition);
}

// ---- Images that are refused

void expect_import_refused(PairContext& c, std::string_view what, std::string_view image,
                           const image::ImportRequest& request, const Tree& before) {
  const absl::Status status = import_image(request, image);
  c.expect(!status.ok(), cat(what, ": found an import"));
  expect_untouched(c, what, before);
  const auto opened = open_imported(c.registry(), c.fs(), request.family, request.root);
  c.expect(!opened.ok(), cat(what, ": found an instance that opens"));
}

void foreign_identity_refused(PairContext& c) {
  const std::string image = image_of(c, full_history());
  const Tree before = tree_of(c);
  const auto foreign = [&](std::string_view what,
                           const std::function<void(image::Identity*)>& alter) {
    image::ImportRequest request = c.request_for(kB);
    alter(&request.identity);
    c.expect_code(what, import_image(request, image), absl::StatusCode::kFailedPrecondition);
    expect_untouched(c, what, before);
  };
  foreign("another group", [](image::Identity* i) { i->group_id = "other"; });
  foreign("another peer", [](image::Identity* i) { i->peer_id = kOtherPeer; });
  foreign("another lineage", [](image::Identity* i) { i->lineage = "other"; });
  foreign("another generation", [](image::Identity* i) { i->generation += 1; });
  // And once imported, no other node opens it.
  c.expect_ok("import", c.import_into(kB, image));
  image::Identity other = transfer_identity();
  other.peer_id = kOtherPeer;
  families::OpenRequest request;
  request.fs = &c.fs();
  request.root = c.root(kB);
  c.expect_code("opened by another peer",
                image::open_instance(c.registry(), request, c.descriptor(kB).name, other).status(),
                absl::StatusCode::kFailedPrecondition);
}

void versions(PairContext& c) {
  const std::vector<Change> history = full_history();
  const std::string image = image_of(c, history);
  const Tree before = tree_of(c);
  const image::ImportRequest request = c.request_for(kB);
  const auto refused = [&](std::string_view what, const std::function<void(ImageHeader*)>& alter) {
    expect_import_refused(c, what, with_header(image, alter), request, before);
  };
  refused("the next major version", [](ImageHeader* h) { h->set_format_major(2); });
  refused("a major version from far away", [](ImageHeader* h) { h->set_format_major(~0U); });
  refused("a feature to be understood",
          [](ImageHeader* h) { h->add_required_features("compressed-entries"); });
  // What a newer minor version may say, this one ignores.
  const std::string newer = with_header(image, [](ImageHeader* h) {
    h->set_format_minor(h->format_minor() + 7);
    h->GetReflection()->MutableUnknownFields(h)->AddVarint(999, 5);
  });
  c.expect_ok("import of a newer minor version", c.import_into(kB, newer));
  c.must_open(kB);
  c.expect_same_state("imported", c.expect_value("read", read_state(c.at(kB))),
                      state_after(history));
}

void damage_leaves_nothing(PairContext& c) {
  const std::string image = image_of(c, full_history());
  const Tree before = tree_of(c);
  const image::ImportRequest request = c.request_for(kB);
  RandomStream random = c.random("damage");
  const std::vector<ImageFrame> frames = split_image(image);
  size_t end = 8;
  for (const ImageFrame& frame : frames) {
    expect_import_refused(c, cat("an image that ends at ", end),
                          std::string_view(image).substr(0, end), request, before);
    const size_t size = 5 + frame.payload.size() + 4;
    std::string flipped = image;
    const size_t at = end + random.below(size);
    flipped[at] = static_cast<char>(flipped[at] ^ 0x20);
    expect_import_refused(c, cat("byte ", at, " flipped"), flipped, request, before);
    end += size;
  }
}

// The damage is at the very end, and the import goes step by step: at no step does anything open.
void damage_at_the_end(PairContext& c) {
  std::string image = image_of(c, full_history());
  image[image.size() - 1] = static_cast<char>(image[image.size() - 1] ^ 1);
  const Tree before = tree_of(c);
  const image::MemorySource source("image", image);
  const image::ImportRequest request = c.request_for(kB);
  image::Importer importer(request, &source);
  absl::StatusOr<bool> step = false;
  for (int steps = 0; step.ok(); ++steps) {
    c.expect(!*step && steps < 1000, "an import of a damaged image: found it finished");
    for (const std::string& root :
         {request.root, families::join_path(request.root, image::kStagingName)}) {
      c.expect(!open_imported(c.registry(), c.fs(), request.family, root).ok(),
               cat(root, " after step ", steps, ": found an instance that opens"));
    }
    step = importer.step(1);
  }
  expect_untouched(c, "damage at the end", before);
}

// ---- Imports that fail

// An error of the file system at every call that changes something, which did nothing, a part, or
// all of what it should: an import that fails leaves nothing that opens.
void failed_import_never_opens(PairContext& c) {
  const std::vector<Change> history = full_history();
  const std::string image = image_of(c, history);
  const image::MemorySource source("image", image);
  const std::string& family = c.descriptor(kB).name;
  const auto expect_whole = [&](std::string_view what, const std::string& root) {
    const auto opened = c.expect_value(what, open_imported(c.registry(), c.fs(), family, root));
    c.expect_same_state(what, c.expect_value(what, read_state(*opened)), state_after(history));
  };
  uint64_t calls = 0;
  {
    families::FaultFileSystem counting(&c.fs());
    c.expect_ok(
        "import",
        import_image(import_request(c.registry(), counting, family, c.path("counted")), image));
    calls = counting.take_calls().size();
  }
  c.settle();
  using Effect = families::Fault::Effect;
  constexpr Effect kEffects[] = {Effect::kNone, Effect::kAll, Effect::kPart};
  uint64_t failures = 0;
  // A real disk is slow, and some of the calls are enough there.
  const uint64_t stride = c.disk() != nullptr ? 1 : calls / 14 + 1;
  for (uint64_t n = 1 + (calls - 1) % stride; n <= calls; n += stride) {
    // The last calls, which publish, with every effect.
    const bool last = calls - n < 8;
    if (c.disk() != nullptr && !last && !c.tries_point(n)) continue;
    for (size_t effect = last ? 0 : n % 3; effect <= (last ? 2 : n % 3); ++effect) {
      families::Fault fault;
      fault.error = n % 2 == 0 ? EIO : ENOSPC;
      fault.effect = kEffects[effect];
      const std::string root = c.path(cat("b", n, "-", effect));
      families::FaultFileSystem faults(&c.fs());
      faults.fail_at(n, fault);
      absl::Status status;
      bool given_up = false;
      {
        image::Importer importer(import_request(c.registry(), faults, family, root), &source);
        status = importer.run();
        given_up = !status.ok() && n % 2 == 0 && importer.discard().ok();
      }
      c.settle();
      const std::string what =
          cat("errno ", fault.error, " at call ", n, " of ", calls, ", ", faults.failed_call());
      c.expect(faults.failed(), cat(what, ": found no failure"));
      if (status.ok()) {
        // Of a call that nothing depends on; then it must be whole.
        expect_whole(what, root);
        continue;
      }
      ++failures;
      for (const std::string& name : {root, families::join_path(root, image::kStagingName)}) {
        c.expect(!open_imported(c.registry(), c.fs(), family, name).ok(),
                 cat(what, ": found an instance that opens at ", name));
      }
      if (given_up && c.expect_value("look", families::exists(c.fs(), root))) {
        // The call that made it may have said that it failed.
        c.expect(c.expect_value("list", c.fs().list(root)).empty(),
                 cat(what, ": found files in the destination, expected that they were removed"));
      }
      c.expect_ok(cat("retry after ", what),
                  import_image(import_request(c.registry(), c.fs(), family, root), image));
      c.settle();
      expect_whole(what, root);
    }
  }
  c.expect(failures > 0, "failed imports: found none");
}

// The machine stops in the middle: the destination does not open, or it is whole.
void killed_import_never_opens(PairContext& c) {
  if (c.descriptor(kB).volatility == families::Volatility::kVolatile) {
    c.not_applicable("no instance survives");
  }
  constexpr uint64_t kPoints = 24;
  const std::vector<Change> history = full_history();
  const std::string image = image_of(c, history);
  const std::string& family = c.descriptor(kB).name;
  const Nanos begin = c.disk()->now();
  c.expect_ok("import", import_image(c.request_for(kB), image));
  // Time has not passed yet: each fork is a machine that stops on the way.
  const Nanos span = c.disk()->busy_until() - begin;
  RandomStream random = c.random("kill");
  int absent = 0;
  for (uint64_t point = 0; point < kPoints; ++point) {
    SimDisk disk = c.disk()->fork();
    const Nanos at = begin + static_cast<Nanos>((static_cast<uint64_t>(span) * point +
                                                 random.below(static_cast<uint64_t>(span))) /
                                                kPoints);
    Sampled choice(RandomStream(random.next(), "choice"));
    const CrashReport report =
        disk.crash(point % 2 == 0 ? CrashLevel::kP2 : CrashLevel::kP0, at, choice);
    const auto fs = disk.mount();
    const auto opened = open_imported(c.registry(), *fs, family, c.root(kB));
    if (opened.ok()) {
      c.expect_same_state(report.text, c.expect_value("read", read_state(**opened)),
                          state_after(history));
      continue;
    }
    ++absent;
    c.expect_ok(cat("import again after ", report.text),
                import_image(import_request(c.registry(), *fs, family, c.root(kB)), image));
    const auto again = c.expect_value("open", open_imported(c.registry(), *fs, family, c.root(kB)));
    c.expect_same_state("imported again", c.expect_value("read", read_state(*again)),
                        state_after(history));
  }
  c.expect(absent > 0, "machines that stopped before the end: found none");
}

}  // namespace

std::vector<Check> import_checks() {
  std::vector<Check> checks;
  const auto add = [&](std::string name, std::vector<std::string> requirements,
                       void (*run)(PairContext&), std::vector<DiskKind> disks = kBothDisks) {
    checks.push_back(
        pair_check("IMPORT", std::move(name), std::move(requirements), run).on(std::move(disks)));
  };
  add("every_pair",
      {"SB-1", "SB-2", "SB-4", "SB-5", "SB-6", "SB-9", "SB-13", "SB-15", "SB-21", "SB-22", "SB-26",
       "CI-3", "CI-11", "CI-18", "CI-28", "EV-18"},
      every_pair);
  add("restart_at_a_cut", {"SB-25", "CI-3"}, restart_at_a_cut);
  add("restart_after_partial", {"SB-25", "CI-2", "CI-3"}, restart_after_partial, kSimulatedOnly);
  add("deterministic", {"SB-24", "SB-27", "CI-23", "CI-25"}, deterministic);
  add("non_empty_refused", {"SB-23", "CI-19", "CI-22"}, non_empty_refused);
  add("empty_accepted", {"SB-4", "SB-23", "CI-19"}, empty_accepted);
  add("foreign_identity_refused", {"CI-X1"}, foreign_identity_refused);
  add("versions", {"SB-22", "CI-5", "CI-9", "CI-10", "CI-26", "CI-27"}, versions);
  add("damage_leaves_nothing", {"CI-8", "CI-20", "CI-21"}, damage_leaves_nothing);
  add("damage_at_the_end", {"CI-20", "CI-21"}, damage_at_the_end);
  add("failed_import_never_opens", {"CI-20", "CI-24"}, failed_import_never_opens);
  add("killed_import_never_opens", {"CI-20", "CI-24"}, killed_import_never_opens, kSimulatedOnly);
  return checks;
}

}  // namespace qk::sim::conformance
