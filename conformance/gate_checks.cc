// GATE: every place at which a migration decides that B may go on (migration.md 3 and 4), with
// every way in which B can be wrong: each domain of its state altered, the state of another cut,
// and what cannot be read. At each gate each of them is refused, and the refusal names the domain.
//
// The wrong B is an instance of B's family that was made through the contract, put in the place of
// the one that the migration made (substitutes.h). So the table knows no format, and a gate that
// leaves out one comparison has nothing else that refuses in its place.
#include <algorithm>
#include <array>
#include <set>

#include "conformance/groups.h"
#include "conformance/history.h"
#include "conformance/image_edit.h"
#include "conformance/interposer.h"
#include "conformance/migrating_node.h"
#include "conformance/substitutes.h"
#include "families/fs/file_util.h"

namespace qk::sim::conformance {
namespace {

using families::Family;
using families::Lane;
using families::LogEntry;
using families::Operation;
using migration::Phase;
using enum PairContext::Side;

// ---- Domains, and who names them

using Domains = std::set<std::string>;  // "log", "meta", "snapshot"

Domains difference(const State& a, const State& b) {
  Domains domains;
  if (a.first != b.first || a.entries != b.entries) domains.insert("log");
  if (a.hard_state != b.hard_state) domains.insert("meta");
  if (a.snapshot != b.snapshot) domains.insert("snapshot");
  return domains;
}

// The domains that a refusal accuses: a line of a report ("\n  log content ..."), the head of an
// error ("log: ..."), or a lane of the reconciliation ("the mirror's log").
Domains named(std::string_view text) {
  Domains domains;
  for (const std::string domain : {"log", "meta", "snapshot"}) {
    for (const std::string& form :
         {cat("\n  ", domain, " "), cat("\n  ", domain, ":"), cat("'s ", domain)}) {
      if (text.find(form) != std::string_view::npos) domains.insert(domain);
    }
    if (text.rfind(cat(domain, ": "), 0) == 0) domains.insert(domain);
  }
  return domains;
}

std::string to_text(const Domains& domains) {
  std::string text;
  for (const std::string& domain : domains) text += cat(text.empty() ? "" : ", ", domain);
  return text.empty() ? "none" : text;
}

// ---- What is wrong with B

struct Wrong {
  std::string name;
  std::function<void(State*)> alter;  // null: the state is right, and cannot be read
  // What of it cannot be read.
  std::function<void(Interposer*, const State&)> hide = nullptr;
  std::string hidden = {};  // in this domain
};

// Alters a state of at least three entries, and leaves a smaller one as it is.
std::function<void(State*)> in_log(std::function<void(std::vector<LogEntry>*)> alter) {
  return [alter = std::move(alter)](State* state) {
    if (state->entries.size() < 3) return;
    alter(&state->entries);
    if (state->entries.front().index != state->first) state->first = state->entries.front().index;
  };
}

TreeFile& some_file(State* state) {
  auto& files = state->snapshot->files;
  return std::find_if(files.begin(), files.end(),
                      [](const auto& file) { return !file.second.bytes.empty(); })
      ->second;
}

// Each alters one thing of a state with a vote and a snapshot with files.
std::vector<Wrong> altered() {
  using Entries = std::vector<LogEntry>;
  return {
      {"a payload", in_log([](Entries* e) { e->back().payload += 'x'; })},
      {"an earlier payload", in_log([](Entries* e) { e->front().payload += 'x'; })},
      {"an entry's term", in_log([](Entries* e) { e->back().term += 1; })},
      {"an entry's type", in_log([](Entries* e) {
         e->back() = e->back().type == families::EntryType::kNoOp
                         ? LogEntry{e->back().index, e->back().term, families::EntryType::kData, ""}
                         : no_op(e->back().index, e->back().term);
       })},
      {"entries are missing", in_log([](Entries* e) { e->resize(e->size() - 2); })},
      {"the first entry is missing", in_log([](Entries* e) { e->erase(e->begin()); })},
      {"an entry too many",
       [](State* s) { s->entries.push_back(entry(s->last() + 1, s->hard_state.term)); }},
      {"the term", [](State* s) { s->hard_state.term += 1; }},
      {"the vote", [](State* s) { s->hard_state.voted_for = kThirdPeer; }},
      {"no vote", [](State* s) { s->hard_state.voted_for.clear(); }},
      {"no snapshot", [](State* s) { s->snapshot.reset(); }},
      {"the snapshot's index", [](State* s) { s->snapshot->meta.last_included_index += 1; }},
      {"the snapshot's term", [](State* s) { s->snapshot->meta.last_included_term += 1; }},
      {"the snapshot's peers", [](State* s) { s->snapshot->meta.peers.pop_back(); }},
      {"the snapshot's old peers", [](State* s) { s->snapshot->meta.old_peers.clear(); }},
      {"a file's bytes", [](State* s) { some_file(s).bytes.back() ^= 1; }},
      {"a file's size", [](State* s) { some_file(s).bytes += 'x'; }},
      {"a file's path",
       [](State* s) {
         auto file = s->snapshot->files.extract(s->snapshot->files.begin());
         file.key() += "x";
         s->snapshot->files.insert(std::move(file));
       }},
      {"a file less", [](State* s) { s->snapshot->files.erase("empty"); }},
      {"a file more",
       [](State* s) {
         s->snapshot->files["more"] = {"m", {}};
       }},
      {"a file's meta", [](State* s) { some_file(s).meta.checksum = "another"; }},
  };
}

std::vector<Wrong> unreadable() {
  const absl::Status error = absl::DataLossError("injected");
  return {
      {"the last entry cannot be read", nullptr,
       [error](Interposer* hooks, const State& state) {
         hooks->read_entry = [error, last = state.last()](int64_t index) {
           return index == last ? error : absl::OkStatus();
         };
       },
       "log"},
      {"the entries end too soon", nullptr,
       [](Interposer* hooks, const State& state) { hooks->scans_end_at = state.last() - 1; },
       "log"},
      {"the snapshot cannot be opened", nullptr,
       [error](Interposer* hooks, const State&) {
         hooks->open_snapshot = [error] { return error; };
       },
       "snapshot"},
      {"the snapshot is not found", nullptr,
       [](Interposer* hooks, const State&) {
         hooks->open_snapshot = [] { return absl::NotFoundError("injected"); };
       },
       "snapshot"},
      {"a file cannot be opened", nullptr,
       [error](Interposer* hooks, const State& state) {
         hooks->open_file =
             [error, path = state.snapshot->files.rbegin()->first](std::string_view opened) {
               return opened == path ? error : absl::OkStatus();
             };
       },
       "snapshot"},
      {"a file cannot be read", nullptr,
       [error](Interposer* hooks, const State& state) {
         hooks->read_file = [error,
                             path = state.snapshot->files.begin()->first](std::string_view read) {
           return read == path ? error : absl::OkStatus();
         };
       },
       "snapshot"},
  };
}

// ---- The gates

struct Gate {
  std::string name;
  std::vector<std::string> requirements;
  Phase before;  // the phase in which the node comes to it
  // After mutations of every kind: the journal has them, and the caches of hashes do not.
  bool mutated = false;
  bool opens = false;    // B is opened there
  bool restart = false;  // it is a start of the node
};

// A node in front of a gate, again and again, with B right or wrong.
class GateRun {
 public:
  GateRun(PairContext* c, const Gate& gate)
      : c_(*c), gate_(gate), substitutes_(c->registry()), node_(c, &substitutes_.registry()) {
    node_.begin(full_history());
    // So that there is another cut, with another state in every domain.
    earlier_ = node_.model().state();
    mutate();
  }

