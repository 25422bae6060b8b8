#include "sim/raft/test_walk.h"

#include <algorithm>
#include <deque>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "families/base/failure_scope.h"
#include "families/base/hash.h"
#include "sim/raft/rule_mutants.h"
#include "sim/raft/test_support.h"

namespace qk::raft::testing {
namespace {

constexpr size_t kSteps = 800;

// How likely each is, before a seed makes it more or less so.
constexpr std::array<uint32_t, kActCount> kActWeights = {300, 30, 24, 100, 100, 60, 60, 3,  60, 50,
                                                         70,  20, 70, 80,  10,  12, 20, 24, 80, 12};

// Draw n is a hash of n and the seed.
class Draws {
 public:
  explicit Draws(uint64_t seed) : seed_(seed) {}
  uint64_t next() {
    const uint64_t n = draws_++;
    return xxh3_64({reinterpret_cast<const char*>(&n), sizeof n}, seed_);
  }
  uint64_t below(uint64_t bound) { return next() % bound; }

 private:
  uint64_t seed_;
  uint64_t draws_ = 0;
};

Profile draw_profile(Draws& stream) {
  constexpr int kSizes[] = {3, 3, 3, 3, 5, 5, 2, 1};
  Profile profile;
  profile.nodes = kSizes[stream.below(std::size(kSizes))];
  profile.entries_per_append = 1 + stream.below(3);
  profile.appends_in_flight = 1 + stream.below(4);
  profile.retry_after_heartbeats = 1 + static_cast<int>(stream.below(2));
  profile.term_first = stream.below(4) != 0;
  profile.in_flight = size_t{6} << stream.below(4);
  profile.shuffle = static_cast<uint32_t>(stream.below(5));
  constexpr uint32_t kStrength[] = {1, 4, 4, 12};
  for (size_t i = 0; i < kActCount; ++i) {
    profile.weights[i] = kActWeights[i] * kStrength[stream.below(std::size(kStrength))];
  }
  // Something has to go on.
  for (const Act act : {Act::kDeliver, Act::kSaveMeta, Act::kWriteLog, Act::kFlow}) {
    uint32_t& weight = profile.weights[static_cast<size_t>(act)];
    weight = std::max(weight, 4 * kActWeights[static_cast<size_t>(act)]);
  }
  return profile;
}

Action draw_action(const Profile& profile, Draws& stream) {
  uint64_t total = 0;
  for (const uint32_t weight : profile.weights) total += weight;
  uint64_t at = stream.below(total);
  size_t act = 0;
  while (at >= profile.weights[act]) at -= profile.weights[act++];
  const uint64_t bits = stream.next();
  return {static_cast<Act>(act), static_cast<uint32_t>(bits), static_cast<uint32_t>(bits >> 32)};
}

class Walk {
 public:
  // `mutant`: empty, or the name of a rule that each node breaks.
  Walk(const Profile& profile, std::string_view mutant, std::string* story = nullptr)
      : profile_(profile),
        mutant_(mutant),
        story_(story),
        scope_([](const std::string& what) { throw CheckFailed{what}; }) {
    for (int i = 0; i < profile.nodes; ++i) {
      names_.push_back(cat("n", i + 1));
      nodes_.emplace_back();
      nodes_.back().name = names_.back();
    }
    guarded([&] {
      for (Peer& peer : nodes_) boot(peer);
    });
  }

  bool failed() const { return !failed_.empty(); }
  const std::string& invariant() const { return failed_; }
  const std::string& why() const { return why_; }
  const Reached& reached() const { return reached_; }

  void act(const Action& action) {
    if (!failed()) guarded([&] { perform(action); });
  }
  // Nothing is broken any more: everybody is to agree before long.
  void settle() {
    if (!failed()) guarded([&] { calm(); });
  }

 private:
  struct CheckFailed {
    std::string what;
  };
  struct Item {
    Persist persist;
    uint64_t after_meta = 0;
  };
  struct Publish {
    families::SnapshotMeta meta;
    std::optional<Download> download;
    uint64_t after_meta = 0;
  };
  struct Transfer {
    uint64_t first_call = 0;
    families::SnapshotMeta meta;
  };
  struct Peer {
    std::string name;
    // What a crash leaves.
    MemoryLog disk;
    families::HardState hard;
    std::optional<families::SnapshotMeta> snapshot;
    // One life; no core: it is down.
    std::unique_ptr<CoreTap> tap;
    std::unique_ptr<Core> core;
    std::deque<Item> meta, log;
    uint64_t meta_done = 0;
    uint64_t term_token = 0;
    int64_t term_issued = 0;
    std::optional<Publish> publish;
    std::optional<Download> fetching;
    std::map<std::string, Transfer> transfers;  // as a leader
    // Ghosts of one life.
    int64_t commit = 0;
    int64_t term = 0;
    std::set<std::string> heard;
    std::vector<int64_t> matches;
    // Ghosts of all its lives.
    std::unordered_set<uint64_t> held;             // (index, term) that was durable
    std::map<int64_t, std::string> durable_votes;  // by term
    std::map<int64_t, std::string> granted;
  };
  struct Sent {
    std::string from;
    std::string to;
    Message message;  // peer: to
  };
  // What an append or a request for a vote said, by call id; call ids are unique.
  struct Call {
    int64_t term = 0;
    families::LogId end;
    bool deserved = false;  // the vote, by some receipt of it
  };
  struct Written {
    std::string payload;
    int64_t previous_term = 0;
  };
  struct Committed {
    int64_t term = 0;
    std::string payload;
  };

