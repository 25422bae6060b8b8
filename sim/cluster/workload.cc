#include "sim/cluster/workload.h"

#include <algorithm>

namespace qk::sim {
namespace {

constexpr Nanos kRequestTimeout = 800 * kMillisecond;
constexpr Nanos kRetryDelay = 60 * kMillisecond;
// Clients sit near the nodes and are not part of any partition.
constexpr Nanos kClientLatencyLow = 200 * kMicrosecond;
constexpr Nanos kClientLatencyHigh = 2 * kMillisecond;

}  // namespace

Workload::Workload(const World& world, ProposeFn propose)
    : world_(world), propose_(std::move(propose)) {
  for (uint32_t i = 0; i < world_.plan->workload.clients; ++i) {
    Client client(world_.stream(cat("client.", i + 1)));
    client.number = i + 1;
    client.target = static_cast<NodeId>(1 + i % world_.plan->cluster.nodes.size());
    clients_.push_back(std::move(client));
  }
}

void Workload::start() {
  if (!clients_.empty()) world_.acks->begin(world_.scheduler->now());
  for (size_t i = 0; i < clients_.size(); ++i) think(i);
}

void Workload::stop() {
  stopped_ = true;
  world_.acks->end(world_.scheduler->now());
}

// The rate is a pace, not a promise: a client that waits for an answer issues nothing.
void Workload::think(size_t index) {
  if (stopped_ || world_.plan->workload.rate == 0) return;
  Client& client = clients_[index];
  const Nanos mean = kSecond / world_.plan->workload.rate;
  client.next_at = std::max(client.next_at, world_.scheduler->now()) +
                   client.random.between(mean / 2, mean + mean / 2);
  world_.scheduler->at(client.next_at, [this, index] { issue(index); });
}

Command Workload::draw(Client& client) {
  const WorkloadPlan& plan = world_.plan->workload;
  Command command;
  command.session = client.number;
  command.request = client.request;
  const uint64_t dice = client.random.below(1'000'000);
  const uint64_t size =
      static_cast<uint64_t>(client.random.between(plan.value_size_low, plan.value_size_high));
  command.key = cat("k", client.random.below(plan.keys));
  // Values name their writer, so that no two are equal by accident.
  std::string value = cat(client.number, ".", client.request, ".");
  value.resize(std::max<size_t>(size, value.size()), 'x');
  if (dice < plan.read_ppm) {
    command.kind = CommandKind::kRead;
  } else if (dice < uint64_t{plan.read_ppm} + plan.cas_ppm) {
    command.kind = CommandKind::kCas;
    command.value = std::move(value);
    // Half of them guess that the key is still empty, half that the client's own value stands.
    if (client.random.below(2) == 0 && client.command.key == command.key) {
      command.expected = client.command.value;
    }
  } else if (dice < uint64_t{plan.read_ppm} + plan.cas_ppm + plan.counter_ppm) {
    command.kind = CommandKind::kAdd;
    command.key.clear();
    command.amount = client.random.between(1, 9);
  } else if (client.random.below(16) == 0) {
    command.kind = CommandKind::kAppend;
    command.value = cat(client.number, ".", client.request, ";");
  } else {
    command.kind = CommandKind::kWrite;
    command.value = std::move(value);
  }
  return command;
}

void Workload::issue(size_t index) {
  if (stopped_) return;
  const uint64_t limit = world_.plan->workload.operations;
  if (limit != 0 && next_operation_ > limit) return stop();
  Client& client = clients_[index];
  ++client.request;
  client.command = draw(client);
  client.payload = encode_command(client.command);
  client.outstanding = true;
  client.attempt = 0;
  client.operation = next_operation_++;
  Event event{.kind = EventKind::kClientInvoke};
  event.args = {client.number,
                client.operation,
                static_cast<uint64_t>(client.command.kind),
                xxh3_64(client.command.key),
                xxh3_64(client.payload),
                client.target};
  client.invoke_seq = world_.trace->record(event);
  world_.checker->invoked(client.operation, client.command);
  send(index);
}

void Workload::send(size_t index) {
  Client& client = clients_[index];
  const uint64_t request = client.request;
  const uint32_t attempt = ++client.attempt;
  const Nanos out = client.random.between(kClientLatencyLow, kClientLatencyHigh);
  const Nanos back = client.random.between(kClientLatencyLow, kClientLatencyHigh);
  world_.scheduler->after(out, [this, index, request, attempt, back] {
    Client& sender = clients_[index];
    if (!sender.outstanding || sender.request != request || sender.attempt != attempt) return;
    propose_(sender.target, sender.payload,
             [this, index, request, attempt, back](absl::StatusOr<std::string> result) {
               world_.scheduler->after(back,
                                       [this, index, request, attempt, result = std::move(result)] {
                                         answered(index, request, attempt, result);
                                       });
             });
  });
  world_.scheduler->after(kRequestTimeout, [this, index, request, attempt] {
    Client& sender = clients_[index];
    if (!sender.outstanding || sender.request != request || sender.attempt != attempt) return;
    go_to_next(sender, absl::StatusCode::kDeadlineExceeded);
    send(index);
  });
}

void Workload::go_to_next(Client& client, absl::StatusCode why) {
  client.target = static_cast<NodeId>(1 + client.target % world_.plan->cluster.nodes.size());
  Event event{.span = client.invoke_seq, .kind = EventKind::kClientRetry};
  event.args = {client.number, client.operation, client.target, static_cast<uint64_t>(why)};
  world_.trace->record(event);
}

void Workload::tell_draws(
    const std::function<void(std::string_view stream, uint64_t draws)>& sink) const {
  for (const Client& client : clients_) sink(cat("client.", client.number), client.random.draws());
}

void Workload::retry(size_t index, Nanos delay) {
  const uint64_t request = clients_[index].request;
  const uint32_t attempt = clients_[index].attempt;
  world_.scheduler->after(delay, [this, index, request, attempt] {
    Client& client = clients_[index];
    if (client.outstanding && client.request == request && client.attempt == attempt) send(index);
  });
}

void Workload::answered(size_t index, uint64_t request, uint32_t attempt,
                        const absl::StatusOr<std::string>& result) {
  Client& client = clients_[index];
  // An answer to an earlier attempt of the same request is an answer to the request.
  if (!client.outstanding || client.request != request) return;
  if (!result.ok()) {
    if (attempt != client.attempt) return;
    go_to_next(client, result.status().code());
    retry(index, kRetryDelay + client.random.between(0, kRetryDelay));
    return;
  }
  const absl::StatusOr<Response> response = decode_response(*result);
  client.outstanding = false;
  Event event{.span = client.invoke_seq, .kind = EventKind::kClientOk};
  event.args = {client.number, client.operation, xxh3_64(*result)};
  world_.trace->record(event);
  if (response.ok()) {
    world_.checker->completed(client.operation, *response);
  } else {
    world_.checker->garbled(client.operation, response.status());
  }
  world_.acks->acked(world_.scheduler->now());
  think(index);
}

}  // namespace qk::sim
