// Environment mutants: a migration on a disk that does not do one of the syncs that it is asked
// for, one after the other. Each must be noticed; one that nobody notices is not needed.
//
// A sync has no name of its own, so what it makes durable stands for it: of a file its path, of a
// directory its path and what was changed in it since it was last synced, numbers left out.
//
// From the first sync on that was not done, after each disk operation, a copy of the disk loses
// power in a few ways, and is opened again on the same bad disk. Then it must hold what was
// acknowledged and nothing that was never issued, be what it has announced to be, and survive
// another power cut. Where the old family was fenced, no program finds it any more.
//
// Not verified here: that a sync is needed by every family (each is the source of one pair and the
// target of another), crashes inside recovery.
#include <catch2/catch.hpp>
#include <iostream>
#include <map>
#include <set>

#include "families/fs/file_system_wrapper.h"
#include "families/fs/file_util.h"
#include "families/testing/points.h"
#include "sim/check/test_migrating_machine.h"

namespace qk::sim {
namespace {

using families::FileSystem;

// Of a path below the node's directory: "local-g#/log/log_#".
std::string pattern(std::string_view path) {
  std::string text;
  for (const char c : path) {
    const bool digit = c >= '0' && c <= '9';
    if (digit && !text.empty() && text.back() == '#') continue;
    text += digit ? '#' : c;
  }
  return text;
}

struct Environment {
  std::string dropped;               // the sync that is not done; empty: all are
  bool acted = false;                // it was asked for
  std::set<std::string> sites = {};  // all that were asked for
  std::map<std::string, std::set<std::string>> changed = {};  // by directory
  std::function<void()> operation = nullptr;                  // one was issued

  // Whether the sync is to be done.
  bool syncs(const std::string& site) {
    sites.insert(site);
    if (site != dropped) return true;
    acted = true;
    return false;
  }
  bool syncs_file(std::string_view path) { return syncs(cat("sync ", pattern(path))); }
  bool syncs_dir(std::string_view path) {
    std::string site = cat("sync_dir ", pattern(path), ":");
    for (const std::string& change : changed[std::string(path)]) site += cat(" ", change);
    changed.erase(std::string(path));
    return syncs(site);
  }
  absl::Status changes(absl::Status status, std::string_view how, std::string_view path) {
    if (!status.ok()) return status;
    changed[std::string(families::parent_path(path))].insert(
        cat(how, " ", pattern(families::base_name(path))));
    return done(status);
  }
  absl::Status done(absl::Status status) {
    if (operation) operation();
    return status;
  }
};

class BadFileSystem final : public families::FileSystemWrapper {
 public:
  BadFileSystem(std::unique_ptr<FileSystem> disk, std::shared_ptr<Environment> environment)
      : FileSystemWrapper(disk.get()), disk_(std::move(disk)), env_(std::move(environment)) {}

  absl::StatusOr<std::unique_ptr<families::File>> open(std::string_view path,
                                                       families::OpenFlags flags) override {
    const bool creates = flags.create && absl::IsNotFound(inner().stat(path).status());
    QK_ASSIGN_OR_RETURN(auto file, inner().open(path, flags));
    if (creates) QK_RETURN_IF_ERROR(env_->changes(absl::OkStatus(), "create", path));
    return std::make_unique<BadFile>(std::move(file), path, env_);
  }
  absl::Status sync_dir(std::string_view path, families::SyncKind kind) override {
    return env_->syncs_dir(path) ? env_->done(inner().sync_dir(path, kind)) : absl::OkStatus();
  }
  absl::Status unlink(std::string_view path) override {
    return env_->changes(inner().unlink(path), "unlink", path);
  }
  absl::Status mkdir(std::string_view path) override {
    return env_->changes(inner().mkdir(path), "mkdir", path);
  }
  absl::Status rmdir(std::string_view path) override {
    return env_->changes(inner().rmdir(path), "rmdir", path);
  }
  absl::Status link(std::string_view existing, std::string_view name) override {
    return env_->changes(inner().link(existing, name), "link", name);
  }
  absl::Status rename(std::string_view from, std::string_view to) override {
    return renamed(inner().rename(from, to), from, to);
  }
  absl::Status rename_new(std::string_view from, std::string_view to) override {
    return renamed(inner().rename_new(from, to), from, to);
  }

