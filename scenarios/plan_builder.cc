#include "scenarios/plan_builder.h"

#include <algorithm>
#include <limits>
#include <map>

#include "families/base/check.h"
#include "families/base/strings.h"
#include "families/base/suggest.h"
#include "families/contract/types.h"
#include "scenarios/values.h"
#include "sim/check/finding.h"

namespace qk::scenarios {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using Point = ParsedSource::Point;

constexpr std::string_view kFileSuffix = ".qks.txtpb";
constexpr size_t kMaxNodes = 31;

constexpr std::string_view kSelectors = "@leader, @follower, @migrating";

bool is_identifier(std::string_view text) {
  constexpr std::string_view kAllowed =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
  return !text.empty() && text.size() <= 32 &&
         text.find_first_not_of(kAllowed) == std::string_view::npos;
}

bool contains_component(std::string_view path, std::string_view component) {
  return cat("/", path, "/").find(cat("/", component, "/")) != std::string::npos;
}

class Builder {
 public:
  Builder(ParsedSource& source, const TreeResolver& resolve, std::vector<Diagnostic>* diagnostics)
      : source_(source), resolve_(resolve), diagnostics_(diagnostics) {}

  sim::Plan build() {
    const qksim::Scenario& scenario = source_.message();
    build_name(scenario);
    positive_duration(scenario, "run_for", scenario.run_for(), &plan_.run_for);
    for (int i = 0; i < scenario.store_size(); ++i) build_store(scenario, i);
    build_cluster(scenario);
    for (int i = 0; i < scenario.migration_size(); ++i) build_migration(scenario.migration(i));
    build_workload(scenario.workload());
    for (int i = 0; i < scenario.at_size(); ++i) build_fault(scenario.at(i));
    if (scenario.has_random()) build_random(scenario.random());
    build_expect(scenario.expect());
    return std::move(plan_);
  }

 private:
  // ---- Complaints

  void report(const Message& message, std::string_view field, int index, Point point,
              std::string text, std::string hint) {
    if (diagnostics_->size() >= kMaxDiagnostics) return;
    // A message that the file leaves out altogether is its default instance, which has no place.
    Diagnostic out = is_absent(message) ? source_.at(source_.message(), home_of(message), -1, point)
                                        : source_.at(message, field, index, point);
    out.message = std::move(text);
    out.hint = std::move(hint);
    diagnostics_->push_back(std::move(out));
  }
  void bad_value(const Message& message, std::string_view field, const Complaint& complaint) {
    report(message, field, -1, Point::kValue, cat(field, ": ", complaint.message), complaint.hint);
  }
  void missing(const Message& message, std::string_view field, std::string hint) {
    report(message, field, -1, Point::kName,
           cat(spoken_name(*message.GetDescriptor()), " has no ", field), std::move(hint));
  }
  static bool is_absent(const Message& message) {
    return &message == &qksim::Cluster::default_instance() ||
           &message == &qksim::Workload::default_instance() ||
           &message == &qksim::Expect::default_instance();
  }
  static std::string_view home_of(const Message& message) {
    if (&message == &qksim::Cluster::default_instance()) return "cluster";
    return &message == &qksim::Workload::default_instance() ? "workload" : "expect";
  }

  template <typename T>
  bool take(const Message& message, std::string_view field, const Parsed<T>& parsed, T* out) {
    if (parsed.ok()) {
      *out = parsed.value();
      return true;
    }
    bad_value(message, field, parsed.complaint());
    return false;
  }
  void duration(const Message& message, std::string_view field, const std::string& text,
                sim::Nanos* out) {
    take(message, field, parse_duration(text), out);
  }
  void positive_duration(const Message& message, std::string_view field, const std::string& text,
                         sim::Nanos* out) {
    if (take(message, field, parse_duration(text), out) && *out == 0) {
      bad_value(message, field, {in_quotes(text) + " is no time at all", "more than 0"});
    }
  }
  // Nothing follows what happens at the end of a run.
  void before_the_end(const Message& message, std::string_view field, const std::string& text,
                      sim::Nanos time) {
    if (plan_.run_for == 0 || time < plan_.run_for) return;
    bad_value(message, field,
              {cat(in_quotes(text), " never comes: the run ends at ",
                   in_quotes(source_.message().run_for())),
               "less than run_for"});
  }
  void probability(const Message& message, std::string_view field, double value, uint32_t* out) {
    take(message, field, to_ppm(value), out);
  }
  void at_least_one(const Message& message, std::string_view field, uint64_t value) {
    if (value == 0) bad_value(message, field, {"0 is too few", "1 or more"});
  }

