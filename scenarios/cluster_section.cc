#include "families/base/strings.h"
#include "families/base/suggest.h"
#include "scenarios/sections.h"
#include "scenarios/values.h"

namespace qk::scenarios {
namespace {

sim::JournalOptions journal_of(qksim::Disk::Journal journal) {
  using Kind = sim::JournalOptions::Kind;
  switch (journal) {
    case qksim::Disk::EXT4:
      return {};
    case qksim::Disk::EXT4_NOAUTO:
      return {.auto_da_alloc = false};
    case qksim::Disk::EXT4_ORDERED:
      return {.ordered_growth = true};
    case qksim::Disk::XFS:
      return {.kind = Kind::kXfs};
    case qksim::Disk::BTRFS:
      return {.kind = Kind::kBtrfs};
  }
  QK_CHECK(false);
}

}  // namespace

void build_cluster(Draft& draft) {
  const qksim::Scenario& scenario = draft.scenario();
  const qksim::Cluster& cluster = scenario.cluster();
  if (!scenario.has_cluster()) {
    draft.missing(scenario, "cluster", "as in cluster { nodes: 3 default_store: \"old\" }");
    return;
  }
  sim::ClusterPlan& out = draft.plan.cluster;
  out.group = cluster.group();
  if (!is_identifier(cluster.group())) {
    draft.bad_value(
        cluster, "group",
        {in_quotes(cluster.group()) + " is not a valid group", "1 to 32 letters, digits, - and _"});
  }
  if (cluster.has_default_store())
    draft.known_store(cluster, "default_store", cluster.default_store());
  build_nodes(draft, cluster);

  if (draft.take(cluster, "election_timeout", parse_duration_range(cluster.election_timeout()),
                 &out.election_timeout) &&
      out.election_timeout.low == 0) {
    draft.bad_value(cluster, "election_timeout",
                    {in_quotes(cluster.election_timeout()) + " starts at 0", "more than 0"});
  }
  draft.positive_duration(cluster, "heartbeat", cluster.heartbeat(), &out.heartbeat);
  if (out.heartbeat >= out.election_timeout.low) {
    draft.bad_value(cluster, "heartbeat",
                    {in_quotes(cluster.heartbeat()) + " is not below the election timeout",
                     cat("less than the lower end of ", in_quotes(cluster.election_timeout()))});
  }
  // What is absent has the schema's defaults, which are legal.
  const qksim::Link& link = cluster.link();
  draft.take(link, "latency", parse_duration_range(link.latency()), &out.link.latency);
  draft.probability(link, "loss", link.loss(), &out.link.loss_ppm);
  draft.probability(link, "duplicate", link.duplicate(), &out.link.duplicate_ppm);
  draft.probability(link, "reorder", link.reorder(), &out.link.reorder_ppm);
  draft.probability(link, "late", link.late(), &out.link.late_ppm);
  if (link.has_late() != link.has_late_by()) {
    draft.missing(link, link.has_late() ? "late_by" : "late",
                  "both or none, as in late: 0.002 late_by: \"100ms..1s\"");
  } else if (link.has_late_by()) {
    draft.take(link, "late_by", parse_duration_range(link.late_by()), &out.link.late_by);
  }
  const qksim::Disk& disk = cluster.disk();
  draft.take(disk, "write_latency", parse_duration_range(disk.write_latency()),
             &out.disk.write_latency);
  draft.take(disk, "sync_latency", parse_duration_range(disk.sync_latency()),
             &out.disk.sync_latency);
  out.disk.journal = journal_of(disk.journal());
  out.snapshot_every_entries = cluster.snapshot_every_entries();
  if (cluster.has_entries_per_append()) {
    out.entries_per_append = cluster.entries_per_append();
    if (out.entries_per_append == 0) {
      draft.bad_value(cluster, "entries_per_append", {"no entry can be sent", "1 or more"});
    }
  }
  draft.duration(cluster, "operator_restart_after", cluster.operator_restart_after(),
                 &out.operator_restart_after);
}

}  // namespace qk::scenarios
