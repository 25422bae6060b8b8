// Choice: who decides what a crash leaves. A power cut shows its pending micro-operations, in issue
// order, and a Choice gives each one its fate; so exploring, sampling, replaying and shrinking are
// implementations of one interface, and every decision can be written down and replayed (Decision,
// Scripted).
//
// Not here: the rules of a strictness level. SimDisk makes any answer legal before it uses it (see
// legal_fate), so a Choice, or an edited replay, can ask for anything.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "sim/kernel/random.h"

namespace qk::sim {

// One pending micro-operation, as a Choice sees it. An operation on two directory entries (a
// rename) is one of these.
struct PendingOperation {
  enum class Kind : uint8_t {
    kWrite,  // bytes of one page
    kSize,   // a new file size
    kName,   // one or two directory entries
  };
  Kind kind = Kind::kWrite;
  uint64_t sequence = 0;  // issue order
  uint64_t call = 0;      // micro-operations of one call (a write and the size it sets) share it
  uint64_t inode = 0;
  uint32_t sectors = 0;  // kWrite: bit i is sector i of the page
  bool extends = false;  // kSize: larger than before, so it exposes bytes
  std::string text;      // for reports: "log_1: page 0, sectors 03"
  // What names it in a run that goes a little differently: the file, by the path that it (or the
  // directory, for kName) was made under, "~2" for the second made there; and which of the file's
  // operations of this kind it is, from 1.
  std::string file = {};
  uint64_t ordinal = 0;
  bool splits = false;  // kName: a rename that may tear (P2x)
  // kSize: so many parts of it may survive alone. A growth by a write stops at one of its page boundaries;
  // of a truncation inside a page only the zeros after the new size may be there, under the old size.
  uint32_t size_parts = 0;
};

struct Fate {
  enum class Kind : uint8_t {
    kDrop,
    kKeep,
    kTorn,     // kWrite: only `sectors` survive. kName, if it splits: kOldEntry or kNewEntry alone.
               // kSize: part number `sectors`, from 1
    kGarbage,  // kSize: survives, and what it exposes holds garbage unless a later write covers it
  };
  Kind kind = Kind::kDrop;
  uint32_t sectors = 0;

  static Fate drop() { return {}; }
  static Fate keep() { return {Kind::kKeep, 0}; }
  static Fate torn(uint32_t sectors) { return {Kind::kTorn, sectors}; }
  static Fate garbage() { return {Kind::kGarbage, 0}; }
  bool operator==(const Fate&) const = default;

  // Of a rename that splits: what happened alone.
  static constexpr uint32_t kOldEntry = 1;  // the old name is gone
  static constexpr uint32_t kNewEntry = 2;  // the new one is there
};

// The nearest fate that makes sense for the operation: a tear that keeps all (no) sectors is a keep
// (drop); a tear of what does not tear, and garbage from anything but a growing size, a keep.
Fate legal_fate(const PendingOperation& operation, Fate fate);

// All legal fates of an operation, numbered: 0 is drop, 1 is keep, the others are tears. For
// enumeration.
uint32_t fate_count(const PendingOperation& operation);
Fate fate_at(const PendingOperation& operation, uint32_t number);

class Choice {
 public:
  virtual ~Choice() = default;
  // One fate for each pending operation, in the same order. Called once in a power cut.
  virtual std::vector<Fate> decide(std::span<const PendingOperation> pending) = 0;
  // One of 0..n-1, n >= 1: how much of the operation that executes at the crash of a process
  // happened, from nothing (0) to all of it (n - 1). Called at most once in a crash.
  virtual uint32_t pick(uint32_t n) = 0;
};

// Only what was synced.
class DropAll final : public Choice {
 public:
  std::vector<Fate> decide(std::span<const PendingOperation> pending) override;
  uint32_t pick(uint32_t n) override;
};

// Everything issued.
class KeepAll final : public Choice {
 public:
  std::vector<Fate> decide(std::span<const PendingOperation> pending) override;
  uint32_t pick(uint32_t n) override;
};

// The first `count` pending operations.
class Prefix final : public Choice {
 public:
  explicit Prefix(size_t count) : count_(count) {}
  std::vector<Fate> decide(std::span<const PendingOperation> pending) override;
  uint32_t pick(uint32_t n) override;

 private:
  size_t count_;
};

// Everything but the operations at these positions of the pending list.
class OmitSet final : public Choice {
 public:
  explicit OmitSet(std::set<size_t> positions) : positions_(std::move(positions)) {}
  std::vector<Fate> decide(std::span<const PendingOperation> pending) override;
  uint32_t pick(uint32_t n) override;

 private:
  std::set<size_t> positions_;
};

// Nothing but the operation at this position.
class KeepOnly final : public Choice {
 public:
  explicit KeepOnly(size_t position) : position_(position) {}
  std::vector<Fate> decide(std::span<const PendingOperation> pending) override;
  uint32_t pick(uint32_t n) override;

 private:
  size_t position_;
};

// Everything, but of the last write just the first half of its sectors. A write of one sector loses
// it and keeps the size, so the tail reads as zeros.
class TornTail final : public Choice {
 public:
  std::vector<Fate> decide(std::span<const PendingOperation> pending) override;
  uint32_t pick(uint32_t n) override;
};

// Draws: 25 % DropAll, 15 % KeepAll, 20 % Prefix, 30 % each operation on its own with one of three
// odds, 10 % all but one; then, every other time, a tear of the last surviving write.
class Sampled final : public Choice {
 public:
  explicit Sampled(RandomStream random) : random_(random) {}
  std::vector<Fate> decide(std::span<const PendingOperation> pending) override;
  uint32_t pick(uint32_t n) override;

 private:
  RandomStream random_;
};

// Names one operation on one node's disk; see PendingOperation::file.
struct OperationKey {
  std::string file;
  PendingOperation::Kind kind = PendingOperation::Kind::kWrite;
  uint64_t ordinal = 0;
  auto operator<=>(const OperationKey&) const = default;
};

// "/node/local/log/log_1 write 3", as messages name it.
std::string to_string(const OperationKey& key);

// What one crash decided, by names that survive an edit of the run: never by a position in a list,
// which one operation more or less would shift.
struct Decision {
  // P2: what survived, all or part of it (no Fate::kDrop). Everything else is lost.
  std::map<OperationKey, Fate> kept = {};
  // P0: the operation that was executing, and how much of it happened: Choice::pick().
  std::optional<OperationKey> executing = {};
  uint32_t picked = 0;
  bool operator==(const Decision&) const = default;
};

// "", or the first thing in which `found` is not what `asked` says: after a replay, that the run
// has changed so far that the decision is no longer about it.
std::string difference(const Decision& asked, const Decision& found);

// Replays a decision. Operations that it does not name are lost; what it names and is not there
// shows in difference() with the report of the crash.
class Scripted final : public Choice {
 public:
  explicit Scripted(Decision decision) : decision_(std::move(decision)) {}
  std::vector<Fate> decide(std::span<const PendingOperation> pending) override;
  uint32_t pick(uint32_t n) override;

 private:
  Decision decision_;
};

// "K12D3T05G", for reports: fates with repetition counts, the sectors of a tear in hexadecimal.
std::string short_form(std::span<const Fate> fates);

}  // namespace qk::sim