  static uint64_t key(int64_t index, int64_t term) {
    return static_cast<uint64_t>(term) << 32 | static_cast<uint64_t>(index);
  }
  size_t number(const std::string& name) const { return static_cast<size_t>(name[1] - '1'); }
  Peer& peer(const std::string& name) { return nodes_[number(name)]; }

  template <typename F>
  void guarded(F f) {
    try {
      f();
    } catch (const CheckFailed& failure) {
      fail("check", failure.what);
    }
  }
  void fail(std::string_view invariant, std::string why) {
    if (failed()) return;
    failed_ = std::string(invariant);
    why_ = std::move(why);
  }
  template <typename... Parts>
  void say(const Parts&... parts) {
    if (story_ != nullptr) *story_ += cat(parts..., "\n");
  }

  // ------------------------------------------------------------------------------------- actions

  void perform(const Action& action) {
    switch (action.act) {
      case Act::kDeliver:
      case Act::kDrop:
      case Act::kDuplicate:
        return move_message(action);
      case Act::kElection:
        // Often nobody has heard of a leader for as long as this one.
        if (action.b % 2 == 0) {
          for (Peer& p : nodes_) {
            if (!failed() && p.core != nullptr && p.core->role() != Role::kLeader) time_out(p);
          }
        }
        return with_running(action, [&](Peer& p) {
          if (!failed()) time_out(p);
        });
      case Act::kHeartbeat:
        return with_leader(action, [&](Peer& p) { heartbeat(p); });
      case Act::kPropose:
        return with_leader(action, [&](Peer& p) { propose(p, 1 + action.b % 4); });
      case Act::kTransfer:
        return with_leader(action, [&](Peer& p) {
          const std::string& to = names_[action.b % names_.size()];
          say(p.name, " hands over to ", to);
          step(p, event::TransferLeadership{to});
        });
      case Act::kNoInstall:
        return with_leader(action, [&](Peer& p) {
          if (p.transfers.empty()) return;
          const std::string to = p.transfers.begin()->first;
          p.transfers.erase(to);
          step(p, event::InstallDone{to, false, 0});
        });
      case Act::kSaveMeta:
        return with_running(action, [&](Peer& p) { finish_meta(p, 1 + action.b % 2); });
      case Act::kWriteLog:
        return with_running(action, [&](Peer& p) { finish_log(p, 1 + action.b % 3); });
      case Act::kPublish:
        return with_running(action, [&](Peer& p) { finish_publish(p, true); });
      case Act::kFetched:
        return with_running(action, [&](Peer& p) { fetched(p); });
      case Act::kAbandon:
        return with_running(action, [&](Peer& p) { abandon(p); });
      case Act::kSnapshot:
        return with_running(action, [&](Peer& p) { begin_snapshot(p); });
      case Act::kCrash:
        if (action.b >> 31) return with_leader(action, [&](Peer& p) { crash(p, action.b); });
        return with_running(action, [&](Peer& p) { crash(p, action.b); });
      case Act::kRestart: {
        Peer& p = nodes_[action.a % nodes_.size()];
        if (p.core == nullptr) boot(p);
        return;
      }
      case Act::kCut: {
        const size_t a = action.a % nodes_.size();
        const size_t b = action.b % nodes_.size();
        const bool both = action.b >> 16 & 1;
        // Mostly somebody is alone, and who was before is not any more.
        if (action.b >> 17 & 3 && nodes_.size() > 2) {
          if (action.b >> 19 & 3) cut_.clear();
          say("cut off ", names_[a]);
          for (size_t other = 0; other < nodes_.size(); ++other) {
            cut_.insert({a, other});
            cut_.insert({other, a});
          }
          return;
        }
        say("cut ", names_[a], both ? "=" : ">", names_[b]);
        cut_.insert({a, b});
        if (both) cut_.insert({b, a});
        return;
      }
      case Act::kHeal:
        if (!cut_.empty()) say("heal");
        return cut_.clear();
      case Act::kFlow: {
        constexpr int kLongest = 40;
        return drain(static_cast<int>(action.a % kLongest));
      }
      case Act::kLate: {
        if (late_.empty()) return;
        const auto at = late_.begin() + static_cast<std::ptrdiff_t>(action.a % late_.size());
        Sent sent = std::move(*at);
        late_.erase(at);
        return deliver(std::move(sent));
      }
    }
  }

  template <typename F>
  void with_running(const Action& action, F f) {
    for (size_t i = 0; i < nodes_.size(); ++i) {
      Peer& p = nodes_[(action.a + i) % nodes_.size()];
      if (p.core != nullptr) return f(p);
    }
  }
  template <typename F>
  void with_leader(const Action& action, F f) {
    for (size_t i = 0; i < nodes_.size(); ++i) {
      Peer& p = nodes_[(action.a + i) % nodes_.size()];
      if (p.core != nullptr && p.core->role() == Role::kLeader) return f(p);
    }
  }

  void move_message(const Action& action) {
    if (network_.empty()) return;
    const bool any = profile_.shuffle != 0 && action.b % profile_.shuffle == 0;
    const size_t at = any ? action.a % network_.size() : 0;
    Sent sent;
    if (action.act == Act::kDuplicate) {
      sent = network_[at];
    } else {
      sent = std::move(network_[at]);
      network_.erase(network_.begin() + static_cast<std::ptrdiff_t>(at));
    }
    if (action.act == Act::kDrop) {
      constexpr size_t kLateOnes = 8;
      if (late_.size() >= kLateOnes) late_.pop_front();
      late_.push_back(sent);
      return say(sent.from, " x ", sent.to, " ", std::visit(Describe(), sent.message.body));
    }
    deliver(std::move(sent));
  }

