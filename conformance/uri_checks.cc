// URI: a node that is told where its storage lies as braft's NodeOptions tell it, by three URIs.
// The node is migration's, whose start opens the families of every node.
#include "conformance/groups.h"
#include "conformance/history.h"
#include "conformance/transfer.h"
#include "families/contract/uri.h"
#include "families/fs/file_util.h"
#include "migration/controller.h"

namespace qk::sim::conformance {
namespace {

using families::UriTriple;
using migration::Controller;

std::vector<Change> some_state() {
  return {append(entries(1, 6)), save_meta({2, std::string(kPeer)}), append(entries(7, 10, 2)),
          publish(snapshot(3))};
}

UriTriple triple(std::string_view scheme, const std::string& root) {
  return {cat(scheme, "://", root, "/log"), cat(scheme, "://", root, "/raft_meta"),
          cat(scheme, "://", root, "/snapshot")};
}

absl::StatusOr<std::unique_ptr<Controller>> start_node(InstanceContext& c, const UriTriple& uris) {
  QK_ASSIGN_OR_RETURN(const auto place, families::parse_triple(uris, c.path("node")));
  migration::ControllerOptions options;
  options.fs = &c.fs();
  options.registry = &c.registry();
  options.node_dir = c.path("node");
  options.group_id = transfer_identity().group_id;
  options.peer_id = transfer_identity().peer_id;
  options.initial = {place.family, place.root, c.options(), place.parts};
  options.now = [now = int64_t{0}]() mutable { return ++now; };
  options.random = [id = uint64_t{0}]() mutable { return ++id; };
  auto node = Controller::open(std::move(options));
  c.settle();
  return node;
}

// The node starts, shows what is there, goes on, and shows it after another start.
void expect_node(InstanceContext& c, const std::string& what, const UriTriple& uris) {
  for (int start = 0; start < 2; ++start) {
    const auto node = c.expect_value(cat(what, ": start the node"), start_node(c, uris));
    families::Family& family = *node->family(migration::Side::kA);
    c.expect_same_state(what, c.expect_value("read", read_state(family)), c.model().state());
    if (start == 1) break;
    Model model = c.model();
    const Change change = append(entries(model.state().last() + 1, model.state().last() + 2, 2));
    auto mutation = c.expect_value(what, to_mutation(node->driver(), change));
    c.expect_ok(what, node->driver().apply(std::move(mutation)));
    model.apply(change);
    c.adopt(model.state());
    c.settle();
  }
}

// Two nodes with other names in one directory would be one instance.
void expect_refused_by_name(InstanceContext& c, const std::string& what, const UriTriple& uris) {
  const absl::Status status = start_node(c, uris).status();
  c.expect_code(what, status, absl::StatusCode::kInvalidArgument);
  c.expect(to_std(status.message()).find(c.family().name) != std::string_view::npos,
           cat(what, ": found \"", to_std(status.message()), "\", expected the family's name"));
}

// One fence would have to take all three from an older program, and nothing else.
void expect_no_migration(InstanceContext& c, const std::string& what, Controller& node) {
  migration::MigrationRequest request;
  request.family = c.family().name;
  request.fresh_mutations = 10;
  request.fresh_time_ns = 1'000'000'000;
  const absl::Status status = node.request_start(request);
  c.expect_code(what, status, absl::StatusCode::kFailedPrecondition);
  c.expect(to_std(status.message()).find("fence") != std::string_view::npos,
           cat(what, ": found \"", to_std(status.message()), "\", expected the reason"));
}

void begin_and_close(InstanceContext& c) {
  c.begin(some_state());
  c.close();
  c.expect_ok("make the node's directory", families::make_directories(c.fs(), c.path("node")));
}

// braft trims the scheme and drops every white space of the path; doubled slashes are one.
void recognised(InstanceContext& c) {
  const std::string& name = c.family().name;
  begin_and_close(c);
  const std::string& root = c.root();
  expect_node(c, "plain URIs", triple(name, root));
  expect_node(
      c, "odd URIs",
      {cat(" ", name, " ://", root, "/ log "), cat("\t", name, "://", root, "//raft_meta\n"),
       cat(name, ":// ", root, "/./snapshot/")});
}

// The names of the three are the caller's where they are directories of their own.
void other_names(InstanceContext& c) {
  const std::string& name = c.family().name;
  begin_and_close(c);
  const auto moved = [&](std::string_view part, std::string_view to) {
    const std::string path = families::join_path(c.root(), to);
    if (c.family().part_paths) {
      c.expect_ok("rename", c.fs().rename(families::join_path(c.root(), part), path));
    }
    return cat(name, "://", path);
  };
  const UriTriple uris{moved("log", "wal"), moved("raft_meta", "log"), moved("snapshot", "images")};
  c.settle();
  if (!c.family().part_paths) return expect_refused_by_name(c, "other names", uris);
  expect_node(c, "other names", uris);
}

// Three directories that have nothing in common, as on three disks. One fence would have to take
// all three from an older program at once, so such a node does not migrate.
void other_roots(InstanceContext& c) {
  const std::string& name = c.family().name;
  begin_and_close(c);
  const auto moved = [&](std::string_view part) {
    const std::string disk = c.path(cat("disk-of-", part));
    const std::string path = cat(disk, "/", part);
    if (c.family().part_paths) {
      c.expect_ok("make a directory", families::make_directories(c.fs(), disk));
      c.expect_ok("rename", c.fs().rename(families::join_path(c.root(), part), path));
    }
    return cat(name, "://", path);
  };
  const UriTriple uris{moved("log"), moved("raft_meta"), moved("snapshot")};
  c.settle();
  if (!c.family().part_paths) return expect_refused_by_name(c, "three directories", uris);
  expect_node(c, "three directories", uris);
  const auto node = c.expect_value("start the node", start_node(c, uris));
  expect_no_migration(c, "a migration of three directories", *node);
}

// A root that holds more than the instance, the node's own files for instance: nothing of that may
// be fenced with it.
void shared_root(InstanceContext& c) {
  if (!c.family().part_paths) c.not_applicable("other names are refused");
  begin_and_close(c);
  const std::string shared(families::parent_path(c.path("node")));
  const auto moved = [&](std::string_view part, std::string_view to) {
    const std::string path = families::join_path(shared, to);
    c.expect_ok("rename", c.fs().rename(families::join_path(c.root(), part), path));
    return cat(c.family().name, "://", path);
  };
  const UriTriple uris{moved("log", "a-log"), moved("raft_meta", "a-meta"),
                       moved("snapshot", "a-snapshot")};
  c.settle();
  expect_node(c, "a shared root", uris);
  {
    const auto node = c.expect_value("start the node", start_node(c, uris));
    expect_no_migration(c, "a migration from a shared root", *node);
  }
  // In the node's own directory, where its manifest will lie.
  const std::string own = c.path("node/migration");
  c.expect_ok("make the node's own directory", families::make_directories(c.fs(), own));
  const auto moved_in = [&](std::string_view part, std::string_view from) {
    const std::string path = families::join_path(own, part);
    c.expect_ok("rename", c.fs().rename(families::join_path(shared, from), path));
    return cat(c.family().name, "://", path);
  };
  const UriTriple inside{moved_in("log", "a-log"), moved_in("raft_meta", "a-meta"),
                         moved_in("snapshot", "a-snapshot")};
  c.settle();
  const auto node = c.expect_value("start the node", start_node(c, inside));
  expect_no_migration(c, "a migration from the node's own directory", *node);
}

void refused(InstanceContext& c) {
  const std::string& name = c.family().name;
  begin_and_close(c);
  const std::string& root = c.root();
  const auto tree = [&] {
    return families::list_tree(c.fs(), families::parent_path(c.path("node")));
  };
  const auto before = c.expect_value("list", tree());
  const auto refuse = [&](const std::string& what, const UriTriple& uris, absl::StatusCode code) {
    c.expect_code(what, start_node(c, uris).status(), code);
  };
  const UriTriple good = triple(name, root);
  for (const std::string& text :
       {root, cat(":/", root), cat("://", root), cat(name, "://"), cat(name, ":", root),
        cat(name, ":///"), cat(name, ":///log"), std::string()}) {
    for (std::string UriTriple::*uri :
         {&UriTriple::log_uri, &UriTriple::raft_meta_uri, &UriTriple::snapshot_uri}) {
      UriTriple bad = good;
      bad.*uri = text;
      refuse(cat("URI \"", text, "\""), bad, kInvalid);
    }
  }
  UriTriple bad = good;
  bad.raft_meta_uri = cat("no-such-family://", root, "/raft_meta");
  refuse("two families", bad, kInvalid);
  bad = good;
  bad.snapshot_uri = good.log_uri;
  refuse("one directory twice", bad, kInvalid);
  for (const std::string_view end : {"/.", "/..", "/x/.."}) {
    bad.snapshot_uri = cat(good.snapshot_uri, end);
    refuse("no name of a directory", bad, kInvalid);
  }
  bad.snapshot_uri = cat(good.log_uri, "/snapshot");
  refuse("a directory in another", bad, kInvalid);
  refuse("a scheme of no family", triple("no-such-family", root), absl::StatusCode::kNotFound);
  for (const std::string_view other : {"local-merged", "local-mixed"}) {
    refuse("a scheme that is out of scope", triple(other, root), kInvalid);
  }
  c.expect(c.expect_value("list", tree()) == before, "refused URIs: found other files than before");
}

}  // namespace

std::vector<Check> uri_checks() {
  std::vector<Check> checks;
  const std::vector<std::string> ids = {"SB-10", "SB-11", "SB-12", "BC-1"};
  const auto add = [&](std::string name, void (*run)(InstanceContext&)) {
    checks.push_back(instance_check("URI", std::move(name), ids, run));
    checks.back().roles = {Role::kPlain};
  };
  add("recognised", recognised);
  add("other_names", other_names);
  add("other_roots", other_roots);
  add("shared_root", shared_root);
  add("refused", refused);
  return checks;
}

}  // namespace qk::sim::conformance
