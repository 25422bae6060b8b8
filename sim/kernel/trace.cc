#include "sim/kernel/trace.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <type_traits>
#include <utility>

// Two hashes of a length known at compile time per event: inlined they cost half of a call.
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "families/base/bytes.h"
#include "families/base/check.h"

namespace qk::sim {
namespace {

// The memory of an Event is its canonical form.
static_assert(std::endian::native == std::endian::little);
static_assert(std::has_unique_object_representations_v<Event>);
static_assert(std::is_trivially_copyable_v<Event>);
constexpr size_t kRunFields = 4 * 8;                              // seq, cause, msg, span
constexpr size_t kNodeFields = 2 * 8 + kMaxArgs * 8 + 4 + 2 + 2;  // t .. kind
static_assert(offsetof(Event, seq) == 0 && offsetof(Event, cause) == 8 &&
              offsetof(Event, msg) == 16 && offsetof(Event, span) == 24);
static_assert(offsetof(Event, t) == kRunFields && offsetof(Event, lc) == kRunFields + 8 &&
              offsetof(Event, args) == kRunFields + 16 &&
              offsetof(Event, incarnation) == kRunFields + 64 &&
              offsetof(Event, node) == kRunFields + 68 && offsetof(Event, kind) == kRunFields + 70);
static_assert(sizeof(Event) == kRunFields + kNodeFields);

uint64_t next_node_chain(uint64_t chain, const Event& event) {
  char bytes[8 + kNodeFields];
  std::memcpy(bytes, &chain, 8);
  std::memcpy(bytes + 8, reinterpret_cast<const char*>(&event) + kRunFields, kNodeFields);
  return XXH3_64bits(bytes, sizeof bytes);
}

uint64_t next_chain(uint64_t chain, const Event& event, uint64_t node_chain) {
  char bytes[8 + kRunFields + 8];
  std::memcpy(bytes, &chain, 8);
  std::memcpy(bytes + 8, &event, kRunFields);
  std::memcpy(bytes + 8 + kRunFields, &node_chain, 8);
  return XXH3_64bits(bytes, sizeof bytes);
}

}  // namespace

Trace::Trace(Scheduler* scheduler, TraceStart start, TraceLevel level)
    : scheduler_(scheduler), start_(std::move(start)), level_(level) {
  QK_CHECK(scheduler_ != nullptr);
  QK_CHECK(start_.nodes.size() < UINT16_MAX);
  std::string head;
  put_le64(&head, start_.scenario_hash);
  put_le64(&head, start_.seed);
  put_le32(&head, static_cast<uint32_t>(start_.nodes.size()));
  for (const std::string& name : start_.nodes) put_bytes(&head, name);
  chain_ = xxh3_64(head);
  nodes_.resize(start_.nodes.size() + 1);
  for (size_t i = 0; i < nodes_.size(); ++i) {
    nodes_[i].chain = xxh3_64(head, i + 1);
    nodes_[i].incarnation = i == 0 ? 0 : 1;
  }
}

uint64_t Trace::record(Event event, std::string_view text) {
  QK_CHECK(event.node < nodes_.size());
  Node& node = nodes_[event.node];
  if (event.kind == EventKind::kFaultRestart) ++node.incarnation;
  event.seq = ++seq_;
  event.cause = scheduler_->current_cause();
  event.t = scheduler_->now();
  event.lc = ++node.lc;
  event.incarnation = node.incarnation;
  node.chain = next_node_chain(node.chain, event);
  chain_ = next_chain(chain_, event, node.chain);
  if (seq_ % kCheckpointEvery == 0) checkpoint();
  const uint64_t mark = scheduler_->current_mark();
  const bool is_mark = info(event.kind).mark;
  scheduler_->set_current_cause(event.seq, is_mark);

  if (observer_ != nullptr) observer_->recorded(event);
  if (level_ != TraceLevel::kNone) {
    follow(event);
    if (is_mark) marks_.push_back({event, chain_, node.state, std::string(text), mark});
    if (level_ == TraceLevel::kFull) {
      keep(event);
      if (!is_mark && !text.empty()) texts_.emplace_back(event.seq, text);
    }
  }
  return event.seq;
}

std::string_view Trace::node_name(NodeId node) const {
  if (node == 0) return "-";
  QK_CHECK(node <= start_.nodes.size());
  return start_.nodes[node - 1];
}

Digest Trace::digest() const {
  std::string bytes;
  for (size_t i = 0; i < checkpoints(); ++i) put_le64(&bytes, checkpoint_chain(i));
  put_le64(&bytes, seq_);
  put_le64(&bytes, chain_);
  return sha256(bytes);
}

const Event& Trace::event(uint64_t seq) const {
  QK_CHECK(level_ == TraceLevel::kFull && seq >= 1 && seq <= seq_);
  return blocks_[(seq - 1) / kBlock][(seq - 1) % kBlock];
}

std::string_view Trace::text(uint64_t seq) const {
  const auto mark = std::lower_bound(
      marks_.begin(), marks_.end(), seq,
      [](const Mark& candidate, uint64_t wanted) { return candidate.event.seq < wanted; });
  if (mark != marks_.end() && mark->event.seq == seq) return mark->text;
  const auto it = std::lower_bound(
      texts_.begin(), texts_.end(), seq,
      [](const auto& candidate, uint64_t wanted) { return candidate.first < wanted; });
  return it != texts_.end() && it->first == seq ? std::string_view(it->second) : "";
}

void Trace::follow(const Event& event) {
  NodeState& state = nodes_[event.node].state;
  switch (event.kind) {
    case EventKind::kFaultCrash:
    case EventKind::kNodeStop:
      state.up = false;
      state.role = Role::kFollower;
      break;
    case EventKind::kFaultRestart:
      state.up = true;
      break;
    case EventKind::kRaftRole:
      state.role = static_cast<Role>(event.arg(0));
      state.term = event.arg(1);
      state.commit = event.signed_arg(3);
      break;
    case EventKind::kRaftTerm:
      state.term = event.arg(0);
      break;
    case EventKind::kRaftCommit:
      state.commit = event.signed_arg(0);
      break;
    case EventKind::kStoreDone:
      (event.arg(1) == static_cast<uint64_t>(StoreSide::kA) ? state.last_a : state.last_b) =
          event.signed_arg(3);
      break;
    case EventKind::kMigPhase:
      state.phase = static_cast<PhaseCode>(event.arg(0));
      state.last_a = event.signed_arg(3);
      state.last_b = event.signed_arg(4);
      state.commit = event.signed_arg(5);
      break;
    default:
      break;
  }
}

void Trace::checkpoint() {
  checkpoints_.push_back(chain_);
  for (const Node& node : nodes_) checkpoints_.push_back(node.chain);
}

void Trace::keep(const Event& event) {
  if ((event.seq - 1) % kBlock == 0) blocks_.emplace_back().reserve(kBlock);
  blocks_.back().push_back(event);
}

}  // namespace qk::sim