  void deliver(Sent sent) {
    Peer& to = peer(sent.to);
    if (to.core == nullptr || cut_.count({number(sent.from), number(sent.to)}) > 0) return;
    say(sent.from, " > ", sent.to, " ", std::visit(Describe(), sent.message.body));
    sent.message.peer = sent.from;
    // As Node::receive: an answer to its offer ends a leader's transfer.
    std::optional<event::InstallDone> done;
    if (const auto* answer = std::get_if<InstallResponse>(&sent.message.body)) {
      const auto it = to.transfers.find(sent.from);
      if (it != to.transfers.end() && sent.message.call_id >= it->second.first_call) {
        done = event::InstallDone{sent.from, answer->success, it->second.meta.last_included_index};
      }
    }
    step(to, event::Received{std::move(sent.message)});
    if (done && !failed() && to.core->role() == Role::kLeader) {
      to.transfers.erase(sent.from);
      step(to, std::move(*done));
    }
  }

  void time_out(Peer& p) {
    say(p.name, " election timeout");
    step(p, event::ElectionTimeout{});
  }

  void heartbeat(Peer& p) {
    for (auto& [to, transfer] : p.transfers) {
      leave(p, {to, p.core->next_call_id(),
                InstallRequest{p.core->term(), transfer.meta, "remote://x/1"}});
    }
    step(p, event::HeartbeatTimeout{});
  }

  void propose(Peer& p, uint32_t count) {
    std::vector<std::string> payloads;
    for (uint32_t i = 0; i < count; ++i) payloads.push_back(cat("p", ++proposed_));
    say(p.name, " proposes ", count, " entries");
    step(p, event::Propose{std::move(payloads)});
  }

  // Some of what a lane was told becomes durable, and the core hears of it all at once.
  void finish_meta(Peer& p, size_t count) {
    uint64_t token = 0;
    for (; count > 0 && !p.meta.empty(); --count) token = write_meta(p);
    if (token != 0 && !failed()) step(p, event::Persisted{families::Lane::kMeta, token});
  }
  void finish_log(Peer& p, size_t count) {
    uint64_t token = 0;
    for (; count > 0 && may_write(p); --count) {
      token = std::max(token, write_log(p));
    }
    if (token != 0 && !failed()) step(p, event::Persisted{families::Lane::kLog, token});
  }
  bool may_write(const Peer& p) const {
    return !p.log.empty() && (!profile_.term_first || p.log.front().after_meta <= p.meta_done);
  }

  uint64_t write_meta(Peer& p) {
    const uint64_t token = p.meta.front().persist.token;
    const families::HardState& state = p.meta.front().persist.mutation.hard_state;
    say(p.name, " saves term ", state.term, " vote ",
        state.voted_for.empty() ? "nobody" : state.voted_for);
    if (!state.voted_for.empty()) {
      const auto [it, first] = p.durable_votes.emplace(state.term, state.voted_for);
      if (!first && it->second != state.voted_for) {
        fail("R2", cat(p.name, " voted in term ", state.term, " for ", it->second, " and for ",
                       state.voted_for));
      }
    }
    p.hard = state;
    p.meta_done = token;
    p.meta.pop_front();
    return token;
  }

  uint64_t write_log(Peer& p) {
    Persist persist = std::move(p.log.front().persist);
    p.log.pop_front();
    write(p, persist.mutation);
    return persist.token;
  }

  void write(Peer& p, families::Mutation& mutation) {
    for (const families::LogEntry& entry : mutation.entries) {
      p.held.insert(key(entry.index, entry.term));
    }
    if (mutation.entries.empty()) {
      say(p.name, " writes ", to_string(mutation.operation), " ", mutation.index);
    } else {
      say(p.name, " writes ", mutation.entries.front().index, "..", mutation.entries.back().index);
    }
    p.disk.apply(mutation);
    check_disk(p);
  }

  void begin_snapshot(Peer& p) {
    if (p.publish || p.fetching || p.commit <= p.core->log().snapshot().last_included_index) return;
    const auto term = p.core->log().term(p.commit);
    QK_CHECK(term.ok());
    const families::Configuration& configuration = p.core->log().configuration_at(p.commit);
    p.publish = Publish{{p.commit, *term, configuration.peers, configuration.old_peers},
                        std::nullopt,
                        p.term_token};
  }

  void finish_publish(Peer& p, bool report) {
    if (!p.publish || (profile_.term_first && p.publish->after_meta > p.meta_done)) return;
    const Publish done = std::move(*p.publish);
    p.publish.reset();
    p.snapshot = done.meta;
    say(p.name, " publishes the snapshot at ", done.meta.last_included_index);
    check_disk(p);
    if (!report || failed()) return;
    if (!done.download) return step(p, event::SnapshotSaved{done.meta});
    ++reached_.installs;
    step(p, event::SnapshotInstalled{done.meta, done.download->leader, done.download->call_id});
  }

  void fetched(Peer& p) {
    if (!p.fetching || p.publish) return;
    p.publish = Publish{p.fetching->meta, std::move(p.fetching), p.term_token};
    p.fetching.reset();
  }

  void abandon(Peer& p) {
    if (!p.fetching) return;
    const Download download = std::move(*p.fetching);
    p.fetching.reset();
    say(p.name, " gives up the snapshot at ", download.meta.last_included_index);
    step(p, event::InstallRefused{download.leader, download.call_id});
  }

