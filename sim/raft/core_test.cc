// Narratives of the pure core: small clusters driven by scripts in testdata/, each with the story
// that it must tell. `./qk update-golden stories` writes them, for a person to read.
//
// Commands: cluster PEER...; timeout P; heartbeat P; propose P DATA; deliver [A>B]; drop [A>B];
// drop_one A>B; persist P [log|meta] (everything issued is durable); run (until nothing is left to
// do); crash P (what is not durable is lost) and restart; snapshot P; installed P; transfer P TO;
// log P; quiet / loud.
#include "sim/raft/core.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>

#include "sim/raft/test_support.h"

namespace qk::raft {
namespace {

using families::Lane;
using families::LogEntry;
using families::Operation;
using testing::Describe;
using testing::MemoryLog;

struct Machine {
  MemoryLog log;
  families::HardState hard_state;
  std::optional<families::SnapshotMeta> snapshot;
  std::unique_ptr<Core> core;
  std::deque<Persist> issued;
  size_t waiting = 0;  // Core::waiting() after the last step
  std::optional<Download> download;
};

class Story {
 public:
  std::string run(const std::string& line) {
    out_.clear();
    std::istringstream words(line);
    std::string verb, a, b;
    words >> verb >> a >> b;
    if (verb == "cluster") {
      std::istringstream names(line);
      names >> verb;
      while (names >> a) peers_.push_back(a);
      for (const std::string& peer : peers_) {
        nodes_[peer];
        boot(peer);
      }
    } else if (verb == "quiet" || verb == "loud") {
      loud_ = verb == "loud";
    } else if (verb == "timeout") {
      step(a, event::ElectionTimeout{});
    } else if (verb == "heartbeat") {
      step(a, event::HeartbeatTimeout{});
    } else if (verb == "propose") {
      step(a, event::Propose{{b}});
      if (!node(a).core->effects().proposed_at) say(a, "does not take the proposal");
    } else if (verb == "persist") {
      persist(a, b);
    } else if (verb == "deliver" || verb == "drop") {
      move_messages(verb == "deliver", a);
    } else if (verb == "drop_one") {
      const auto it = std::find_if(network_.begin(), network_.end(), [&](const auto& sent) {
        return cat(sent.first, ">", sent.second.peer) == a;
      });
      REQUIRE(it != network_.end());
      network_.erase(it);
    } else if (verb == "run") {
      run_all();
    } else if (verb == "crash") {
      boot(a);
    } else if (verb == "snapshot") {
      snapshot(a);
    } else if (verb == "installed") {
      installed(a);
    } else if (verb == "transfer") {
      step(a, event::TransferLeadership{b});
    } else if (verb == "log") {
      show(a);
    } else {
      FAIL("unknown command " << line);
    }
    return out_;
  }

 private:
  Machine& node(const std::string& peer) {
    const auto it = nodes_.find(peer);
    if (it == nodes_.end()) FAIL("no peer " << peer);
    return it->second;
  }
  void say(const std::string& peer, const std::string& text) {
    if (loud_) out_ += cat(peer, " ", text, "\n");
  }

  void boot(const std::string& peer) {
    Machine& m = node(peer);
    m.issued.clear();
    m.waiting = 0;
    m.download.reset();
    CoreOptions options;
    options.self = peer;
    options.max_entries_per_append = 2;
    options.max_appends_in_flight = 2;
    options.initial_configuration.peers = peers_;
    options.first_call_id = 1000 * ++boots_;
    m.core = std::make_unique<Core>(options, &m.log);
    StartState state;
    state.hard_state = m.hard_state;
    state.snapshot = m.snapshot;
    for (const LogEntry& entry : m.log.stored) {
      if (entry.type != families::EntryType::kConfiguration) continue;
      state.configurations.emplace_back(entry.index,
                                        *families::decode_configuration(entry.payload));
    }
    const absl::Status status = m.core->start(std::move(state));
    if (!status.ok()) return say(peer, std::string(status.message()));
    carry_out(peer, m.core->effects());
  }

  void step(const std::string& peer, Event event) {
    carry_out(peer, node(peer).core->step(std::move(event)));
  }

  void carry_out(const std::string& peer, Effects& effects) {
    Machine& m = node(peer);
    for (Message& message : effects.released) leave(peer, std::move(message));
    m.waiting -= effects.released.size();
    for (const Decision& d : effects.decisions) {
      say(peer,
          cat("(", to_string(m.core->role()), ", term ", m.core->term(), ") ", to_string(d.why)));
    }
    for (Persist& p : effects.persist) {
      std::string what(to_string(p.mutation.operation));
      if (p.mutation.operation == Operation::kAppend) {
        what += cat(" ", p.mutation.entries.front().index, "..", p.mutation.entries.back().index);
      } else if (p.mutation.operation == Operation::kSaveMeta) {
        what += cat(
            " term ", p.mutation.hard_state.term, " vote ",
            p.mutation.hard_state.voted_for.empty() ? "nobody" : p.mutation.hard_state.voted_for);
      } else {
        what += cat(" ", p.mutation.index);
      }
      say(peer, cat("  issues ", what));
      m.issued.push_back(std::move(p));
    }
    for (Message& message : effects.messages) leave(peer, std::move(message));
    for (; m.waiting < m.core->waiting().size(); ++m.waiting) {
      const Message& message = m.core->waiting()[m.waiting].message;
      say(peer, cat("  holds until durable: > ", message.peer, " ",
                    std::visit(Describe(), message.body)));
    }
    if (effects.commit) say(peer, cat("  commits ", *effects.commit));
    for (const std::string& follower : effects.install) {
      REQUIRE(m.snapshot);
      leave(peer, {follower, m.core->next_call_id(),
                   InstallRequest{m.core->term(), *m.snapshot, "remote://x/1"}});
    }
    if (effects.download) m.download = std::move(effects.download);
    if (!effects.failure.ok()) say(peer, cat("  FAILS: ", to_std(effects.failure.message())));
  }