  Substitutes& substitutes() { return substitutes_; }
  std::string root() const { return node_.target_root(); }
  const State& earlier() const { return earlier_; }

  // Up to the gate; what B must hold there.
  State arrive() {
    node_.advance_to(gate_.before);
    if (gate_.mutated) {
      earlier_ = node_.model().state();
      mutate();
    }
    // An import is compared with the cut that it was exported at.
    if (gate_.before != Phase::kBootstrapping) return node_.model().state();
    const auto state = node_.state_at(node_.controller().manifest().export_cut->seq);
    c_.expect(state.has_value(), "the export cut: found no mutation of its number");
    return *state;
  }

  // In B's place from now on; with hooks around it.
  Interposer& put(const State& state) {
    const std::string& family = c_.descriptor(kB).name;
    const std::string at = c_.path(cat("wrong-", ++made_));
    hooks_ = {};
    hooks_.root = at;
    const families::Registry interposed = interpose(c_.registry(), family, &hooks_);
    wrong_ = c_.expect_value("make a wrong B",
                             make_instance(interposed, c_.fs(), family, at, history_of(state)));
    while (wrong_->pending_work() > 0) c_.expect_ok("background work", wrong_->run_one());
    c_.settle();
    substitutes_.put(root(), wrong_.get());
    return hooks_;
  }