  // Of what is under way some is durable, without anybody having heard of it.
  void crash(Peer& p, uint32_t bits) {
    ++reached_.crashes;
    say(p.name, " crashes");
    for (size_t n = bits % (p.meta.size() + 1); n > 0; --n) write_meta(p);
    bits >>= 8;
    for (size_t n = bits % (p.log.size() + 1); n > 0 && may_write(p); --n) write_log(p);
    bits >>= 8;
    if (may_write(p) && p.log.front().persist.mutation.entries.size() > 1 && bits % 2 == 1) {
      families::Mutation part = std::move(p.log.front().persist.mutation);
      part.entries.resize(part.entries.size() / 2);
      write(p, part);
    }
    if (bits >> 1 & 1) finish_publish(p, false);
    p.core.reset();
    p.tap.reset();
    p.meta.clear();
    p.log.clear();
    p.publish.reset();
    p.fetching.reset();
    p.transfers.clear();
  }

  void boot(Peer& p) {
    CoreOptions options;
    options.self = p.name;
    options.max_entries_per_append = profile_.entries_per_append;
    options.max_appends_in_flight = profile_.appends_in_flight;
    options.retry_after_heartbeats = profile_.retry_after_heartbeats;
    options.initial_configuration.peers = names_;
    options.first_call_id = 1'000'000 * ++boots_;
    p.core = std::make_unique<Core>(options, &p.disk);
    if (!mutant_.empty()) p.tap = make_rule_mutant(mutant_, [] { return true; });
    p.meta_done = 0;
    p.term_token = 0;
    p.term_issued = p.hard.term;
    p.heard.clear();
    StartState state;
    state.hard_state = p.hard;
    state.snapshot = p.snapshot;
    for (const families::LogEntry& entry : p.disk.stored) {
      if (entry.type != families::EntryType::kConfiguration) continue;
      auto configuration = families::decode_configuration(entry.payload);
      QK_CHECK(configuration.ok());
      state.configurations.emplace_back(entry.index, std::move(*configuration));
    }
    const absl::Status status = p.core->start(std::move(state));
    if (!status.ok()) return fail("L4", cat(p.name, ": ", std::string(status.message())));
    say(p.name, " starts in term ", p.core->term(), ", log ", p.core->log().first(), "..",
        p.core->log().last().index);
    p.term = p.core->term();
    p.commit = p.core->commit();
    p.matches.assign(nodes_.size(), 0);
    if (p.term < p.hard.term) fail("R3", cat(p.name, " starts in an earlier term than it saved"));
    Before before;
    before.log_last = p.core->log().last();
    carry_out(p, p.core->effects(), before);
  }

  // ---------------------------------------------------------------------------------- one step

  // What a step is judged by: how things were, and what the event was before a mutant saw it.
  struct Before {
    Role role = Role::kFollower;
    families::HardState hard;
    families::LogId log_last;
    bool received = false;
    std::string from;
    int64_t message_term = 0;
    bool pre_vote = false;
    bool leads = false;         // the message is one of a leader
    int64_t conflict = 0;       // index of the first entry of an append that is another here
    int64_t installed = 0;      // index of an installed snapshot
    bool install_fits = false;  // the log holds that entry, and goes on
    bool install_conflicts = false;
  };

  Before look(Peer& p, const Event& event) {
    Core& core = *p.core;
    RaftLog& log = core.log();
    Before before;
    before.role = core.role();
    before.hard = core.hard_state();
    before.log_last = log.last();
    const auto term_here = [&](int64_t index) {
      const auto term = log.term(index);
      QK_CHECK(term.ok());
      return *term;
    };
    if (const auto* installed = std::get_if<event::SnapshotInstalled>(&event)) {
      const int64_t index = installed->meta.last_included_index;
      if (index > log.snapshot().last_included_index) {
        before.installed = index;
        if (index >= log.first() && index <= log.last().index) {
          before.install_fits = term_here(index) == installed->meta.last_included_term;
          before.install_conflicts = !before.install_fits;
          if (before.install_conflicts) {
            ++reached_.resets;
          } else if (index < log.last().index) {
            ++reached_.installs_in_log;
          }
        }
      }
      return before;
    }
    const auto* arrived = std::get_if<event::Received>(&event);
    if (arrived == nullptr) return before;
    const Message& message = arrived->message;
    before.received = true;
    before.from = message.peer;
    before.message_term = term_of(message);
    if (const auto* vote = std::get_if<VoteRequest>(&message.body)) {
      before.pre_vote = vote->pre;
      const families::LogId& theirs = vote->last_log;
      const bool newer = theirs.term != log.last().term ? theirs.term > log.last().term
                                                        : theirs.index >= log.last().index;
      if (newer && vote->term >= core.term()) calls_[message.call_id].deserved = true;
    } else if (const auto* append = std::get_if<AppendRequest>(&message.body)) {
      before.leads = true;
      for (const families::LogEntry& entry : append->entries) {
        if (entry.index > log.last().index) break;
        if (!log.knows_term(entry.index) || term_here(entry.index) == entry.term) continue;
        before.conflict = entry.index;
        break;
      }
    } else if (std::holds_alternative<InstallRequest>(message.body)) {
      before.leads = true;
    } else if (const auto* answer = std::get_if<AppendResponse>(&message.body)) {
      if (answer->term == core.term()) p.heard.insert(message.peer);
    } else if (const auto* install = std::get_if<InstallResponse>(&message.body)) {
      if (install->term <= core.term()) p.heard.insert(message.peer);
    }
    return before;
  }

