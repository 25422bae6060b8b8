#include <map>

#include "families/base/strings.h"
#include "families/base/suggest.h"
#include "scenarios/sections.h"

namespace qk::scenarios {
namespace {

// Which nodes the migration moves; each must be on its source by then, given the earlier ones.
void migrate_nodes(Draft& draft, const qksim::Migration& migration, sim::MigrationPlan* out) {
  if (draft.store_of.empty()) {
    for (const sim::NodePlan& node : draft.plan.cluster.nodes) draft.store_of[node.id] = node.store;
  }
  std::vector<std::string> moved;
  for (int i = 0; i < migration.node_size(); ++i) {
    const std::string& id = migration.node(i);
    if (!draft.known_node(migration, "node", i, id, Draft::Selectors::kNo)) continue;
    if (contains(out->nodes, id)) {
      draft.report(migration, "node", i, Draft::Point::kValue,
                   cat("node ", in_quotes(id), " is given twice"), "each node once");
    } else if (draft.store_of[id] != out->from) {
      draft.report(migration, "node", i, Draft::Point::kValue,
                   cat("node ", in_quotes(id), " is on store ", in_quotes(draft.store_of[id]),
                       ", not on ", in_quotes(out->from)),
                   "a migration moves nodes of its own source");
    }
    out->nodes.push_back(id);
  }
  moved = out->nodes;
  if (migration.node_size() == 0) {
    for (const auto& [id, store] : draft.store_of) {
      if (store == out->from) moved.push_back(id);
    }
  }
  if (moved.empty()) {
    draft.report(migration, "from", -1, Draft::Point::kValue,
                 cat("no node is on store ", in_quotes(out->from), " when this migration starts"),
                 "give nodes that store, or remove the migration");
  }
  for (const sim::NodePlan& node : draft.plan.cluster.nodes) {
    if (!contains(moved, node.id) || !node.place || !node.place->parts.split()) continue;
    draft.report(migration, "from", -1, Draft::Point::kValue,
                 cat("node ", in_quotes(node.id),
                     " cannot migrate: its log, raft_meta and snapshot are not in one directory, "
                     "and a migration puts its fence in the place of one directory"),
                 "URIs of three directories in one, or a migration of other nodes (node: ...)");
  }
  for (const std::string& id : moved) {
    draft.store_of[id] = out->to;
    if (!contains(draft.moved, id)) draft.moved.push_back(id);
  }
}

void build_migration(Draft& draft, const qksim::Migration& migration) {
  sim::MigrationPlan out;
  out.from = migration.from();
  out.to = migration.to();
  bool stores_known = true;
  for (const auto& [field, given, id] : {std::tuple("from", migration.has_from(), migration.from()),
                                         std::tuple("to", migration.has_to(), migration.to())}) {
    if (!given) draft.missing(migration, field, cat("stores: ", join(draft.store_ids())));
    stores_known = given && draft.known_store(migration, field, id) && stores_known;
  }
  if (stores_known && out.from == out.to) {
    draft.report(migration, "to", -1, Draft::Point::kValue,
                 cat("the migration goes from ", in_quotes(out.from), " to itself"),
                 cat("from and to differ; stores: ", join(draft.store_ids())));
  }
  if (stores_known) migrate_nodes(draft, migration, &out);
  draft.duration(migration, "start", migration.start(), &out.start);
  draft.before_the_end(migration, "start", migration.start(), out.start);
  draft.duration(migration, "dual_write_for", migration.dual_write_for(), &out.dual_write_for);
  draft.duration(migration, "soak", migration.soak(), &out.soak);
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
    draft.at_least_one(migration, "fresh_mutations", out.fresh_mutations);
  } else {
    draft.missing(migration, "fresh_mutations", std::string(kFreshness));
  }
  if (migration.has_fresh_time()) {
    draft.positive_duration(migration, "fresh_time", migration.fresh_time(), &out.fresh_time);
    constexpr sim::Nanos kShortest = sim::kInspectCut + sim::kLook;
    if (out.fresh_time > 0 && out.fresh_time < kShortest) {
      draft.bad_value(migration, "fresh_time",
                      {cat(in_quotes(migration.fresh_time()),
                           " is shorter than the operator's look at the validated cut, so that no "
                           "cut-over can succeed"),
                       cat("at least ", kShortest / sim::kMillisecond, "ms")});
    }
  } else {
    draft.missing(migration, "fresh_time", std::string(kFreshness));
  }
  out.accept_weak_durability = migration.accept_weak_durability();
  out.allow_unavailability = migration.allow_unavailability();
  draft.plan.migrations.push_back(std::move(out));
}

}  // namespace

void build_migrations(Draft& draft) {
  for (const qksim::Migration& migration : draft.scenario().migration()) {
    build_migration(draft, migration);
  }
}

}  // namespace qk::scenarios
