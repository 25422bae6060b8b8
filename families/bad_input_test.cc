// Damage to the bytes of every durable family: what was synced, and is changed behind its back.
//
// Method. For each durable family of the registry an instance is filled (several segments, flushes,
// checkpoints and snapshots), and its history recorded: what it showed after each mutation. Its
// root is taken twice, after a clean close and as a killed process leaves it. Then, on a fork of
// the disk for each damage:
//
//   flip      one bit of one byte: every byte of a small root, otherwise the head and the end of
//             each file and a seeded sample
//   cut       the file ends early
//   zero      a sector reads as zeros
//   missing   the file is gone
//
// the instance is opened and everything read. It must show what it held, or answer an error that
// names the place. One thing more is allowed: damage to what the last mutation wrote looks like a
// torn tail, and may be cut like one: after a flip the last mutation is gone; after a cut or a
// zeroed sector, log, hard state and snapshot are each as they once were. The loss of a file, or of
// all its bytes, is no such case: it is an error. What a format cannot show (braft's metas have no
// checksum) the family declares (FamilyDescriptor::unchecked), and is counted apart. Never a wrong
// value otherwise, never a fresh store, never a crash.
#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <functional>
#include <iostream>
#include <map>
#include <optional>
#include <set>

#include "families/builtin.h"
#include "families/contract/mutation.h"
#include "families/contract/volatile_memory.h"
#include "families/fs/file_util.h"
#include "families/testing/points.h"
#include "families/testing/reading.h"
#include "sim/disk/sim_disk.h"