  void step(Peer& p, Event event) {
    const Before before = look(p, event);
    const bool timeout = std::holds_alternative<event::ElectionTimeout>(event);
    std::vector<Event> first;
    const bool goes_on = p.tap == nullptr || p.tap->before(*p.core, event, &first);
    for (Event& other : first) {
      if (!failed()) run(p, std::move(other), before);
    }
    if (goes_on && !failed()) run(p, std::move(event), before);
    if (failed()) return;
    judge(p, before, timeout);
    if (!failed() && p.core->role() == Role::kLeader) count_old_terms(p);
    if (!failed()) abandon_if_leader_changed(p);
  }

  void run(Peer& p, Event event, const Before& before) {
    Effects& effects = p.core->step(std::move(event));
    if (p.tap != nullptr) p.tap->after(*p.core, &effects);
    carry_out(p, effects, before);
  }

  // The order is that of core.h.
  void carry_out(Peer& p, Effects& effects, const Before& before) {
    Core& core = *p.core;
    for (Message& message : effects.released) leave(p, std::move(message));
    if (effects.won_with) won(p, effects);
    for (const Decision& decision : effects.decisions) {
      say("  ", p.name, " (", to_string(core.role()), ", term ", core.term(), ") ",
          story_ == nullptr ? std::string() : to_string(decision.why));
    }
    for (const bool meta : {true, false}) {
      for (Persist& persist : effects.persist) {
        if ((persist.mutation.operation == families::Operation::kSaveMeta) == meta) {
          issue(p, std::move(persist), before);
        }
      }
    }
    for (Message& message : effects.messages) leave(p, std::move(message));
    if (effects.self_vote_durable) grant(p, core.term(), p.name);
    if (!effects.failure.ok()) return fail("failure", std::string(effects.failure.message()));
    if (effects.commit) commit(p, *effects.commit);
    for (const std::string& to : effects.install) {
      if (!p.snapshot) return fail("L4", cat(p.name, " has no snapshot to send"));
      Transfer& transfer = p.transfers[to];
      transfer = {core.next_call_id(), *p.snapshot};
      leave(p,
            {to, transfer.first_call, InstallRequest{core.term(), transfer.meta, "remote://x/1"}});
    }
    if (core.role() != Role::kLeader) p.transfers.clear();
    if (effects.download) begin_download(p, std::move(*effects.download));
  }

  void begin_download(Peer& p, Download offer) {
    if (p.fetching && p.fetching->leader == offer.leader && p.fetching->meta == offer.meta) {
      p.fetching->call_id = offer.call_id;
    } else if (p.publish) {
      run(p, event::InstallRefused{offer.leader, offer.call_id}, Before{});
    } else {
      p.fetching = std::move(offer);
    }
  }

  void abandon_if_leader_changed(Peer& p) {
    if (p.fetching && p.core->leader() != p.fetching->leader) abandon(p);
  }

  void issue(Peer& p, Persist persist, const Before& before) {
    using families::Operation;
    families::Mutation& mutation = persist.mutation;
    switch (mutation.operation) {
      case Operation::kSaveMeta:
        if (mutation.hard_state.term > p.term_issued) p.term_token = persist.token;
        p.term_issued = mutation.hard_state.term;
        p.meta.push_back({std::move(persist), 0});
        return;
      case Operation::kAppend:
        appended(p, mutation.entries);
        break;
      case Operation::kTruncateSuffix:
        ++reached_.cuts;
        if (before.role == Role::kLeader && p.core->role() == Role::kLeader) {
          fail("R8", cat(p.name, " leads term ", p.core->term(), " and cuts its log to ",
                         mutation.index));
        }
        if (before.conflict == 0 || mutation.index + 1 != before.conflict) {
          fail("cut", cat(p.name, " cuts its log to ", mutation.index,
                          before.conflict == 0 ? ", and nothing conflicts"
                                               : cat(", the conflict is at ", before.conflict)));
        }
        break;
      default:
        break;
    }
    p.log.push_back({std::move(persist), p.term_token});
  }

  void leave(Peer& p, Message message) {
    judge_message(p, message);
    say("    ", p.name, " sends ", message.peer, " ", std::visit(Describe(), message.body));
    if (network_.size() >= profile_.in_flight) network_.pop_front();
    const std::string to = message.peer;
    network_.push_back({p.name, to, std::move(message)});
  }

  // -------------------------------------------------------------------------------- invariants

  void judge(Peer& p, const Before& before, bool timeout) {
    Core& core = *p.core;
    if (core.term() < p.term) {
      fail("R3", cat(p.name, " was in term ", p.term, " and is in ", core.term()));
    }
    p.term = core.term();
    if (before.received && !before.pre_vote && before.message_term > core.term()) {
      fail("term", cat(p.name, " heard of term ", before.message_term, " and is in ", core.term()));
    }
    if (before.pre_vote && !(core.hard_state() == before.hard)) {
      fail("term", cat(p.name, " is asked for a pre-vote, and goes from term ", before.hard.term,
                       " to ", core.term()));
    }
    if (before.leads && before.message_term == before.hard.term &&
        (before.role == Role::kCandidate || before.role == Role::kPreCandidate) &&
        (core.role() != Role::kFollower || core.leader() != before.from)) {
      fail("follow", cat(p.name, " does not follow ", before.from, ", the leader of its term"));
    }
    if (before.installed > 0) judge_install(p, before);
    const families::LogId last = core.log().last();
    if (core.role() != Role::kLeader) {
      p.matches.assign(nodes_.size(), 0);
      p.heard.clear();
      return;
    }
    if (before.role == Role::kLeader && last.index < before.log_last.index) {
      fail("R8", cat(p.name, " leads, and its log went back to ", last.index));
    }
    if (timeout) {
      size_t heard = 1;
      for (const std::string& other : p.heard) heard += other != p.name ? 1 : 0;
      if (before.role == Role::kLeader && heard <= nodes_.size() / 2) {
        fail("quorum", cat(p.name, " leads on after an election timeout, heard by ", heard));
      }
      p.heard.clear();
    }
    for (size_t i = 0; i < nodes_.size(); ++i) {
      const int64_t match = core.match(names_[i]);
      if (match == p.matches[i]) continue;
      if (match < p.matches[i])
        fail("R12", cat("what ", p.name, " counts for ", names_[i], " fell"));
      p.matches[i] = match;
      if (match > last.index) {
        fail("R12",
             cat(p.name, " counts ", match, " for ", names_[i], ", and ends at ", last.index));
      } else if (core.log().knows_term(match)) {
        const auto term = core.log().term(match);
        QK_CHECK(term.ok());
        if (!holds(nodes_[i], match, *term) && nodes_[i].held.count(key(match, *term)) == 0) {
          fail("R12", cat(p.name, " counts ", match, "/", *term, " for ", names_[i],
                          ", whose disk never held it"));
        }
      }
    }
  }