  // Through the gate: what refused, or nullopt if nothing did.
  std::optional<std::string> pass() {
    const absl::Status status = gate_.restart ? reopen() : step();
    c_.settle();
    if (!status.ok()) return std::string(to_std(status.message()));
    if (node_.phase() == Phase::kRolledBack) return node_.controller().manifest().reason;
    return std::nullopt;
  }

  // After a refusal B is right again, and the node is as if nothing had happened: it starts, has
  // everything that was acknowledged, and A is the authority unless it was not before.
  void recover() {
    node_.close();
    substitutes_.clear();
    wrong_.reset();
    node_.restart();
    const Phase phase = node_.phase();
    c_.expect(gate_.restart ? phase == gate_.before
                            : phase <= gate_.before || phase == Phase::kRolledBack,
              cat("after the refusal: found phase ", to_string(phase)));
    c_.expect(node_.controller().manifest().authoritative ==
                  (gate_.before == Phase::kCutOver ? migration::Side::kB : migration::Side::kA),
              "after the refusal: found another authority");
  }

 private:
  // State in every domain, by every operation; the newest record of each lane's journal is of an
  // append, a save and a publish.
  void mutate() {
    node_.apply(one_of_each(node_.model().state()));
    node_.append_some(3);
    node_.append_some(1);
  }

  absl::Status reopen() {
    node_.close();
    return node_.open();
  }

  absl::Status step() {
    migration::Controller& controller = node_.controller();
    if (gate_.before == Phase::kDualWrite) {
      c_.expect_ok("ask for validation", controller.request_validation());
    } else if (gate_.before == Phase::kCutoverValidated) {
      c_.expect_ok("ask for the cut-over", controller.request_cutover());
    }
    for (int steps = 0; node_.phase() == gate_.before; ++steps) {
      c_.expect(steps < 1000, cat("phase ", to_string(node_.phase()), ": found no end"));
      QK_RETURN_IF_ERROR(node_.try_step().status());
    }
    return absl::OkStatus();
  }

