// Workload: the clients. Each keeps one request outstanding and repeats it, under the same session
// and number, at one node after another until it is answered; so a request takes effect once, and
// every history ends with at most one open request per client.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "families/base/status.h"
#include "sim/cluster/client_protocol.h"
#include "sim/cluster/world.h"

namespace qk::sim {

// How a client reaches a node: calls `done` once, or never if the node goes down first.
using ProposeFn = std::function<void(NodeId node, std::string payload,
                                     std::function<void(absl::StatusOr<std::string>)> done)>;

class Workload {
 public:
  Workload(const World& world, ProposeFn propose);

  void start();
  // No new requests; outstanding ones go on.
  void stop();
  // How much each client's random stream has drawn.
  void tell_draws(const std::function<void(std::string_view stream, uint64_t draws)>& sink) const;

 private:
  struct Client {
    explicit Client(RandomStream stream) : random(stream) {}

    uint32_t number = 0;
    RandomStream random;
    uint64_t request = 0;  // number of the outstanding or last request
    bool outstanding = false;
    uint32_t attempt = 0;    // of the outstanding request
    uint64_t operation = 0;  // the checker's id
    NodeId target = 1;
    std::string payload;
    Command command;
    uint64_t invoke_seq = 0;
    Nanos next_at = 0;
  };

  void think(size_t client);
  void issue(size_t client);
  void send(size_t client);
  void go_to_next(Client& client, absl::StatusCode why);
  void retry(size_t client, Nanos delay);
  void answered(size_t client, uint64_t request, uint32_t attempt,
                const absl::StatusOr<std::string>& result);
  Command draw(Client& client);

  World world_;
  ProposeFn propose_;
  std::vector<Client> clients_;
  uint64_t next_operation_ = 1;
  bool stopped_ = false;
};

}  // namespace qk::sim