  void judge_install(Peer& p, const Before& before) {
    const RaftLog& log = p.core->log();
    if (before.install_fits && log.last().index != before.log_last.index) {
      fail("cut", cat(p.name, " installs a snapshot at ", before.installed,
                      " that its log fits, and ", "loses what follows"));
    }
    if (before.install_conflicts && log.last().index != before.installed) {
      fail("cut", cat(p.name, " installs a snapshot at ", before.installed,
                      " that its log conflicts with, and keeps what follows"));
    }
    const families::SnapshotMeta& meta = log.snapshot();
    const auto index = static_cast<size_t>(meta.last_included_index);
    if (index > committed_.size() || committed_[index - 1].term != meta.last_included_term) {
      fail("R9", cat(p.name, " installs a snapshot at ", meta.last_included_index, "/",
                     meta.last_included_term, ", which is not what was committed"));
    }
  }

  void judge_message(Peer& p, const Message& message) {
    Peer& to = peer(message.peer);
    const auto* request = std::get_if<VoteRequest>(&message.body);
    const int64_t term = term_of(message) - (request != nullptr && request->pre ? 1 : 0);
    if (p.hard.term < term) {
      fail("R13", cat(p.name, " speaks of term ", term, ", and its disk is in ", p.hard.term));
    }
    if (request != nullptr) {
      calls_[message.call_id].term = request->term;
      if (!request->pre) voted(p, request->term, p.name);
    } else if (const auto* vote = std::get_if<VoteResponse>(&message.body)) {
      if (!vote->granted) return;
      if (!calls_[message.call_id].deserved) {
        fail("vote", cat(p.name, " grants ", to.name, vote->pre ? " a pre-vote" : " a vote",
                         " in term ", vote->term, ", whose log is behind"));
      }
      if (vote->pre) return;
      grant(p, vote->term, to.name);
      voted(p, vote->term, to.name);
    } else if (const auto* append = std::get_if<AppendRequest>(&message.body)) {
      const auto leader = leader_of_.find(append->term);
      if (leader == leader_of_.end() || leader->second != p.name) {
        fail("R1", cat(p.name, " sends entries of term ", append->term, ", which it never led"));
      }
      Call& call = calls_[message.call_id];
      call.term = append->term;
      call.end = append->prev;
      if (!append->entries.empty()) {
        call.end = {append->entries.back().index, append->entries.back().term};
      }
    } else if (const auto* answer = std::get_if<AppendResponse>(&message.body)) {
      const auto it = calls_.find(message.call_id);
      if (!answer->success || it == calls_.end()) return;
      const Call& call = it->second;
      if (call.term != answer->term) {
        fail("follow", cat(p.name, " takes entries of ", to.name, " in term ", answer->term,
                           ", who sent them in term ", call.term));
      }
      if (call.end.index == 0 || holds(p, call.end.index, call.end.term)) return;
      if (p.held.count(key(call.end.index, call.end.term)) == 0) {
        fail("R13", cat(p.name, " confirms ", describe(call.end), ", which its disk never held"));
      }
    } else if (std::holds_alternative<TimeoutNowRequest>(message.body)) {
      const families::LogId last = p.core->log().last();
      if (p.core->role() == Role::kLeader && !holds(to, last.index, last.term) &&
          to.held.count(key(last.index, last.term)) == 0) {
        fail("transfer",
             cat(p.name, " hands over to ", to.name, ", whose disk lacks ", describe(last)));
      }
    }
  }

  bool holds(const Peer& p, int64_t index, int64_t term) const {
    if (p.snapshot && p.snapshot->last_included_index >= index) return true;
    if (index < p.disk.first() || index > p.disk.last()) return false;
    return p.disk.stored[static_cast<size_t>(index - p.disk.first_index)].term == term;
  }

  void check_disk(const Peer& p) {
    const int64_t covered = p.snapshot ? p.snapshot->last_included_index : 0;
    if (p.disk.first() - 1 > covered) {
      fail("L4",
           cat(p.name, "'s disk has a log from ", p.disk.first(), " and a snapshot at ", covered));
    }
  }

  void voted(Peer& p, int64_t term, const std::string& candidate) {
    const auto it = p.durable_votes.find(term);
    if (it == p.durable_votes.end() || it->second != candidate) {
      fail("R13", cat(p.name, " speaks of a vote for ", candidate, " in term ", term,
                      ", which its disk never held"));
    }
  }
  void grant(Peer& p, int64_t term, const std::string& candidate) {
    const auto [it, first] = p.granted.emplace(term, candidate);
    if (it->second != candidate) {
      fail("R2", cat(p.name, " votes in term ", term, " for ", it->second, " and for ", candidate));
    }
  }