  // ---- Names

  std::vector<std::string> node_ids() const {
    std::vector<std::string> out;
    for (const sim::NodePlan& node : plan_.cluster.nodes) out.push_back(node.id);
    return out;
  }
  std::vector<std::string> store_ids() const {
    std::vector<std::string> out;
    for (const sim::StorePlan& store : plan_.stores) out.push_back(store.id);
    return out;
  }
  static bool contains(const std::vector<std::string>& words, const std::string& word) {
    return std::find(words.begin(), words.end(), word) != words.end();
  }

  void new_id(const Message& message, std::string_view field, const std::string& id,
              const std::vector<std::string>& taken) {
    if (!is_identifier(id)) {
      bad_value(message, field,
                {in_quotes(id) + " is no name", "1 to 32 letters, digits, - and _, as in \"n1\""});
    } else if (contains(taken, id)) {
      report(message, field, -1, Point::kValue, cat(in_quotes(id), " is taken"),
             cat("already there: ", join(taken)));
    }
  }
  bool known_store(const Message& message, std::string_view field, const std::string& id) {
    if (contains(store_ids(), id)) return true;
    report(message, field, -1, Point::kValue, cat("there is no store ", in_quotes(id)),
           suggestion(id, "stores", store_ids()));
    return false;
  }
  enum class Selectors { kNo, kYes };
  bool known_node(const Message& message, std::string_view field, int index, const std::string& id,
                  Selectors selectors) {
    const std::vector<std::string> ids = node_ids();
    if (contains(ids, id) || (selectors == Selectors::kYes && is_selector(id))) return true;
    report(message, field, index, Point::kValue, cat("there is no node ", in_quotes(id)),
           cat(suggestion(id, "nodes", ids),
               selectors == Selectors::kYes ? cat(", ", kSelectors) : std::string()));
    return false;
  }

  // ---- Parts

  void build_name(const qksim::Scenario& scenario) {
    plan_.name = scenario.name();
    if (!scenario.has_name()) {
      missing(scenario, "name", "it equals the file's name without .qks.txtpb");
      return;
    }
    std::string_view stem = source_.file();
    if (!stem.ends_with(kFileSuffix)) return;  // a copy under another name, as in a run directory
    stem.remove_suffix(kFileSuffix.size());
    stem = stem.substr(stem.rfind('/') + 1);
    if (scenario.name() != stem) {
      report(
          scenario, "name", -1, Point::kValue,
          cat("name ", in_quotes(scenario.name()), " differs from the file's, ", in_quotes(stem)),
          cat("rename the file, or write name: ", in_quotes(stem)));
    }
  }

  void build_store(const qksim::Scenario& scenario, int i) {
    const qksim::Store& store = scenario.store(i);
    sim::StorePlan out;
    out.id = store.id();
    if (store.has_id()) {
      new_id(store, "id", store.id(), store_ids());
    } else {
      missing(store, "id", "as in store { id: \"old\" local {} }");
    }
    const FieldDescriptor* const family = store.GetReflection()->GetOneofFieldDescriptor(
        store, store.GetDescriptor()->FindOneofByName("family"));
    if (family == nullptr) {
      report(scenario, "store", i, Point::kName, "store has no family",
             cat("families: ", join(family_names()), ", as in store { id: \"old\" local {} }"));
    } else {
      out.family = family->name();
      store_options(store.GetReflection()->GetMessage(store, family), &out.options);
    }
    plan_.stores.push_back(std::move(out));
  }

  static std::vector<std::string> family_names() {
    std::vector<std::string> names;
    const auto* const oneof = qksim::Store::descriptor()->FindOneofByName("family");
    for (int i = 0; i < oneof->field_count(); ++i) names.push_back(oneof->field(i)->name());
    return names;
  }

  // The options that the scenario gives, each under its field's name.
  void store_options(const Message& family, families::FamilyOptions* options) {
    for (int i = 0; i < family.GetDescriptor()->field_count(); ++i) {
      const FieldDescriptor& field = *family.GetDescriptor()->field(i);
      if (!family.GetReflection()->HasField(family, &field)) continue;
      (*options)[field.name()] = option_value(family, field);
    }
  }

