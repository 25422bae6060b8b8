// The checks that explore crashes, faults and damage, against families that are broken on purpose:
// each bug must be found by the check that is meant for it. The bugs are put between a family of
// this build and its disk, or its callers.
#include <catch2/catch.hpp>
#include <functional>

#include "conformance/groups.h"
#include "conformance/runner.h"
#include "families/builtin.h"
#include "families/contract/family_wrapper.h"
#include "families/fs/file_system_wrapper.h"
#include "families/fs/file_util.h"
#include "sim/disk/sync_dropping.h"

namespace qk::sim::conformance {
namespace {

using families::Family;
using families::FamilyDescriptor;
using families::FileSystem;
using families::FileSystemWrapper;
using families::HardState;
using families::OpenRequest;
using families::Outcome;

// A sync that failed is tried once more, and the second answer is believed.
class SyncRetrying final : public FileSystemWrapper {
 public:
  using FileSystemWrapper::FileSystemWrapper;

 private:
  class RetryingFile final : public families::FileWrapper {
   public:
    using FileWrapper::FileWrapper;
    absl::Status sync(families::SyncKind kind) override {
      const absl::Status first = inner().sync(kind);
      return first.ok() ? first : inner().sync(kind);
    }
  };

  std::unique_ptr<families::File> wrap(std::unique_ptr<families::File> file, std::string_view,
                                       families::OpenFlags) override {
    return std::make_unique<RetryingFile>(std::move(file));
  }
};

// What cannot be looked at counts as missing.
class ErrorIsAbsence final : public FileSystemWrapper {
 public:
  using FileSystemWrapper::FileSystemWrapper;
  absl::StatusOr<families::FileStat> stat(std::string_view path) override {
    auto found = inner().stat(path);
    if (!found.ok()) return absl::NotFoundError("stat");
    return found;
  }
};

// Keeps the file system of the family that it wraps until that is gone; bugs replace its meta
// storage.
struct OwnedFileSystem {
  std::unique_ptr<FileSystem> fs;
};
class BrokenFamily : private OwnedFileSystem, public families::FamilyWrapper {
 public:
  BrokenFamily(std::unique_ptr<FileSystem> fs, std::unique_ptr<Family> inner)
      : OwnedFileSystem{std::move(fs)}, FamilyWrapper(std::move(inner)) {}
};

// Says ok whatever happened.
class LyingMeta final : public families::MetaWrapper {
 public:
  using MetaWrapper::MetaWrapper;
  Outcome save(const HardState& state) override {
    const Outcome outcome = inner().save(state);
    const bool refused = absl::IsInvalidArgument(outcome.status());
    return refused ? outcome : Outcome::success();
  }
};

// Remembers the newest state, and writes it down with the next one only.
class LateMeta final : public families::MetaWrapper {
 public:
  explicit LateMeta(families::MetaStorage* inner)
      : MetaWrapper(inner), state_(inner->hard_state()) {}
  HardState hard_state() const override { return state_; }
  Outcome save(const HardState& state) override {
    if (const absl::Status legal = families::check_hard_state_change(state_, state); !legal.ok()) {
      return Outcome::failed_clean(legal);
    }
    Outcome outcome = inner().save(state_);
    if (outcome.ok()) state_ = state;
    return outcome;
  }

 private:
  HardState state_;
};

template <typename Meta>
class WithMeta final : public BrokenFamily {
 public:
  WithMeta(std::unique_ptr<FileSystem> fs, std::unique_ptr<Family> inner)
      : BrokenFamily(std::move(fs), std::move(inner)), meta_(&BrokenFamily::meta()) {}
  families::MetaStorage& meta() override { return meta_; }

 private:
  Meta meta_;
};

using Wrap = std::function<std::unique_ptr<FileSystem>(FileSystem*)>;

template <typename Wrapped>
Wrap behind() {
  return [](FileSystem* fs) { return std::make_unique<Wrapped>(fs); };
}

// Skips syncs of files, or of directories.
Wrap without_syncs(bool files, bool directories) {
  return [=](FileSystem* fs) -> std::unique_ptr<FileSystem> {
    return std::make_unique<SyncDroppingFileSystem>(
        std::make_unique<FileSystemWrapper>(fs), [=](std::string_view path) {
          const auto stat = fs->stat(path);
          const bool directory = stat.ok() && stat->kind == families::FileKind::kDirectory;
          return directory ? directories : files;
        });
  };
}

template <typename Broken = BrokenFamily>
FamilyDescriptor broken(FamilyDescriptor family, const Wrap& wrap) {
  const auto open = family.open;
  family.open = [=](const OpenRequest& request) -> absl::StatusOr<std::unique_ptr<Family>> {
    std::unique_ptr<FileSystem> fs = wrap(request.fs);
    OpenRequest behind = request;
    behind.fs = fs.get();
    QK_ASSIGN_OR_RETURN(auto inner, open(behind));
    return std::make_unique<Broken>(std::move(fs), std::move(inner));
  };
  return family;
}

// Damage is answered by starting over.
FamilyDescriptor amnesiac(FamilyDescriptor family) {
  const auto open = family.open;
  family.open = [=](const OpenRequest& request) -> absl::StatusOr<std::unique_ptr<Family>> {
    auto opened = open(request);
    if (!absl::IsDataLoss(opened.status())) return opened;
    QK_RETURN_IF_ERROR(families::remove_tree(*request.fs, request.root));
    OpenRequest fresh = request;
    fresh.create = true;
    return open(fresh);
  };
  return family;
}

// Whatever a family cuts while it opens is an error with this message.
class CutRefusing final : public FileSystemWrapper {
 public:
  CutRefusing(FileSystem* inner, std::string message)
      : FileSystemWrapper(inner), message_(std::move(message)) {}
  void stop() { refuses_ = false; }

