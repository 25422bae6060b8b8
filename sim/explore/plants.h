// What the rows of the catalogue (planted.h) are made of: a bug as a set of hooks.
#pragma once

#include <functional>
#include <memory>
#include <optional>
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
  bool always() const { return rate_ == 1; }
  uint64_t below(uint64_t bound) { return stream_.below(bound); }
  void share(const uint64_t* turn) { stream_.share(turn); }

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
  std::function<std::unique_ptr<raft::CoreTap>()> taps;
  std::function<void(NodeId from, NodeId to, std::vector<raft::Packet>*)> sends;
  std::function<void(NodeId from, NodeId to, const raft::Packet&, std::vector<raft::Packet>*)>
      receives;
  std::function<void(std::vector<migration::NodeStatus>*)> surveys;
  std::function<bool(NodeId)> forgets;
  std::function<std::optional<std::string>(std::string_view payload)> answers;
  std::function<std::unique_ptr<Choice>(std::unique_ptr<Choice>)> chooses;

  void share(const uint64_t* turn) override { dice.share(turn); }
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
  std::unique_ptr<raft::CoreTap> core_tap(const MutantNode&) override {
    return taps ? taps() : nullptr;
  }
  void sending(NodeId from, NodeId to, std::vector<raft::Packet>* packets) override {
    if (sends) sends(from, to, packets);
  }
  void receiving(NodeId from, NodeId to, const raft::Packet& packet,
                 std::vector<raft::Packet>* answers) override {
    if (receives) receives(from, to, packet, answers);
  }
  void surveyed(std::vector<migration::NodeStatus>* cluster) override {
    if (surveys) surveys(cluster);
  }
  bool forgets_request(NodeId node) override { return forgets && forgets(node); }
  std::optional<std::string> answer(NodeId, std::string_view payload) override {
    return answers ? answers(payload) : std::nullopt;
  }
  std::unique_ptr<Choice> choice(std::unique_ptr<Choice> drawn) override {
    return chooses ? chooses(std::move(drawn)) : std::move(drawn);
  }
};

struct Row {
  PlantedBug bug;
  std::function<void(Plant&)> plant;  // null: the run itself plays it
};

// The instance that a bug of a family is in.
struct Scene {
  MutantNode node;
  std::string root;
  bool within(const std::string& directory) const {
    return root == directory || root.starts_with(directory + "/");
  }
  const migration::Manifest& manifest() const { return node.witness->manifest(); }
  migration::Phase phase() const { return node.witness->phase(); }
  bool is_mirror() const {
    const migration::Manifest& now = manifest();
    const bool a_answers = now.authoritative == migration::Side::kA;
    return is_dual(now.phase) && within((a_answers ? now.b : now.a).root);
  }
  bool is_target() const { return phase() != migration::Phase::kIdle && within(manifest().b.root); }
};

// Whether the bug is to act, asked at each call.
using Hit = std::function<bool()>;
using Where = std::function<bool(const Scene&)>;
// What of an instance is wrong whenever `hit` says so.
using Defect = std::function<void(StorageBugs& bugs, const Hit& hit)>;

inline Row family_row(PlantedBug bug, const Where& where, const Defect& defect) {
  return {bug, [where, defect](Plant& plant) {
            plant.storage = [&plant, where, defect](const MutantNode& node,
                                                    const families::OpenRequest& request) {
              StorageBugs bugs;
              const Scene scene{node, request.root};
              defect(bugs, [&plant, where, scene] { return where(scene) && plant.dice.acts(); });
              return bugs;
            };
          }};
}

// `fill` is given what says whether the bug is to act on a path.
using OnPath = std::function<bool(std::string_view path)>;
inline Row file_row(PlantedBug bug, const OnPath& where,
                    const std::function<void(FileBugs&, const OnPath&)>& fill) {
  return {bug, [where, fill](Plant& plant) {
            plant.files = [&plant, where, fill](const MutantNode&) {
              FileBugs bugs;
              fill(bugs, [&plant, where](std::string_view path) {
                return where(path) && plant.dice.acts();
              });
              return bugs;
            };
          }};
}

// Defects that are planted in one place and another (defects.cc).
namespace defect {
void append_skipped(StorageBugs& bugs, const Hit& hit);
void append_refused(StorageBugs& bugs, const Hit& hit);    // fails, and says ok
void append_late(StorageBugs& bugs, const Hit& hit);       // written with the next one
void append_cut_short(StorageBugs& bugs, const Hit& hit);  // the last entry of a batch is left out
void append_altered(StorageBugs& bugs, const Hit& hit);    // a bit of the payload
void append_old_term(StorageBugs& bugs, const Hit& hit);   // the term of the entry before
void truncate_prefix_skipped(StorageBugs& bugs, const Hit& hit);
void truncate_prefix_one_more(StorageBugs& bugs, const Hit& hit);
void truncate_suffix_skipped(StorageBugs& bugs, const Hit& hit);
void truncate_suffix_one_more(StorageBugs& bugs, const Hit& hit);
void reset_skipped(StorageBugs& bugs, const Hit& hit);
void reset_one_more(StorageBugs& bugs, const Hit& hit);
void save_skipped(StorageBugs& bugs, const Hit& hit);
void save_late(StorageBugs& bugs, const Hit& hit);
void save_without_vote(StorageBugs& bugs, const Hit& hit);
void save_only_new_terms(StorageBugs& bugs, const Hit& hit);
void publish_skipped(StorageBugs& bugs, const Hit& hit);
void publish_loses_file(StorageBugs& bugs, const Hit& hit);
void snapshot_index_low(StorageBugs& bugs, const Hit& hit);
void snapshot_term_high(StorageBugs& bugs, const Hit& hit);
}  // namespace defect

std::vector<Row> storage_plants();
std::vector<Row> migration_plants();
std::vector<Row> message_plants();
std::vector<Row> rule_plants();
std::vector<Row> simulation_plants();

}  // namespace qk::sim
