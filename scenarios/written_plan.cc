#include "scenarios/written_plan.h"

#include <google/protobuf/text_format.h>

#include "families/base/check.h"
#include "scenarios/effective.h"
#include "scenarios/values.h"

namespace qk::scenarios {
namespace {

qksim::Crash::Loss written(sim::CrashLoss loss) {
  switch (loss) {
    case sim::CrashLoss::kProcess:
      return qksim::Crash::PROCESS;
    case sim::CrashLoss::kKeepSynced:
      return qksim::Crash::KEEP_SYNCED;
    case sim::CrashLoss::kKeepAll:
      return qksim::Crash::KEEP_ALL;
    case sim::CrashLoss::kRandomSubset:
      return qksim::Crash::RANDOM_SUBSET;
    case sim::CrashLoss::kTornTail:
      return qksim::Crash::TORN_TAIL;
  }
  QK_CHECK(false);
}

template <typename Operation>  // Kept or Executing
void write_key(const sim::OperationKey& key, Operation* out) {
  out->set_file(key.file);
  out->set_op(static_cast<qksim::DiskOperation>(key.kind));
  out->set_ordinal(key.ordinal);
}

void write(const sim::Decision& decision, qksim::Decided* out) {
  qksim::Kept* last = nullptr;
  sim::OperationKey next;  // that would continue `last`
  sim::Fate fate;
  for (const auto& [key, kept] : decision.kept) {
    if (last != nullptr && key == next && kept == fate) {
      last->set_count(last->count() + 1);
    } else {
      last = out->add_kept();
      write_key(key, last);
      last->set_count(1);
      if (kept.kind == sim::Fate::Kind::kTorn) {
        if (key.kind == sim::PendingOperation::Kind::kWrite) {
          last->set_sectors(kept.sectors);
        } else {
          last->set_part(kept.sectors);
        }
      }
      if (kept.kind == sim::Fate::Kind::kGarbage) last->set_garbage(true);
    }
    fate = kept;
    next = key;
    ++next.ordinal;
  }
  if (!decision.executing) return;
  write_key(*decision.executing, out->mutable_executing());
  out->mutable_executing()->set_part(decision.picked);
}

void write(const sim::CrashFault& crash, qksim::ScheduledFault* out) {
  qksim::Crash* written_crash = out->mutable_crash();
  written_crash->set_node(crash.node);
  written_crash->set_restart_after(duration_text(crash.restart_after));
  written_crash->set_unsynced(written(crash.loss));
  if (crash.level != sim::CrashLevel::kP2 && crash.loss != sim::CrashLoss::kProcess) {
    written_crash->set_level(crash.level == sim::CrashLevel::kP1 ? qksim::Crash::P1
                                                                 : qksim::Crash::P2X);
  }
  if (crash.decided) write(*crash.decided, written_crash->mutable_decided());
}
void write(const sim::PartitionFault& partition, qksim::ScheduledFault* out) {
  for (const std::vector<std::string>& side : partition.sides) {
    qksim::Side* written_side = out->mutable_partition()->add_side();
    for (const std::string& node : side) written_side->add_node(node);
  }
  out->mutable_partition()->set_asymmetric(partition.asymmetric);
}
void write(const sim::SlowDiskFault& slow, qksim::ScheduledFault* out) {
  out->mutable_disk()->set_node(slow.node);
  out->mutable_disk()->set_factor(slow.factor);
}
void write(const sim::DiskErrorFault& error, qksim::ScheduledFault* out) {
  qksim::DiskFault* disk = out->mutable_disk();
  disk->set_node(error.node);
  const sim::DiskFault& fault = error.fault;
  disk->set_operation(static_cast<qksim::DiskFault::Operation>(fault.access));
  if (!fault.path.empty()) disk->set_path(fault.path);
  if (sim::is_at_rest(fault.kind)) {
    disk->clear_operation();
    if (fault.offset) disk->set_offset(*fault.offset);
    if (fault.kind == sim::DiskFaultKind::kBadSector)
      return disk->set_kind(qksim::DiskFault::BAD_SECTOR);
    disk->set_kind(qksim::DiskFault::BIT_FLIP);
    disk->set_sector(static_cast<qksim::DiskFault::Sector>(fault.damage));
    if (fault.mask != 0) disk->set_mask(fault.mask);
    return;
  }
  disk->set_nth(static_cast<uint32_t>(fault.nth));
  if (fault.times > 0) disk->set_times(static_cast<uint32_t>(fault.times));
  switch (fault.kind) {
    case sim::DiskFaultKind::kIoError:
      disk->set_kind(qksim::DiskFault::IO_ERROR);
      if (fault.evict_after) disk->set_evict_after(duration_text(*fault.evict_after));
      if (fault.reverts) disk->set_reverts(true);
      break;
    case sim::DiskFaultKind::kDiskFull:
      disk->set_kind(qksim::DiskFault::DISK_FULL);
      disk->set_free(cat(fault.free, "B"));
      break;
    case sim::DiskFaultKind::kStall:
      disk->set_kind(qksim::DiskFault::STALL);
      disk->set_stall(duration_text(fault.stall));
      return;
    case sim::DiskFaultKind::kLostWrite:
    case sim::DiskFaultKind::kMisdirected:
      disk->set_kind(fault.kind == sim::DiskFaultKind::kLostWrite ? qksim::DiskFault::LOST_WRITE
                                                                  : qksim::DiskFault::MISDIRECTED);
      disk->set_operation(qksim::DiskFault::WRITE);
      if (fault.evicted) disk->set_evicted(true);
      if (!fault.to.empty()) disk->set_to(fault.to);
      if (fault.offset) disk->set_offset(*fault.offset);
      return;
    case sim::DiskFaultKind::kFsyncLie:
      disk->set_kind(qksim::DiskFault::FSYNC_LIE);
      disk->set_operation(qksim::DiskFault::SYNC);
      return;
    case sim::DiskFaultKind::kBitFlip:
    case sim::DiskFaultKind::kBadSector:
      QK_CHECK(false);  // at rest: above
  }
  disk->set_applied(static_cast<qksim::DiskFault::Applied>(fault.applied));
}
void write(const sim::TransferFault& transfer, qksim::ScheduledFault* out) {
  out->set_leader_transfer(transfer.node);
}
void write(const sim::HealFault&, qksim::ScheduledFault* out) { out->set_heal_all(true); }
void write(const sim::RollbackFault& rollback, qksim::ScheduledFault* out) {
  out->set_rollback(rollback.node);
}

qksim::Scenario parsed_plan(const std::string& text) {
  qksim::Scenario scenario;
  QK_CHECK(google::protobuf::TextFormat::ParseFromString(text, &scenario));
  return scenario;
}

std::string text_of_plan(const qksim::Scenario& scenario) {
  return written_plan_head() + effective_text(scenario, "/").substr(kScenarioHead.size());
}

}  // namespace

std::string written_plan_head() {
  return cat(kScenarioHead,
             "#\n# Written by qksim: every fault with its time and target, every crash with what "
             "it left.\n");
}

std::string written_plan(std::string_view effective, std::string_view name, const sim::Plan& plan,
                         const std::vector<sim::FaultPlan>& injected) {
  qksim::Scenario scenario = parsed_plan(std::string(effective));
  scenario.set_name(std::string(name));
  scenario.set_seed(plan.seed);
  if (!plan.planted.empty()) scenario.set_planted(plan.planted);
  if (plan.until) scenario.set_until(duration_text(*plan.until));
  scenario.clear_random();
  scenario.clear_at();
  for (const sim::FaultPlan& fault : injected) {
    qksim::ScheduledFault* at = scenario.add_at();
    at->set_t(fault.at.text);
    if (fault.drawn) at->set_drawn(true);
    if (fault.duration) at->set_for_(duration_text(*fault.duration));
    std::visit([&](const auto& what) { write(what, at); }, fault.what);
  }
  fill_defaults(&scenario);
  return text_of_plan(scenario);
}

std::string renamed(const std::string& written, const std::string& name) {
  qksim::Scenario scenario = parsed_plan(written);
  scenario.set_name(name);
  return text_of_plan(scenario);
}

std::string expecting_violations(const std::string& written,
                                 const std::vector<std::string>& oracles) {
  qksim::Scenario scenario = parsed_plan(written);
  scenario.clear_expect();
  scenario.clear_tag();
  scenario.mutable_expect()->set_verdict(qksim::Expect::VIOLATION);
  for (const std::string& oracle : oracles) scenario.mutable_expect()->add_violates(oracle);
  return text_of_plan(scenario);
}

}  // namespace qk::scenarios