  std::string option_value(const Message& family, const FieldDescriptor& field) {
    const google::protobuf::Reflection& reflection = *family.GetReflection();
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_BOOL:
        return reflection.GetBool(family, &field) ? "true" : "false";
      case FieldDescriptor::CPPTYPE_UINT32:
        return number_value(family, field, reflection.GetUInt32(family, &field));
      case FieldDescriptor::CPPTYPE_UINT64:
        return number_value(family, field, reflection.GetUInt64(family, &field));
      case FieldDescriptor::CPPTYPE_ENUM: {
        const auto& value = *reflection.GetEnum(family, &field);
        return value.options().HasExtension(qksim::option)
                   ? value.options().GetExtension(qksim::option)
                   : value.name();
      }
      case FieldDescriptor::CPPTYPE_STRING: {
        const std::string text = reflection.GetString(family, &field);
        if (!field.options().GetExtension(qksim::limits).size()) return text;
        uint64_t bytes = 0;
        if (!take(family, field.name(), parse_size(text), &bytes)) return text;
        return number_value(family, field, bytes);
      }
      default:
        QK_CHECK(false);  // no option is a message, a list or a fraction
    }
  }

  std::string number_value(const Message& family, const FieldDescriptor& field, uint64_t value) {
    const qksim::Limits& limits = field.options().GetExtension(qksim::limits);
    const uint64_t max = limits.has_max() ? limits.max() : std::numeric_limits<uint64_t>::max();
    const bool power = value != 0 && (value & (value - 1)) == 0;
    if (value < limits.min() || value > max || (limits.power_of_two() && !power)) {
      bad_value(family, field.name(),
                {cat(value, " is not allowed"),
                 cat(limits.power_of_two() ? "a power of two, " : "", limits.min(), " to ", max,
                     limits.size() ? " bytes" : "")});
    }
    return cat(value);
  }

  void build_cluster(const qksim::Scenario& scenario) {
    const qksim::Cluster& cluster = scenario.cluster();
    if (!scenario.has_cluster()) {
      missing(scenario, "cluster", "as in cluster { nodes: 3 default_store: \"old\" }");
      return;
    }
    sim::ClusterPlan& out = plan_.cluster;
    out.group = cluster.group();
    if (!is_identifier(cluster.group())) {
      bad_value(cluster, "group",
                {in_quotes(cluster.group()) + " is no group", "1 to 32 letters, digits, - and _"});
    }
    if (cluster.has_default_store()) known_store(cluster, "default_store", cluster.default_store());
    build_nodes(cluster);

    if (take(cluster, "election_timeout", parse_duration_range(cluster.election_timeout()),
             &out.election_timeout) &&
        out.election_timeout.low == 0) {
      bad_value(cluster, "election_timeout",
                {in_quotes(cluster.election_timeout()) + " starts at 0", "more than 0"});
    }
    positive_duration(cluster, "heartbeat", cluster.heartbeat(), &out.heartbeat);
    if (out.heartbeat >= out.election_timeout.low) {
      bad_value(cluster, "heartbeat",
                {in_quotes(cluster.heartbeat()) + " is not below the election timeout",
                 cat("less than the lower end of ", in_quotes(cluster.election_timeout()))});
    }
    const qksim::Link& link = cluster.link();
    if (cluster.has_link()) {
      take(link, "latency", parse_duration_range(link.latency()), &out.link.latency);
      probability(link, "loss", link.loss(), &out.link.loss_ppm);
      probability(link, "duplicate", link.duplicate(), &out.link.duplicate_ppm);
      probability(link, "reorder", link.reorder(), &out.link.reorder_ppm);
    }
    const qksim::Disk& disk = cluster.disk();
    if (cluster.has_disk()) {
      take(disk, "write_latency", parse_duration_range(disk.write_latency()),
           &out.disk.write_latency);
      take(disk, "sync_latency", parse_duration_range(disk.sync_latency()), &out.disk.sync_latency);
    }
    out.snapshot_every_entries = cluster.snapshot_every_entries();
    duration(cluster, "operator_restart_after", cluster.operator_restart_after(),
             &out.operator_restart_after);
  }