  void won(Peer& p, const Effects& effects) {
    ++reached_.leaders;
    Core& core = *p.core;
    const int64_t term = core.term();
    const auto [it, first] = leader_of_.emplace(term, p.name);
    if (!first) fail("R1", cat(it->second, " and ", p.name, " lead term ", term));
    size_t votes = 0;
    for (const Peer& voter : nodes_) {
      const auto vote = voter.durable_votes.find(term);
      votes += vote != voter.durable_votes.end() && vote->second == p.name ? 1 : 0;
    }
    if (votes <= nodes_.size() / 2) {
      fail("majority",
           cat(p.name, " leads term ", term, " with ", votes, " durable votes of ", nodes_.size()));
    }
    bool own = false;
    for (const Persist& persist : effects.persist) {
      for (const families::LogEntry& entry : persist.mutation.entries) own |= entry.term == term;
    }
    if (!own) fail("own-entry", cat(p.name, " leads term ", term, " without an entry of it"));
    for (size_t i = 0; i < committed_.size(); ++i) {
      const auto index = static_cast<int64_t>(i) + 1;
      if (index <= core.log().snapshot().last_included_index) continue;
      if (index > core.log().last().index) {
        return fail(
            "R5", cat(p.name, " leads term ", term, " and lacks ", index, ", which is committed"));
      }
      if (!core.log().knows_term(index)) continue;
      const auto ours = core.log().term(index);
      QK_CHECK(ours.ok());
      if (*ours != committed_[i].term) {
        return fail("R5", cat(p.name, " leads term ", term, " and has ", index, "/", *ours,
                              ", committed is term ", committed_[i].term));
      }
    }
    p.heard.clear();
  }

  void appended(Peer& p, const std::vector<families::LogEntry>& entries) {
    int64_t previous = -1;
    const int64_t before = entries.front().index - 1;
    if (p.core->log().knows_term(before)) {
      const auto term = p.core->log().term(before);
      QK_CHECK(term.ok());
      previous = *term;
    }
    for (const families::LogEntry& entry : entries) {
      const auto [it, first] =
          written_.emplace(key(entry.index, entry.term), Written{entry.payload, previous});
      if (!first && it->second.payload != entry.payload) {
        fail("R4", cat("index ", entry.index, " of term ", entry.term, " has two contents"));
      }
      if (!first && previous >= 0 && it->second.previous_term >= 0 &&
          it->second.previous_term != previous) {
        fail("R4", cat(p.name, " puts ", entry.index, "/", entry.term, " after an entry of term ",
                       previous, ", elsewhere it is ", it->second.previous_term));
      }
      previous = entry.term;
    }
  }

  void commit(Peer& p, int64_t index) {
    Core& core = *p.core;
    if (index < p.commit) return fail("R11", cat(p.name, "'s commit index fell to ", index));
    const int64_t from = std::max(p.commit, core.log().snapshot().last_included_index);
    p.commit = index;
    say("    ", p.name, " commits ", index);
    if (index > static_cast<int64_t>(committed_.size())) judge_first_commit(p, index);
    for (int64_t i = from + 1; i <= index; ++i) {
      if (!core.log().knows_term(i))
        return fail("R11", cat(p.name, " commits ", i, ", not in its log"));
      const auto term = core.log().term(i);
      QK_CHECK(term.ok());
      const std::string& payload = written_[key(i, *term)].payload;
      if (i <= static_cast<int64_t>(committed_.size())) {
        const Committed& known = committed_[static_cast<size_t>(i - 1)];
        if (known.term != *term || known.payload != payload) {
          return fail("R6",
                      cat(p.name, " commits ", i, "/", *term, ", committed is term ", known.term));
        }
        continue;
      }
      ++reached_.commits;
      committed_.push_back({*term, payload});
      size_t holders = 0;
      for (const Peer& other : nodes_) holders += holds(other, i, *term) ? 1 : 0;
      if (holders <= nodes_.size() / 2) {
        return fail("R7", cat(p.name, " commits ", i, "/", *term, ", which ", holders, " disks of ",
                              nodes_.size(), " hold"));
      }
    }
    core.log().release(p.commit);
  }

  // Whoever is the first to call an entry committed leads, and has counted up to one of its term.
  void judge_first_commit(Peer& p, int64_t index) {
    const auto term = p.core->log().term(index);
    QK_CHECK(term.ok());
    if (p.core->role() != Role::kLeader || *term != p.core->term()) {
      fail("own-term", cat(p.name, " is the first to commit ", index, "/", *term, ", as ",
                           to_string(p.core->role()), " of term ", p.core->term()));
    }
  }

  // An entry of an earlier term that a majority has, and that may still be lost (figure 8).
  void count_old_terms(Peer& p) {
    RaftLog& log = p.core->log();
    const int64_t next = p.core->commit() + 1;
    if (next > log.last().index || !log.knows_term(next)) return;
    const auto term = log.term(next);
    if (!term.ok() || *term >= p.core->term()) return;
    size_t holders = 0;
    for (const Peer& other : nodes_) holders += holds(other, next, *term) ? 1 : 0;
    if (holders > nodes_.size() / 2) ++reached_.old_term_quorums;
  }

  // ---------------------------------------------------------------------------------- progress

