// BuggyFamily: a family that does some things wrongly, between its callers and a right one, for
// planted bugs. What a hook of StorageBugs does not mention is as it should be.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>

#include "families/contract/family.h"

namespace qk::sim {

// Each is called in place of the call of its name, with the right storage; null: as it should be.
struct StorageBugs {
  using Log = families::LogStorage;
  using Outcome = families::Outcome;
  std::function<Outcome(Log&, std::span<const families::LogEntry>)> append;
  std::function<Outcome(Log&, int64_t)> truncate_prefix;
  std::function<Outcome(Log&, int64_t)> truncate_suffix;
  std::function<Outcome(Log&, int64_t)> reset;
  std::function<Outcome(families::MetaStorage&, const families::HardState&)> save;
  std::function<Outcome(families::SnapshotStorage&, std::unique_ptr<families::SnapshotWriter>)>
      publish;
  // May change what a bulk load (of an import) is given.
  std::function<void(families::LogEntry*)> load;
  // May change what a reader is told.
  std::function<void(families::LogEntry*)> read;
  // May make an entry of one that is damaged: false, it reports the damage.
  std::function<bool(families::LogEntry*)> damaged;
  // An instance that does not open because it is damaged counts as none.
  std::function<bool()> absent;
  std::function<families::HardState(const families::HardState&)> hard_state;
  // At the end of each open that does not create.
  std::function<void(families::Family&)> recovered;
};

// Asked at each open, of the instance at `root`.
using BugsOf = std::function<StorageBugs(const families::OpenRequest& request)>;

// The same families, with these bugs.
families::Registry with_bugs(const families::Registry& families, const BugsOf& bugs_of);

}  // namespace qk::sim