  void build_nodes(const qksim::Cluster& cluster) {
    const size_t count =
        cluster.has_nodes() ? cluster.nodes() : static_cast<size_t>(cluster.node_size());
    if (cluster.has_nodes() && cluster.node_size() > 0) {
      report(cluster, "nodes", -1, Point::kName, "nodes and node are both given",
             "nodes: N makes n1..nN; remove one of the two");
      return;
    }
    if (count == 0 || count > kMaxNodes) {
      if (cluster.has_nodes()) {
        bad_value(cluster, "nodes", {cat(count, " nodes"), cat("1 to ", kMaxNodes)});
      } else {
        missing(cluster, "node",
                cat("1 to ", kMaxNodes, ", as in nodes: 3 or node { id: \"n1\" }"));
      }
      return;
    }
    if (cluster.has_nodes() && !cluster.has_default_store()) {
      missing(cluster, "default_store", "nodes: N puts every node on it");
    }
    std::vector<std::string> peers;
    for (size_t i = 0; i < count; ++i) {
      sim::NodePlan out;
      out.peer = cat("127.0.0.1:", 8300 + i, ":0:0");
      out.store = cluster.default_store();
      if (cluster.has_nodes()) {
        out.id = cat("n", i + 1);
      } else {
        build_node(cluster, cluster.node(static_cast<int>(i)), peers, &out);
      }
      peers.push_back(out.peer);
      plan_.cluster.nodes.push_back(std::move(out));
    }
  }

  void build_node(const qksim::Cluster& cluster, const qksim::Node& node,
                  const std::vector<std::string>& peers, sim::NodePlan* out) {
    out->id = node.id();
    if (node.has_id()) {
      new_id(node, "id", node.id(), node_ids());
    } else {
      missing(node, "id", "as in node { id: \"n1\" }");
    }
    if (node.has_peer()) {
      const absl::StatusOr<std::string> peer = families::canonical_peer(node.peer());
      if (!peer.ok() || peer->empty()) {
        bad_value(node, "peer",
                  {in_quotes(node.peer()) + " is not a peer",
                   "ip:port, optionally with :index and :role, as in \"127.0.0.1:8300:0:0\""});
      } else {
        out->peer = *peer;
      }
    }
    if (contains(peers, out->peer)) {
      report(node, "peer", -1, Point::kValue, cat("peer ", in_quotes(out->peer), " is taken"),
             cat("already there: ", join(peers)));
    }
    if (node.has_store()) {
      out->store = node.store();
      known_store(node, "store", node.store());
    } else if (!cluster.has_default_store()) {
      missing(node, "store", cat("stores: ", join(store_ids()), "; or give default_store"));
    }
    build_place(node, out);
    if (!node.has_initial_dir() || !may_begin_with_tree(node, out->store)) return;
    absl::StatusOr<sim::DirectoryTree> tree = resolve_(node.initial_dir());
    if (tree.ok() && out->place && !out->place->parts.split()) {
      const families::PartPaths& parts = out->place->parts;
      for (const sim::DirectoryTree::Item& item : tree->items) {
        if (item.path == "log" || item.path == "raft_meta" || item.path == "snapshot" ||
            (item.path != parts.log && item.path != parts.raft_meta &&
             item.path != parts.snapshot)) {
          continue;
        }
        report(node, "initial_dir", -1, Point::kValue,
               cat("directory ", in_quotes(node.initial_dir()), " holds ", in_quotes(item.path),
                   ", which a URI of the node names, too"),
               "other names in the URIs");
        return;
      }
    }
    if (tree.ok() && tree->items.empty()) {
      report(node, "initial_dir", -1, Point::kValue,
             cat("directory ", in_quotes(node.initial_dir()), " is empty"),
             "a directory that a node left, or no initial_dir for a node that begins fresh");
    } else if (tree.ok()) {
      out->initial = *std::move(tree);
    } else {
      report(node, "initial_dir", -1, Point::kValue, std::string(to_std(tree.status().message())),
             "\"braft:CASE\", or a directory relative to the scenario file");
    }
  }

