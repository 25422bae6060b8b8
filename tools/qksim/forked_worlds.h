// ForkedWorlds: copies of this process, so many at a time, that answer with one message each.
//
// A copy ends with its answer; no destructor runs in it, and nothing that it does reaches this
// process or its files. A copy that makes copies waits for them itself, and ends with this process.
#pragma once

#include <sys/types.h>

#include <functional>
#include <list>

#include "sim/explore/crash_exploration.h"

namespace qk::cli {

class ForkedWorlds final : public sim::Worlds {
 public:
  // `stop` is asked while copies are waited for: once it is true, they are killed.
  ForkedWorlds(size_t at_a_time, std::function<bool()> stop)
      : at_a_time_(at_a_time), stop_(std::move(stop)) {}
  ~ForkedWorlds() override;

  void copy(std::function<std::string()> explore,
            std::function<void(std::optional<std::string>)> answered) override;
  void wait() override;
  bool stopped() const override { return stopped_; }

 private:
  struct World {
    pid_t pid = 0;
    int pipe = -1;
    std::string received;
    std::function<void(std::optional<std::string>)> answered;
  };

  // Takes what came in, until at least one world has ended, or all are.
  void receive();
  void kill_all();

  size_t at_a_time_;
  std::function<bool()> stop_;  // empty in a copy
  bool stopped_ = false;
  std::list<World> worlds_;
};

}  // namespace qk::cli
