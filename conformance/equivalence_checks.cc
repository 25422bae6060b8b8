// EQUIV: two instances are equal exactly if their logical durable states are, and a report says
// where they first differ. The mutants are instances whose state differs in one thing.
#include <algorithm>
#include <array>

#include "conformance/groups.h"
#include "conformance/history.h"
#include "conformance/image_edit.h"
#include "conformance/interposer.h"
#include "conformance/migrating_node.h"
#include "families/fs/file_util.h"
#include "image/report.h"

namespace qk::sim::conformance {
namespace {

using families::Family;
using families::LogEntry;
using image::Difference;
using image::DifferenceKind;
using image::Domain;
using image::EquivalenceReport;
using migration::Phase;
using enum PairContext::Side;

constexpr uint64_t kSeq = 17;

struct Mutant {
  std::string name;
  Domain domain;
  DifferenceKind kind;
  int64_t index = 0;      // kLog: the earliest that differs
  std::string path = {};  // kSnapshot: of the file, if it is a file
  std::function<void(State*)> alter;
};

// Of the state of full_history(): log 3..11, snapshot 4/1.
std::vector<Mutant> log_mutants() {
  const auto at = [](State* state, int64_t index) -> LogEntry& {
    return state->entries[static_cast<size_t>(index - state->first)];
  };
  return {
      {"the last entry is missing",
       Domain::kLog,
       DifferenceKind::kFreshness,
       11,
       {},
       [](State* s) { s->entries.pop_back(); }},
      {"all but one entry are missing",
       Domain::kLog,
       DifferenceKind::kFreshness,
       4,
       {},
       [](State* s) { s->entries.resize(1); }},
      {"an entry too many",
       Domain::kLog,
       DifferenceKind::kStructural,
       12,
       {},
       [](State* s) { s->entries.push_back(entry(12, 3)); }},
      {"the first entry is missing",
       Domain::kLog,
       DifferenceKind::kStructural,
       3,
       {},
       [](State* s) {
         s->entries.erase(s->entries.begin());
         s->first += 1;
       }},
      {"all indices are one higher",
       Domain::kLog,
       DifferenceKind::kStructural,
       3,
       {},
       [](State* s) {
         s->first += 1;
         for (LogEntry& e : s->entries) e.index += 1;
       }},
      {"another term",
       Domain::kLog,
       DifferenceKind::kContent,
       11,
       {},
       [at](State* s) { at(s, 11).term += 1; }},
      {"another type",
       Domain::kLog,
       DifferenceKind::kContent,
       6,
       {},
       [at](State* s) { at(s, 6).type = families::EntryType::kNoOp; }},
      {"another payload",
       Domain::kLog,
       DifferenceKind::kContent,
       9,
       {},
       [at](State* s) { at(s, 9).payload.back() ^= 1; }},
      {"an empty payload",
       Domain::kLog,
       DifferenceKind::kContent,
       5,
       {},
       [at](State* s) { at(s, 5).payload.clear(); }},
      {"two payloads exchanged",
       Domain::kLog,
       DifferenceKind::kContent,
       9,
       {},
       [at](State* s) { std::swap(at(s, 9).payload, at(s, 10).payload); }},
      {"three entries at once",
       Domain::kLog,
       DifferenceKind::kContent,
       5,
       {},
       [at](State* s) {
         at(s, 11).payload += 'x';
         at(s, 5).payload += 'x';
         at(s, 9).term += 1;
         at(s, 10).term += 1;
       }},
      {"an old peer less in an entry",
       Domain::kLog,
       DifferenceKind::kContent,
       7,
       {},
       [at](State* s) {
         families::Configuration value = *families::decode_configuration(at(s, 7).payload);
         value.old_peers.pop_back();
         at(s, 7).payload = families::encode_configuration(value);
       }},
  };
}

std::vector<Mutant> other_mutants() {
  const auto snapshot_mutant = [](std::string name, DifferenceKind kind, std::string path,
                                  std::function<void(SnapshotState*)> alter) {
    return Mutant{std::move(name), Domain::kSnapshot, kind, 0, std::move(path), [alter](State* s) {
                    alter(&*s->snapshot);
                  }};
  };
  const auto content = DifferenceKind::kContent;
  const auto structural = DifferenceKind::kStructural;
  return {
      {"another term", Domain::kMeta, content, 0, {}, [](State* s) { s->hard_state.term += 1; }},
      {"another vote",
       Domain::kMeta,
       content,
       0,
       {},
       [](State* s) { s->hard_state.voted_for = kThirdPeer; }},
      {"no vote", Domain::kMeta, content, 0, {}, [](State* s) { s->hard_state.voted_for.clear(); }},
      {"no snapshot",
       Domain::kSnapshot,
       DifferenceKind::kFreshness,
       0,
       {},
       [](State* s) { s->snapshot.reset(); }},
      snapshot_mutant("an older snapshot", DifferenceKind::kFreshness, "",
                      [](SnapshotState* s) { s->meta.last_included_index -= 1; }),
      snapshot_mutant("a newer snapshot", structural, "",
                      [](SnapshotState* s) { s->meta.last_included_index += 1; }),
      snapshot_mutant("another term of the snapshot", content, "",
                      [](SnapshotState* s) { s->meta.last_included_term += 1; }),
      snapshot_mutant("a peer less", content, "",
                      [](SnapshotState* s) { s->meta.peers.pop_back(); }),
      snapshot_mutant("an old peer less", content, "",
                      [](SnapshotState* s) { s->meta.old_peers.pop_back(); }),
      snapshot_mutant("a byte of a file", content, "deep/er/data",
                      [](SnapshotState* s) { s->files.at("deep/er/data").bytes[3] ^= 1; }),
      snapshot_mutant("a file that is shorter", content, "local",
                      [](SnapshotState* s) { s->files.at("local").bytes.pop_back(); }),
      snapshot_mutant("a file that is empty", content, "data",
                      [](SnapshotState* s) { s->files.at("data").bytes.clear(); }),
      snapshot_mutant("a file at another place", structural, "deep/data",
                      [](SnapshotState* s) {
                        s->files["deep/data"] = s->files.at("deep/er/data");
                        s->files.erase("deep/er/data");
                      }),
      snapshot_mutant("a file less", structural, "empty",
                      [](SnapshotState* s) { s->files.erase("empty"); }),
      snapshot_mutant("a file more", structural, "dat",
                      [](SnapshotState* s) {
                        s->files["dat"] = {"", {}};
                      }),
      snapshot_mutant("an absent user_meta instead of an empty one", content, "local",
                      [](SnapshotState* s) { s->files.at("local").meta.user_meta.reset(); }),
      snapshot_mutant("another source", content, "reference",
                      [](SnapshotState* s) { s->files.at("reference").meta.source = 0; }),
      snapshot_mutant("another checksum", content, "reference",
                      [](SnapshotState* s) { s->files.at("reference").meta.checksum = "mus"; }),
  };
}

std::string expected_text(const Mutant& mutant) {
  std::string text = cat(to_string(mutant.domain), " ", to_string(mutant.kind));
  if (mutant.index > 0) text += cat(" at ", mutant.index);
  return mutant.path.empty() ? text : cat(text, " at \"", mutant.path, "\"");
}

// One difference, in the right domain, of the right kind, at the right place, with both views.
void expect_reported(PairContext& c, const Mutant& mutant, const EquivalenceReport& report) {
  const std::string what = cat(mutant.name, ": found \"", image::to_text(report), "\", expected ",
                               expected_text(mutant), " alone");
  c.expect(!report.equal && report.differences.size() == 1, what);
  const Difference& found = report.differences.front();
  c.expect(found.domain == mutant.domain && found.kind == mutant.kind, what);
  if (mutant.domain == Domain::kLog) c.expect(found.index == mutant.index, what);
  c.expect(found.path == mutant.path, what);
  c.expect_equal(cat(mutant.name, ": the cut in the report"), report.seq, kSeq);
  c.expect(!found.a.empty() && !found.b.empty() && found.a != found.b,
           cat(mutant.name, ": found the views \"", found.a, "\" and \"", found.b,
               "\", expected what each side has"));
  if (mutant.domain == Domain::kLog) {
    const int64_t equal_up_to =
        mutant.kind == DifferenceKind::kStructural && mutant.index <= 3 ? 0 : mutant.index - 1;
    c.expect_equal(cat(mutant.name, ": the last equal index"), found.last_equal, equal_up_to);
  }
}

void compare_mutants(PairContext& c, const std::vector<Mutant>& mutants) {
  const State state = state_after(full_history());
  c.create(kA);
  c.apply(kA, full_history());
  const auto digest = c.expect_value("digest", image::compute_digest(c.at(kA)));
  int number = 0;
  for (const Mutant& mutant : mutants) {
    State altered = state;
    mutant.alter(&altered);
    const auto b = c.expect_value(
        mutant.name, make_instance(c.registry(), c.fs(), c.descriptor(kB).name,
                                   c.path(cat("mutant-", ++number)), history_of(altered)));
    c.settle();
    expect_reported(c, mutant, image::compare(c.at(kA), *b, kSeq));
    const auto other = c.expect_value("digest", image::compute_digest(*b));
    c.expect(other.overall != digest.overall, cat(mutant.name, ": found an equal digest"));
    c.expect((other.log != digest.log) == (mutant.domain == Domain::kLog) &&
                 (other.meta != digest.meta) == (mutant.domain == Domain::kMeta) &&
                 (other.snapshot != digest.snapshot) == (mutant.domain == Domain::kSnapshot),
             cat(mutant.name, ": found another domain's digest changed"));
  }
}

void bootstrap_entry_difference(PairContext& c) { compare_mutants(c, log_mutants()); }
void metadata_and_snapshot_difference(PairContext& c) { compare_mutants(c, other_mutants()); }

// Several domains at once: one difference for each.
void several_domains(PairContext& c) {
  State altered = state_after(full_history());
  altered.entries.back().payload += 'x';
  altered.hard_state.voted_for.clear();
  altered.snapshot->files.erase("data");
  c.create(kA);
  c.apply(kA, full_history());
  c.create(kB);
  c.apply(kB, history_of(altered));
  const EquivalenceReport report = image::compare(c.at(kA), c.at(kB), kSeq);
  c.expect_equal("differences", report.differences.size(), size_t{3});
  const Domain domains[] = {Domain::kLog, Domain::kMeta, Domain::kSnapshot};
  for (size_t i = 0; i < 3; ++i) {
    c.expect(report.differences[i].domain == domains[i],
             cat("difference ", i, ": found another domain than ", to_string(domains[i])));
  }
}

// ---- Equal

void expect_equal(PairContext& c, std::string_view what) {
  const EquivalenceReport report = image::compare(c.at(kA), c.at(kB), kSeq);
  c.expect(report.equal, cat(what, ": found \"", image::to_text(report), "\", expected it equal"));
  c.expect_equal_digests();
}

// The report of equals says how much was compared.
void checkpoint_basic(PairContext& c) {
  c.create(kA);
  c.create(kB);
  expect_equal(c, "fresh instances");
  RandomStream random = c.random("history");
  Model model;
  for (const Change& change : full_history()) {
    c.apply(kA, change);
    c.apply(kB, change);
    model.apply(change);
    expect_equal(c, describe(change));
  }
  for (int i = 0; i < 6; ++i) {
    const Change change = random_change(random, model.state());
    c.apply(kA, change);
    c.apply(kB, change);
    model.apply(change);
  }
  const EquivalenceReport report = image::compare(c.at(kA), c.at(kB), kSeq);
  c.expect(report.equal, image::to_text(report));
  c.expect_equal("entries compared", report.entries_compared,
                 static_cast<uint64_t>(model.state().entries.size()));
  c.expect_equal("files compared", report.files_compared,
                 static_cast<uint64_t>(model.state().snapshot->files.size()));
  uint64_t bytes = 0;
  for (const auto& [path, file] : model.state().snapshot->files) bytes += file.bytes.size();
  c.expect_equal("bytes of files compared", report.file_bytes_compared, bytes);
}

// The same state by another way, in other units, with background work done on one side only.
void layout_differences(PairContext& c) {
  const State state = state_after(full_history());
  c.create(kA);
  c.apply(kA, full_history());
  Family& b = c.create(kB, small_units(c.descriptor(kB)));
  // One entry for each append, a snapshot that is replaced, a suffix that is replaced.
  c.apply(kB, reset(2));
  SnapshotState early = snapshot(2, 1);
  c.apply(kB, publish(early));
  c.apply(kB, append({entry(2)}));
  for (const LogEntry& e : state.entries) c.apply(kB, append({e}));
  c.apply(kB, append(entries(12, 20, 9, 50)));
  c.apply(kB, truncate_suffix(11));
  c.apply(kB, truncate_prefix(3));
  c.apply(kB, save_meta({3, std::string(kThirdPeer)}));
  c.apply(kB, save_meta(state.hard_state));
  c.apply(kB, publish(*state.snapshot));
  expect_equal(c, "another layout");
  while (b.pending_work() > 0) c.expect_ok("background work", b.run_one());
  c.settle();
  expect_equal(c, "after background work on one side");
  c.close(kB);
  c.must_open(kB);
  expect_equal(c, "after one side was opened again");
}

// What lies beside the trees is the family's own; what lies in a tree is part of it, listed or not.
void private_files_ignored(PairContext& c) {
  for (const auto side : {kA, kB}) {
    c.create(side);
    c.apply(side, append(entries(1, 3)));
    c.apply(side, publish(snapshot(3)));
  }
  const std::string tree = c.expect_value("open", c.at(kB).snapshot().open())->get_path();
  c.expect_ok("a private file",
              families::write_file(
                  c.fs(), families::join_path(families::parent_path(tree), "README"), "mine"));
  c.settle();
  expect_equal(c, "a private file beside the tree of one side");
}

void unlisted_files_compared(PairContext& c) {
  for (const auto side : {kA, kB}) {
    c.create(side);
    auto writer = c.expect_value("begin a snapshot", c.at(side).snapshot().create());
    c.expect_ok("fill it", fill_writer(*writer, snapshot(3)));
    if (side == kB) {
      auto file = c.expect_value("a file that is not listed", writer->create_file("notes/one"));
      c.expect_ok("write it", file->write_at(0, "mine"));
    }
    c.expect_ok("publish", c.at(side).snapshot().publish(std::move(writer)));
    c.settle();
  }
  const image::EquivalenceReport report = image::compare(c.at(kA), c.at(kB), 1);
  c.expect(!report.equal && report.differences.front().path == "notes/one",
           cat("a file that is not listed: found ", image::to_text(report)));
  c.expect(c.expect_value("digest", image::compute_digest(c.at(kA))) !=
               c.expect_value("digest", image::compute_digest(c.at(kB))),
           "a file that is not listed: found equal digests");
}

// A digest that knows the blocks from before is the one that reads everything.
void hash_after_compaction(PairContext& c) {
  c.create(kA);
  c.create(kB);
  std::array<image::DigestCache, 2> caches;
  const auto cached = [&](PairContext::Side side) {
    return c.expect_value("digest", image::compute_digest(c.at(side), &caches[side]));
  };
  const auto apply = [&](const Change& change) {
    for (const auto side : {kA, kB}) c.apply(side, change);
  };
  const auto expect_same = [&](std::string_view what) {
    for (const auto side : {kA, kB}) {
      const auto full = c.expect_value("digest", image::compute_digest(c.at(side)));
      c.expect(cached(side) == full, cat(what, ": found a cached digest that is not the full one"));
    }
    c.expect(cached(kA) == cached(kB), cat(what, ": found two digests"));
  };
  apply(append(entries(1, 1500, 1, 4)));
  apply(append(entries(1501, 2300, 1, 4)));
  expect_same("three blocks");
  c.expect(caches[kA].blocks() > 0, "the cache: found no block in it");
  apply(publish(snapshot(1200)));
  apply(truncate_prefix(1100));
  for (const auto side : {kA, kB}) {
    caches[side].drop_below(1100);
    caches[side].invalidate_snapshot();
  }
  expect_same("after a compaction inside a block");
  apply(truncate_suffix(2000));
  for (auto& cache : caches) cache.invalidate_from(2001);
  apply(append(entries(2001, 2100, 2, 4)));
  expect_same("after a truncation inside a block");
}

// ---- What cannot be read

// Reads of B fail, in one place after the other: never equal, and no digest.
void unreadable_is_failure(PairContext& c) {
  c.create(kA);
  c.apply(kA, full_history());
  Interposer hooks;
  hooks.root = c.path("b");
  const families::Registry registry = interpose(c.registry(), c.descriptor(kB).name, &hooks);
  const auto b = c.expect_value(
      "make B", make_instance(registry, c.fs(), c.descriptor(kB).name, c.root(kB), full_history()));
  c.settle();
  c.expect(image::compare(c.at(kA), *b, kSeq).equal, "nothing fails: found a difference");
  const absl::Status damaged = absl::DataLossError("injected");
  const auto failing = [&](std::string_view what, Domain domain) {
    for (const bool b_first : {false, true}) {
      const EquivalenceReport report =
          b_first ? image::compare(*b, c.at(kA), kSeq) : image::compare(c.at(kA), *b, kSeq);
      c.expect(!report.equal && report.differences.size() == 1 &&
                   report.differences[0].domain == domain &&
                   report.differences[0].kind == DifferenceKind::kUnreadable,
               cat(what, ": found \"", image::to_text(report), "\", expected ", to_string(domain),
                   " unreadable"));
    }
    c.expect(!image::compute_digest(*b).ok(), cat(what, ": found a digest"));
    c.expect(!export_image(*b, c.descriptor(kB)).ok(), cat(what, ": found an image"));
  };
  for (const int64_t index : {3, 7, 11}) {
    hooks.read_entry = [&](int64_t at) { return at == index ? damaged : absl::OkStatus(); };
    failing(cat("entry ", index), Domain::kLog);
  }
  hooks.read_entry = nullptr;
  hooks.open_snapshot = [&] { return damaged; };
  failing("the snapshot", Domain::kSnapshot);
  // It exists, so "not found" does not mean absent.
  hooks.open_snapshot = [] { return absl::NotFoundError("injected"); };
  failing("a snapshot that is not found", Domain::kSnapshot);
  hooks.open_snapshot = nullptr;
  hooks.open_file = [&](std::string_view path) {
    return path == "local" ? damaged : absl::OkStatus();
  };
  failing("a file", Domain::kSnapshot);
  hooks.open_file = nullptr;
  c.expect(image::compare(c.at(kA), *b, kSeq).equal, "nothing fails any more: found a difference");
}

// A scan that ends early, or gives nothing at all, on one side or on both.
void partial_range_not_a_pass(PairContext& c) {
  Interposer hooks;
  hooks.root = c.path("part");
  families::Registry registry = interpose(c.registry(), c.descriptor(kA).name, &hooks);
  if (c.descriptor(kA).name != c.descriptor(kB).name) {
    registry = interpose(registry, c.descriptor(kB).name, &hooks);
  }
  const auto make = [&](PairContext::Side side, std::string_view root) {
    return c.expect_value("make", make_instance(registry, c.fs(), c.descriptor(side).name,
                                                c.path(root), full_history()));
  };
  const auto a = make(kA, "part-a");
  const auto b = make(kB, "part-b");
  c.settle();
  for (const int64_t end : {10, 5, 2}) {
    hooks.scans_end_at = end;
    const EquivalenceReport report = image::compare(*a, *b, kSeq);
    c.expect(!report.equal && report.differences[0].kind == DifferenceKind::kUnreadable,
             cat("scans of both sides end at ", end, ": found \"", image::to_text(report), "\""));
    c.expect(!image::compute_digest(*a).ok() && !image::compute_digest(*b).ok(),
             cat("scans end at ", end, ": found a digest"));
  }
  hooks.scans_end_at = 0;
  c.expect(image::compare(*a, *b, kSeq).equal, "whole scans: found a difference");
}

// ---- Cuts

image::StateDigest digest_of(PairContext& c, const State& state, std::string_view root) {
  const auto scratch = c.expect_value(
      "make a scratch instance",
      make_instance(c.registry(), c.fs(), c.descriptor(kA).name, c.path(root), history_of(state)));
  c.settle();
  return c.expect_value("digest", image::compute_digest(*scratch));
}

// Each cut in the manifest names one mutation, and its digest is that of the state after it.
void hash_at_cut(PairContext& c) {
  MigratingNode node(&c);
  node.begin(full_history());
  node.start_migration();
  while (node.phase() != Phase::kValidated) {
    node.step();
    node.append_some(1);
  }
  node.advance_to(Phase::kDualWrite);
  node.append_some(2);
  node.advance_to(Phase::kCutoverValidated);
  node.append_some(1);
  const migration::Manifest& manifest = node.controller().manifest();
  c.expect(manifest.export_cut && manifest.validated_cut && manifest.cutover_cut,
           "the manifest: expected three cuts");
  int number = 0;
  for (const auto& cut : {*manifest.export_cut, *manifest.cutover_cut}) {
    const std::optional<State> state = node.state_at(cut.seq);
    c.expect(state.has_value(), cat("cut ", cut.seq, ": found no mutation of that number"));
    c.expect_equal(cat("cut ", cut.seq, ": last index"), cut.last_index, state->last());
    c.expect_equal(cat("cut ", cut.seq, ": digest"), to_hex(cut.digest),
                   to_hex(digest_of(c, *state, cat("scratch-", ++number)).overall));
  }
  c.expect(manifest.validated_cut == manifest.export_cut,
           "the import was validated at another cut than that of the export");
}

// What B holds once it is the authority, with what came after the cut taken away, is what was
// validated.
void state_at_cut_survives(PairContext& c) {
  MigratingNode node(&c);
  node.begin(full_history());
  node.advance_to(Phase::kCutoverValidated);
  const migration::CutRecord cut = *node.controller().manifest().cutover_cut;
  const int64_t last = node.model().state().last();
  node.append_some(3);
  node.advance_to(Phase::kCutOver);
  State now = node.state();
  c.expect_equal("the last index now", now.last(), last + 3);
  now.entries.resize(now.entries.size() - 3);
  c.expect_equal("digest of B without what came after the cut",
                 to_hex(digest_of(c, now, "scratch").overall), to_hex(cut.digest));
}

}  // namespace

std::vector<Check> equivalence_checks() {
  std::vector<Check> checks;
  const auto add = [&](std::string name, std::vector<std::string> requirements,
                       void (*run)(PairContext&)) {
    checks.push_back(pair_check("EQUIV", std::move(name), std::move(requirements), run));
  };
  add("bootstrap_entry_difference",
      {"EV-2", "EV-3", "EV-8", "EV-9", "EV-10", "EV-11", "EV-26", "EV-27", "EV-28", "EV-29"},
      bootstrap_entry_difference);
  add("metadata_and_snapshot_difference",
      {"EV-4", "EV-5", "EV-6", "EV-13", "EV-14", "EV-15", "EV-16", "EV-17", "EV-26", "EV-27",
       "EV-29"},
      metadata_and_snapshot_difference);
  add("several_domains", {"EV-26", "EV-27"}, several_domains);
  add("checkpoint_basic", {"EV-1", "EV-2", "EV-3", "EV-4", "EV-5", "EV-6", "EV-15"},
      checkpoint_basic);
  add("layout_differences", {"SB-27", "SB-42", "EV-1", "EV-7", "EV-12"}, layout_differences);
  add("private_files_ignored", {"EV-17"}, private_files_ignored);
  add("unlisted_files_compared", {"EV-16", "EV-17"}, unlisted_files_compared);
  add("hash_after_compaction", {"EV-7", "EV-12"}, hash_after_compaction);
  // The interposer is a second implementation of the abstract interfaces.
  add("unreadable_is_failure", {"EV-1", "EV-X1", "BC-8"}, unreadable_is_failure);
  add("partial_range_not_a_pass", {"EV-X1"}, partial_range_not_a_pass);
  add("hash_at_cut", {"CI-1", "EV-18", "EV-30"}, hash_at_cut);
  add("state_at_cut_survives", {"EV-22"}, state_at_cut_survives);
  return checks;
}

}  // namespace qk::sim::conformance
