// What the rows of the catalogue (planted.h) are made of: a bug as a set of hooks.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sim/cluster/mutant.h"
#include "sim/cluster/plan.h"
#include "sim/cluster/witness.h"
#include "sim/explore/buggy_family.h"
#include "sim/explore/buggy_file_system.h"
#include "sim/explore/planted.h"
#include "sim/kernel/random.h"

namespace qk::sim {

// When and where a bug acts. Easy: at each occasion; hard: at one in rate(), which is drawn.
class Dice {
 public:
  explicit Dice(const Plan& plan)
      : stream_(plan.seed, "planted"),
        place_(stream_.next()),
        rate_(plan.planted.ends_with(":hard") ? 4 + stream_.below(9) : 1) {}
  bool acts() { return rate_ == 1 || stream_.below(rate_) == 0; }
  // One of n places, the same for the whole run.
  size_t place(size_t n) const { return place_ % n; }
  uint64_t below(uint64_t bound) { return stream_.below(bound); }

 private:
  RandomStream stream_;
  uint64_t place_;
  uint64_t rate_;
};

// A Mutant put together from functions; those that are not set change nothing.
class Plant final : public Mutant {
 public:
  explicit Plant(const Plan& plan) : dice(plan), seed(plan.seed) {}

  Dice dice;
  const uint64_t seed;
  std::function<FileBugs(const MutantNode&)> files;
  std::function<StorageBugs(const MutantNode&, const families::OpenRequest&)> storage;
  std::function<void(NodeId from, NodeId to, std::vector<raft::Packet>*)> sends;
  std::function<void(NodeId from, NodeId to, const raft::Packet&, std::vector<raft::Packet>*)>
      receives;
  std::function<std::unique_ptr<Choice>(std::unique_ptr<Choice>)> chooses;

  std::unique_ptr<families::FileSystem> file_system(
      const MutantNode& node, std::unique_ptr<families::FileSystem> disk) override {
    if (!files) return disk;
    return std::make_unique<BuggyFileSystem>(std::move(disk), files(node));
  }
  families::Registry registry(const MutantNode& node, const families::Registry& families) override {
    if (!storage) return families;
    return with_bugs(families, [this, node](const families::OpenRequest& request) {
      return storage(node, request);
    });
  }
  void sending(NodeId from, NodeId to, std::vector<raft::Packet>* packets) override {
    if (sends) sends(from, to, packets);
  }
  void receiving(NodeId from, NodeId to, const raft::Packet& packet,
                 std::vector<raft::Packet>* answers) override {
    if (receives) receives(from, to, packet, answers);
  }
  std::unique_ptr<Choice> choice(std::unique_ptr<Choice> drawn) override {
    return chooses ? chooses(std::move(drawn)) : std::move(drawn);
  }
};

struct Row {
  PlantedBug bug;
  std::function<void(Plant&)> plant;  // null: the run itself plays it
};

std::vector<Row> storage_plants();
std::vector<Row> migration_plants();
std::vector<Row> message_plants();
std::vector<Row> simulation_plants();

}  // namespace qk::sim
