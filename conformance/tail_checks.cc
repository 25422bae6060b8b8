// TAIL: files whose end is not what was written: cut, zeroed, followed by more. Whatever an engine
// calls its files, an instance with such a file opens with state that it once acknowledged, or with
// an explicit error: never as an empty store or as none, never with a value that was not written.
// What opening repaired stays repaired.
//
// The files are those that are found in the root. Contents of snapshot files are left out: their
// bytes are the application's, and legacy directories carry no checksum of them. Flipped bytes
// anywhere are a test of their own.
#include <algorithm>

#include "conformance/crash_explorer.h"
#include "conformance/groups.h"
#include "conformance/scenes.h"
#include "families/fs/file_util.h"

namespace qk::sim::conformance {
namespace {

constexpr uint64_t kMaxTailFile = 64u << 20;
constexpr size_t kSector = 512;
constexpr size_t kPage = 4096;

// Every state that an instance with this history acknowledged.
class Acknowledged {
 public:
  explicit Acknowledged(const std::vector<Change>& history) {
    Model model;
    note(model.state());
    for (const Change& change : history) {
      QK_CHECK(model.apply(change) == Model::Verdict::kApplied);
      note(model.state());
    }
  }

  // The first thing in `found` that never was, or "". Each part may be of another moment: what is
  // damaged is one file.
  std::string unknown_part(const State& found) const {
    if (found == State()) return "an empty store";
    if (!contains(hard_states_, found.hard_state)) return "a term and vote that were never saved";
    if (!contains(snapshots_, found.snapshot)) return "a snapshot that was never published";
    if (!contains(firsts_, found.first)) return cat("a log that begins at ", found.first);
    for (const families::LogEntry& entry : found.entries) {
      if (!contains(entries_, entry))
        return cat("an entry ", entry.index, " that was never written");
    }
    return "";
  }

 private:
  template <typename T>
  static bool contains(const std::vector<T>& all, const T& one) {
    return std::find(all.begin(), all.end(), one) != all.end();
  }
  template <typename T>
  static void add(std::vector<T>* all, const T& one) {
    if (!contains(*all, one)) all->push_back(one);
  }
  void note(const State& state) {
    add(&hard_states_, state.hard_state);
    add(&snapshots_, state.snapshot);
    add(&firsts_, state.first);
    for (const families::LogEntry& entry : state.entries) add(&entries_, entry);
  }