 private:
  class RefusingFile final : public families::FileWrapper {
   public:
    RefusingFile(std::unique_ptr<families::File> inner, const CutRefusing* owner)
        : FileWrapper(std::move(inner)), owner_(*owner) {}
    absl::Status truncate(uint64_t size) override {
      return owner_.refuses_ ? absl::DataLossError(owner_.message_) : inner().truncate(size);
    }

   private:
    const CutRefusing& owner_;
  };

  std::unique_ptr<families::File> wrap(std::unique_ptr<families::File> file, std::string_view,
                                       families::OpenFlags) override {
    return std::make_unique<RefusingFile>(std::move(file), this);
  }

  const std::string message_;
  bool refuses_ = true;
};

// Every torn tail is refused, for this reason.
FamilyDescriptor refusing_torn_tails(FamilyDescriptor family, const std::string& message) {
  const auto open = family.open;
  family.open = [=](const OpenRequest& request) -> absl::StatusOr<std::unique_ptr<Family>> {
    auto fs = std::make_unique<CutRefusing>(request.fs, message);
    OpenRequest behind = request;
    behind.fs = fs.get();
    QK_ASSIGN_OR_RETURN(auto inner, open(behind));
    fs->stop();
    return std::make_unique<BrokenFamily>(std::move(fs), std::move(inner));
  };
  return family;
}

FamilyDescriptor declaring(FamilyDescriptor family, families::Partial of_appends) {
  family.partials = [=](families::Operation operation) {
    return operation == families::Operation::kAppend ? of_appends : families::Partial::kNone;
  };
  return family;
}

// How many cases of the check fail for the family, alone on a simulated disk.
uint64_t failures(FamilyDescriptor family, const std::string& check) {
  families::Registry registry;
  registry.add(std::move(family));
  const std::vector<Check> checks = all_checks();
  Host host;
  host.registry = &registry;
  RunOptions options;
  options.filter = cat("^", check, "/[^/]*/plain/sim$");
  const Report report = run_conformance(checks, host, options);
  REQUIRE(report.results.size() == 1);
  INFO(report.results.front().message);
  CHECK(report.count(Verdict::kNotApplicable) == 0);
  return report.count(Verdict::kFailed);
}

TEST_CASE("each planted bug is found by the check that is meant for it") {
  families::VolatileMemory memory(1);
  const families::Registry all = families::builtin_families(&memory);
  const FamilyDescriptor local = **all.get("local");
  const FamilyDescriptor sqlite = **all.get("sqlite");
  const Wrap same = behind<FileSystemWrapper>();

  struct Bug {
    const char* what;
    FamilyDescriptor family;
    const char* check;
  };
  const std::vector<Bug> bugs = {
      {"files are not synced", broken(local, without_syncs(true, false)),
       "CRASH/acknowledged_is_never_lost"},
      {"directories are not synced", broken(local, without_syncs(false, true)),
       "CRASH/acknowledged_is_never_lost"},
      {"directories are not synced", broken(sqlite, without_syncs(false, true)),
       "CRASH/crash_in_creation"},
      {"a part of a batch is not declared", declaring(local, families::Partial::kNone),
       "CRASH/write_torn"},
      {"a part of a batch is declared, and never left",
       declaring(sqlite, families::Partial::kBatchPrefix), "CRASH/outcome_in_partials"},
      {"the hard state is written late", broken<WithMeta<LateMeta>>(local, same),
       "CRASH/unsynced_lost"},
      {"a failed save is ok", broken<WithMeta<LyingMeta>>(local, same), "FAULT/eio_at_each_call"},
      {"a failed sync is tried again", broken(local, behind<SyncRetrying>()),
       "FAULT/eio_at_each_call"},
      {"an error is taken for absence", broken(local, behind<ErrorIsAbsence>()),
       "FAULT/error_while_looking_at_open"},
      {"what may be refused among garbage is refused without any",
       refusing_torn_tails(local, local.refusals.front().message), "CRASH/write_torn"},
      {"a torn batch is refused for a reason that is not declared",
       refusing_torn_tails(local, "found something"), "CRASH/write_torn"},
      {"damage is answered by starting over", amnesiac(local), "TAIL/cut"},
      {"damage is answered by starting over", amnesiac(sqlite), "TAIL/zeroed"},
  };
  for (const Bug& bug : bugs) {
    INFO(bug.family.name << ": " << bug.what << "; " << bug.check);
    CHECK(failures(bug.family, bug.check) == 1);
  }
}

}  // namespace
}  // namespace qk::sim::conformance
