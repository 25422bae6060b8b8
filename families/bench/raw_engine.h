// RawEngine: what a family is built on, driven by the engine's own interface and nothing of ours,
// with the settings that the family uses. The benchmarks compare each family with it. Errors end
// the program.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "families/contract/types.h"

namespace qk::families::bench {

class RawEngine {
 public:
  virtual ~RawEngine() = default;
  // After an open: finds out what the store holds, with the care that the family takes.
  virtual void find_entries() = 0;
  // Durable on return.
  virtual void append(std::span<const LogEntry> entries) = 0;
  // Reads 1..to in order; the sum of payload sizes, which keeps the reads from being left out.
  virtual uint64_t scan(int64_t to) = 0;
  virtual uint64_t read(int64_t index) = 0;
  // Drops entries below (above) the index.
  virtual void drop_below(int64_t first_kept) = 0;
  virtual void drop_above(int64_t last_kept) = 0;
  // Between begin_load() and end_load(), load() is the engine's fastest way to take ascending
  // entries into a new store; durable when end_load() returns.
  virtual void begin_load() = 0;
  virtual void load(std::span<const LogEntry> entries) = 0;
  virtual void end_load() = 0;
  // Waits until the engine's threads have nothing left to do.
  virtual void settle() {}
};

// Each in the new or existing directory (file) `path`.
std::unique_ptr<RawEngine> open_flat_file(const std::string& path);
std::unique_ptr<RawEngine> open_leveldb(const std::string& path);
std::unique_ptr<RawEngine> open_rocksdb(const std::string& path);
std::unique_ptr<RawEngine> open_sqlite(const std::string& path);

}  // namespace qk::families::bench
