// ForkedWorlds: copies of this process, so many at a time, that answer with one message each.
//
// A copy ends with its answer; no destructor runs in it, and nothing that it does reaches this
// process or its files. A copy that makes copies waits for them itself.
#pragma once

#include <sys/types.h>

#include <list>

#include "sim/explore/crash_exploration.h"

namespace qk::cli {

class ForkedWorlds final : public sim::Worlds {
 public:
  explicit ForkedWorlds(size_t at_a_time) : at_a_time_(at_a_time) {}
  ~ForkedWorlds() override;

  void copy(std::function<std::string()> explore,
            std::function<void(std::optional<std::string>)> answered) override;
  void wait() override;

 private:
  struct World {
    pid_t pid = 0;
    int pipe = -1;
    std::string received;
    std::function<void(std::optional<std::string>)> answered;
  };

  // Takes what came in, until at least one world has ended.
  void receive();

  size_t at_a_time_;
  std::list<World> worlds_;
};

}  // namespace qk::cli