  void build_place(const qksim::Node& node, sim::NodePlan* out) {
    if (!node.has_log_uri() && !node.has_raft_meta_uri() && !node.has_snapshot_uri()) return;
    for (const auto& [field, given] : {std::pair("log_uri", node.has_log_uri()),
                                       std::pair("raft_meta_uri", node.has_raft_meta_uri()),
                                       std::pair("snapshot_uri", node.has_snapshot_uri())}) {
      if (given) continue;
      missing(node, field, "log_uri, raft_meta_uri and snapshot_uri go together");
      return;
    }
    const auto place =
        families::parse_triple({node.log_uri(), node.raft_meta_uri(), node.snapshot_uri()}, "/");
    if (!place.ok()) {
      report(node, "log_uri", -1, Point::kValue, std::string(to_std(place.status().message())),
             "as in log_uri: \"local:///data/log\" raft_meta_uri: \"local:///data/raft_meta\" "
             "snapshot_uri: \"local:///data/snapshot\"");
      return;
    }
    for (const std::string& path :
         {place->root, place->parts.log, place->parts.raft_meta, place->parts.snapshot}) {
      if (!contains_component(path, "..")) continue;
      report(node, "log_uri", -1, Point::kValue,
             cat(path, " has a component \"..\"; a simulated disk has no links to go back through"),
             "the directory's own path");
      return;
    }
    for (const sim::StorePlan& store : plan_.stores) {
      if (store.id != out->store || store.family.empty() || store.family == place->family) continue;
      report(node, "log_uri", -1, Point::kValue,
             cat("the URIs of node ", in_quotes(node.id()), " name family ", place->family,
                 ", but its store ", in_quotes(store.id), " is of family ", store.family),
             cat("expected ", store.family, "://..."));
      return;
    }
    out->place = *place;
  }

  // Another family would find a root without anything of its own, and make itself a fresh instance
  // beside braft's files.
  bool may_begin_with_tree(const qksim::Node& node, const std::string& store_id) {
    std::vector<std::string> readers;
    for (const std::string& family : family_names()) {
      if (qksim::Store::descriptor()->FindFieldByName(family)->options().GetExtension(
              qksim::braft_root)) {
        readers.push_back(family);
      }
    }
    for (const sim::StorePlan& store : plan_.stores) {
      // A store without a family is complained of at its own place.
      if (store.id != store_id || store.family.empty() || contains(readers, store.family)) continue;
      report(node, "initial_dir", -1, Point::kValue,
             cat("node ", in_quotes(node.id()), " begins with a braft directory, but its store ",
                 in_quotes(store.id), " is of family ", store.family),
             cat("expected a store of family ", join(readers), ", or no initial_dir"));
      return false;
    }
    return true;
  }

  void build_migration(const qksim::Migration& migration) {
    sim::MigrationPlan out;
    out.from = migration.from();
    out.to = migration.to();
    bool stores_known = true;
    for (const auto& [field, given, id] :
         {std::tuple("from", migration.has_from(), migration.from()),
          std::tuple("to", migration.has_to(), migration.to())}) {
      if (!given) missing(migration, field, cat("stores: ", join(store_ids())));
      stores_known = given && known_store(migration, field, id) && stores_known;
    }
    if (stores_known && out.from == out.to) {
      report(migration, "to", -1, Point::kValue,
             cat("the migration goes from ", in_quotes(out.from), " to itself"),
             cat("from and to differ; stores: ", join(store_ids())));
    }
    if (stores_known) migrate_nodes(migration, &out);
    duration(migration, "start", migration.start(), &out.start);
    before_the_end(migration, "start", migration.start(), out.start);
    duration(migration, "dual_write_for", migration.dual_write_for(), &out.dual_write_for);
    duration(migration, "soak", migration.soak(), &out.soak);
    switch (migration.on_validation_fail()) {
      case qksim::Migration::ROLLBACK:
        out.on_validation_fail = sim::MigrationPlan::OnFail::kRollback;
        break;
      case qksim::Migration::HALT:
        out.on_validation_fail = sim::MigrationPlan::OnFail::kHalt;
        break;
      case qksim::Migration::RETRY:
        out.on_validation_fail = sim::MigrationPlan::OnFail::kRetry;
        break;
    }
    out.max_retries = migration.max_retries();
    out.transfer_leadership_first = migration.transfer_leadership_first();

    constexpr std::string_view kFreshness =
        "both fresh_mutations and fresh_time are mandatory, as in "
        "fresh_mutations: 2000 fresh_time: \"2s\"";
    if (migration.has_fresh_mutations()) {
      out.fresh_mutations = migration.fresh_mutations();
      at_least_one(migration, "fresh_mutations", out.fresh_mutations);
    } else {
      missing(migration, "fresh_mutations", std::string(kFreshness));
    }
    if (migration.has_fresh_time()) {
      positive_duration(migration, "fresh_time", migration.fresh_time(), &out.fresh_time);
      constexpr sim::Nanos kShortest = sim::kInspectCut + sim::kLook;
      if (out.fresh_time > 0 && out.fresh_time < kShortest) {
        bad_value(migration, "fresh_time",
                  {cat(in_quotes(migration.fresh_time()),
                       " is over before the operator has looked at the validated cut, so that no "
                       "cut-over can succeed"),
                   cat("at least ", kShortest / sim::kMillisecond, "ms")});
      }
    } else {
      missing(migration, "fresh_time", std::string(kFreshness));
    }
    out.accept_weak_durability = migration.accept_weak_durability();
    out.allow_unavailability = migration.allow_unavailability();
    plan_.migrations.push_back(std::move(out));
  }

