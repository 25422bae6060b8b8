#include <map>

#include "families/base/strings.h"
#include "families/base/suggest.h"
#include "families/contract/types.h"
#include "scenarios/sections.h"

namespace qk::scenarios {
namespace {

constexpr size_t kMaxNodes = 31;

bool contains_component(std::string_view path, std::string_view component) {
  return cat("/", path, "/").find(cat("/", component, "/")) != std::string::npos;
}

void build_place(Draft& draft, const qksim::Node& node, sim::NodePlan* out) {
  if (!node.has_log_uri() && !node.has_raft_meta_uri() && !node.has_snapshot_uri()) return;
  for (const auto& [field, given] : {std::pair("log_uri", node.has_log_uri()),
                                     std::pair("raft_meta_uri", node.has_raft_meta_uri()),
                                     std::pair("snapshot_uri", node.has_snapshot_uri())}) {
    if (given) continue;
    draft.missing(node, field, "log_uri, raft_meta_uri and snapshot_uri go together");
    return;
  }
  const auto place =
      families::parse_triple({node.log_uri(), node.raft_meta_uri(), node.snapshot_uri()}, "/");
  if (!place.ok()) {
    draft.report(node, "log_uri", -1, Draft::Point::kValue,
                 std::string(to_std(place.status().message())),
                 "as in log_uri: \"local:///data/log\" raft_meta_uri: \"local:///data/raft_meta\" "
                 "snapshot_uri: \"local:///data/snapshot\"");
    return;
  }
  for (const std::string& path :
       {place->root, place->parts.log, place->parts.raft_meta, place->parts.snapshot}) {
    if (!contains_component(path, "..")) continue;
    draft.report(
        node, "log_uri", -1, Draft::Point::kValue,
        cat(path, " has a component \"..\"; a simulated disk has no links, so it is never needed"),
        "the path without \"..\"");
    return;
  }
  for (const sim::StorePlan& store : draft.plan.stores) {
    if (store.id != out->store || store.family.empty() || store.family == place->family) continue;
    draft.report(node, "log_uri", -1, Draft::Point::kValue,
                 cat("the URIs of node ", in_quotes(node.id()), " name family ", place->family,
                     ", but its store ", in_quotes(store.id), " is of family ", store.family),
                 cat("expected ", store.family, "://..."));
    return;
  }
  out->place = *place;
}

// Another family would not see braft's files, and would make a fresh instance next to them.
bool may_begin_with_tree(Draft& draft, const qksim::Node& node, const std::string& store_id) {
  std::vector<std::string> readers;
  for (const std::string& family : family_names()) {
    if (qksim::Store::descriptor()->FindFieldByName(family)->options().GetExtension(
            qksim::braft_root)) {
      readers.push_back(registered_name(family));
    }
  }
  for (const sim::StorePlan& store : draft.plan.stores) {
    // A store without a family is reported at its own place.
    if (store.id != store_id || store.family.empty() || contains(readers, store.family)) continue;
    draft.report(
        node, "initial_dir", -1, Draft::Point::kValue,
        cat("node ", in_quotes(node.id()), " begins with a braft directory, but its store ",
            in_quotes(store.id), " is of family ", store.family),
        cat("expected a store of family ", join(readers), ", or no initial_dir"));
    return false;
  }
  return true;
}

// What no two nodes may have, of those before.
struct Taken {
  std::vector<std::string> peers;
  std::map<std::string, std::string> directories;  // node by identity
};

// A directory holds one node's log and its vote; in two nodes it would vote twice.
void build_tree(Draft& draft, const qksim::Node& node, Taken* taken, sim::NodePlan* out) {
  const auto refuse = [&](std::string text, std::string hint) {
    draft.report(node, "initial_dir", -1, Draft::Point::kValue, std::move(text), std::move(hint));
  };
  absl::StatusOr<InitialDirectory> directory = draft.resolve(node.initial_dir());
  if (!directory.ok()) {
    return refuse(std::string(to_std(directory.status().message())),
                  "\"braft:CASE\", or a directory relative to the scenario file");
  }
  const std::string name = cat("directory ", in_quotes(node.initial_dir()));
  if (directory->tree.items.empty()) {
    return refuse(cat(name, " is empty"),
                  "a directory that a node left, or no initial_dir for a node that begins fresh");
  }
  const auto [first, is_new] = taken->directories.emplace(directory->identity, node.id());
  if (!is_new) {
    return refuse(cat(name, " is also the initial_dir of node ", in_quotes(first->second)),
                  "each node begins with the directory that it left itself");
  }
  if (out->place && !out->place->parts.split()) {
    const families::PartPaths& parts = out->place->parts;
    for (const sim::DirectoryTree::Item& item : directory->tree.items) {
      if (item.path == "log" || item.path == "raft_meta" || item.path == "snapshot" ||
          (item.path != parts.log && item.path != parts.raft_meta && item.path != parts.snapshot)) {
        continue;
      }
      return refuse(cat(name, " holds ", in_quotes(item.path),
                        ", which is also the name of a part in the node's URIs"),
                    "other names in the URIs");
    }
  }
  out->initial = std::move(directory->tree);
}

void build_node(Draft& draft, const qksim::Cluster& cluster, const qksim::Node& node, Taken* taken,
                sim::NodePlan* out) {
  out->id = node.id();
  if (node.has_id()) {
    draft.new_id(node, "id", node.id(), draft.node_ids());
  } else {
    draft.missing(node, "id", "as in node { id: \"n1\" }");
  }
  if (node.has_peer()) {
    const absl::StatusOr<std::string> peer = families::canonical_peer(node.peer());
    if (!peer.ok() || peer->empty()) {
      draft.bad_value(node, "peer",
                      {in_quotes(node.peer()) + " is not a peer",
                       "ip:port, optionally with :index and :role, as in \"127.0.0.1:8300:0:0\""});
    } else {
      out->peer = *peer;
    }
  }
  if (contains(taken->peers, out->peer)) {
    draft.report(node, "peer", -1, Draft::Point::kValue,
                 cat("peer ", in_quotes(out->peer), " is given twice"),
                 cat("given before: ", join(taken->peers)));
  }
  if (node.has_store()) {
    out->store = node.store();
    draft.known_store(node, "store", node.store());
  } else if (!cluster.has_default_store()) {
    draft.missing(node, "store",
                  cat("stores: ", join(draft.store_ids()), "; or give default_store"));
  }
  build_place(draft, node, out);
  if (node.has_initial_dir() && may_begin_with_tree(draft, node, out->store)) {
    build_tree(draft, node, taken, out);
  }
}

}  // namespace

void build_nodes(Draft& draft, const qksim::Cluster& cluster) {
  const size_t count =
      cluster.has_nodes() ? cluster.nodes() : static_cast<size_t>(cluster.node_size());
  if (cluster.has_nodes() && cluster.node_size() > 0) {
    draft.report(cluster, "nodes", -1, Draft::Point::kName, "nodes and node are both given",
                 "nodes: N makes n1..nN; remove one of the two");
    return;
  }
  if (count == 0 || count > kMaxNodes) {
    if (cluster.has_nodes()) {
      draft.bad_value(cluster, "nodes", {cat(count, " nodes"), cat("1 to ", kMaxNodes)});
    } else {
      draft.missing(cluster, "node",
                    cat("1 to ", kMaxNodes, ", as in nodes: 3 or node { id: \"n1\" }"));
    }
    return;
  }
  if (cluster.has_nodes() && !cluster.has_default_store()) {
    draft.missing(cluster, "default_store", "nodes: N puts every node on it");
  }
  Taken taken;
  for (size_t i = 0; i < count; ++i) {
    sim::NodePlan out;
    out.peer = cat("127.0.0.1:", 8300 + i, ":0:0");
    out.store = cluster.default_store();
    if (cluster.has_nodes()) {
      out.id = cat("n", i + 1);
    } else {
      build_node(draft, cluster, cluster.node(static_cast<int>(i)), &taken, &out);
    }
    taken.peers.push_back(out.peer);
    draft.plan.cluster.nodes.push_back(std::move(out));
  }
}

}  // namespace qk::scenarios