namespace qk::sim {
namespace {

using families::Family;
using families::FamilyDescriptor;
using families::FamilyOptions;
using families::FileSystem;
using families::LogEntry;
using families::Mutation;
using families::Reading;

constexpr const char* kRoot = "/node/state";
constexpr const char* kPeer = "127.0.0.1:8100:0:0";
constexpr uint64_t kSector = 512;
constexpr uint64_t kWholeRoot = 24 << 10;  // up to here, every byte is flipped
constexpr uint64_t kEdge = 64;             // bytes at both ends of each file
constexpr size_t kSample = 1500;           // flips in between, in a larger root

// Small units, so that a little data makes several of each.
FamilyOptions small_units(const FamilyDescriptor& descriptor) {
  const std::map<std::string, std::string> small = {
      {"flush_bytes", "256"}, {"page_size", "1024"}, {"segment_size", "200"}};
  FamilyOptions options;
  for (const families::OptionDescriptor& option : descriptor.options) {
    if (const auto it = small.find(option.name); it != small.end()) options.insert(*it);
  }
  return options;
}

std::vector<LogEntry> make_entries(int64_t from, int64_t to) {
  std::vector<LogEntry> entries;
  for (int64_t i = from; i <= to; ++i) {
    entries.push_back({i, 1 + i / 8, families::EntryType::kData, cat("payload of entry ", i)});
  }
  return entries;
}

absl::StatusOr<Mutation> make_publish(Family& family, int64_t index) {
  QK_ASSIGN_OR_RETURN(auto writer, family.snapshot().create());
  for (const char* name : {"data", "deep/er/data"}) {
    QK_ASSIGN_OR_RETURN(const auto file, writer->create_file(name));
    QK_RETURN_IF_ERROR(file->write_at(0, cat(name, " of ", index)));
    QK_RETURN_IF_ERROR(writer->add_file(name, {"user", 0, std::nullopt}));
  }
  QK_RETURN_IF_ERROR(writer->save_meta({index, 1, {kPeer}, {}}));
  return Mutation::publish(std::move(writer));
}

// The mutations of each life of the process. The last one appends one entry.
using Make = std::function<absl::StatusOr<Mutation>(Family&)>;
std::vector<std::vector<Make>> lives() {
  const auto append = [](int64_t from, int64_t to) -> Make {
    return [=](Family&) { return Mutation::append(make_entries(from, to)); };
  };
  const auto publish = [](int64_t index) -> Make {
    return [=](Family& family) { return make_publish(family, index); };
  };
  const auto vote = [](int64_t term) -> Make {
    return [=](Family&) { return Mutation::save_meta({term, kPeer}); };
  };
  const Make prefix = [](Family&) { return Mutation::truncate_prefix(3); };
  return {{append(1, 9), vote(3), publish(4), prefix, append(10, 14)},
          {append(15, 15), append(16, 16), vote(4), publish(6), append(17, 17), append(18, 18),
           append(19, 19)}};
}

struct Damage {
  enum class Kind { kFlip, kCut, kZero, kMissing };
  Kind kind;
  std::string path;     // in the root
  uint64_t offset = 0;  // of the flip or the sector, or the new size
};

std::string describe(const Damage& damage) {
  switch (damage.kind) {
    case Damage::Kind::kFlip:
      return cat(damage.path, ": bit flipped at offset ", damage.offset);
    case Damage::Kind::kCut:
      return cat(damage.path, ": cut to ", damage.offset, " bytes");
    case Damage::Kind::kZero:
      return cat(damage.path, ": zeros at offset ", damage.offset);
    case Damage::Kind::kMissing:
      return cat(damage.path, ": removed");
  }
  return "";
}

absl::Status inflict(FileSystem& fs, const Damage& damage) {
  const std::string path = families::join_path(kRoot, damage.path);
  if (damage.kind == Damage::Kind::kMissing) return fs.unlink(path);
  QK_ASSIGN_OR_RETURN(const auto file, fs.open(path, {}));
  if (damage.kind == Damage::Kind::kCut) return file->truncate(damage.offset);
  if (damage.kind == Damage::Kind::kFlip) {
    char byte = 0;
    QK_RETURN_IF_ERROR(families::read_exact(*file, path, damage.offset, {&byte, 1}));
    byte = static_cast<char>(byte ^ (1 << damage.offset % 8));
    return file->write_at(damage.offset, {&byte, 1});
  }
  QK_ASSIGN_OR_RETURN(const uint64_t size, file->size());
  return file->write_at(damage.offset, std::string(std::min(kSector, size - damage.offset), '\0'));
}

using Tree = std::map<std::string, std::string>;

Tree read_root(FileSystem& fs) {
  const auto paths = families::list_tree(fs, kRoot);
  REQUIRE(paths.ok());
  Tree tree;
  for (const std::string& path : *paths) {
    tree[path] = families::read_file(fs, families::join_path(kRoot, path), 1 << 30).value();
  }
  return tree;
}

std::vector<Damage> all_damages(const Tree& tree) {
  uint64_t total = 0;
  for (const auto& file : tree) total += file.second.size();
  RandomStream random(1, "damage");
  std::vector<Damage> damages;
  for (const auto& [path, bytes] : tree) {
    const uint64_t size = bytes.size();
    std::set<uint64_t> flips;
    for (uint64_t i = 0; i < size; ++i) {
      if (total <= kWholeRoot || i < kEdge || i + kEdge >= size) flips.insert(i);
    }
    if (total > kWholeRoot) {
      for (uint64_t i = 0; i < kSample * size / total; ++i) flips.insert(random.below(size));
    }
    for (const uint64_t offset : flips) damages.push_back({Damage::Kind::kFlip, path, offset});
    std::set<uint64_t> cuts = {0, 1, size / 3, size / 2, size - size / 8};
    if (size > 0) cuts.insert(size - 1);
    cuts.erase(size);
    for (const uint64_t cut : cuts) {
      if (cut < size) damages.push_back({Damage::Kind::kCut, path, cut});
    }
    for (uint64_t at = 0; at < size; at += std::max(kSector, size / 64 / kSector * kSector)) {
      damages.push_back({Damage::Kind::kZero, path, at});
    }
    damages.push_back({Damage::Kind::kMissing, path, 0});
  }
  return damages;
}

enum class Finding { kHarmless, kAtOpen, kAtRead, kTailCut, kUnchecked };
constexpr std::array<const char*, 5> kFindingNames = {"harmless", "error at open", "error at read",
                                                      "tail cut", "declared unchecked"};

// One family, filled once, and damaged many times.
class Patient {
 public:
  explicit Patient(const FamilyDescriptor& descriptor)
      : family_(descriptor), options_(small_units(descriptor)), killed_({}, latency()) {
    auto fs = killed_.mount();
    REQUIRE(families::make_directories(*fs, families::parent_path(kRoot)).ok());
    for (const std::vector<Make>& life : lives()) {
      const auto family = open(*fs, true);
      INFO(family.status());
      REQUIRE(family.ok());
      history_.push_back(read_everything(**family));
      for (const Make& make : life) {
        before_last_ = read_root(*fs);
        auto mutation = make(**family);
        REQUIRE(mutation.ok());
        REQUIRE(families::apply(**family, *mutation).ok());
        history_.push_back(read_everything(**family));
      }
      // What a killed process leaves, until the next life has begun.
      killed_.set_now(killed_.busy_until());
      killed_image_ = killed_.fork();
    }
  }