  // Which nodes the migration moves; each must be on its source by then, given the earlier ones.
  void migrate_nodes(const qksim::Migration& migration, sim::MigrationPlan* out) {
    if (store_of_.empty()) {
      for (const sim::NodePlan& node : plan_.cluster.nodes) store_of_[node.id] = node.store;
    }
    std::vector<std::string> moved;
    for (int i = 0; i < migration.node_size(); ++i) {
      const std::string& id = migration.node(i);
      if (!known_node(migration, "node", i, id, Selectors::kNo)) continue;
      if (contains(out->nodes, id)) {
        report(migration, "node", i, Point::kValue, cat("node ", in_quotes(id), " is given twice"),
               "each node once");
      } else if (store_of_[id] != out->from) {
        report(migration, "node", i, Point::kValue,
               cat("node ", in_quotes(id), " is on store ", in_quotes(store_of_[id]), ", not on ",
                   in_quotes(out->from)),
               "a migration moves nodes of its own source");
      }
      out->nodes.push_back(id);
    }
    moved = out->nodes;
    if (migration.node_size() == 0) {
      for (const auto& [id, store] : store_of_) {
        if (store == out->from) moved.push_back(id);
      }
    }
    if (moved.empty()) {
      report(migration, "from", -1, Point::kValue,
             cat("no node is on store ", in_quotes(out->from), " when this migration starts"),
             "give nodes that store, or remove the migration");
    }
    for (const sim::NodePlan& node : plan_.cluster.nodes) {
      if (!contains(moved, node.id) || !node.place || !node.place->parts.split()) continue;
      report(migration, "from", -1, Point::kValue,
             cat("node ", in_quotes(node.id),
                 " does not migrate: its log, raft_meta and snapshot do not lie in one directory, "
                 "and one fence must take all three from an older program"),
             "URIs of three directories in one, or a migration of other nodes (node: ...)");
    }
    for (const std::string& id : moved) {
      store_of_[id] = out->to;
      if (!contains(migrated_, id)) migrated_.push_back(id);
    }
  }

  void build_workload(const qksim::Workload& workload) {
    sim::WorkloadPlan& out = plan_.workload;
    out.clients = workload.clients();
    out.rate = workload.rate();
    out.keys = workload.keys();
    at_least_one(workload, "keys", out.keys);
    if (out.rate == 0 || out.rate > 100'000) {
      bad_value(workload, "rate", {cat(out.rate, " operations per second"), "1 to 100000"});
    }
    SizeRange size;
    if (take(workload, "value_size", parse_size_range(workload.value_size()), &size)) {
      constexpr uint64_t kMaxValue = 1 << 20;
      if (size.high > kMaxValue) {
        bad_value(workload, "value_size",
                  {in_quotes(workload.value_size()) + " is too large", "at most 1MiB"});
      }
      out.value_size_low = static_cast<uint32_t>(std::min(size.low, kMaxValue));
      out.value_size_high = static_cast<uint32_t>(std::min(size.high, kMaxValue));
    }
    probability(workload, "read_ratio", workload.read_ratio(), &out.read_ppm);
    probability(workload, "cas_ratio", workload.cas_ratio(), &out.cas_ppm);
    probability(workload, "counter_ratio", workload.counter_ratio(), &out.counter_ppm);
    if (uint64_t{out.read_ppm} + out.cas_ppm + out.counter_ppm > 1'000'000) {
      report(workload, "read_ratio", -1, Point::kName,
             "read_ratio, cas_ratio and counter_ratio add up to more than 1",
             "they are shares of all operations");
    }
  }