 private:
  class BadFile final : public families::FileWrapper {
   public:
    BadFile(std::unique_ptr<families::File> inner, std::string_view path,
            std::shared_ptr<Environment> environment)
        : FileWrapper(std::move(inner)), path_(path), env_(std::move(environment)) {}
    absl::Status sync(families::SyncKind kind) override {
      return env_->syncs_file(path_) ? env_->done(inner().sync(kind)) : absl::OkStatus();
    }
    absl::Status write_at(uint64_t offset, std::string_view bytes) override {
      return env_->done(inner().write_at(offset, bytes));
    }
    absl::Status truncate(uint64_t size) override { return env_->done(inner().truncate(size)); }

   private:
    const std::string path_;
    const std::shared_ptr<Environment> env_;
  };

  absl::Status renamed(absl::Status status, std::string_view from, std::string_view to) {
    if (!status.ok()) return status;
    if (families::parent_path(from) != families::parent_path(to)) {
      env_->changed[std::string(families::parent_path(from))].insert(
          cat("move ", pattern(families::base_name(from))));
    }
    return env_->changes(status, "name", to);
  }

  const std::unique_ptr<FileSystem> disk_;
  const std::shared_ptr<Environment> env_;
};

MigratingMachine::Mount on(std::shared_ptr<Environment> environment) {
  return [environment](SimDisk& disk) {
    return std::make_unique<BadFileSystem>(disk.mount(), environment);
  };
}

class Exploration {
 public:
  Exploration(MigratingMachine::Setting setting, std::string dropped)
      : env_(std::make_shared<Environment>(Environment{std::move(dropped)})) {
    env_->acted = env_->dropped.empty();
    setting.mount = on(env_);
    setting.watch = [this](MigratingMachine& machine) { watch(machine); };
    machine_ = std::make_unique<MigratingMachine>(std::move(setting));
    env_->operation = [this] {
      if (!watches() || ++operations_ % families::one_point_in() != 0) return;
      copies_.push_back(machine_->disk().fork());
    };
  }

  ~Exploration() { env_->operation = {}; }  // the machine's end is looked at by nobody
  Exploration(const Exploration&) = delete;
  Exploration& operator=(const Exploration&) = delete;

  // The whole way: a migration that is rolled back, one that is accepted, retirement.
  void run() {
    MigratingMachine& machine = *machine_;
    REQUIRE(machine.open());
    REQUIRE(machine.vote(1));
    REQUIRE(machine.append(4));
    while (machine.controller()->phase() != Phase::kDualWrite) REQUIRE(machine.advance());
    REQUIRE(machine.append(2));
    REQUIRE(machine.roll_back());
    change_much();
    REQUIRE(migrate(machine));
    change_much();
    while (machine.controller()->phase() != Phase::kRetired) REQUIRE(machine.advance());
    REQUIRE(machine.append(1));
    REQUIRE(machine.open());
  }

  const std::set<std::string>& sites() const { return env_->sites; }
  // What was noticed first; empty: nothing.
  const std::string& complaint() const { return complaint_; }
  uint64_t cuts() const { return cuts_; }

 private:
  bool watches() const { return env_->acted && complaint_.empty(); }

  // More than a segment.
  void change_much() {
    MigratingMachine& machine = *machine_;
    REQUIRE(machine.append(12));
    REQUIRE(machine.truncate_suffix(9));
    REQUIRE(machine.append(8));
    REQUIRE(machine.publish());
    REQUIRE(machine.truncate_prefix(machine.acked().snapshot - 1));
    REQUIRE(machine.append(2));
  }

  void watch(MigratingMachine& machine) {
    if (!watches()) return;
    if (copies_.empty()) {
      // All is done: what was announced holds.
      if (machine.is_open()) announced_ = machine.controller()->manifest();
      copies_.push_back(machine.disk().fork());
    }
    std::vector<SimDisk> copies;
    copies.swap(copies_);
    for (const SimDisk& copy : copies) {
      DropAll drop;
      KeepAll keep;
      Sampled sampled(RandomStream(cuts_, "choice"));
      const std::pair<CrashLevel, Choice*> losses[] = {
          {CrashLevel::kP2, &drop}, {CrashLevel::kP0, &keep}, {CrashLevel::kP2, &sampled}};
      for (const auto& [level, choice] : losses) {
        ++cuts_;
        if (complaint_.empty()) complaint_ = judge(copy, level, *choice);
      }
    }
  }