  // On the root as a killed process left it, or after a clean close.
  void examine(bool closed) {
    SimDisk disk = killed_image_->fork();
    if (closed) {
      const auto fs = disk.mount();
      REQUIRE(open(*fs, false).ok());
      disk.set_now(disk.busy_until());
    }
    const Tree tree = read_root(*disk.mount());
    uint64_t flips = 0;
    for (const Damage& damage : all_damages(tree)) {
      // Nearly all damages are flips.
      if (damage.kind == Damage::Kind::kFlip && flips++ % families::one_point_in() != 0) continue;
      INFO(family_.name << (closed ? ", closed: " : ", killed: ") << describe(damage));
      ++counts_[damage.kind][judge(disk.fork(), damage)];
    }
  }

  void print() const {
    const std::array<const char*, 4> kinds = {"flip", "cut", "zero", "missing"};
    std::cout << family_.name;
    for (const auto& [kind, findings] : counts_) {
      std::cout << "\n  " << kinds[static_cast<size_t>(kind)] << ":";
      for (const auto& [finding, count] : findings) {
        std::cout << " " << count << " " << kFindingNames[static_cast<size_t>(finding)] << ";";
      }
    }
    std::cout << "\n";
  }

  uint64_t detected(Damage::Kind kind) const {
    uint64_t sum = 0;
    for (const auto& [finding, count] : counts_.at(kind)) {
      if (finding == Finding::kAtOpen || finding == Finding::kAtRead) sum += count;
    }
    return sum;
  }

 private:
  static RandomStream latency() { return RandomStream(1, "latency"); }

  absl::StatusOr<std::unique_ptr<Family>> open(FileSystem& fs, bool create) const {
    return family_.open({.fs = &fs, .root = kRoot, .create = create, .options = options_});
  }

  Finding judge(SimDisk disk, const Damage& damage) const {
    const auto fs = disk.mount();
    const absl::Status inflicted = inflict(*fs, damage);
    INFO(inflicted);
    REQUIRE(inflicted.ok());
    const auto family = open(*fs, true);  // create: damage must not read as absence
    if (!family.ok()) {
      check_error(family.status());
      return Finding::kAtOpen;
    }
    const Reading found = read_everything(**family);
    if (found == history_.back()) return Finding::kHarmless;
    if (is_cut_tail(found, damage)) {
      INFO("the family does not declare that it cannot tell");
      REQUIRE(is_declared(damage, [](const families::UncheckedPath& path) { return path.tail; }));
      return Finding::kTailCut;
    }
    if (is_unchecked(damage)) {
      // Nothing but what lies in the file.
      int changed = 0;
      for (const Part part : {Part::kLog, Part::kHardState, Part::kSnapshot}) {
        changed += agrees(found, history_.back(), part) ? 0 : 1;
      }
      REQUIRE(changed <= 1);
      return Finding::kUnchecked;
    }
    // Whatever can be read is what was held.
    const Reading& held = history_.back();
    bool error = false;
    for (const auto& [item, value] : held) {
      const auto other = found.find(item);
      if (other == found.end() || !other->second.ok()) {
        error = true;
        // Below a snapshot that cannot be read, no file is listed.
        const auto& failed = other == found.end() ? found.at("snapshot") : other->second;
        REQUIRE_FALSE(failed.ok());
        check_error(failed.status());
      } else {
        INFO(item);
        REQUIRE(*other->second == *value);
      }
    }
    for (const auto& [item, value] : found) {
      INFO(item);
      REQUIRE(held.count(item) == 1);
    }
    REQUIRE(error);
    return Finding::kAtRead;
  }