  void build_fault(const qksim::ScheduledFault& at) {
    sim::FaultPlan out;
    const Diagnostic place = source_.at(source_.message(), "at", index_of(at), Point::kName);
    out.where = place.line > 0 ? cat(place.file, ":", place.line) : place.file;
    if (!at.has_t()) {
      missing(at, "t", "when: \"22.8s\" or a trigger such as \"n1:DUAL+0.9s\"");
    } else if (take(at, "t", parse_trigger(at.t()), &out.at) && !out.at.node.empty()) {
      known_node(at, "t", -1, out.at.node, Selectors::kYes);
    }
    if (out.at.kind == sim::Trigger::Kind::kTime) before_the_end(at, "t", at.t(), out.at.time);
    if (at.has_for_()) {
      sim::Nanos length = 0;
      positive_duration(at, "for", at.for_(), &length);
      out.duration = length;
      if (!at.has_partition() && !at.has_disk()) {
        report(at, "for", -1, Point::kName, "for means nothing to this fault",
               "only partition and disk last; a crash has restart_after");
      }
    }
    switch (at.what_case()) {
      case qksim::ScheduledFault::kCrash:
        out.what = crash(at.crash());
        break;
      case qksim::ScheduledFault::kPartition:
        out.what = partition(at.partition());
        break;
      case qksim::ScheduledFault::kDisk:
        out.what = slow_disk(at.disk());
        break;
      case qksim::ScheduledFault::kLeaderTransfer:
        known_node(at, "leader_transfer", -1, at.leader_transfer(), Selectors::kYes);
        out.what = sim::TransferFault{at.leader_transfer()};
        break;
      case qksim::ScheduledFault::kHealAll:
        if (!at.heal_all()) {
          bad_value(at, "heal_all", {"false does nothing", "true, or no such fault"});
        }
        out.what = sim::HealFault{};
        break;
      case qksim::ScheduledFault::WHAT_NOT_SET:
        report(at, "t", -1, Point::kName, "the scheduled fault does nothing",
               "one of crash, partition, disk, leader_transfer, heal_all");
        break;
    }
    plan_.faults.push_back(std::move(out));
  }

  int index_of(const qksim::ScheduledFault& at) const {
    const auto& all = source_.message().at();
    for (int i = 0; i < all.size(); ++i) {
      if (&all[i] == &at) return i;
    }
    return 0;
  }

  sim::CrashFault crash(const qksim::Crash& crash) {
    sim::CrashFault out;
    out.node = crash.node();
    fault_node(crash, crash.has_node(), crash.node());
    duration(crash, "restart_after", crash.restart_after(), &out.restart_after);
    using Loss = sim::CrashFault::Loss;
    switch (crash.unsynced()) {
      case qksim::Crash::KEEP_SYNCED:
        out.loss = Loss::kKeepSynced;
        break;
      case qksim::Crash::KEEP_ALL:
        out.loss = Loss::kKeepAll;
        break;
      case qksim::Crash::RANDOM_SUBSET:
        out.loss = Loss::kRandomSubset;
        break;
      case qksim::Crash::TORN_TAIL:
        out.loss = Loss::kTornTail;
        break;
      case qksim::Crash::PROCESS:
        out.loss = Loss::kProcess;
        break;
    }
    return out;
  }

  sim::PartitionFault partition(const qksim::Partition& partition) {
    sim::PartitionFault out;
    out.asymmetric = partition.asymmetric();
    if (partition.side_size() == 0) {
      missing(partition, "side", "as in partition { side { node: \"n1\" } }");
    }
    std::vector<std::string> seen;
    for (const qksim::Side& side : partition.side()) {
      std::vector<std::string> nodes(side.node().begin(), side.node().end());
      if (nodes.empty()) missing(side, "node", cat("nodes: ", join(node_ids()), ", ", kSelectors));
      for (size_t i = 0; i < nodes.size(); ++i) {
        const int index = static_cast<int>(i);
        if (!known_node(side, "node", index, nodes[i], Selectors::kYes)) continue;
        if (contains(seen, nodes[i])) {
          report(side, "node", index, Point::kValue,
                 cat("node ", in_quotes(nodes[i]), " is in the partition twice"), "each node once");
        }
        seen.push_back(nodes[i]);
      }
      out.sides.push_back(std::move(nodes));
    }
    // One side is cut off from all others, and @follower is every node that no side names.
    const std::vector<std::string> ids = node_ids();
    const auto named = [&](const std::string& id) { return contains(seen, id); };
    if (partition.side_size() == 1 &&
        (named("@follower") || std::all_of(ids.begin(), ids.end(), named))) {
      report(partition, "side", 0, Point::kName, "the side holds every node",
             "a side that leaves somebody on the other");
    }
    return out;
  }

  sim::SlowDiskFault slow_disk(const qksim::DiskFault& disk) {
    sim::SlowDiskFault out;
    out.node = disk.node();
    fault_node(disk, disk.has_node(), disk.node());
    out.factor = disk.factor();
    if (!disk.has_factor()) {
      missing(disk, "factor", "times the normal latency, as in factor: 20");
    } else if (out.factor < 2 || out.factor > 1000) {
      bad_value(disk, "factor", {cat(out.factor, " times the latency"), "2 to 1000"});
    }
    return out;
  }

