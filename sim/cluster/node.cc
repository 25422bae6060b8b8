#include "sim/cluster/node.h"

#include <algorithm>

#include "families/fs/file_util.h"
#include "sim/cluster/process.h"
#include "sim/disk/sync_dropping.h"

namespace qk::sim {
namespace {

using migration::Manifest;
using migration::Phase;

constexpr int64_t kStepEntries = 48;

DiskOptions disk_options(const DiskPlan& plan) {
  DiskOptions options;
  options.latency.write_low = plan.write_latency.low;
  options.latency.write_high = plan.write_latency.high;
  options.latency.sync_low = plan.sync_latency.low;
  options.latency.sync_high = plan.sync_latency.high;
  return options;
}

const StorePlan& store_of(const Plan& plan, std::string_view id) {
  const auto it = std::find_if(plan.stores.begin(), plan.stores.end(),
                               [&](const StorePlan& store) { return store.id == id; });
  QK_CHECK(it != plan.stores.end());
  return *it;
}

}  // namespace

SimNode::SimNode(const World& world, NodeId id, const NodePlan& plan)
    : world_(world),
      id_(id),
      plan_(&plan),
      disk_(disk_options(world.plan->cluster.disk), world.stream(cat("disk.", plan.id))),
      memory_(world.stream(cat("memory.", plan.id)).next()),
      registry_(world.registry_of(&memory_)),
      cold_registry_(world.registry_of(&no_memory_)),
      election_random_(world.stream(cat("election.", plan.id))),
      id_random_(world.stream(cat("ids.", plan.id))),
      probe_random_(world.stream(cat("probe.", plan.id))) {
  const StorePlan& store = store_of(*world_.plan, plan.store);
  manifest_.a.family = store.family;
  manifest_.a.root = plan.place ? plan.place->root : families::join_path(kNodeDir, store.family);
  manifest_.a.options = store.options;
  initial_ = {manifest_.a.family, manifest_.a.root, manifest_.a.options,
              plan.place ? plan.place->parts : families::PartPaths()};
  install_initial_tree();
}

SimNode::~SimNode() { process_.reset(); }

families::OpenRequest SimNode::open_request(migration::Side side, families::FileSystem* fs) const {
  const migration::Instance& instance = manifest_.side(side);
  families::OpenRequest request;
  request.fs = fs;
  request.root = instance.root;
  request.options = instance.options;
  if (request.root == initial_.root) request.parts = initial_.parts;
  return request;
}

// Where a file of the initial tree, "log/x", lies for a node with parts of its own.
std::string SimNode::place_of(const std::string& path) const {
  const families::PartPaths parts = plan_->place ? plan_->place->parts : families::PartPaths{};
  const size_t slash = std::min(path.find('/'), path.size());
  const std::string first = path.substr(0, slash);
  std::string part = first == "log"         ? parts.log
                     : first == "raft_meta" ? parts.raft_meta
                     : first == "snapshot"  ? parts.snapshot
                                            : first;
  if (!part.starts_with('/')) part = families::join_path(manifest_.a.root, part);
  return part + path.substr(slash);
}

// The disk that the machine is delivered with: everything on it is durable.
void SimNode::install_initial_tree() {
  const auto fs = disk_.mount();
  const auto install = [&]() -> absl::Status {
    QK_RETURN_IF_ERROR(fs->mkdir(kNodeDir));
    const auto make = [&](const std::string& path) {
      return plan_->place ? families::make_directories(*fs, path) : fs->mkdir(path);
    };
    if (plan_->place || plan_->initial) QK_RETURN_IF_ERROR(make(manifest_.a.root));
    if (plan_->initial) {
      for (const DirectoryTree::Item& item : plan_->initial->items) {
        const std::string path = place_of(item.path);
        if (item.directory) {
          QK_RETURN_IF_ERROR(make(path));
        } else {
          QK_RETURN_IF_ERROR(families::write_file(*fs, path, item.bytes));
        }
      }
    }
    QK_RETURN_IF_ERROR(families::sync_tree(*fs, plan_->place ? "/" : kNodeDir));
    return fs->sync_dir("/", families::SyncKind::kFull);
  };
  const absl::Status installed = install();
  QK_CHECK(installed.ok());
}

migration::Controller* SimNode::controller() const {
  return process_ == nullptr ? nullptr : &process_->runner->controller();
}

raft::Node* SimNode::raft() const { return process_ == nullptr ? nullptr : process_->node.get(); }

bool SimNode::leads() const { return up() && raft()->role() == raft::Role::kLeader; }

PhaseCode SimNode::phase_code() const { return code_of(phase_); }

bool SimNode::migrating() const { return phase_ > Phase::kIdle && phase_ < Phase::kAccepted; }

// ---------------------------------------------------------------------------------------- process

void SimNode::boot_first() {
  // The clock starts after the delivery of the disk.
  start_process();
}

void SimNode::start_process() {
  ++life_;
  world_.checker->starting(id_ - 1);
  stopping_ = false;
  blocked_ = false;
  waiting_.clear();
  disk_.set_now(world_.scheduler->now());
  fs_ = disk_.mount();
  if (world_.plan->planted == PlantedBug::kVoteNotSynced) {
    fs_ = std::make_unique<SyncDroppingFileSystem>(std::move(fs_), [](std::string_view path) {
      return path.find("/raft_meta") != std::string_view::npos;
    });
  }
  open_families();
}

void SimNode::open_families() {
  // What a reader of the disk finds before anything is repaired.
  migration::ManifestStore store(fs_.get(), families::join_path(kNodeDir, "migration"));
  const auto found = store.load();
  if (found.ok() && *found) {
    world_.checker->phase_resumed(id_ - 1, record_of(**found));
    if (is_dual((*found)->phase)) {
      SimDisk copy = disk_.fork();
      const auto copy_fs = copy.mount();
      std::optional<families::HardState> hard_states[2];
      for (const migration::Side side : {migration::Side::kA, migration::Side::kB}) {
        const migration::Instance& instance = (*found)->side(side);
        families::OpenRequest request = open_request(side, copy_fs.get());
        request.root = instance.root;
        request.options = instance.options;
        const auto family = families::open_family(registry_, instance.family, request);
        if (family.ok()) {
          hard_states[static_cast<int>(side)] = (*family)->meta().hard_state();
        } else if (!is_volatile(instance)) {
          world_.checker->unreadable(id_ - 1, family.status());
        }
      }
      if (hard_states[0] && hard_states[1]) {
        world_.checker->dual_opened(id_ - 1, *hard_states[0], *hard_states[1]);
      }
    }
  }

  // Without its authority no node starts, nor with an old family gone after the cut-over.
  const Manifest& on_disk = found.ok() && *found ? **found : manifest_;
  needs_lost_memory_ =
      memory_lost_ && (is_volatile(on_disk.side(on_disk.authoritative)) ||
                       (on_disk.phase == Phase::kCutOver && is_volatile(on_disk.a)));

  migration::ControllerOptions options;
  options.fs = fs_.get();
  options.registry = &registry_;
  options.node_dir = kNodeDir;
  options.group_id = world_.plan->cluster.group;
  options.peer_id = plan_->peer;
  options.initial = initial_;
  options.create = !created_ && !plan_->initial;
  options.now = [this] { return world_.scheduler->now(); };
  // Storage calls end when the disk says.
  options.storage_clock = [this] { return std::max(disk_.busy_until(), world_.scheduler->now()); };
  options.random = [this] { return id_random_.next(); };
  options.step_entries = kStepEntries;
  options.planted_mirror_deferred = world_.plan->planted == PlantedBug::kAckBeforeMirror;
  options.planted_marker_first = world_.plan->planted == PlantedBug::kImportMarkerFirst;
  auto opened = migration::Runner::open(std::move(options), this, this);
  if (!opened.ok()) return report_start_failure(opened.status());

  process_ = std::make_unique<Process>(*this, world_);
  process_->runner = std::move(*opened);
  adopt(controller()->manifest());

  // What the start wrote must be on the disk before the node speaks; until then it owes nothing
  // new.
  touch_disk();
  after_storage([this] { go_live(); });
}

void SimNode::adopt(const Manifest& manifest) {
  manifest_ = manifest;
  phase_ = manifest.phase;
  authority_ = manifest.authoritative;
  if (phase_ == Phase::kAccepted) accepted_migration_ = begun_migration_;
}

const std::string& SimNode::store() const {
  return accepted_migration_ ? world_.plan->migrations[*accepted_migration_].to : plan_->store;
}

// The oracles see what the start has made of the disk; false if it cannot be read.
bool SimNode::judge_start() {
  const auto state = read_state(controller()->driver().authority());
  if (!state.ok()) {
    report_start_failure(state.status());
    return false;
  }
  if (!created_) {
    world_.checker->seed(id_ - 1, *state);
    created_ = true;
  } else {
    world_.checker->recovered(id_ - 1, Standing::kAuthority, *state);
    if (is_dual(phase_)) {
      const migration::Side mirror =
          authority_ == migration::Side::kA ? migration::Side::kB : migration::Side::kA;
      const auto other = read_state(*controller()->family(mirror));
      if (!other.ok()) {
        report_start_failure(other.status());
        return false;
      }
      world_.checker->recovered(id_ - 1, Standing::kMirror, *other);
    }
  }
  return true;
}

void SimNode::go_live() {
  if (!judge_start()) return;
  memory_lost_ = false;
  // The trace shows the phase that the node starts in, after those that the start went through.
  process_->runner->start();
  record_phase(code_of(phase_), manifest_, "");
  process_->start_node();
  const absl::Status started = process_->node->start();
  touch_disk();
  if (!started.ok()) return report_start_failure(started);
  world_.network->set_node_up(id_, true);
  world_.network->attach(id_, [this](NodeId from, const NetMessage& message) {
    deliver(world_.plan->cluster.nodes[from - 1].peer, message);
  });
  process_->runner->pump();
}

// A refusal to start is itself a finding: after a crash recovery must succeed (no family of this
// build declares refusals that the simulated levels produce), and after any other end even more so.
// A volatile family whose machine crashed must refuse: that the node stays down is what A-11 asks.
void SimNode::report_start_failure(const absl::Status& status) {
  if (needs_lost_memory_ && absl::IsNotFound(status)) {
    world_.checker->lost(id_ - 1, to_std(status.message()));
  } else {
    world_.checker->start_failed(id_ - 1, to_std(status.message()));
  }
  Event event{.node = id_, .kind = EventKind::kNodeStop};
  event.args = {static_cast<uint64_t>(status.code())};
  world_.trace->record(event, to_std(status.message()));
  ++life_;
  process_.reset();
  lose_memory();
}

bool SimNode::is_volatile(const migration::Instance& instance) const {
  const families::FamilyDescriptor* family = registry_.find(instance.family);
  return family != nullptr && family->volatility == families::Volatility::kVolatile;
}

void SimNode::lose_memory() {
  memory_.lose();
  memory_lost_ = true;
}

void SimNode::crash(CrashLoss loss, Nanos restart_after, bool scheduled) {
  if (!running()) return;
  begin_to_stop();
  world_.checker->explain_stop(id_ - 1, StopReason::kCrash, scheduled ? "scheduled" : "drawn");
  // An event of its own: the process may be on the call stack right now.
  world_.scheduler->after(0, [this, loss, restart_after, scheduled] {
    RandomStream random = world_.stream(cat("choice.", name(), ".", ++choices_));
    std::unique_ptr<Choice> choice;
    switch (loss) {
      case CrashLoss::kProcess:
      case CrashLoss::kRandomSubset:
        choice = std::make_unique<Sampled>(random);
        break;
      case CrashLoss::kKeepSynced:
        choice = std::make_unique<DropAll>();
        break;
      case CrashLoss::kKeepAll:
        choice = std::make_unique<KeepAll>();
        break;
      case CrashLoss::kTornTail:
        choice = std::make_unique<TornTail>();
        break;
    }
    const CrashLevel level = loss == CrashLoss::kProcess ? CrashLevel::kP0 : CrashLevel::kP2;
    disk_.set_now(world_.scheduler->now());
    const CrashReport report = disk_.crash(level, world_.scheduler->now(), *choice);
    Event crashed{.node = id_, .kind = EventKind::kFaultCrash};
    crashed.args = {static_cast<uint64_t>(loss), scheduled, report.dropped + report.torn};
    world_.trace->record(crashed, report.text);
    Event survived{.node = id_, .kind = EventKind::kDiskCrash};
    survived.args = {report.pending, report.kept, report.dropped + report.torn, disk_.image_hash()};
    world_.trace->record(survived);
    lose_memory();
    stop_process(restart_after, scheduled, "");
    judge_import();
  });
}

void SimNode::planned_restart(Nanos down_for) {
  if (!up()) return;
  begin_to_stop();
  world_.checker->explain_stop(id_ - 1, StopReason::kOperator, "planned restart");
  world_.scheduler->after(0, [this, down_for] {
    Event event{.node = id_, .kind = EventKind::kNodeStop};
    world_.trace->record(event);
    // Everything issued runs to its end: the process leaves when its last operation has returned.
    const Nanos quiet = std::max(disk_.busy_until(), world_.scheduler->now());
    stop_process(quiet - world_.scheduler->now() + down_for, true, "");
  });
}

void SimNode::begin_to_stop() {
  stopping_ = true;
  process_->runner->stop();
}

void SimNode::stop_process(Nanos restart_after, bool scheduled, std::string_view error) {
  ++life_;
  world_.checker->stopped(id_ - 1, error);
  world_.network->set_node_up(id_, false);
  world_.network->attach(id_, {});
  process_.reset();
  schedule_start(restart_after, scheduled);
}

void SimNode::schedule_start(Nanos after, bool scheduled) {
  world_.scheduler->after(after, [this, scheduled] {
    Event event{.node = id_, .kind = EventKind::kFaultRestart};
    event.args = {scheduled};
    world_.trace->record(event);
    start_process();
  });
}

// ---------------------------------------------------------------------------------------- storage

void SimNode::after_storage(std::function<void()> then) {
  const Nanos at = std::max(disk_.busy_until(), world_.scheduler->now());
  world_.scheduler->at(at, [this, life = life_, then = std::move(then)] {
    if (life != life_) return;
    disk_.set_now(world_.scheduler->now());
    then();
  });
}

void SimNode::touch_disk() {
  world_.events->disk_advanced(*this);
  if (process_ != nullptr) process_->runner->pump();
}

void SimNode::when_free(std::function<void()> fn) {
  if (blocked_) {
    waiting_.push_back(std::move(fn));
    return;
  }
  disk_.set_now(world_.scheduler->now());
  fn();
}

void SimNode::slow_disk(uint32_t factor) {
  slow_factor_ = factor;
  disk_.set_slow_factor(factor);
  Event event{.node = id_, .kind = EventKind::kFaultSlowDisk};
  event.args = {factor};
  world_.trace->record(event);
}

// ------------------------------------------------------------------------------- network, clients

void SimNode::deliver(const std::string& from_peer, const NetMessage& message) {
  if (!up()) return;
  when_free([this, from_peer, bytes = message.bytes] {
    const absl::StatusOr<raft::Packet> packet = raft::decode(bytes);
    QK_CHECK(packet.ok());  // the network corrupts nothing
    process_->node->receive(from_peer, *packet);
    touch_disk();
  });
}

void SimNode::propose(std::string payload, std::function<void(absl::StatusOr<std::string>)> done) {
  if (!up()) return;
  when_free([this, payload = std::move(payload), done = std::move(done)]() mutable {
    process_->node->propose(
        std::move(payload), [this, done = std::move(done)](absl::StatusOr<raft::ApplyResult> r) {
          if (!r.ok()) return done(r.status());
          world_.checker->served(id_ - 1, static_cast<Side>(authority_), manifest_.generation);
          done(std::move(r->response));
        });
    touch_disk();
  });
}

void SimNode::transfer_leadership(SimNode& to, std::function<void(const absl::Status&)> answered) {
  QK_CHECK(leads());
  Event event{.node = id_, .kind = EventKind::kFaultTransfer};
  event.args = {to.id()};
  world_.trace->record(event);
  when_free([this, peer = to.peer(), answered = std::move(answered)] {
    answered(process_->node->transfer_leadership(peer));
    touch_disk();
  });
}

}  // namespace qk::sim