  void leave(const std::string& from, Message message) {
    say(from, cat("  > ", message.peer, " ", std::visit(Describe(), message.body)));
    network_.emplace_back(from, std::move(message));
  }

  bool persist(const std::string& peer, const std::string& only = "") {
    Machine& m = node(peer);
    bool any = false;
    for (size_t n = m.issued.size(); n > 0; --n) {
      Persist p = std::move(m.issued.front());
      m.issued.pop_front();
      const Lane lane = lane_of(p.mutation.operation);
      if (!only.empty() && only != to_string(lane)) {
        m.issued.push_back(std::move(p));
        continue;
      }
      any = true;
      if (lane == Lane::kMeta) {
        m.hard_state = p.mutation.hard_state;
      } else {
        m.log.apply(p.mutation);
      }
      say(peer, cat("  ", to_string(p.mutation.operation), " is durable"));
      step(peer, event::Persisted{lane, p.token});
    }
    return any;
  }

  void move_messages(bool deliver, const std::string& route) {
    auto moving = std::move(network_);
    network_.clear();
    for (auto& [from, message] : moving) {
      const std::string to = message.peer;
      if (!route.empty() && route != cat(from, ">", to)) {
        network_.emplace_back(from, std::move(message));
      } else if (deliver) {
        message.peer = from;
        step(to, event::Received{std::move(message)});
      } else {
        say(from, cat("  x ", to, " ", std::visit(Describe(), message.body)));
      }
    }
  }

  void run_all() {
    for (int round = 0; round < 100; ++round) {
      bool any = !network_.empty();
      move_messages(true, "");
      for (const std::string& peer : peers_) any = persist(peer) || any;
      if (!any) return;
    }
    FAIL("the cluster does not come to rest");
  }

  void snapshot(const std::string& peer) {
    Machine& m = node(peer);
    const int64_t index = m.core->commit();
    const auto& conf = m.core->log().configuration_at(index);
    m.snapshot =
        families::SnapshotMeta{index, *m.core->log().term(index), conf.peers, conf.old_peers};
    step(peer, event::SnapshotSaved{*m.snapshot});
  }

  void installed(const std::string& peer) {
    Machine& m = node(peer);
    REQUIRE(m.download);
    m.snapshot = m.download->meta;
    step(peer, event::SnapshotInstalled{m.download->meta, m.download->leader, m.download->call_id});
    // The node of the leader would match the answer with its transfer; here there is just one.
    persist(peer);
    const std::string to = m.download->leader;
    move_messages(true, cat(peer, ">", to));
    step(to, event::InstallDone{peer, true, m.snapshot->last_included_index});
  }

  void show(const std::string& peer) {
    Machine& m = node(peer);
    RaftLog& log = m.core->log();
    std::string line = cat("log ", log.first(), "..", log.last().index, " durable ", log.durable(),
                           " commit ", m.core->commit(), " terms");
    for (int64_t i = log.first(); i <= log.last().index; ++i) line += cat(" ", *log.term(i));
    say(peer, line);
  }

  std::vector<std::string> peers_;
  std::map<std::string, Machine> nodes_;
  std::vector<std::pair<std::string, Message>> network_;
  std::string out_;
  bool loud_ = true;
  uint64_t boots_ = 0;
};

// A script is a sequence of blocks: comments and commands, "----", the story, an empty line.
void check_story(const std::string& name) {
  const std::string path = cat(QK_SOURCE_DIR, "/sim/raft/testdata/", name, ".txt");
  std::ifstream file(path);
  REQUIRE(file.good());
  const bool rewrite = std::getenv("QKSIM_UPDATE_GOLDEN") != nullptr;
  Story story;
  std::string rewritten, line, told, expected;
  bool in_story = false;
  const auto end_block = [&] {
    if (!in_story) return;
    INFO(name << ", block that ends with:\n" << expected);
    if (!rewrite) CHECK(told == expected);
    rewritten += told + "\n";
    told.clear();
    expected.clear();
    in_story = false;
  };
  while (std::getline(file, line)) {
    if (in_story) {
      if (line.empty()) {
        end_block();
      } else {
        expected += line + "\n";
      }
      continue;
    }
    rewritten += line + "\n";
    if (line == "----") {
      in_story = true;
    } else if (!line.empty() && line[0] != '#') {
      told += story.run(line);
    }
  }
  end_block();
  if (rewrite) std::ofstream(path) << rewritten;
}

TEST_CASE("election", "[story]") { check_story("election"); }
TEST_CASE("replication", "[story]") { check_story("replication"); }
TEST_CASE("durability before messages", "[story]") { check_story("durability"); }
TEST_CASE("figure 8", "[story]") { check_story("figure8"); }
TEST_CASE("conflicting logs", "[story]") { check_story("conflict"); }
TEST_CASE("check quorum", "[story]") { check_story("check_quorum"); }
TEST_CASE("leadership transfer", "[story]") { check_story("transfer"); }
TEST_CASE("snapshot and compaction", "[story]") { check_story("snapshot"); }

}  // namespace
}  // namespace qk::raft