  void fault_node(const Message& fault, bool given, const std::string& node) {
    if (given) {
      known_node(fault, "node", -1, node, Selectors::kYes);
    } else {
      missing(fault, "node", cat("nodes: ", join(node_ids()), ", ", kSelectors));
    }
  }

  void build_random(const qksim::RandomFaults& random) {
    sim::RandomFaultPlan& out = plan_.random;
    if (random.has_mean_time_to_crash()) {
      positive_duration(random, "mean_time_to_crash", random.mean_time_to_crash(),
                        &out.mean_time_to_crash);
    }
    take(random, "restart_after", parse_duration_range(random.restart_after()), &out.restart_after);
    if (random.has_mean_time_to_partition()) {
      positive_duration(random, "mean_time_to_partition", random.mean_time_to_partition(),
                        &out.mean_time_to_partition);
    }
    take(random, "partition_for", parse_duration_range(random.partition_for()), &out.partition_for);
    out.max_concurrent_down = random.max_concurrent_down();
    at_least_one(random, "max_concurrent_down", out.max_concurrent_down);
    if (random.has_quiet_after()) {
      positive_duration(random, "quiet_after", random.quiet_after(), &out.quiet_after);
    }
  }

  void build_expect(const qksim::Expect& expect) {
    sim::ExpectPlan& out = plan_.expect;
    const bool violation = expect.verdict() == qksim::Expect::VIOLATION;
    out.verdict =
        violation ? sim::ExpectPlan::Verdict::kViolation : sim::ExpectPlan::Verdict::kPass;
    out.violates.assign(expect.violates().begin(), expect.violates().end());
    if (!violation && !out.violates.empty()) {
      report(expect, "violates", 0, Point::kName, "violates without verdict: VIOLATION",
             "a run that passes violates nothing");
    }
    std::vector<std::string> oracles;
    for (const sim::OracleInfo& oracle : sim::kOracles) oracles.emplace_back(oracle.id);
    if (violation && out.violates.empty()) {
      missing(expect, "violates",
              "which oracles the run must violate, as in "
              "verdict: VIOLATION violates: \"ora.L1\"");
    }
    for (int i = 0; i < expect.violates_size(); ++i) {
      const std::string& id = expect.violates(i);
      if (!contains(oracles, id)) {
        report(expect, "violates", i, Point::kValue, cat("there is no oracle ", in_quotes(id)),
               suggestion(id, "oracles", oracles));
      } else if (std::find(out.violates.begin(), out.violates.begin() + i, id) !=
                 out.violates.begin() + i) {
        report(expect, "violates", i, Point::kValue,
               cat("oracle ", in_quotes(id), " is given twice"), "each oracle once");
      }
    }
    out.migrated.assign(expect.migrated().begin(), expect.migrated().end());
    for (int i = 0; i < expect.migrated_size(); ++i) {
      const std::string& id = expect.migrated(i);
      if (!known_node(expect, "migrated", i, id, Selectors::kNo) || contains(migrated_, id))
        continue;
      report(expect, "migrated", i, Point::kValue, cat("no migration moves node ", in_quotes(id)),
             cat("moved: ", migrated_.empty() ? std::string("none") : join(migrated_)));
    }
    out.min_committed = expect.min_committed();
    out.unavailable_at_end = expect.unavailable_at_end();
    if (!expect.has_max_ack_gap()) return;
    sim::Nanos longest = 0;
    positive_duration(expect, "max_ack_gap", expect.max_ack_gap(), &longest);
    if (plan_.workload.clients == 0) {
      report(expect, "max_ack_gap", -1, Point::kName, "max_ack_gap without clients",
             "workload { clients: N } with N of at least 1");
    }
    out.max_ack_gap = longest;
  }

  ParsedSource& source_;
  const TreeResolver& resolve_;
  std::vector<Diagnostic>* diagnostics_;
  sim::Plan plan_;
  std::map<std::string, std::string> store_of_;  // after the migrations so far
  std::vector<std::string> migrated_;
};

}  // namespace

sim::Plan build_plan(ParsedSource& source, const TreeResolver& resolve,
                     std::vector<Diagnostic>* diagnostics) {
  return Builder(source, resolve, diagnostics).build();
}

}  // namespace qk::scenarios