  PairContext& c_;
  const Gate& gate_;
  Substitutes substitutes_;
  Interposer hooks_;
  std::unique_ptr<Family> wrong_;
  MigratingNode node_;
  State earlier_;
  int made_ = 0;
};

void refuse_all(PairContext& c, const Gate& gate) {
  GateRun run(&c, gate);
  std::vector<Wrong> wrongs = altered();
  wrongs.push_back({"the state of another cut", [&](State* s) { *s = run.earlier(); }});
  for (const Wrong& wrong : unreadable()) wrongs.push_back(wrong);
  for (const Wrong& wrong : wrongs) {
    const State right = run.arrive();
    State state = right;
    Domains expected = {wrong.hidden};
    if (wrong.alter != nullptr) {
      wrong.alter(&state);
      expected = difference(state, right);
    }
    Interposer& hooks = run.put(state);
    if (wrong.hide != nullptr) wrong.hide(&hooks, state);
    const std::optional<std::string> reason = run.pass();
    c.expect(reason.has_value(), cat(wrong.name, ": found no refusal, expected one"));
    // A reconciliation ends at the first lane that is wrong.
    const Domains found = named(*reason);
    c.expect(!found.empty() &&
                 std::includes(expected.begin(), expected.end(), found.begin(), found.end()),
             cat(wrong.name, ": found \"", *reason, "\", expected it to name ", to_text(expected),
                 " and nothing else"));
    run.recover();
    c.count("refused");
  }
  std::vector<absl::Status> errors;
  if (gate.opens) errors.push_back(absl::DataLossError("injected"));
  // Only a volatile family may be lost, and only then is the migration given up for it (DT1).
  if (gate.restart && c.descriptor(kB).volatility == families::Volatility::kDurable) {
    errors.push_back(absl::NotFoundError("injected"));
  }
  for (const absl::Status& error : errors) {
    run.arrive();
    run.substitutes().fail_opens(run.root(), error);
    const std::optional<std::string> reason = run.pass();
    const std::string what = cat("a B that opens with ", error.ToString());
    c.expect(reason.has_value(), cat(what, ": found no refusal, expected one"));
    c.expect(reason->find("injected") != std::string::npos,
             cat(what, ": found \"", *reason, "\", expected the error"));
    run.recover();
    c.count("refused");
  }
  // It is what was altered that is refused, not the substitute.
  run.put(run.arrive());
  const std::optional<std::string> reason = run.pass();
  c.expect(!reason, cat("a right B: found it refused, \"", reason.value_or(""), "\""));
}

// ---- Wrong on both sides alike

// What the journal's record of `change` can tell of a state that it may have led to.
std::string recorded(const Change& change, int64_t last_before, const State& state) {
  std::string text;
  switch (families::lane_of(change.operation)) {
    case Lane::kMeta:
      return cat(state.hard_state.term, ", ", state.hard_state.voted_for);
    case Lane::kSnapshot:
      if (!state.snapshot) return "none";
      text = cat(state.snapshot->meta.last_included_index, "/",
                 state.snapshot->meta.last_included_term);
      for (const std::string& peer : state.snapshot->meta.peers) text += cat(" ", peer);
      for (const std::string& peer : state.snapshot->meta.old_peers) text += cat(" old ", peer);
      return text;
    case Lane::kLog:
      text = cat(state.first, "..", state.last());
      if (change.operation != Operation::kAppend) return text;
      for (const LogEntry& e : state.entries) {
        if (e.index <= last_before) continue;
        text += cat(" ", e.term, "/", static_cast<int>(e.type), "/", to_hex(sha256(e.payload)));
      }
      return text;
  }
  return text;
}

// Both families lost or gained the same (two backups of one evening): they are equal, but the
// journal knows what was acknowledged last in each lane.
void both_alike(PairContext& c) {
  for (const Phase phase : {Phase::kDualWrite, Phase::kCutOver}) {
    Substitutes substitutes(c.registry());
    std::array<std::unique_ptr<Family>, 2> wrongs;
    MigratingNode node(&c, &substitutes.registry(), cat("node-", static_cast<int>(phase)));
    node.begin(full_history());
    node.advance_to(phase);
    int made = 0;
    for (const Change& change : one_of_each(node.model().state())) {
      const Model before = node.model();
      node.apply(change);
      const State right = node.model().state();
      const int64_t last_before = before.state().last();
      std::set<std::string> legal;
      for (const State& state : before.after_crash(change, families::Partial::kBatchPrefix)) {
        legal.insert(recorded(change, last_before, state));
      }
      uint64_t refused = 0;
      for (const Wrong& wrong : altered()) {
        State state = right;
        wrong.alter(&state);
        if (legal.contains(recorded(change, last_before, state))) continue;
        const std::string what =
            cat(to_string(phase), ", ", describe(change), ", ", wrong.name, ", on both sides");
        node.close();
        for (const auto side : {kA, kB}) {
          wrongs[side] = c.expect_value(
              what, make_instance(c.registry(), c.fs(), c.descriptor(side).name,
                                  c.path(cat("wrong-", static_cast<int>(phase), "-", ++made)),
                                  history_of(state)));
          substitutes.put(side == kA ? node.initial_root() : node.target_root(),
                          wrongs[side].get());
        }
        c.settle();
        const absl::Status status = node.open();
        c.expect_code(what, status, absl::StatusCode::kDataLoss);
        const Domains expected = {std::string(to_string(families::lane_of(change.operation)))};
        c.expect(named(to_std(status.message())) == expected,
                 cat(what, ": found \"", to_std(status.message()), "\", expected it to name ",
                     to_text(expected)));
        substitutes.clear();
        for (auto& instance : wrongs) c.expect_ok("close", close_instance(std::move(instance)));
        node.restart();
        ++refused;
      }
      c.expect(refused > 0, cat(describe(change), ": found no wrong state to refuse"));
      c.count("refused", refused);
    }
  }
}

// A mirror that has a mutation which its primary has not: it was attached from somewhere else, for
// the primary is written first.
void mirror_ahead(PairContext& c) {
  Substitutes substitutes(c.registry());
  std::unique_ptr<Family> behind;
  MigratingNode node(&c, &substitutes.registry());
  node.begin(full_history());
  node.advance_to(Phase::kDualWrite);
  int made = 0;
  for (const Change& change : one_of_each(node.model().state())) {
    const State before = node.model().state();
    node.apply(change);
    node.close();
    behind = c.expect_value("make A as it was",
                            make_instance(c.registry(), c.fs(), c.descriptor(kA).name,
                                          c.path(cat("before-", ++made)), history_of(before)));
    c.settle();
    substitutes.put(node.initial_root(), behind.get());
    const absl::Status status = node.open();
    c.expect_code(describe(change), status, absl::StatusCode::kDataLoss);
    const Domains expected = {std::string(to_string(families::lane_of(change.operation)))};
    c.expect(named(to_std(status.message())) == expected,
             cat(describe(change), ": found \"", to_std(status.message()),
                 "\", expected it to name ", to_text(expected)));
    substitutes.clear();
    c.expect_ok("close", close_instance(std::move(behind)));
    node.restart();
  }
}

// ---- Heads

// A root, or a manifest, of another node or another attempt, in the place of the right one.
void attached_from_elsewhere(PairContext& c) {
  MigratingNode node(&c);
  node.begin(full_history());
  for (const Phase phase : {Phase::kDualWrite, Phase::kCutOver}) {
    node.advance_to(phase);
    const migration::Manifest manifest = node.controller().manifest();
    node.close();
    const auto refused = [&](std::string_view what) {
      c.settle();
      c.expect_code(cat(to_string(phase), ", ", what), node.open(),
                    absl::StatusCode::kFailedPrecondition);
      c.count("refused");
    };
    for (const auto side : {kA, kB}) {
      const std::string root = side == kA ? node.initial_root() : node.target_root();
      const auto right = c.expect_value("read the sidecar", image::read_sidecar(c.fs(), root));
      c.expect(right.has_value(), "the sidecar: found none");
      using Alter = std::function<void(image::Sidecar*)>;
      std::vector<std::pair<std::string, Alter>> others = {
          {"another group", [](image::Sidecar* s) { s->identity.group_id = "other"; }},
          {"another peer", [](image::Sidecar* s) { s->identity.peer_id = kOtherPeer; }},
          {"another lineage", [](image::Sidecar* s) { s->identity.lineage = "other"; }},
          {"a later generation", [](image::Sidecar* s) { s->identity.generation += 1; }},
          {"another family", [](image::Sidecar* s) { s->family += "x"; }},
          // Of an export before this one, whose cut was another.
          {"another instance", [](image::Sidecar* s) { s->instance = "other"; }}};
      for (const auto state : {image::InstanceState::kEmpty, image::InstanceState::kImporting,
                               image::InstanceState::kStale, image::InstanceState::kFenced,
                               image::InstanceState::kRetired}) {
        others.push_back({cat("state ", image::to_string(state)),
                          [state](image::Sidecar* s) { s->state = state; }});
      }
      if (side == kB) {
        others.push_back({"an earlier generation", [](image::Sidecar* s) {
                            s->identity.generation -= 1;
                            s->instance = "other";
                          }});
      }
      for (const auto& [what, alter] : others) {
        image::Sidecar sidecar = *right;
        alter(&sidecar);
        c.expect_ok(what, image::write_sidecar(c.fs(), root, sidecar));
        refused(cat("a sidecar of ", what));
      }
      if (side == kB) {
        c.expect_ok("unlink",
                    c.fs().unlink(families::join_path(root, std::string(image::kSidecarName))));
        refused("no sidecar");
      }
      c.expect_ok("the right one", image::write_sidecar(c.fs(), root, *right));
      c.settle();
    }
    migration::ManifestStore store(&c.fs(), families::join_path(node.directory(), "migration"));
    c.expect(c.expect_value("load", store.load()).has_value(), "the manifest: found none");
    for (const bool group : {true, false}) {
      migration::Manifest other = manifest;
      (group ? other.group_id : other.peer_id) = group ? "other" : std::string(kOtherPeer);
      c.expect_ok("save", store.save(other));
      refused(cat("a manifest of another ", group ? "group" : "peer"));
    }
    c.expect_ok("save", store.save(manifest));
    c.settle();
    node.restart();
  }
  // Without the manifest the phase is unknown, and never idle.
  node.close();
  c.expect_ok("remove",
              families::remove_tree(c.fs(), families::join_path(node.directory(), "migration")));
  c.settle();
  c.expect_code("no manifest", node.open(), absl::StatusCode::kFailedPrecondition);
}

// What a migration writes of itself, read as another tool would: the image's header names the
// family that was exported, with the version of its format, and whose state of which cut it is; the
// new instance's sidecar says the same.
void heads_of_a_migration(PairContext& c) {
  MigratingNode node(&c);
  node.begin(full_history());
  node.advance_to(Phase::kBootstrapping);
  const migration::Manifest& manifest = node.controller().manifest();
  const std::string image = c.expect_value(
      "read the image",
      families::read_file(c.fs(), node.controller().image_file(), uint64_t{1} << 20));
  const image::proto::ImageHeader header = image_header(image);
  c.expect_equal("source family", header.source_family(), c.descriptor(kA).name);
  c.expect_equal("its version", header.source_format_version(), c.descriptor(kA).format_version);
  c.expect_equal("group", header.group_id(), transfer_identity().group_id);
  c.expect_equal("peer", header.peer_id(), transfer_identity().peer_id);
  c.expect(!header.lineage().empty(), "lineage: found none");
  c.expect_equal("lineage", header.lineage(), manifest.lineage);
  c.expect_equal("generation", uint64_t{header.generation()}, uint64_t{1});
  c.expect_equal("cut", uint64_t{header.cut_seq()}, manifest.export_cut->seq);
  const auto state = node.state_at(header.cut_seq());
  c.expect(state.has_value(), "the cut: found no mutation of its number");
  c.expect_same_state("the image", c.expect_value("decode it", decode_image_state(image)), *state);
  c.expect_equal("first index", int64_t{header.first_index()}, state->first);
  c.expect_equal("last index", int64_t{header.last_index()}, state->last());

  node.advance_to(Phase::kDualWrite);
  for (const auto side : {kA, kB}) {
    const auto sidecar = c.expect_value(
        "read the sidecar",
        image::read_sidecar(c.fs(), side == kA ? node.initial_root() : node.target_root()));
    c.expect(sidecar.has_value(), "the sidecar: found none");
    c.expect_equal("family in the sidecar", sidecar->family, c.descriptor(side).name);
    c.expect(sidecar->identity == manifest.identity(),
             cat("the sidecar: found ", image::to_string(sidecar->identity)));
    c.expect(sidecar->state == image::InstanceState::kCurrent,
             cat("the sidecar: found state ", image::to_string(sidecar->state)));
  }
}

}  // namespace

std::vector<Check> gate_checks() {
  // In the last two, the newest mutation of each lane is in the journal: the reconciliation sees
  // it.
  static const Gate kGates[] = {
      {.name = "T3",
       .requirements = {"EV-18", "EV-X1", "RM-24", "SB-41"},
       .before = Phase::kBootstrapping,
       .opens = true},
      {.name = "T4",
       .requirements = {"EV-18", "EV-X1", "SB-37", "SB-41"},
       .before = Phase::kValidated},
      {.name = "T5",
       .requirements = {"EV-19", "EV-X1", "RM-26", "SB-41"},
       .before = Phase::kDualWrite,
       .mutated = true},
      {.name = "T6",
       .requirements = {"EV-20", "EV-X1", "SB-41"},
       .before = Phase::kCutoverValidated,
       .mutated = true,
       .opens = true},
      {.name = "restart_in_DUAL",
       .requirements = {"EV-19", "EV-X1"},
       .before = Phase::kDualWrite,
       .opens = true,
       .restart = true},
      {.name = "restart_in_CUT",
       .requirements = {"EV-19", "EV-X1"},
       .before = Phase::kCutOver,
       .opens = true,
       .restart = true},
      {.name = "restart_in_DUAL_with_journal",
       .requirements = {"EV-19", "EV-X1"},
       .before = Phase::kDualWrite,
       .mutated = true,
       .opens = true,
       .restart = true},
      {.name = "restart_in_CUT_with_journal",
       .requirements = {"EV-19", "EV-X1"},
       .before = Phase::kCutOver,
       .mutated = true,
       .opens = true,
       .restart = true},
  };
  std::vector<Check> checks;
  for (const Gate& gate : kGates) {
    checks.push_back(pair_check("GATE", gate.name, gate.requirements, [&gate](PairContext& c) {
                       refuse_all(c, gate);
                     }).on(kSimulatedOnly));
  }
  checks.push_back(pair_check("GATE", "both_alike", {"SB-35"}, both_alike).on(kSimulatedOnly));
  checks.push_back(pair_check("GATE", "mirror_ahead", {"SB-35"}, mirror_ahead).on(kSimulatedOnly));
  checks.push_back(pair_check("GATE", "attached_from_elsewhere", {"SB-36", "SB-37", "SB-40"},
                              attached_from_elsewhere)
                       .on(kSimulatedOnly));
  checks.push_back(pair_check("GATE", "heads_of_a_migration",
                              {"CI-1", "CI-4", "CI-6", "CI-7", "CI-X1"}, heads_of_a_migration)
                       .on(kSimulatedOnly));
  return checks;
}

}  // namespace qk::sim::conformance
