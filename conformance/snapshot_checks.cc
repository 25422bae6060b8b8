// SNAP: snapshots: publishing, what a reader shows, what the tree may hold, and what becomes of
// trees that are no longer needed.
#include <algorithm>
#include <set>

#include "conformance/groups.h"
#include "families/base/suggest.h"
#include "families/contract/rules.h"
#include "families/fs/file_util.h"
#include "image/importer.h"

namespace qk::sim::conformance {
namespace {

using families::FileMeta;
using families::SnapshotFile;
using families::SnapshotMeta;

constexpr absl::StatusCode kNotFound = absl::StatusCode::kNotFound;
constexpr uint64_t kMaxFile = 16u << 20;

std::vector<Change> some_log() {
  return {save_meta({3, std::string(kPeer)}), append(entries(1, 20, 2))};
}

std::vector<Change> with_snapshot(const SnapshotState& snapshot) {
  std::vector<Change> history = some_log();
  history.push_back(publish(snapshot));
  return history;
}

SnapshotState only(SnapshotMeta meta, std::map<std::string, TreeFile> files) {
  SnapshotState state;
  state.meta = std::move(meta);
  state.files = std::move(files);
  return state;
}

SnapshotMeta meta_at(int64_t index) { return {index, 2, {std::string(kPeer)}, {}}; }

std::shared_ptr<families::SnapshotReader> must_open(InstanceContext& c) {
  return c.expect_value("open the snapshot", c.snapshot().open());
}

std::unique_ptr<families::SnapshotWriter> must_create(InstanceContext& c) {
  return c.expect_value("create a snapshot writer", c.driver().create_snapshot());
}

std::string bytes_of(InstanceContext& c, families::File& file) {
  const uint64_t size = c.expect_value("size", file.size());
  std::string bytes(size, '\0');
  c.expect_ok("read", families::read_exact(file, "a snapshot file", 0, bytes));
  return bytes;
}

// Every file of `expected`, by the table, by open_file() and below get_path().
void expect_tree(InstanceContext& c, const families::SnapshotReader& reader,
                 const SnapshotState& expected) {
  c.expect(reader.meta() == expected.meta, "the reader's meta: found another one");
  std::vector<SnapshotFile> table;
  std::vector<std::string> unlisted;
  std::set<std::string> places;
  for (const auto& [path, file] : expected.files) {
    places.insert(c.expect_value("place", families::snapshot_file_place(path)));
    if (file.unlisted) {
      unlisted.push_back(path);
    } else {
      table.push_back({path, file.meta});
    }
  }
  c.expect(reader.files() == table, "the reader's files: found another table");
  c.expect(c.expect_value("unlisted", reader.unlisted()) == unlisted,
           "the reader's unlisted files: found others");
  // The tree holds what was published and nothing else; `local` keeps its table there.
  std::vector<std::string> present =
      c.expect_value("list get_path()", families::list_tree(c.fs(), reader.get_path()));
  std::erase(present, std::string(families::kSnapshotTableName));
  c.expect(present == std::vector<std::string>(places.begin(), places.end()),
           cat("below get_path(): found ", join(present), ", expected ",
               join({places.begin(), places.end()})));
  for (const auto& [path, file] : expected.files) {
    if (file.unlisted) {
      c.expect_code("open_file of an unlisted file", reader.open_file(path).status(), kNotFound);
    }
    const auto opened = c.expect_value(
        cat("open ", path), file.unlisted ? reader.open_unlisted(path) : reader.open_file(path));
    c.expect(bytes_of(c, *opened) == file.bytes, cat(path, ": found other bytes"));
    const std::string place = c.expect_value("place", families::snapshot_file_place(path));
    const std::string real = families::join_path(reader.get_path(), place);
    c.expect(c.expect_value(cat("read ", real), families::read_file(c.fs(), real, kMaxFile)) ==
                 file.bytes,
             cat(real, ": found other bytes"));
  }
}

// ---- Publishing

void none(InstanceContext& c) {
  c.begin(some_log());
  c.expect_code("open", c.snapshot().open().status(), kNotFound);
  c.expect(!c.snapshot().current().has_value(), "current(): found one, expected none");
  c.reopen();
  c.expect_code("open after a restart", c.snapshot().open().status(), kNotFound);
}

void publish_first(InstanceContext& c) {
  c.begin(some_log());
  c.apply(publish(snapshot(7, 2)));
  expect_tree(c, *must_open(c), snapshot(7, 2));
  c.reopen();
  expect_tree(c, *must_open(c), snapshot(7, 2));
}

void publish_newer(InstanceContext& c) {
  c.begin(with_snapshot(snapshot(7, 2)));
  for (const int64_t index : {8, 9, 15}) {
    c.apply(publish(snapshot(index, 2)));
    expect_tree(c, *must_open(c), snapshot(index, 2));
  }
  c.reopen();
}

// the published one stays, and the new tree is thrown away.
void publish_same_index(InstanceContext& c) {
  c.begin(with_snapshot(snapshot(7, 2)));
  SnapshotState again = snapshot(7, 2);
  again.files["data"].bytes = "the same state, written once more";
  c.apply(publish(again));
  expect_tree(c, *must_open(c), snapshot(7, 2));
  c.reopen();
  SnapshotState other_term = snapshot(7, 3);
  SnapshotState other_peers = snapshot(7, 2);
  other_peers.meta.peers.emplace_back(kThirdPeer);
  SnapshotState joint = snapshot(7, 2);
  joint.meta.old_peers.emplace_back(kThirdPeer);
  for (const SnapshotState& other : {other_term, other_peers, joint}) {
    c.expect(c.model().judge(publish(other)) == Model::Verdict::kRefused, "expected a refusal");
    c.apply(publish(other));
  }
  c.apply(publish(snapshot(8, 2)));
  c.reopen();
}

void publish_older_refused(InstanceContext& c) {
  c.begin(with_snapshot(snapshot(7, 2)));
  for (const int64_t index : {6, 1}) c.apply(publish(snapshot(index, 2)));
  expect_tree(c, *must_open(c), snapshot(7, 2));
  c.apply(publish(snapshot(8, 2)));
  c.reopen();
}

// braft refuses a snapshot without index or term; so does every family.
void invalid_metadata(InstanceContext& c) {
  c.begin(some_log());
  for (const auto& [index, term] : {std::pair<int64_t, int64_t>{0, 2}, {-1, 2}, {7, 0}, {7, -1}}) {
    c.apply(publish(snapshot(index, term)));
  }
  c.expect_code("open", c.snapshot().open().status(), kNotFound);
  c.apply(publish(snapshot(7, 2)));
  c.reopen();
}

// A writer that never said what its snapshot is.
void empty_metadata(InstanceContext& c) {
  c.begin(some_log());
  auto mutation = families::Mutation::publish(must_create(c));
  c.expect_failed_clean("publish without meta", c.driver().apply(std::move(mutation)), kInvalid);
  c.expect_state();
  c.apply(publish(snapshot(7, 2)));
  c.reopen();
}

void meta_roundtrip(InstanceContext& c) {
  SnapshotState one = only({11, 2, {std::string(kPeer), std::string(kThirdPeer)}, {}}, {});
  c.begin(with_snapshot(one));
  c.reopen();
  c.expect_equal("index", must_open(c)->meta().last_included_index, int64_t{11});
  c.expect_equal("term", must_open(c)->meta().last_included_term, int64_t{2});
  // The largest that fit, no peers, a peer that is a witness.
  SnapshotState high = only({INT64_MAX - 1, INT64_MAX - 1, {}, {}}, {});
  c.apply(publish(only({12, 2, {"10.0.0.1:80:3:1"}, {std::string(kPeer)}}, {})));
  c.reopen();
  c.apply(publish(high));
  c.reopen();
}

void peers_old_peers(InstanceContext& c) {
  SnapshotState joint = snapshot(9, 2);
  joint.meta.peers = {std::string(kOtherPeer), std::string(kThirdPeer)};
  joint.meta.old_peers = {std::string(kPeer), std::string(kOtherPeer)};
  c.begin(with_snapshot(joint));
  c.reopen();
  const SnapshotMeta found = must_open(c)->meta();
  c.expect(found.peers == joint.meta.peers && found.old_peers == joint.meta.old_peers,
           "peers and old_peers: found others, or in another order");
}

// Publishing concerns the log not at all; who compacts it is the node.
void entries_valid_after_purge(InstanceContext& c) {
  c.begin(some_log());
  c.apply(publish(snapshot(12, 2)));
  c.apply(truncate_prefix(8));
  for (int64_t index = 8; index <= 20; ++index) {
    c.expect_ok(cat("entry ", index), c.log().entry(index).status());
  }
  c.apply(publish(snapshot(20, 2)));
  c.apply(truncate_prefix(21));
  c.apply(append(entries(21, 25, 2)));
  c.reopen();
}

void install_with_trailing(InstanceContext& c) {
  c.begin(some_log());
  c.apply(publish(snapshot(15, 2)));
  c.apply(truncate_prefix(11));  // five trailing entries stay
  c.reopen();
}

// A leader's snapshot beyond the log: published first, then the log restarts after it.
void install_without_previous_entries(InstanceContext& c) {
  c.begin(some_log());
  c.apply(publish(snapshot(500, 3)));
  c.apply(reset(501));
  c.apply(append(entries(501, 505, 3)));
  c.reopen();
  c.expect_equal("first index", c.log().first_index(), int64_t{501});
}

void save_and_load(InstanceContext& c) {
  c.begin(some_log());
  for (int64_t index = 2; index <= 10; index += 2) {
    c.apply(publish(snapshot(index, 2)));
    c.apply(truncate_prefix(index));
    c.reopen();
    expect_tree(c, *must_open(c), snapshot(index, 2));
  }
}

// ---- What the tree may hold

void nested_paths(InstanceContext& c) {
  std::map<std::string, TreeFile> files;
  for (const std::string& path :
       {std::string("a"), std::string("a.b/c"), std::string("b/c/d/e/f/g"),
        std::string("b/c/other"), std::string("with space/and \"quotes\""),
        std::string("\xc3\xa4\xe6\x97\xa5/\xf0\x9f\x92\xbe"), std::string("-dash"),
        std::string("..dots"), std::string("dots..")}) {
    files[path] = {cat("contents of ", path), {}};
  }
  const SnapshotState tree = only(meta_at(7), files);
  c.begin(some_log());
  c.apply(publish(tree));
  c.reopen();
  expect_tree(c, *must_open(c), tree);
}

void path_escape_refused(InstanceContext& c) {
  c.begin(some_log());
  {
    const auto writer = must_create(c);
    for (const std::string& path :
         {std::string(), std::string("../x"), std::string("/../x"), std::string("a/../../x"),
          std::string("a/b/../../.."), std::string("."), std::string("/"), std::string(".."),
          std::string("a/"), std::string("a/."), std::string("a/b/.."), std::string("a\0b", 3),
          std::string(5000, 'x'), std::string(256, 'x'), std::string("__raft_snapshot_meta"),
          std::string("./__raft_snapshot_meta"), std::string("__raft_snapshot_meta/x"),
          std::string("__raft_snapshot_meta/../x")}) {
      c.expect_code(cat("create_file \"", path, "\""), writer->create_file(path).status(),
                    kInvalid);
      c.expect_code(cat("add_file \"", path, "\""), writer->add_file(path, {}), kInvalid);
    }
  }
  c.expect_state();
  const auto outside = c.expect_value("list", c.fs().list(families::parent_path(c.root())));
  c.expect(std::find(outside.begin(), outside.end(), "x") == outside.end(),
           "a file outside the tree: found one");
}

// Names that braft's users list: the reader shows them as they are, and the file lies where they
// lead. Two names of one place are one file.
void names_as_listed(InstanceContext& c) {
  std::map<std::string, TreeFile> files;
  for (const std::string name :
       {"/max_id.json", "./data", "d//x", "a/../b", "plain", "//two///slashes", "a/./c/../d"}) {
    files[name] = {cat("contents of ", name), {cat("meta of ", name), 0, std::nullopt}};
  }
  files["data"] = {"contents of ./data", {"another meta", 0, "c0ffee"}};
  files["/d/x"] = {"contents of d//x", {}};
  const SnapshotState tree = only(meta_at(7), files);
  c.begin(some_log());
  c.apply(publish(tree));
  expect_tree(c, *must_open(c), tree);
  c.reopen();
  expect_tree(c, *must_open(c), tree);
  c.expect_code("a name that is not listed, of a listed file",
                must_open(c)->open_file("max_id.json").status(), kNotFound);
  const auto names = c.expect_value(
      "list", families::list_tree(c.fs(), families::join_path(must_open(c)->get_path(), "d")));
  c.expect(names == std::vector<std::string>{"x"}, "below d: expected the file x alone");
}

// A file in one name and a directory in another; each name alone is legal.
void names_that_collide_refused(InstanceContext& c) {
  c.begin(some_log());
  for (const auto& [one, other] : {std::pair<std::string, std::string>{"a", "a/b"},
                                   {"./a", "a/b"},
                                   {"a", "x/../a/b"},
                                   {"a/b", "a/b/../c"},
                                   {"a/x/../b", "a/x"}}) {
    auto writer = must_create(c);
    c.expect_ok("add_file", writer->add_file(one, {}));
    c.expect_ok("add_file", writer->add_file(other, {}));
    c.expect_ok("save_meta", writer->save_meta(meta_at(7)));
    c.expect_code(cat("seal with \"", one, "\" and \"", other, "\""), writer->seal(), kInvalid);
  }
  c.expect_state();
}

// A file of the tree that no name of the table leads to: kept, and not in list_files.
void unlisted_files(InstanceContext& c) {
  SnapshotState tree = snapshot(7, 2);
  tree.files["notes"] = {"not listed", {}, true};
  tree.files["deep/er/notes"] = {"", {}, true};
  c.begin(some_log());
  c.apply(publish(tree));
  expect_tree(c, *must_open(c), tree);
  c.reopen();
  expect_tree(c, *must_open(c), tree);
  c.apply(publish(snapshot(9, 2)));
  expect_tree(c, *must_open(c), snapshot(9, 2));
}

void empty_file(InstanceContext& c) {
  const SnapshotState tree = only(meta_at(7), {{"empty", {}}, {"deep/empty", {}}});
  c.begin(with_snapshot(tree));
  c.reopen();
  expect_tree(c, *must_open(c), tree);
}

void zero_files(InstanceContext& c) {
  c.begin(with_snapshot(only(meta_at(7), {})));
  c.reopen();
  const auto reader = must_open(c);
  c.expect(reader->files().empty(), "files(): found some, expected none");
  c.expect_code("open_file", reader->open_file("data").status(), kNotFound);
  // There is a tree all the same.
  c.expect_ok("list get_path()", c.fs().list(reader->get_path()).status());
  expect_tree(c, *reader, only(meta_at(7), {}));
}

void many_files(InstanceContext& c) {
  SnapshotState tree = only(meta_at(7), {});
  for (int i = 0; i < 300; ++i) {
    tree.files[cat("dir", i % 7, "/file", i)] = {std::string(static_cast<size_t>(i), 'x'), {}};
  }
  c.begin(with_snapshot(tree));
  c.reopen();
  expect_tree(c, *must_open(c), tree);
}

void large_file(InstanceContext& c) {
  SnapshotState tree = only(meta_at(7), {});
  RandomStream random = c.random("contents");
  std::string bytes((1u << 20) + 17, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random.below(256));
  tree.files["large"] = {bytes, {}};
  c.begin(with_snapshot(tree));
  c.reopen();
  expect_tree(c, *must_open(c), tree);
}

void remove_file(InstanceContext& c) {
  c.begin(some_log());
  {
    auto writer = must_create(c);
    const SnapshotState tree = snapshot(7, 2);
    c.expect_ok("fill the writer", fill_writer(*writer, tree));
    c.expect_ok("write another file", writer->create_file("extra/file").status());
    c.expect_ok("add it", writer->add_file("extra/file", {}));
    c.expect_ok("remove it", writer->remove_file("extra/file"));
    c.expect_code("remove it again", writer->remove_file("extra/file"), kNotFound);
    c.expect_code("remove one that never was", writer->remove_file("nothing"), kNotFound);
    c.expect_ok("publish", c.driver().apply(families::Mutation::publish(std::move(writer))));
    c.settle();
  }
  // As in braft, the name leaves the table, and the file stays in the tree.
  SnapshotState left = snapshot(7, 2);
  left.files["extra/file"].unlisted = true;
  State state = c.model().state();
  state.snapshot = left;
  c.adopt(state);
  c.expect_state();
  c.reopen();
  const auto reader = must_open(c);
  c.expect_code("open_file of the removed one", reader->open_file("extra/file").status(),
                kNotFound);
  expect_tree(c, *reader, left);
}

// The presence of each field is state.
void file_meta(InstanceContext& c) {
  SnapshotState tree = only(meta_at(7), {});
  const std::vector<std::optional<std::string>> texts = {std::nullopt, "", "text",
                                                         std::string("\0\xff\x01", 3)};
  int number = 0;
  for (const auto& user_meta : texts) {
    for (const auto& checksum : {std::optional<std::string>(), std::optional<std::string>(""),
                                 std::optional<std::string>("c0ffee")}) {
      for (const std::optional<int32_t> source :
           {std::optional<int32_t>(), std::optional<int32_t>(0)}) {
        tree.files[cat("file", number++)] = {cat("bytes ", number), {user_meta, source, checksum}};
      }
    }
  }
  c.begin(with_snapshot(tree));
  c.reopen();
  expect_tree(c, *must_open(c), tree);
}

void add_file_twice(InstanceContext& c) {
  c.begin(some_log());
  {
    auto writer = must_create(c);
    c.expect_ok("fill the writer", fill_writer(*writer, snapshot(7, 2)));
    FileMeta other;
    other.user_meta = "other";
    c.expect_code("add_file again", writer->add_file("data", other),
                  absl::StatusCode::kAlreadyExists);
    c.expect(writer->meta() == snapshot(7, 2).meta, "the writer's meta: found another one");
    c.expect_equal("files in the writer's table", writer->files().size(), size_t{3});
    const auto opened = c.expect_value("open_file in the writer", writer->open_file("data"));
    c.expect(bytes_of(c, *opened) == snapshot(7, 2).files.at("data").bytes,
             "the writer's file: found other bytes");
    c.expect_code("open_file of another one", writer->open_file("other").status(), kNotFound);
  }
  c.expect_state();
}

// The caller may write below the writer's path itself, as braft's users do.
void files_written_by_path(InstanceContext& c) {
  c.begin(some_log());
  {
    auto writer = must_create(c);
    const std::string directory = writer->get_path();
    c.expect_ok("mkdir", families::make_directories(c.fs(), families::join_path(directory, "own")));
    c.expect_ok("write", families::write_file(c.fs(), families::join_path(directory, "own/file"),
                                              "by path"));
    c.expect_ok("add_file", writer->add_file("own/file", {}));
    c.expect_ok("save_meta", writer->save_meta(meta_at(7)));
    c.expect_ok("publish", c.driver().apply(families::Mutation::publish(std::move(writer))));
    c.settle();
  }
  State state = c.model().state();
  state.snapshot = only(meta_at(7), {{"own/file", {"by path", {}}}});
  c.adopt(state);
  c.expect_state();
  expect_tree(c, *must_open(c), *state.snapshot);
  c.reopen();
}

void sealed_is_final(InstanceContext& c) {
  c.begin(some_log());
  {
    auto writer = must_create(c);
    c.expect_ok("fill the writer", fill_writer(*writer, snapshot(7, 2)));
    c.expect_ok("seal", writer->seal());
    c.expect_ok("seal again", writer->seal());
    c.expect(!writer->add_file("late", {}).ok(), "add_file after seal: found it accepted");
    c.expect(!writer->create_file("late").ok(), "create_file after seal: found it accepted");
    c.expect(!writer->save_meta(meta_at(9)).ok(), "save_meta after seal: found it accepted");
    c.expect_ok("publish", c.driver().apply(families::Mutation::publish(std::move(writer))));
    c.settle();
  }
  State state = c.model().state();
  state.snapshot = snapshot(7, 2);
  c.adopt(state);
  c.expect_state();
}

void added_but_never_written(InstanceContext& c) {
  c.begin(some_log());
  {
    auto writer = must_create(c);
    c.expect_ok("add_file", writer->add_file("ghost", {}));
    c.expect_ok("save_meta", writer->save_meta(meta_at(7)));
    c.expect(!writer->seal().ok(), "seal without a listed file: found it accepted");
    const auto outcome = c.driver().apply(families::Mutation::publish(std::move(writer)));
    // A pair may take it for a failure of one side, and stop.
    c.expect(c.dual() ? !outcome.ok() : outcome.kind() == families::Outcome::Kind::kFailedClean,
             "publish without a listed file: expected failed-clean");
  }
  c.close();
  c.expect_ok("open", c.open());
  c.expect_state();
  c.apply(publish(snapshot(7, 2)));
  c.reopen();
}

// ---- Trees that are not needed

// Of a dual pair, either family may hold the temporary tree.
std::vector<std::string> names_below(InstanceContext& c) {
  const std::string root(c.dual() ? families::parent_path(c.root()) : c.root());
  return c.expect_value("list the root", families::list_tree(c.fs(), root));
}

bool any_contains(const std::vector<std::string>& names, std::string_view part) {
  return std::any_of(names.begin(), names.end(),
                     [&](const std::string& name) { return name.find(part) != std::string::npos; });
}

void abandon(InstanceContext& c, bool sealed) {
  auto writer = must_create(c);
  SnapshotState tree = snapshot(15, 2);
  tree.files["telltale"] = {"never published", {}};
  c.expect_ok("fill the writer", fill_writer(*writer, tree));
  if (sealed) c.expect_ok("seal", writer->seal());
}

void unsealed_writer_discarded(InstanceContext& c) {
  c.begin(with_snapshot(snapshot(7, 2)));
  for (const bool sealed : {false, true}) {
    abandon(c, sealed);
    c.expect_state();
    c.expect(!any_contains(names_below(c), "telltale"),
             "a tree that was not published: found its file");
  }
  c.apply(publish(snapshot(15, 2)));
  c.reopen();
}

// A crash leaves the temporary tree; the next open removes it.
void orphan_temp_cleanup(InstanceContext& c) {
  if (c.is_volatile()) c.not_applicable("volatile: nothing survives a crash (A-11)");
  c.begin(with_snapshot(snapshot(7, 2)));
  for (const bool sealed : {false, true}) {
    auto writer = must_create(c);
    SnapshotState tree = snapshot(15, 2);
    tree.files["telltale"] = {"never published", {}};
    c.expect_ok("fill the writer", fill_writer(*writer, tree));
    if (sealed) c.expect_ok("seal", writer->seal());
    c.expect(any_contains(names_below(c), "telltale"), "the temporary tree: found no file of it");
    for (const CrashLevel level : {CrashLevel::kP0, CrashLevel::kP2}) {
      const auto crashed = c.fork();
      KeepAll everything;
      crashed->crash(level, everything);
      crashed->expect_ok("open", crashed->open());
      crashed->expect_state();
      crashed->expect(!any_contains(names_below(*crashed), "telltale"),
                      "the temporary tree of a crash: found it after the next open");
      crashed->apply(publish(snapshot(16, 2)));
      crashed->reopen();
    }
  }
}

// One writer at a time: a second one replaces the first, or is refused; never are they mixed.
void one_writer_at_a_time(InstanceContext& c) {
  c.begin(some_log());
  {
    auto first = must_create(c);
    c.expect_ok("write", first->create_file("telltale").status());
    c.expect_ok("add", first->add_file("telltale", {}));
    auto second = c.driver().create_snapshot();
    if (second.ok()) {
      first.reset();
      c.expect_ok("fill the second", fill_writer(**second, snapshot(7, 2)));
      c.expect_ok("publish", c.driver().apply(families::Mutation::publish(*std::move(second))));
      c.settle();
      State state = c.model().state();
      state.snapshot = snapshot(7, 2);
      c.adopt(state);
    }
  }
  c.expect_state();
  c.apply(publish(snapshot(8, 2)));
  c.reopen();
}

void release_old(InstanceContext& c) {
  SnapshotState old = snapshot(7, 2);
  old.files["telltale"] = {"of the old one", {}};
  c.begin(with_snapshot(old));
  c.expect(any_contains(names_below(c), "telltale"), "the published tree: found no file of it");
  c.apply(publish(snapshot(8, 2)));
  c.reopen();
  c.expect(!any_contains(names_below(c), "telltale"),
           "the tree of an older snapshot: found it although no reader is open");
}

void reader_open_while_newer_published(InstanceContext& c) {
  c.begin(with_snapshot(snapshot(7, 2)));
  {
    const auto seven = must_open(c);
    const auto file = c.expect_value("open_file", seven->open_file("data"));
    c.apply(publish(snapshot(8, 2)));
    const auto eight = must_open(c);
    c.apply(publish(snapshot(9, 2)));
    expect_tree(c, *seven, snapshot(7, 2));
    expect_tree(c, *eight, snapshot(8, 2));
    expect_tree(c, *must_open(c), snapshot(9, 2));
    c.expect(bytes_of(c, *file) == snapshot(7, 2).files.at("data").bytes,
             "a file opened before: found other bytes");
  }
  c.expect_state();
  c.reopen();
}

// Files and directories beside the snapshots that are not the family's.
void foreign_names_ignored(InstanceContext& c) {
  c.begin(with_snapshot(snapshot(7, 2)));
  c.close();
  const std::string directory = families::join_path(c.root(), "snapshot");
  if (!c.expect_value("look", families::exists(c.fs(), directory))) {
    c.not_applicable("no directory for snapshots");
  }
  for (const char* name : {"lost+found", "README", ".hidden"}) {
    c.expect_ok(cat("write ", name),
                families::write_file(c.fs(), families::join_path(directory, name), "not ours"));
  }
  c.settle();
  const absl::Status opened = c.open();
  if (!opened.ok()) {
    // It may refuse; what it must not do is to take it for a snapshot.
    c.expect(!absl::IsNotFound(opened), cat("found ", opened.ToString()));
    return;
  }
  c.expect_state();
  c.apply(publish(snapshot(9, 2)));
  c.reopen();
}

// ---- Copying

// As an installing follower does: file by file through the reader, into another instance.
void transfer_between_stores(PairContext& c) {
  SnapshotState tree = snapshot(7, 2);
  tree.files["b/nested"] = {std::string(10'000, 'n'), {std::nullopt, 0, "sum"}};
  c.create(PairContext::kA);
  c.create(PairContext::kB);
  c.apply(PairContext::kA, with_snapshot(tree));
  const auto reader = c.expect_value("open", c.at(PairContext::kA).snapshot().open());
  auto writer = c.expect_value("create", c.at(PairContext::kB).snapshot().create());
  for (const SnapshotFile& file : reader->files()) {
    const auto from = c.expect_value("open_file", reader->open_file(file.path));
    const auto to = c.expect_value("create_file", writer->create_file(file.path));
    std::vector<char> chunk(4096);
    for (uint64_t offset = 0;;) {
      const size_t got = c.expect_value("read", from->read_at(offset, chunk));
      if (got == 0) break;
      c.expect_ok("write", to->write_at(offset, std::string_view(chunk.data(), got)));
      offset += got;
    }
    c.expect_ok("add_file", writer->add_file(file.path, file.meta));
  }
  c.expect_ok("save_meta", writer->save_meta(reader->meta()));
  c.expect_ok("publish", c.at(PairContext::kB).snapshot().publish(std::move(writer)));
  c.settle();
  const State copied = c.expect_value("read B", read_state(c.at(PairContext::kB)));
  c.expect(copied.snapshot == tree, "the copy: found another snapshot");
}

// What a receiver would need to skip files that it has: the checksums of its own current snapshot.
// The filter here is this check's own, so it shows nothing of BC-2: no code of ours filters.
void filter_before_copy(InstanceContext& c) {
  SnapshotState tree = only(meta_at(7), {});
  tree.files["same"] = {"unchanged", {std::nullopt, std::nullopt, "sum of unchanged"}};
  tree.files["changed"] = {"old", {std::nullopt, std::nullopt, "sum of old"}};
  tree.files["unsummed"] = {"no sum", {}};
  c.begin(with_snapshot(tree));
  c.reopen();
  SnapshotState next = only(meta_at(9), tree.files);
  next.files["changed"] = {"new", {std::nullopt, std::nullopt, "sum of new"}};
  next.files["unsummed"].bytes = "who knows";
  {
    const auto own = must_open(c);
    auto writer = must_create(c);
    int reused = 0;
    for (const auto& listed : next.files) {
      const std::string& path = listed.first;
      const auto& file = listed.second;
      const auto mine = std::find_if(own->files().begin(), own->files().end(),
                                     [&](const SnapshotFile& f) { return f.path == path; });
      const bool equal = mine != own->files().end() && mine->meta.checksum &&
                         mine->meta.checksum == file.meta.checksum;
      const auto to = c.expect_value("create_file", writer->create_file(path));
      std::string bytes = file.bytes;
      if (equal) {
        ++reused;
        bytes = bytes_of(c, *c.expect_value("open_file", own->open_file(path)));
      }
      c.expect_ok("write", to->write_at(0, bytes));
      c.expect_ok("add_file", writer->add_file(path, file.meta));
    }
    c.expect_equal("files that need no copy", reused, 1);
    c.expect_ok("save_meta", writer->save_meta(next.meta));
    c.expect_ok("publish", c.driver().apply(families::Mutation::publish(std::move(writer))));
    c.settle();
  }
  State state = c.model().state();
  state.snapshot = next;
  c.adopt(state);
  c.expect_state();
  c.reopen();
}

// A leader sends what the reader lists, at any offset, in any order.
void chunks_at_any_offset(InstanceContext& c) {
  SnapshotState tree = only(meta_at(7), {{"file", {std::string(9000, '\0'), {}}}});
  std::string& bytes = tree.files["file"].bytes;
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 31 >> 3);
  c.begin(with_snapshot(tree));
  const auto reader = must_open(c);
  const auto file = c.expect_value("open_file", reader->open_file("file"));
  for (const uint64_t offset : {uint64_t{8999}, uint64_t{0}, uint64_t{4095}, uint64_t{9000},
                                uint64_t{100'000}, uint64_t{1}}) {
    std::vector<char> chunk(5000);
    const size_t got = c.expect_value("read", file->read_at(offset, chunk));
    const std::string expected = offset < bytes.size() ? bytes.substr(offset, 5000) : std::string();
    c.expect(std::string(chunk.data(), got) == expected,
             cat("chunk at ", offset, ": found others"));
  }
}

}  // namespace

std::vector<Check> snapshot_checks() {
  std::vector<Check> checks;
  const auto add = [&](std::string name, std::vector<std::string> ids,
                       std::function<void(InstanceContext&)> run) -> Check& {
    checks.push_back(instance_check("SNAP", std::move(name), std::move(ids), std::move(run)));
    return checks.back();
  };
  add("none", {"SB-19"}, none);
  add("publish", {"SB-19", "SB-20", "SB-33", "BC-4"}, publish_first);
  add("publish_newer", {"SB-19", "SB-33", "SB-34"}, publish_newer);
  add("publish_same_index", {"SB-19", "SB-33"}, publish_same_index);
  add("publish_older_refused", {"SB-19", "SB-33"}, publish_older_refused);
  add("invalid_metadata", {"SB-19"}, invalid_metadata);
  add("empty_metadata", {"SB-19"}, empty_metadata);
  add("meta_roundtrip", {"SB-19", "SB-21", "BC-7", "EV-13", "EV-14"}, meta_roundtrip);
  add("peers_old_peers", {"SB-21", "EV-5"}, peers_old_peers);
  add("save_and_load", {"SB-20", "SB-25", "SB-33"}, save_and_load);
  add("entries_valid_after_purge", {"SB-16", "SB-31"}, entries_valid_after_purge);
  add("install_with_trailing", {"SB-16", "SB-33"}, install_with_trailing);
  add("install_without_previous_entries", {"SB-16", "SB-31", "SB-33"},
      install_without_previous_entries);
  add("nested_paths", {"SB-20", "BC-3", "BC-4", "EV-16"}, nested_paths);
  add("path_escape_refused", {"SB-20", "BC-3"}, path_escape_refused);
  add("names_as_listed", {"SB-20", "BC-3", "BC-4", "BC-5"}, names_as_listed);
  add("names_that_collide_refused", {"SB-20", "BC-3"}, names_that_collide_refused);
  add("unlisted_files", {"SB-20", "BC-4", "BC-5", "EV-16"}, unlisted_files);
  add("empty_file", {"SB-20", "EV-16"}, empty_file);
  add("zero_files", {"SB-20", "BC-4"}, zero_files);
  add("many_files", {"SB-20", "EV-6"}, many_files);
  add("large_file", {"SB-20", "EV-16"}, large_file);
  add("remove_file", {"SB-20", "BC-6"}, remove_file);
  add("file_meta", {"SB-21", "BC-5", "BC-6"}, file_meta);
  add("add_file_twice", {"BC-5", "BC-6"}, add_file_twice);
  add("files_written_by_path", {"BC-3", "BC-4", "BC-6"}, files_written_by_path);
  add("sealed_is_final", {"BC-6"}, sealed_is_final);
  add("added_but_never_written", {"SB-20", "SB-33"}, added_but_never_written);
  add("unsealed_writer_discarded", {"SB-33", "SB-34"}, unsealed_writer_discarded);
  add("orphan_temp_cleanup", {"SB-33", "SB-34"}, orphan_temp_cleanup).disks = kSimulatedOnly;
  add("one_writer_at_a_time", {"SB-33"}, one_writer_at_a_time);
  add("release_old", {"SB-34"}, release_old);
  add("reader_open_while_newer_published", {"SB-33", "BC-4", "EV-15"},
      reader_open_while_newer_published);
  add("foreign_names_ignored", {"EV-17"}, foreign_names_ignored).roles = kPlainOnly;
  add("filter_before_copy", {"BC-5"}, filter_before_copy);
  add("chunks_at_any_offset", {"SB-20", "EV-15"}, chunks_at_any_offset);
  checks.push_back(pair_check("SNAP", "transfer_between_stores", {"SB-13", "SB-20", "EV-6"},
                              transfer_between_stores));
  return checks;
}

}  // namespace qk::sim::conformance