  std::vector<families::HardState> hard_states_;
  std::vector<std::optional<SnapshotState>> snapshots_;
  std::vector<int64_t> firsts_;
  std::vector<families::LogEntry> entries_;
};

// Both terms of the log, a truncation on either side, a newer snapshot.
std::vector<Change> damaged_history() {
  std::vector<Change> history = prepared_history();
  history.push_back(truncate_suffix(18));
  history.push_back(append(entries(19, 30, 4, 90)));
  history.push_back(save_meta({5, std::string(kOtherPeer)}));
  history.push_back(publish(snapshot(9, 3)));
  history.push_back(append({entry(31, 5, 700), entry(32, 5, 20)}));
  return history;
}

// The instance after a clean end, and as a killed process leaves it; with the default options and
// with small units.
std::vector<std::unique_ptr<InstanceContext>> instances(InstanceContext& c) {
  if (c.is_volatile()) c.not_applicable("volatile: its state lies outside the disk");
  std::vector<std::unique_ptr<InstanceContext>> all;
  std::vector<families::FamilyOptions> sets = {{}};
  if (const auto small = small_units(c.family()); !small.empty()) sets.push_back(small);
  for (const families::FamilyOptions& options : sets) {
    auto m = c.fork();
    m->set_options(options);
    m->begin(damaged_history());
    all.push_back(m->fork());
    m->close();
    all.push_back(std::move(m));
  }
  return all;
}

// Files of the family, without the contents of its snapshots.
std::vector<std::string> files_of(InstanceContext& closed) {
  std::vector<std::string> contents;
  {
    const auto probe = closed.fork();
    probe->expect_ok("open", probe->open());
    probe->expect_state();
    const auto reader = probe->expect_value("open the snapshot", probe->snapshot().open());
    for (const families::SnapshotFile& file : reader->files()) {
      contents.push_back(families::join_path(reader->get_path(), file.path));
    }
  }
  std::vector<std::string> files;
  for (const std::string& name :
       closed.expect_value("list the root", families::list_tree(closed.fs(), closed.root()))) {
    const std::string path = families::join_path(closed.root(), name);
    if (std::find(contents.begin(), contents.end(), path) == contents.end()) files.push_back(path);
  }
  return files;
}

void overwrite(InstanceContext& c, const std::string& path, const std::string& bytes) {
  c.expect_ok("damage", families::write_file(c.fs(), path, bytes));
  c.settle();
}

// What a family may declare of a file that is damaged in this way.
using Declared = std::function<bool(const families::UncheckedPath&)>;
bool may_miss_tail(const families::UncheckedPath& path) { return path.tail || path.length; }
bool may_miss_bytes(const families::UncheckedPath& path) { return path.tail || path.bytes; }

// Whether the family declares that it may open with something of the file missing.
bool may_go_unseen(const InstanceContext& c, const std::string& path, const Declared& declared) {
  const auto& all = c.family().unchecked;
  return std::any_of(all.begin(), all.end(), [&](const families::UncheckedPath& one) {
    return declared(one) && path.starts_with(families::join_path(c.root(), one.prefix));
  });
}

// Opens the instance whose file `path` is damaged, and judges it.
void judge(InstanceContext& damaged, const std::string& path, const Declared& declared,
           const Acknowledged& acknowledged) {
  const absl::Status opened = damaged.open();
  if (!opened.ok()) {
    damaged.count("refused");
    damaged.expect(!absl::IsNotFound(opened),
                   cat("open: found ", opened.ToString(), ", expected an error about damage"));
    // A refusal is not an accident: it is repeated.
    damaged.expect(!damaged.open().ok(), "opened again: found it healthy");
    return;
  }
  const auto state = read_state(damaged.subject());
  if (!state.ok()) {
    damaged.count("refused by a read");
    damaged.expect(
        !absl::IsNotFound(state.status()) && !absl::IsOutOfRange(state.status()),
        cat("read: found ", state.status().ToString(), ", expected an error about damage"));
    return;
  }
  damaged.count("opened");
  const std::string unknown = acknowledged.unknown_part(*state);
  damaged.expect(unknown.empty(), cat("found ", describe(*state), ": ", unknown));
  if (*state != damaged.model().state()) {
    damaged.count("opened as before");
    damaged.expect(may_go_unseen(damaged, path, declared),
                   cat("found ", describe(*state), ", which it was before; expected ",
                       describe(damaged.model().state()),
                       " or an error, because the family does not declare that it cannot tell"));
  }
  // What was repaired stays so, and takes more entries.
  damaged.adopt(*state);
  crash_and_open(damaged, all_or_nothing(0, 0).front());
  damaged.expect_state();
  damaged.reopen();
  const int64_t term = state->hard_state.term + 1;
  for (const Change& change : {save_meta({term, std::string(kThirdPeer)}),
                               append(entries(state->last() + 1, state->last() + 3, term))}) {
    const families::Outcome outcome = damaged.try_apply(change);
    if (!outcome.ok()) {
      // Damage that only a write comes across.
      damaged.count("refused by a write");
      damaged.expect(absl::IsDataLoss(outcome.status()),
                     cat(describe(change), ": found ", outcome.status().ToString()));
      return;
    }
    Model model = damaged.model();
    model.apply(change);
    damaged.adopt(model.state());
    damaged.expect_state();
  }
  damaged.reopen();
}

using Damage = std::pair<std::string, std::string>;  // what, and the bytes that it leaves

void damage_each_file(InstanceContext& c, const Declared& declared,
                      const std::function<std::vector<Damage>(const std::string&)>& damages) {
  const Acknowledged acknowledged(damaged_history());
  for (const auto& instance : instances(c)) {
    for (const std::string& path : files_of(*instance)) {
      const std::string bytes =
          c.expect_value("read", families::read_file(instance->fs(), path, kMaxTailFile));
      for (const auto& [what, left] : damages(bytes)) {
        if (left == bytes) continue;
        const auto damaged = instance->fork();
        overwrite(*damaged, path, left);
        c.count("damaged files");
        try {
          judge(*damaged, path, declared, acknowledged);
        } catch (const CheckFailed& failed) {
          throw CheckFailed{cat(path, ", ", bytes.size(), " bytes, ", what, ": ", failed.message)};
        }
      }
    }
  }
}

// How much of a file may be gone: what is more than a tail is the loss of a file, which a log that
// begins again cannot tell from having been short.
std::vector<size_t> tail_lengths(size_t size) {
  std::vector<size_t> lengths;
  for (const size_t n :
       {size_t{1}, size_t{4}, size_t{8}, size_t{24}, size_t{100}, kSector, kPage, size / 2}) {
    if (n > 0 && n <= size / 2) lengths.push_back(n);
  }
  return lengths;
}

void cut(InstanceContext& c) {
  damage_each_file(c, may_miss_tail, [](const std::string& bytes) {
    std::vector<Damage> all;
    for (const size_t n : tail_lengths(bytes.size())) {
      all.emplace_back(cat("last ", n, " cut"), bytes.substr(0, bytes.size() - n));
    }
    return all;
  });
}

void zeroed(InstanceContext& c) {
  damage_each_file(c, may_miss_bytes, [](const std::string& bytes) {
    std::vector<Damage> all;
    for (const size_t n : tail_lengths(bytes.size())) {
      std::string left = bytes;
      std::fill(left.end() - static_cast<std::ptrdiff_t>(n), left.end(), '\0');
      all.emplace_back(cat("last ", n, " zeroed"), std::move(left));
    }
    return all;
  });
}

void torn_middle(InstanceContext& c) {
  damage_each_file(c, may_miss_bytes, [](const std::string& bytes) {
    std::vector<Damage> all;
    // One sector each, of the last sixteen.
    const size_t sectors = (bytes.size() + kSector - 1) / kSector;
    for (size_t s = sectors > 16 ? sectors - 16 : 0; s < sectors; ++s) {
      std::string left = bytes;
      const size_t from = s * kSector;
      const size_t count = std::min(kSector, bytes.size() - from);
      left.replace(from, count, std::string(count, '\0'));
      all.emplace_back(cat("sector ", s, " zeroed"), std::move(left));
    }
    return all;
  });
}

void trailing(InstanceContext& c) {
  RandomStream random = c.random("garbage");
  std::string garbage(kPage + 100, '\0');
  for (char& byte : garbage) byte = static_cast<char>(random.below(256));
  damage_each_file(c, may_miss_bytes, [&](const std::string& bytes) {
    std::vector<Damage> all;
    for (const size_t n : {size_t{1}, size_t{12}, size_t{24}, size_t{100}, kSector, kPage}) {
      all.emplace_back(cat(n, " zeros after it"), bytes + std::string(n, '\0'));
      all.emplace_back(cat(n, " bytes of garbage after it"), bytes + garbage.substr(0, n));
    }
    return all;
  });
}

// Where the last append ended: a tail that is torn there must be repaired, not refused, at every
// length; at most that batch is missing. If the append is all that the file held, its loss may be
// refused: the append was acknowledged.
void torn_last_append(InstanceContext& c) {
  if (c.is_volatile()) c.not_applicable("volatile: its state lies outside the disk");
  const Bases bases(c, {});
  bool any = false;
  for (const Scene& scene : append_scenes()) {
    const auto m = bases.of(scene).fork();
    m->faults();
    m->expect_ok("open", m->open());
    // The first append may make the file that the second extends.
    const int64_t last = m->model().state().last();
    if (!scene.fresh) m->apply(save_meta({20, std::string(kPeer)}));
    std::map<std::string, uint64_t> sizes;
    for (const std::string& name :
         m->expect_value("list", families::list_tree(m->fs(), m->root()))) {
      const std::string path = families::join_path(m->root(), name);
      sizes[path] = m->expect_value("stat", m->fs().stat(path)).size;
    }
    m->faults().take_calls();
    m->expect_ok(describe(scene.change), m->try_apply(scene.change));
    std::string newest;
    for (const std::string& call : m->faults().take_calls()) {
      if (call.starts_with("write ")) newest = call.substr(6);
    }
    const uint64_t before = sizes.contains(newest) ? sizes[newest] : 0;
    const uint64_t after = m->expect_value("stat", m->fs().stat(newest)).size;
    if (!sizes.contains(newest) || after <= before) continue;
    any = true;
    const std::vector<State> legal =
        m->model().after_crash(scene.change, c.family().partials(scene.change.operation));
    const uint64_t step = std::max<uint64_t>(1, (after - before) / 200);
    for (uint64_t size = before; size < after; size += step) {
      const auto damaged = m->fork();
      {
        const auto file = damaged->expect_value("open the file", damaged->fs().open(newest, {}));
        damaged->expect_ok("cut", file->truncate(size));
      }
      damaged->settle();
      c.count("damaged files");
      const std::string where = cat(newest, " cut from ", after, " to ", size);
      const absl::Status opened = damaged->open();
      // The append was acknowledged. A family that can tell that a file lost all it held says so.
      if (before == 0 && absl::IsDataLoss(opened)) {
        damaged->expect(to_std(opened.message()).find(newest) != std::string_view::npos,
                        cat(where, ": open: found ", to_std(opened.message()),
                            ", expected the file's name in it"));
        c.count("refused, since nothing of the file is left");
        continue;
      }
      damaged->expect_ok(cat(where, ": open"), opened);
      const State found = damaged->state();
      damaged->expect(std::find(legal.begin(), legal.end(), found) != legal.end(),
                      cat(where, ": found ", describe(found),
                          ", expected the last batch, of which "
                          "behind ",
                          last, " some may be missing"));
      damaged->adopt(found);
      damaged->reopen();
    }
  }
  if (!any) c.not_applicable("an append extends no file");
}

// A repair that cannot be written down fails the opening, or is done again by the next one.
void repair_cannot_write(InstanceContext& c) {
  const Acknowledged acknowledged(damaged_history());
  for (const auto& instance : instances(c)) {
    for (const std::string& path : files_of(*instance)) {
      const std::string bytes =
          c.expect_value("read", families::read_file(instance->fs(), path, kMaxTailFile));
      if (bytes.size() < 30) continue;
      const auto damaged = instance->fork();
      overwrite(*damaged, path, bytes.substr(0, bytes.size() - 30));
      const auto probe = damaged->fork();
      if (!probe->open().ok()) continue;
      const auto repaired = read_state(probe->subject());
      if (!repaired.ok()) continue;
      for (uint64_t n = 1;; ++n) {
        const auto m = damaged->fork();
        families::Fault fault;
        fault.lasts = true;
        m->faults().fail_at(n, fault);
        const absl::Status opened = m->open();
        if (!m->faults().failed()) break;
        c.count("failed repairs");
        const auto again = m->fork();
        again->expect_ok(cat(path, ": open after a repair that failed (", opened.message(), ")"),
                         again->open());
        again->expect_same_state(path, again->state(), *repaired);
      }
    }
  }
  c.expect(true, "nothing to repair");
}

}  // namespace

std::vector<Check> tail_checks() {
  std::vector<Check> checks;
  const auto add = [&](std::string name, std::vector<std::string> ids,
                       std::function<void(InstanceContext&)> run) {
    checks.push_back(instance_check("TAIL", std::move(name), std::move(ids), std::move(run))
                         .on(kSimulatedOnly)
                         .in(kPlainOnly));
  };
  add("cut", {"SB-25", "EV-X1"}, cut);
  add("zeroed", {"SB-25", "EV-X1"}, zeroed);
  add("torn_middle", {"SB-25", "EV-X1"}, torn_middle);
  add("trailing", {"SB-25", "EV-X1"}, trailing);
  add("torn_last_append", {"SB-25"}, torn_last_append);
  add("repair_cannot_write", {"SB-25"}, repair_cannot_write);
  return checks;
}

}  // namespace qk::sim::conformance
