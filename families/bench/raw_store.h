// RawStore: a store of the raw engine below a family, open in a process of its own
// (raw_protocol.h), which measures what it does. Errors end the program.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "families/bench/cost.h"
#include "families/bench/raw_protocol.h"

namespace qk::families::bench {

class RawStore {
 public:
  RawStore(const std::string& family, const std::string& path);
  // Closes the store, and waits for that.
  ~RawStore();
  RawStore(const RawStore&) = delete;
  RawStore& operator=(const RawStore&) = delete;

  // Of the open, and of finding out what the store holds.
  const Cost& opened() const { return opened_; }
  // Entries 1..count of `payload` bytes into a new store, synced in batches.
  Cost append(int64_t count, size_t payload, int64_t batch);
  // The same in the engine's fastest way.
  Cost load(int64_t count, size_t payload);
  // Of a store that holds just these.
  Cost scan(int64_t count, size_t payload);
  Cost read_sample(int64_t count, size_t payload);
  Cost drop_below(int64_t first_kept);
  Cost drop_above(int64_t last_kept);

 private:
  Cost ask(const RawRequest& request);
  Cost receive();

  int socket_ = -1;
  pid_t process_ = -1;
  Cost opened_;
};

// In the new or existing directory `path`; null if the family has no raw engine.
std::unique_ptr<RawStore> open_raw(const std::string& family, const std::string& path);

}  // namespace qk::families::bench
