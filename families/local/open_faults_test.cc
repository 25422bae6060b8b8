// The open of a local instance while its reads fail: never taken for damage, and nothing changes.
// Logs of several segments and read windows, whole ones and ones that recovery has work with.
#include <catch2/catch.hpp>
#include <cerrno>
#include <map>
#include <optional>

#include "families/fs/file_system_wrapper.h"
#include "families/local/local_family.h"
#include "families/local/log_recovery.h"
#include "families/testing/faults.h"

namespace qk::families {
namespace {

absl::StatusOr<std::unique_ptr<Family>> open_local(FileSystem& fs, const std::string& root) {
  return local_family().open(
      {.fs = &fs, .root = root, .create = true, .options = {{"segment_size", "150000"}}});
}

// What lies below a root: relative path -> bytes, nullopt for a directory.
using FaultTree = std::map<std::string, std::optional<std::string>>;

void read_fault_tree(FileSystem& fs, const std::string& root, const std::string& below,
                     FaultTree* tree) {
  const std::string path = below.empty() ? root : join_path(root, below);
  const auto names = fs.list(path);
  REQUIRE_OK(names);
  for (const std::string& name : *names) {
    const std::string inner = below.empty() ? name : join_path(below, name);
    const auto stat = fs.stat(join_path(root, inner));
    REQUIRE_OK(stat);
    if (stat->kind == FileKind::kDirectory) {
      (*tree)[inner] = std::nullopt;
      read_fault_tree(fs, root, inner, tree);
    } else {
      const auto bytes = read_file(fs, join_path(root, inner), uint64_t{1} << 30);
      REQUIRE_OK(bytes);
      (*tree)[inner] = *bytes;
    }
  }
}
FaultTree fault_tree(FileSystem& fs, const std::string& root) {
  FaultTree tree;
  read_fault_tree(fs, root, "", &tree);
  return tree;
}
void write_fault_tree(FileSystem& fs, const std::string& root, const FaultTree& tree) {
  REQUIRE_OK(remove_tree(fs, root));
  REQUIRE_OK(make_directories(fs, root));
  for (const auto& [path, bytes] : tree) {
    const std::string full = join_path(root, path);
    REQUIRE_OK(bytes ? write_file(fs, full, *bytes) : fs.mkdir(full));
  }
}

// Fails every look (read, stat, list, size, open of what is there) of the open of an instance once,
// with EIO and with EINVAL: the open is an error, or the instance holds `expected`. After an error
// the files are the same, and the next open holds `expected`. Returns the number of looks.
uint64_t check_looks_in_open(const FaultTree& tree, const std::string& expected) {
  FaultRun run(open_local);
  uint64_t looks = 0;
  for (const int error : {EIO, EINVAL}) {
    for (uint64_t n = 1;; ++n) {
      write_fault_tree(run.fs, run.root, tree);
      FaultFileSystem faults(&run.fs);
      Fault fault;
      fault.error = error;
      faults.fail_look_at(n, fault);
      const absl::Status opened = run.open(faults);
      const bool reached = faults.failed();
      faults.fail_look_at(0);
      CAPTURE(n, error, faults.failed_call(), opened.ToString());
      if (!reached) REQUIRE_OK(opened);
      if (opened.ok()) {
        CHECK((run.state() == expected));
      } else {
        // Leftovers of a snapshot are removed last, when all that matters was understood.
        const bool removing = faults.failed_call().find("/snapshot/temp") != std::string::npos;
        if (!removing) CHECK((fault_tree(run.fs, run.root) == tree));
      }
      run.family.reset();
      REQUIRE_OK(run.open(run.fs));
      CHECK((run.state() == expected));
      run.family.reset();
      if (!reached) break;
      looks = n;
    }
  }
  return looks;
}

// Segments 1..4, 5..8 and the open one 9..12, of entries that a window of 64 KiB does not share,
// and that the last one's payload needs a read of its own; a snapshot and a vote.
void fill(Family& family) {
  for (int64_t i = 1; i <= 10; ++i) {
    REQUIRE_OK(family.log().append(data_entries(i, i, 1, 40 << 10)));
  }
  LogEntry configuration;
  configuration.index = 11;
  configuration.term = 1;
  configuration.type = EntryType::kConfiguration;
  configuration.payload = encode_configuration({{"127.0.0.1:8100:0:0"}, {}});
  REQUIRE_OK(family.log().append(std::vector<LogEntry>{configuration}));
  REQUIRE_OK(family.log().append(data_entries(12, 12, 1, 40 << 10)));
  REQUIRE_OK(family.meta().save({2, "127.0.0.1:8100:0:0"}));
  REQUIRE_OK(publish_snapshot(family, 5, 1, {{"a", "five"}, {"b/c", "x"}}));
}

struct Killed {
  FaultTree tree;
  std::string state;
};

// What a kill leaves after `more`, and what the instance held.
template <typename More>
Killed kill_after(const More& more) {
  FaultRun run(open_local);
  REQUIRE_OK(run.open(run.fs));
  fill(*run.family);
  more(*run.family);
  return {fault_tree(run.fs, run.root), run.state()};
}

constexpr char kOpenSegment[] = "log/log_inprogress_00000000000000000009";

TEST_CASE("an open whose read fails is an error and changes nothing") {
  Killed killed = kill_after([](Family&) {});
  REQUIRE(killed.tree.count(kOpenSegment) == 1);
  SECTION("whole") {}
  SECTION("a torn end") { *killed.tree[kOpenSegment] += std::string(30, 'x'); }
  SECTION("a torn end of several windows") {
    *killed.tree[kOpenSegment] += std::string(200'000, '\0');
  }
  SECTION("leftovers") {
    killed.tree["log/log_meta.tmp"] = "x";
    killed.tree["log/log_inprogress_00000000000000000013"] = "";
    killed.tree["snapshot/temp"] = std::nullopt;
    killed.tree["snapshot/temp/a"] = "x";
  }
  // Each window, segment, name and record is looked at.
  CHECK(check_looks_in_open(killed.tree, killed.state) > 30);
}

// One read gives half of what the file has there, as a read of a failing disk or server may.
class ShortRead final : public FileSystemWrapper {
 public:
  ShortRead(FileSystem* base, uint64_t n) : FileSystemWrapper(base), left_(n) {}
  bool happened() const { return left_ == 0; }

 private:
  class ShortFile final : public FileWrapper {
   public:
    ShortFile(std::unique_ptr<File> inner, uint64_t* left)
        : FileWrapper(std::move(inner)), left_(*left) {}
    absl::StatusOr<size_t> read_at(uint64_t offset, std::span<char> buffer) override {
      QK_ASSIGN_OR_RETURN(const size_t got, inner().read_at(offset, buffer));
      if (got == 0 || left_ == 0 || --left_ > 0) return got;
      return got / 2;
    }

   private:
    uint64_t& left_;
  };
  std::unique_ptr<File> wrap(std::unique_ptr<File> file, std::string_view, OpenFlags) override {
    return std::make_unique<ShortFile>(std::move(file), &left_);
  }

  uint64_t left_;
};

TEST_CASE("a read that ends before the file does is not damage: the open is an error") {
  Killed killed = kill_after([](Family&) {});
  SECTION("whole") {}
  SECTION("a torn end") { *killed.tree[kOpenSegment] += std::string(30, 'x'); }
  FaultRun run(open_local);
  uint64_t n = 1;
  for (;; ++n) {
    CAPTURE(n);
    write_fault_tree(run.fs, run.root, killed.tree);
    ShortRead faults(&run.fs, n);
    const absl::Status opened = run.open(faults);
    CAPTURE(opened.ToString());
    if (!faults.happened()) break;
    REQUIRE_FALSE(opened.ok());
    CHECK(status_errno(opened) == EIO);
    CHECK((fault_tree(run.fs, run.root) == killed.tree));
    run.family.reset();
    REQUIRE_OK(run.open(run.fs));
    CHECK((run.state() == killed.state));
    run.family.reset();
  }
  CHECK(n > 10);
}

TEST_CASE("an open whose read fails leaves a torn batch and its note as they are") {
  FaultRun run(open_local);
  REQUIRE_OK(run.open(run.fs));
  fill(*run.family);
  REQUIRE_OK(run.family->log().append(data_entries(13, 14, 1, 4000)));
  const std::string state = run.state();
  FaultTree tree = fault_tree(run.fs, run.root);
  const size_t synced = tree[kOpenSegment]->size();
  // The note as it was when the next batch was written.
  REQUIRE(tree.count("log/qksim_batch.tmp") == 1);
  const std::string note = *tree["log/qksim_batch.tmp"];
  REQUIRE_OK(run.family->log().append(data_entries(15, 18, 1, 4000)));
  tree = fault_tree(run.fs, run.root);
  REQUIRE(tree.count(kOpenSegment) == 1);
  tree["log/qksim_batch.tmp"] = note;
  const size_t sector = (synced + 511) / 512 * 512;
  tree[kOpenSegment]->replace(sector, 512, 512, '\0');
  CHECK(check_looks_in_open(tree, state) > 30);
}

TEST_CASE("an open whose read fails leaves a truncation and its note as they are") {
  FaultRun run(open_local);
  REQUIRE_OK(run.open(run.faults));
  fill(*run.family);
  // Killed once the note and the first removal are there.
  Fault fault;
  fault.lasts = true;
  run.faults.fail_at(6, fault);
  REQUIRE_FALSE(run.family->log().truncate_suffix(3).ok());
  const FaultTree tree = fault_tree(run.fs, run.root);
  REQUIRE(tree.count("log/qksim_truncation.tmp") == 1);
  REQUIRE(tree.count(kOpenSegment) == 0);
  run.faults.fail_at(0);
  REQUIRE_OK(run.open(run.fs));
  const std::string state = run.state();
  REQUIRE(run.family->log().last_index() == 3);
  CHECK(check_looks_in_open(tree, state) > 20);
}

}  // namespace
}  // namespace qk::families