  std::string judge(const SimDisk& copy, CrashLevel level, Choice& choice) const {
    const families::EnginesAside aside;  // the machine goes on as if nobody had looked
    SimDisk disk = copy.fork();
    disk.set_now(disk.busy_until());
    auto env = std::make_shared<Environment>(Environment{env_->dropped});
    env->changed = env_->changed;
    MigratingMachine crashed(*machine_, std::move(disk), on(env));
    crashed.crash(level, choice);
    if (announced_ && announced_->phase >= Phase::kAccepted &&
        announced_->phase <= Phase::kRetired && is_served(crashed.disk(), announced_->a)) {
      return cat(announced_->a.root, " opens, although the node has announced ",
                 to_string(announced_->phase));
    }
    const auto found = open(crashed);
    if (!found.ok()) return cat("after a crash: ", to_std(found.status().message()));
    if (!crashed.is_legal(*found)) {
      return cat("found ", describe(*found), ", acknowledged ", describe(crashed.acked()));
    }
    const Phase phase = crashed.controller()->phase();
    if (announced_ && announced_->authoritative == migration::Side::kB && phase < Phase::kCutOver) {
      return cat("announced ", to_string(announced_->phase), ", found ", to_string(phase));
    }
    DropAll drop;
    crashed.crash(CrashLevel::kP2, drop);
    const auto again = open(crashed);
    if (!again.ok()) return cat("after another power cut: ", to_std(again.status().message()));
    if (*again == *found) return "";
    return cat("a start has shown ", describe(*found), ", another power cut left ",
               describe(*again));
  }

  static absl::StatusOr<AckedState> open(MigratingMachine& crashed) {
    QK_RETURN_IF_ERROR(crashed.try_open());
    return read_acked(crashed.controller()->driver().authority());
  }

  // By an older program, which knows nothing of migrations and makes what it does not find.
  static bool is_served(const SimDisk& crashed, const migration::Instance& instance) {
    SimDisk disk = crashed.fork();
    const auto fs = disk.mount();
    families::VolatileMemory memory(1);
    const auto registry = families::builtin_families(&memory);
    families::OpenRequest request;
    request.fs = fs.get();
    request.root = instance.root;
    request.create = true;
    return families::open_family(registry, instance.family, request).ok();
  }

  std::shared_ptr<Environment> env_;
  std::unique_ptr<MigratingMachine> machine_;
  std::vector<SimDisk> copies_;  // after each operation of the call under way
  std::optional<migration::Manifest> announced_;
  std::string complaint_;
  uint64_t operations_ = 0;
  uint64_t cuts_ = 0;
};

MigratingMachine::Setting setting_of(const std::string& from, const std::string& to) {
  MigratingMachine::Setting setting;
  setting.from = {from, cat("/node/", from), {}};
  if (from == "local") setting.from.options = {{"segment_size", "4KiB"}};
  setting.to = to;
  setting.payload = 700;
  return setting;
}

std::string with_good_disk(const std::string& from, const std::string& to) {
  Exploration whole(setting_of(from, to), "");
  whole.run();
  return whole.complaint();
}

std::string noticed(const std::string& from, const std::string& to, const std::string& site) {
  Exploration mutant(setting_of(from, to), site);
  mutant.run();
  INFO(site);
  CHECK(mutant.sites().contains(site));
  return mutant.complaint();
}

TEST_CASE("on a disk that does what it says there is nothing to notice") {
  CHECK(with_good_disk("local", "sqlite") == "");
  CHECK(with_good_disk("sqlite", "local") == "");
  CHECK(with_good_disk("rocksdb", "leveldb") == "");
  CHECK(with_good_disk("leveldb", "rocksdb") == "");
}

TEST_CASE("a sync of the migration that is not done is noticed") {
  for (const std::string site : {
           "sync /node/migration/manifest-#",
           "sync /node/migration/journal-log",
           "sync /node/migration/journal-meta",
           "sync /node/migration/journal-snapshot",
           "sync_dir /node: create local name local.fenced-#",
           "sync_dir /node: mkdir migration",
           "sync_dir /node/migration: create manifest-#.tmp name manifest-#",
           "sync_dir /node/migration: create journal-log create journal-meta create "
           "journal-snapshot",
       }) {
    INFO(site);
    CHECK(noticed("local", "sqlite", site) != "");
  }
}

// Not run by itself: what is noticed of all syncs, and by what.
TEST_CASE("each sync that is not done, with what notices it", "[.list]") {
  constexpr std::pair<const char*, const char*> kPairs[] = {
      {"local", "sqlite"}, {"sqlite", "rocksdb"}, {"rocksdb", "leveldb"}, {"leveldb", "local"}};
  for (const auto& [from, to] : kPairs) {
    Exploration whole(setting_of(from, to), "");
    whole.run();
    for (const std::string& site : whole.sites()) {
      const std::string complaint = noticed(from, to, site);
      std::cout << from << " to " << to << ": " << site << ": "
                << (complaint.empty() ? "UNNOTICED" : complaint) << "\n"
                << std::flush;
    }
  }
}

}  // namespace
}  // namespace qk::sim
