// VolatileMemory: what of one machine's memory outlives a clean close of an instance, but not a
// crash.
//
// A volatile family keeps its state here under an id, and only the id on disk: an instance that is
// closed and opened again finds its state, one whose machine (or process, where that is all there
// is) went down in between does not, and can tell so, because ids are never given twice.
//
// There is no global one: a process makes its own and hands it to the registry of its families; in
// the simulation each machine has one. Nothing here becomes durable, and what was stored stays
// until lose() or the end, also when the directory that names it is removed.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace qk::families {

class VolatileMemory {
 public:
  // `nonce` tells this memory's ids from those of every other one that can have written to the same
  // disk: random in a tool, drawn from the run's seed in the simulation.
  explicit VolatileMemory(uint64_t nonce) : nonce_(nonce) {}
  VolatileMemory(const VolatileMemory&) = delete;
  VolatileMemory& operator=(const VolatileMemory&) = delete;

  // 32 hexadecimal digits; never the same twice, crashes included.
  std::string new_id();

  // Whoever puts a state is the one who finds it again, and knows its type.
  void put(std::string_view id, std::shared_ptr<void> state);
  // Null: not here, so lost.
  std::shared_ptr<void> find(std::string_view id) const;
  void drop(std::string_view id);

  // The machine crashes. Instances that are still open keep what they hold until they are closed;
  // nobody else finds it.
  void lose() { states_.clear(); }

 private:
  const uint64_t nonce_;
  uint64_t ids_ = 0;
  std::map<std::string, std::shared_ptr<void>, std::less<>> states_;
};

}  // namespace qk::families
