// Planted bugs of the Raft core, played by what its messages say.
#include <map>
#include <utility>

#include "sim/cluster/client_protocol.h"
#include "sim/explore/plants.h"
#include "sim/raft/wire/raft.pb.h"

namespace qk::sim {
namespace {

using raft::Method;
using raft::Packet;
using Link = std::pair<NodeId, NodeId>;

constexpr std::string_view kCrashes = "rolling-under-random-faults";
constexpr std::string_view kTransfers =
    "rolling-under-random-faults cluster.snapshot_every_entries=20";
constexpr std::string_view kLong = "rolling-pair store[to].family=sqlite run_for=40s";
constexpr std::string_view kCalm = "rolling-pair store[to].family=sqlite";

bool is(const Packet& packet, Method method, bool response) {
  return packet.method == method && packet.response == response && packet.error == 0;
}

template <typename Proto>
Proto parsed(const Packet& packet) {
  Proto proto;
  QK_CHECK(proto.ParseFromString(packet.body));
  return proto;
}

template <typename Proto>
Packet answer_to(const Packet& request, const Proto& proto) {
  Packet answer;
  answer.method = request.method;
  answer.response = true;
  answer.call_id = request.call_id;
  answer.body = proto.SerializeAsString();
  return answer;
}

// Changes what leaves, if it is of this kind; `change` says whether it did.
template <typename Proto>
Row sent(PlantedBug bug, Method method, bool response,
         const std::function<bool(Plant&, Link, Proto&, Packet&)>& change) {
  return {bug, [method, response, change](Plant& plant) {
            plant.sends = [&plant, method, response, change](NodeId from, NodeId to,
                                                             std::vector<Packet>* packets) {
              Packet& packet = packets->front();
              if (!is(packet, method, response)) return;
              Proto proto = parsed<Proto>(packet);
              if (change(plant, {from, to}, proto, packet)) {
                packet.body = proto.SerializeAsString();
              }
            };
          }};
}

void votes(std::vector<Row>* rows) {
  rows->push_back(sent<braft::RequestVoteResponse>(
      {"vote-granted-twice", "KB-27", "RC", "N", kCrashes, "ora.R1 ora.R2 ora.R5 ora.R13",
       "a vote is granted that was refused"},
      Method::kRequestVote, true,
      [](Plant& plant, Link, braft::RequestVoteResponse& vote, Packet&) {
        if (vote.granted() || !plant.dice.acts()) return false;
        vote.set_granted(true);
        return true;
      }));
  rows->push_back({{"vote-before-saved", "KB-22", "RC", "P1", kCrashes,
                    "ora.R13 ora.R1 ora.R2 ora.R5", "a vote is granted as soon as it is asked for"},
                   [](Plant& plant) {
                     plant.receives = [&plant](NodeId, NodeId, const Packet& packet,
                                               std::vector<Packet>* answers) {
                       if (!is(packet, Method::kRequestVote, false) || !plant.dice.acts()) return;
                       braft::RequestVoteResponse vote;
                       vote.set_term(parsed<braft::RequestVoteRequest>(packet).term());
                       vote.set_granted(true);
                       answers->push_back(answer_to(packet, vote));
                     };
                   }});
  // A pre-vote asks the same.
  rows->push_back(
      {{"candidate-claims-log", "", "RC", "N", kCrashes, "ora.R5 ora.R4 ora.R6 ora.R7 ora.L12",
        "a candidate is elected whose log is behind"},
       [](Plant& plant) {
         plant.sends = [&plant](NodeId, NodeId, std::vector<Packet>* packets) {
           Packet& packet = packets->front();
           if (!is(packet, Method::kRequestVote, false) && !is(packet, Method::kPreVote, false)) {
             return;
           }
           if (!plant.dice.acts()) return;
           auto vote = parsed<braft::RequestVoteRequest>(packet);
           vote.set_last_log_index(vote.last_log_index() + 1000);
           vote.set_last_log_term(vote.term());
           packet.body = vote.SerializeAsString();
         };
       }});
}

void replies(std::vector<Row>* rows) {
  rows->push_back(sent<braft::AppendEntriesResponse>(
      {"refusal-counts-as-success", "", "RC", "N", kCrashes, "ora.R12 ora.R7 ora.R13 ora.R4",
       "an append that was refused is answered with success"},
      Method::kAppendEntries, true,
      [](Plant& plant, Link, braft::AppendEntriesResponse& answer, Packet&) {
        if (answer.success() || !plant.dice.acts()) return false;
        answer.set_success(true);
        return true;
      }));
  rows->push_back({{"append-ack-before-synced", "KB-6", "RC", "P1", kCalm, "ora.R13 ora.R12 ora.R7",
                    "an append is answered with success as soon as it arrives"},
                   [](Plant& plant) {
                     plant.receives = [&plant](NodeId, NodeId, const Packet& packet,
                                               std::vector<Packet>* answers) {
                       if (!is(packet, Method::kAppendEntries, false)) return;
                       const auto append = parsed<braft::AppendEntriesRequest>(packet);
                       if (append.entries_size() == 0 || !plant.dice.acts()) return;
                       braft::AppendEntriesResponse answer;
                       answer.set_term(append.term());
                       answer.set_success(true);
                       answer.set_last_log_index(append.prev_log_index() + append.entries_size());
                       answers->push_back(answer_to(packet, answer));
                     };
                   }});
  // Every answer counts for the newest call of its link.
  rows->push_back(
      {{"reply-counts-for-newer-call", "KB-77", "RC", "N", kCalm, "ora.R12 ora.R13 ora.R7",
        "an answer to an earlier append counts for the latest one"},
       [](Plant& plant) {
         auto newest = std::make_shared<std::map<Link, uint64_t>>();
         plant.sends = [&plant, newest](NodeId from, NodeId to, std::vector<Packet>* packets) {
           Packet& packet = packets->front();
           if (is(packet, Method::kAppendEntries, false)) {
             if (parsed<braft::AppendEntriesRequest>(packet).entries_size() > 0) {
               (*newest)[{from, to}] = packet.call_id;
             }
           } else if (is(packet, Method::kAppendEntries, true) && plant.dice.acts()) {
             const auto it = newest->find({to, from});
             if (it != newest->end()) packet.call_id = it->second;
           }
         };
       }});
}

void appends(std::vector<Row>* rows) {
  rows->push_back(sent<braft::AppendEntriesRequest>(
      {"commit-too-high", "", "RC", "N", kCalm, "ora.R7 ora.R6 ora.R5",
       "a leader tells its followers that what it sends is committed"},
      Method::kAppendEntries, false,
      [](Plant& plant, Link, braft::AppendEntriesRequest& append, Packet&) {
        if (append.entries_size() == 0 || !plant.dice.acts()) return false;
        append.set_committed_index(append.prev_log_index() + append.entries_size());
        return true;
      }));
  // In its hard form in one term of a few.
  rows->push_back({{"appends-stop", "", "RC", "N", kLong, "ora.C5",
                    "after a while a leader sends heartbeats, and no entries any more"},
                   [](Plant& plant) {
                     constexpr int64_t kAWhile = 60;
                     auto stuck = std::make_shared<std::map<int64_t, bool>>();  // by term
                     plant.sends = [&plant, stuck](NodeId, NodeId, std::vector<Packet>* packets) {
                       if (!is(packets->front(), Method::kAppendEntries, false)) return;
                       const auto append = parsed<braft::AppendEntriesRequest>(packets->front());
                       if (append.entries_size() == 0 || append.prev_log_index() < kAWhile) return;
                       const auto known = stuck->find(append.term());
                       const bool stops = known != stuck->end() ? known->second : plant.dice.acts();
                       (*stuck)[append.term()] = stops;
                       if (stops) packets->clear();
                     };
                   }});
  rows->push_back(
      {{"answer-before-commit", "", "RC", "P0", kCalm, "ora.C2",
        "a leader answers a write before anybody else has it"},
       [](Plant& plant) {
         plant.answers = [&plant](std::string_view payload) -> std::optional<std::string> {
           const auto command = decode_command(payload);
           if (!command.ok() || command->kind != CommandKind::kWrite || !plant.dice.acts()) {
             return std::nullopt;
           }
           return encode_response({});
         };
       }});
  rows->push_back(sent<braft::AppendEntriesRequest>(
      {"entry-altered-in-flight", "", "RC", "N", kCalm, "ora.R4 ora.R6",
       "a leader sends another payload than it has"},
      Method::kAppendEntries, false,
      [](Plant& plant, Link, braft::AppendEntriesRequest&, Packet& packet) {
        if (packet.attachment.empty() || !plant.dice.acts()) return false;
        packet.attachment.back() = static_cast<char>(packet.attachment.back() ^ 1);
        return false;
      }));
  rows->push_back(sent<braft::AppendEntriesRequest>(
      {"entry-term-altered", "", "RC", "N", kCalm, "ora.R4 ora.R6 ora.R7",
       "a leader sends an entry with the term of the one before it"},
      Method::kAppendEntries, false,
      [](Plant& plant, Link, braft::AppendEntriesRequest& append, Packet&) {
        if (append.entries_size() == 0 || append.prev_log_term() < 1 ||
            append.entries(0).term() == append.prev_log_term() || !plant.dice.acts()) {
          return false;
        }
        append.mutable_entries(0)->set_term(append.prev_log_term());
        return true;
      }));
  // Wherever the follower's log ends, what it is sent is said to follow.
  rows->push_back(sent<braft::AppendEntriesRequest>(
      {"entries-shifted", "", "RC", "N", kCrashes, "ora.R4 ora.R6 ora.R7 ora.L12 ora.R5",
       "a leader sends its entries one index too low"},
      Method::kAppendEntries, false,
      [](Plant& plant, Link, braft::AppendEntriesRequest& append, Packet&) {
        if (append.entries_size() == 0 || append.prev_log_index() < 2 || !plant.dice.acts()) {
          return false;
        }
        append.set_prev_log_index(append.prev_log_index() - 1);
        return true;
      }));
}

void snapshots(std::vector<Row>* rows) {
  rows->push_back({{"snapshot-altered-in-flight", "", "RC", "N", kTransfers,
                    "ora.R6 ora.R9 ora.C1 ora.L12", "a chunk of a snapshot changes on its way"},
                   [](Plant& plant) {
                     plant.sends = [&plant](NodeId, NodeId, std::vector<Packet>* packets) {
                       Packet& packet = packets->front();
                       // The table comes first, and is shorter.
                       if (!is(packet, Method::kGetFile, true) || packet.attachment.size() < 400 ||
                           !plant.dice.acts()) {
                         return;
                       }
                       char& byte = packet.attachment[packet.attachment.size() / 2];
                       byte = static_cast<char>(byte ^ 1);
                     };
                   }});
  rows->push_back(sent<braft::InstallSnapshotRequest>(
      {"install-index-high", "KB-38", "RC", "N", kTransfers,
       "ora.R6 ora.R9 ora.R11 ora.R4 ora.L4 ora.L12",
       "an installed snapshot is said to hold an entry more than it does", Judge::kRun,
       "the follower compares the offer with the table of the snapshot, and refuses",
       "unit snapshot_transfer_test, \"a table for another snapshot, or with unsafe names, is not "
       "followed\""},
      Method::kInstallSnapshot, false,
      [](Plant& plant, Link, braft::InstallSnapshotRequest& install, Packet&) {
        if (!plant.dice.acts()) return false;
        install.mutable_meta()->set_last_included_index(install.meta().last_included_index() + 1);
        return true;
      }));
}

}  // namespace

std::vector<Row> message_plants() {
  std::vector<Row> rows;
  votes(&rows);
  replies(&rows);
  appends(&rows);
  snapshots(&rows);
  return rows;
}

}  // namespace qk::sim