  void calm() {
    say("-- from here on nothing is lost");
    cut_.clear();
    int64_t asked = 0;
    constexpr int kRounds = 120;
    constexpr int kEnough = 400;
    for (int round = 0; round < kRounds && !failed(); ++round) {
      for (Peer& p : nodes_) {
        if (p.core == nullptr) boot(p);
      }
      drain(kEnough);
      const Peer* leader = nullptr;
      for (Peer& p : nodes_) {
        if (p.core->role() != Role::kLeader) continue;
        if (leader == nullptr || p.core->term() > leader->core->term()) leader = &p;
      }
      if (leader != nullptr && asked > 0 && leader->core->log().last().index >= asked) {
        bool all = true;
        for (const Peer& p : nodes_) all = all && p.commit >= leader->core->log().last().index;
        if (all) return;
      }
      for (Peer& p : nodes_) {
        if (failed()) return;
        if (p.core->role() == Role::kLeader) {
          if (round % 8 == 7) step(p, event::ElectionTimeout{});
          if (!failed() && p.core->role() == Role::kLeader) heartbeat(p);
          if (failed() || p.core->role() != Role::kLeader || asked != 0 || round < 8) continue;
          const int64_t end = p.core->log().last().index;
          propose(p, 1);
          if (!failed() && p.core->log().last().index > end) asked = end + 1;
        } else if (leader == nullptr) {
          step(p, event::ElectionTimeout{});
          drain(kEnough);
        }
      }
    }
    if (!failed()) fail("progress", "no agreement although nothing is lost any more");
  }

  void drain(int turns) {
    for (int i = 0; i < turns && !failed(); ++i) {
      bool idle = true;
      if (!network_.empty()) {
        Sent sent = std::move(network_.front());
        network_.pop_front();
        deliver(std::move(sent));
        idle = false;
      }
      for (Peer& p : nodes_) {
        if (failed()) return;
        if (p.core == nullptr) continue;
        if (!p.meta.empty() || !p.log.empty() || p.publish || p.fetching) idle = false;
        finish_meta(p, 1);
        if (!failed()) finish_log(p, 1);
        if (!failed()) fetched(p);
        if (!failed()) finish_publish(p, true);
      }
      if (idle) return;
    }
  }

  const Profile profile_;
  const std::string mutant_;
  std::string* story_;
  FailureScope scope_;
  std::vector<std::string> names_;
  std::deque<Peer> nodes_;
  std::deque<Sent> network_;
  std::deque<Sent> late_;                    // of those that were dropped
  std::set<std::pair<size_t, size_t>> cut_;  // from, to
  uint64_t boots_ = 0;
  uint64_t proposed_ = 0;
  std::string failed_, why_;
  Reached reached_;

  std::map<int64_t, std::string> leader_of_;
  std::unordered_map<uint64_t, Call> calls_;
  std::unordered_map<uint64_t, Written> written_;
  std::vector<Committed> committed_;
};

// Leaves out what is not needed to break the same invariant.
std::vector<Action> shrink(const Drawn& drawn, const Outcome& outcome, std::string_view mutant) {
  std::vector<Action> best(drawn.actions.begin(),
                           drawn.actions.begin() + static_cast<std::ptrdiff_t>(outcome.steps));
  for (size_t chunk = best.size() / 2; chunk > 0; chunk /= 2) {
    for (size_t from = 0; from < best.size();) {
      std::vector<Action> less = best;
      const auto begin = less.begin() + static_cast<std::ptrdiff_t>(from);
      less.erase(begin, begin + static_cast<std::ptrdiff_t>(std::min(chunk, less.size() - from)));
      if (walk(drawn.profile, less, mutant).invariant == outcome.invariant) {
        best = std::move(less);
      } else {
        from += chunk;
      }
    }
  }
  return best;
}

}  // namespace

Drawn draw(uint64_t seed) {
  Draws draws(seed);
  Drawn drawn;
  drawn.profile = draw_profile(draws);
  drawn.actions.reserve(kSteps);
  for (size_t i = 0; i < kSteps; ++i) {
    drawn.actions.push_back(draw_action(drawn.profile, draws));
  }
  return drawn;
}

Outcome walk(const Profile& profile, const std::vector<Action>& actions, std::string_view mutant,
             std::string* story) {
  Walk walk(profile, mutant, story);
  Outcome outcome;
  for (const Action& action : actions) {
    if (walk.failed()) break;
    walk.act(action);
    ++outcome.steps;
  }
  walk.settle();
  outcome.invariant = walk.invariant();
  outcome.why = walk.why();
  outcome.reached = walk.reached();
  return outcome;
}

std::string tell(uint64_t seed, std::string_view mutant, const Outcome& outcome) {
  const Drawn drawn = draw(seed);
  const std::vector<Action> actions = shrink(drawn, outcome, mutant);
  std::string story;
  const Outcome last = walk(drawn.profile, actions, mutant, &story);
  // The end says most of it; of a walk that comes to no agreement, the end of the drawn actions.
  constexpr size_t kShown = 12'000;
  if (const size_t calm = story.find("-- from here"); calm != std::string::npos) {
    story.resize(std::min(story.size(), calm + kShown / 2));
  }
  if (story.size() > kShown) {
    story.erase(0, story.find('\n', story.size() - kShown) + 1);
    story.insert(0, "...\n");
  }
  return cat("seed ", seed, ", ", drawn.profile.nodes, " nodes, step ", outcome.steps, ", ",
             outcome.invariant, ": ", outcome.why, "\nin ", actions.size(), " steps, ",
             last.invariant, ": ", last.why, "\n", story);
}

}  // namespace qk::raft::testing
