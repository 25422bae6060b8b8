#include "sim/net/network.h"

#include <algorithm>
#include <utility>

#include "families/base/check.h"
#include "families/base/hash.h"
#include "families/base/strings.h"

namespace qk::sim {
namespace {

constexpr Nanos kReorderFactor = 10;
constexpr size_t kSidesPerEvent = kMaxArgs - 2;

uint64_t mask_of(const std::vector<NodeId>& nodes) {
  uint64_t mask = 0;
  for (const NodeId node : nodes) mask |= uint64_t{1} << (node - 1);
  return mask;
}

}  // namespace

Network::Network(Scheduler* scheduler, Trace* trace, uint64_t seed, const LinkOptions& options,
                 const uint64_t* turn)
    : scheduler_(scheduler), trace_(trace), options_(options), nodes_(trace->nodes() + 1) {
  QK_CHECK(trace->nodes() <= kMaxNodes);
  QK_CHECK(options.latency_low >= 0 && options.latency_low <= options.latency_high);
  QK_CHECK(options.late_low >= 0 && options.late_low <= options.late_high);
  links_.reserve(nodes_.size() * nodes_.size());
  for (size_t from = 0; from < nodes_.size(); ++from) {
    for (size_t to = 0; to < nodes_.size(); ++to) {
      links_.push_back({RandomStream(seed, cat("net.", from, ">", to), turn)});
    }
  }
}

void Network::attach(NodeId node, Handler handler) {
  QK_CHECK(node >= 1 && node < nodes_.size());
  nodes_[node].handler = handler ? std::make_shared<const Handler>(std::move(handler)) : nullptr;
}

void Network::send(NodeId from, NodeId to, NetMessage message) {
  QK_CHECK(from >= 1 && from < nodes_.size() && to >= 1 && to < nodes_.size() && from != to);
  QK_CHECK(nodes_[from].up);
  InFlight flight{from, to, false, next_msg_++, std::move(message)};
  const NetMessage& sent = flight.message;
  Event event;
  event.node = from;
  event.kind = EventKind::kNetSend;
  event.msg = flight.msg;
  event.args = {to, sent.type, sent.term, sent.index, sent.bytes.size(), xxh3_64(sent.bytes)};
  trace_->record(event);

  // Every draw is made for every message, whatever becomes of it.
  Link& link = this->link(from, to);
  const Nanos latency = link.stream.between(options_.latency_low, options_.latency_high);
  const Nanos copy_latency = link.stream.between(options_.latency_low, options_.latency_high);
  const bool lost = link.stream.chance_ppm(options_.loss_ppm);
  const bool duplicated = link.stream.chance_ppm(options_.duplicate_ppm);
  const bool reordered = link.stream.chance_ppm(options_.reorder_ppm);
  Nanos late_by = 0;
  if (options_.late_ppm > 0) {
    const bool late = link.stream.chance_ppm(options_.late_ppm);
    const Nanos drawn = link.stream.between(options_.late_low, options_.late_high);
    if (late) late_by = drawn;
  }
  if (link.cuts > 0) return drop(flight, DropReason::kPartition);
  if (lost) return drop(flight, DropReason::kLoss);

  const Nanos now = scheduler_->now();
  if (duplicated) {
    InFlight copy = flight;
    copy.copy = true;
    launch(std::move(copy), now + copy_latency);
  }
  if (late_by > 0) return launch(std::move(flight), now + latency + late_by);
  if (reordered) return launch(std::move(flight), now + latency * kReorderFactor);
  link.last_arrival = std::max(link.last_arrival, now + latency);
  launch(std::move(flight), link.last_arrival);
}

Network::PartitionId Network::partition(const std::vector<std::vector<NodeId>>& sides,
                                        bool asymmetric) {
  for (const auto& side : sides) {
    for (const NodeId node : side) QK_CHECK(node >= 1 && node < nodes_.size());
  }
  partitions_.push_back({next_partition_++, sides, asymmetric});
  cut(partitions_.back(), +1);
  record(partitions_.back());
  return partitions_.back().id;
}

void Network::heal(PartitionId id) {
  const auto it = std::find_if(partitions_.begin(), partitions_.end(),
                               [id](const Partition& partition) { return partition.id == id; });
  if (it == partitions_.end()) return;
  cut(*it, -1);
  partitions_.erase(it);
  Event event;
  event.kind = EventKind::kFaultHeal;
  event.args = {id};
  trace_->record(event);
}

void Network::heal_all() {
  while (!partitions_.empty()) heal(partitions_.front().id);
}

void Network::set_node_up(NodeId node, bool up) {
  QK_CHECK(node >= 1 && node < nodes_.size());
  nodes_[node].up = up;
}

uint64_t Network::draws(NodeId node) const {
  uint64_t draws = 0;
  for (size_t to = 0; to < nodes_.size(); ++to) {
    draws += link(node, static_cast<NodeId>(to)).stream.draws();
  }
  return draws;
}

void Network::launch(InFlight flight, Nanos arrival) {
  if (free_.empty()) {
    free_.push_back(in_flight_.size());
    in_flight_.emplace_back();
  }
  const size_t slot = free_.back();
  free_.pop_back();
  in_flight_[slot] = std::move(flight);
  scheduler_->at(arrival, [this, slot] { deliver(slot); });
}

void Network::deliver(size_t slot) {
  // The handler may send, which reuses slots.
  const InFlight flight = std::exchange(in_flight_[slot], InFlight{});
  free_.push_back(slot);
  if (link(flight.from, flight.to).cuts > 0) return drop(flight, DropReason::kPartitionInFlight);
  const Node& node = nodes_[flight.to];
  if (!node.up) return drop(flight, DropReason::kNodeDown);
  if (node.handler == nullptr) return drop(flight, DropReason::kNoSuchNode);
  const NetMessage& message = flight.message;
  Event event;
  event.node = flight.to;
  event.kind = EventKind::kNetRecv;
  event.msg = flight.msg;
  event.args = {flight.from,   message.type,         message.term,
                message.index, message.bytes.size(), flight.copy};
  trace_->record(event);
  // A handler may replace itself: a crash detaches the node while it handles a message.
  const std::shared_ptr<const Handler> handler = node.handler;
  (*handler)(flight.from, message);
}

void Network::drop(const InFlight& flight, DropReason reason) {
  Event event;
  event.kind = EventKind::kNetDrop;
  event.msg = flight.msg;
  event.args = {flight.from, flight.to, flight.message.type, static_cast<uint64_t>(reason),
                flight.copy};
  trace_->record(event);
}

void Network::cut(const Partition& partition, int32_t change) {
  const auto& sides = partition.sides;
  for (size_t i = 0; i < sides.size(); ++i) {
    if (partition.asymmetric && i > 0) break;
    for (size_t j = 0; j < sides.size(); ++j) {
      if (i == j) continue;
      for (const NodeId from : sides[i]) {
        for (const NodeId to : sides[j]) link(from, to).cuts += static_cast<uint32_t>(change);
      }
    }
  }
}

void Network::record(const Partition& partition) {
  size_t side = 0;
  do {
    Event event;
    event.kind = EventKind::kFaultPartition;
    event.args = {partition.id, partition.asymmetric};
    for (size_t i = 0; i < kSidesPerEvent && side < partition.sides.size(); ++i, ++side) {
      event.args[2 + i] = mask_of(partition.sides[side]);
    }
    trace_->record(event);
  } while (side < partition.sides.size());
}

}  // namespace qk::sim
