// A family on a key-value engine when the file system fails one call.
#include "families/engine/kv_family.h"
#include "families/engine/test_kv_engine.h"
#include "families/testing/faults.h"

namespace qk::families {
namespace {

OpenForFaults opener(TestKvControl* control) {
  return [control](FileSystem& fs, const std::string& root) {
    return open_kv_family({.fs = &fs, .root = root, .create = true, .options = {}}, "test",
                          TestKvEngine::opener(control));
  };
}

TEST_CASE("a failed call is before, after, or indeterminate, and never forgotten") {
  TestKvControl control;
  CHECK(check_faults_in_history(opener(&control)) > 40);
}

TEST_CASE("a failed creation or open is an error, and the next one succeeds") {
  TestKvControl control;
  CHECK(check_faults_in_creation(opener(&control)) > 14);
}

TEST_CASE("each failed call of an open is an error, or the whole state") {
  TestKvControl control;
  CHECK(check_faults_in_open(opener(&control)) > 60);
}

}  // namespace
}  // namespace qk::families
