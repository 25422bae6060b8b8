#include "conformance/scenes.h"

namespace qk::sim::conformance {
namespace {

std::string vote(std::string_view peer) { return std::string(peer); }

}  // namespace

std::vector<Change> prepared_history() {
  return {append(entries(1, 12, 3, 40)), append(entries(13, 20, 3, 40)), truncate_prefix(3),
          save_meta({4, vote(kPeer)}), publish(snapshot(5, 3))};
}

std::vector<Scene> append_scenes() {
  return {{true, append(entries(1, 2, 1, 700))},
          {false, append(entries(21, 21, 4, 50))},
          {false, append(entries(21, 29, 4, 90))},
          {false, append(entries(21, 23, 4, 5000))}};
}

std::vector<Scene> all_scenes() {
  std::vector<Scene> scenes = append_scenes();
  const std::vector<Scene> others = {{false, truncate_prefix(14)},
                                     {false, truncate_prefix(40)},
                                     {false, truncate_suffix(19)},
                                     {false, truncate_suffix(9)},
                                     {false, truncate_suffix(2)},
                                     {false, reset(12)},
                                     {false, reset(90)},
                                     {false, reset(2)},
                                     {true, save_meta({1, vote(kPeer)})},
                                     {false, save_meta({5, vote(kOtherPeer)})},
                                     {false, save_meta({9, ""})},
                                     {true, publish(snapshot(7, 3))},
                                     {false, publish(snapshot(7, 3))}};
  scenes.insert(scenes.end(), others.begin(), others.end());
  return scenes;
}

std::vector<Scene> few_scenes() {
  return {{false, append(entries(21, 29, 4, 90))},
          {false, truncate_prefix(14)},
          {false, truncate_suffix(9)},
          {false, reset(12)},
          {false, save_meta({5, vote(kOtherPeer)})},
          {false, publish(snapshot(7, 3))}};
}

Bases::Bases(InstanceContext& c, const families::FamilyOptions& options) {
  const auto machine = c.fork();
  machine->set_options(options);
  machine->begin();
  machine->close();
  fresh_ = machine->fork();
  machine->expect_ok("open", machine->open());
  machine->apply(prepared_history());
  machine->close();
  prepared_ = machine->fork();
}

}  // namespace qk::sim::conformance
