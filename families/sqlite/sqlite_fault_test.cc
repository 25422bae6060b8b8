// The sqlite family when the file system fails one call, in every journal mode.
#include "families/sqlite/test_util.h"
#include "families/testing/faults.h"

namespace qk::families {
namespace {

const std::vector<FamilyOptions> kJournals = {{{"checkpoint_frames", "8"}},
                                              {{"journal", "DELETE"}},
                                              {{"journal", "TRUNCATE"}, {"page_size", "1024"}}};

OpenForFaults opener(const FamilyOptions& options) {
  return [options](FileSystem& fs, const std::string& root) {
    return open_sqlite(fs, root, true, options);
  };
}

TEST_CASE("a failed call is before, after, or indeterminate, and never forgotten") {
  const FamilyOptions options = GENERATE(from_range(kJournals));
  CAPTURE(options.begin()->second);
  CHECK(check_faults_in_history(opener(options)) > 60);
}

TEST_CASE("a failed creation or open is an error, and the next one succeeds") {
  const FamilyOptions options = GENERATE(from_range(kJournals));
  CHECK(check_faults_in_creation(opener(options)) > 14);
}

// SQLite itself reports none of them.
TEST_CASE("each failed call of a close is told, and the next open shows the whole state") {
  const OpenForFaults open = opener(kJournals[0]);
  uint64_t n = 1;
  for (bool reached = true; reached; ++n) {
    CAPTURE(n);
    FaultRun run(open);
    REQUIRE_OK(run.open(run.faults));
    REQUIRE_OK(run.family->log().append(data_entries(1, 3, 1, 5000)));
    const std::string whole = run.state();
    run.faults.fail_at(n);
    const absl::Status closed = run.family->close();
    reached = run.faults.failed();
    CAPTURE(run.faults.failed_call());
    CHECK(closed.ok() == !reached);
    run.family.reset();
    REQUIRE_OK(run.open(run.fs));
    CHECK(run.state() == whole);
  }
  CHECK(n > 8);
}

// Several pages, and a WAL with one checkpoint behind it.
TEST_CASE("each failed call of an open is an error, or the whole state") {
  const FamilyOptions options = GENERATE(from_range(kJournals));
  CAPTURE(options.begin()->second);
  CHECK(check_faults_in_open(opener(options)) > 100);
}

TEST_CASE("a lost or emptied file is an error, or the whole state") {
  const FamilyOptions options = GENERATE(from_range(kJournals));
  CAPTURE(options.begin()->second);
  const std::set<std::string> noticed = check_lost_files(opener(options));
  CHECK(noticed.contains("db"));
  CHECK(noticed.contains("db-wal") == (options.count("journal") == 0));
}

}  // namespace
}  // namespace qk::families