  // An error says where, and is not one that a caller takes for "there is nothing".
  static void check_error(const absl::Status& status) {
    INFO(status);
    CHECK_FALSE(absl::IsNotFound(status));
    CHECK_THAT(std::string(status.message()), Catch::Contains(kRoot));
  }

  // Whether this is what a crash in the last mutation could have left, and the damage lies where
  // that mutation wrote.
  bool is_cut_tail(const Reading& found, const Damage& damage) const {
    const Tree after = read_root(*killed_image_->fork().mount());
    const auto now = after.find(damage.path);
    const auto before = before_last_.find(damage.path);
    if (now == after.end() || (before != before_last_.end() && before->second == now->second)) {
      return false;
    }
    if (damage.kind == Damage::Kind::kFlip) return found == history_[history_.size() - 2];
    if (is_gone(damage)) return false;
    // More than a crash takes. Log, hard state and snapshot may lie in different files.
    for (const Part part : {Part::kLog, Part::kHardState, Part::kSnapshot}) {
      const auto was_held = [&](const Reading& held) { return agrees(found, held, part); };
      if (std::none_of(history_.begin(), history_.end(), was_held)) return false;
    }
    return true;
  }

  enum class Part { kLog, kHardState, kSnapshot };
  static Part part_of(const std::string& item) {
    if (item == "hard state") return Part::kHardState;
    return item == "snapshot" || item.rfind("file ", 0) == 0 ? Part::kSnapshot : Part::kLog;
  }

  // What can be read of the part is what was held then; and all of it, unless something is an
  // error.
  static bool agrees(const Reading& found, const Reading& held, Part part) {
    bool error = false;
    size_t read = 0;
    for (const auto& [item, value] : found) {
      if (part_of(item) != part) continue;
      if (!value.ok()) {
        check_error(value.status());
        error = true;
        continue;
      }
      const auto other = held.find(item);
      if (other == held.end() || *other->second != *value) return false;
      ++read;
    }
    const auto expected = std::count_if(
        held.begin(), held.end(), [&](const auto& item) { return part_of(item.first) == part; });
    return error || read == static_cast<size_t>(expected);
  }

  // Missing, or emptied.
  static bool is_gone(const Damage& damage) {
    return damage.kind == Damage::Kind::kMissing ||
           (damage.kind == Damage::Kind::kCut && damage.offset == 0);
  }

  bool is_unchecked(const Damage& damage) const {
    const auto covers = [&](const families::UncheckedPath& unchecked) {
      switch (damage.kind) {
        case Damage::Kind::kMissing:
          return unchecked.presence;
        case Damage::Kind::kCut:
          return unchecked.length || (is_gone(damage) && unchecked.presence);
        case Damage::Kind::kFlip:
        case Damage::Kind::kZero:
          return unchecked.bytes;
      }
      return false;
    };
    return is_declared(damage, covers);
  }

  bool is_declared(const Damage& damage,
                   const std::function<bool(const families::UncheckedPath&)>& covers) const {
    return std::any_of(family_.unchecked.begin(), family_.unchecked.end(),
                       [&](const families::UncheckedPath& unchecked) {
                         return damage.path.rfind(unchecked.prefix, 0) == 0 && covers(unchecked);
                       });
  }

  const FamilyDescriptor& family_;
  const FamilyOptions options_;
  SimDisk killed_;
  std::optional<SimDisk> killed_image_;
  std::vector<Reading> history_;  // the last one is what the disk holds
  Tree before_last_;
  std::map<Damage::Kind, std::map<Finding, uint64_t>> counts_;
};

TEST_CASE("damaged bytes are an error or change nothing") {
  families::VolatileMemory memory(1);
  const families::Registry registry = families::builtin_families(&memory);
  for (const FamilyDescriptor& descriptor : registry.all()) {
    if (descriptor.volatility != families::Volatility::kDurable) continue;
    DYNAMIC_SECTION(descriptor.name) {
      Patient patient(descriptor);
      for (const bool closed : {false, true}) patient.examine(closed);
      patient.print();
      for (const auto kind :
           {Damage::Kind::kFlip, Damage::Kind::kCut, Damage::Kind::kZero, Damage::Kind::kMissing}) {
        CHECK(patient.detected(kind) > 0);
      }
    }
  }
}

}  // namespace
}  // namespace qk::sim
