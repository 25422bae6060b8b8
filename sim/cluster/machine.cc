#include "sim/cluster/machine.h"

#include <algorithm>

#include "families/fs/file_util.h"

namespace qk::sim {
namespace {

DiskOptions disk_options(const DiskPlan& plan) {
  DiskOptions options;
  options.latency.write_low = plan.write_latency.low;
  options.latency.write_high = plan.write_latency.high;
  options.latency.sync_low = plan.sync_latency.low;
  options.latency.sync_high = plan.sync_latency.high;
  options.journal = plan.journal;
  return options;
}

const StorePlan& store_of(const Plan& plan, std::string_view id) {
  const auto it = std::find_if(plan.stores.begin(), plan.stores.end(),
                               [&](const StorePlan& store) { return store.id == id; });
  QK_CHECK(it != plan.stores.end());
  return *it;
}

migration::FamilyConfig initial_family(const Plan& plan, const NodePlan& node) {
  const StorePlan& store = store_of(plan, node.store);
  return {store.family, node.place ? node.place->root : families::join_path(kNodeDir, store.family),
          store.options, node.place ? node.place->parts : families::PartPaths()};
}

}  // namespace

Machine::Machine(const World& world, NodeId id, const NodePlan& plan)
    : world_(world),
      id_(id),
      plan_(plan),
      disk_(disk_options(world.plan->cluster.disk), world.stream(cat("disk.", plan.id))),
      memory_(world.stream(cat("memory.", plan.id)).next()),
      registry_(world.registry_of(&memory_)),
      cold_registry_(world.registry_of(&no_memory_)),
      elections_(world.stream(cat("election.", plan.id))),
      ids_(world.stream(cat("ids.", plan.id))),
      initial_(initial_family(*world.plan, plan)) {
  install_initial_tree();
  disk_.set_observer(this);
}

void Machine::issued(const DiskOperation& operation, Nanos done) {
  Event event{.node = id_, .kind = EventKind::kDiskOp};
  const uint64_t hash = operation.inode == 0 ? xxh3_64(operation.to, xxh3_64(operation.path))
                                             : xxh3_64(operation.bytes);
  event.args = {static_cast<uint64_t>(operation.op),
                operation.inode,
                operation.offset,
                operation.bytes.size(),
                hash,
                static_cast<uint64_t>(done)};
  if (!world_.trace->keeps_all()) {
    world_.trace->record(event);
  } else if (operation.to.empty()) {
    world_.trace->record(event, operation.path);
  } else {
    world_.trace->record(event, cat(operation.path, " -> ", operation.to));
  }
}

void Machine::tell_draws(const DrawSink& sink) const {
  sink(cat("disk.", plan_.id), disk_.draws());
  sink(cat("election.", plan_.id), elections_.draws());
  sink(cat("ids.", plan_.id), ids_.draws());
}

// Where a file of the initial tree, "log/x", lies for a node with parts of its own.
std::string Machine::place_of(const std::string& path) const {
  const families::PartPaths& parts = initial_.parts;
  const size_t slash = std::min(path.find('/'), path.size());
  const std::string first = path.substr(0, slash);
  std::string part = first == "log"         ? parts.log
                     : first == "raft_meta" ? parts.raft_meta
                     : first == "snapshot"  ? parts.snapshot
                                            : first;
  if (!part.starts_with('/')) part = families::join_path(initial_.root, part);
  return part + path.substr(slash);
}

void Machine::install_initial_tree() {
  const auto fs = disk_.mount();
  const auto install = [&]() -> absl::Status {
    QK_RETURN_IF_ERROR(fs->mkdir(kNodeDir));
    const auto make = [&](const std::string& path) {
      return plan_.place ? families::make_directories(*fs, path) : fs->mkdir(path);
    };
    if (plan_.place || plan_.initial) QK_RETURN_IF_ERROR(make(initial_.root));
    if (plan_.initial) {
      for (const DirectoryTree::Item& item : plan_.initial->items) {
        const std::string path = place_of(item.path);
        if (item.directory) {
          QK_RETURN_IF_ERROR(make(path));
        } else {
          QK_RETURN_IF_ERROR(families::write_file(*fs, path, item.bytes));
        }
      }
    }
    QK_RETURN_IF_ERROR(families::sync_tree(*fs, plan_.place ? "/" : kNodeDir));
    return fs->sync_dir("/", families::SyncKind::kFull);
  };
  const absl::Status installed = install();
  QK_CHECK(installed.ok());
}

std::unique_ptr<families::FileSystem> Machine::mount() {
  touch();
  return disk_.mount();
}

SimDisk Machine::after_power_cut() const {
  SimDisk copy = disk_.fork();
  DropAll drop;
  copy.crash(CrashLevel::kP2, std::max(copy.now(), world_.scheduler->now()), drop);
  return copy;
}

void Machine::slow(uint32_t factor) {
  slow_factor_ = factor;
  disk_.set_slow_factor(factor);
}

families::OpenRequest Machine::open_request(const migration::Instance& instance,
                                            families::FileSystem* fs) const {
  families::OpenRequest request;
  request.fs = fs;
  request.root = instance.root;
  request.options = instance.options;
  if (request.root == initial_.root) request.parts = initial_.parts;
  return request;
}

bool Machine::is_volatile(const migration::Instance& instance) const {
  const families::FamilyDescriptor* family = registry_.find(instance.family);
  return family != nullptr && family->volatility == families::Volatility::kVolatile;
}

void Machine::lose_memory() {
  memory_.lose();
  memory_lost_ = true;
}

EventId Machine::at(Nanos t, std::function<void()> fn) {
  return world_.scheduler->at(t, [this, life = life_, fn = std::move(fn)] {
    if (life == life_) fn();
  });
}

void Machine::after_storage(std::function<void()> fn) {
  at(quiet_at(), [this, fn = std::move(fn)] {
    touch();
    fn();
  });
}

}  // namespace qk::sim
