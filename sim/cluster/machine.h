// Machine: what of a node outlives its processes. A disk, the memory of volatile families, and the
// count of lives.
//
// Disk. Storage calls run at once and end when the disk says; everything that waits for storage is
// an event at that instant.
//
// Memory. What a volatile family keeps belongs to the machine: a process that stops in good
// order leaves it to the next one, any other end of a process takes it away. A node whose authority
// is lost so stays down for good.
//
// Lives. A process is one life. What it left in the scheduler does nothing in a later one.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <string>

#include "families/contract/volatile_memory.h"
#include "migration/controller.h"
#include "sim/cluster/world.h"
#include "sim/disk/sim_disk.h"

namespace qk::sim {

// Everything of a node lies below this directory of its disk.
inline constexpr char kNodeDir[] = "/node";

class Machine final : private DiskObserver {
 public:
  // Delivered with the initial tree of the plan; all of it is durable.
  Machine(const World& world, NodeId id, const NodePlan& plan);

  // ---- Disk
  SimDisk& disk() { return disk_; }
  const SimDisk& disk() const { return disk_; }
  // For the next process.
  std::unique_ptr<families::FileSystem> mount();
  // When everything that was issued so far is complete.
  Nanos quiet_at() const { return std::max(disk_.busy_until(), world_.scheduler->now()); }
  // Storage calls are issued now.
  void touch() { disk_.set_now(world_.scheduler->now()); }
  // What the disk would be if the power failed now and nothing unsynced survived.
  SimDisk after_power_cut() const;
  void slow(uint32_t factor);
  // Told of each call that meets a fault of the disk.
  using ToldOfFault = std::function<void(const DiskCall& call, const DiskStrike& strike)>;
  void tell_faults(ToldOfFault told) { told_of_fault_ = std::move(told); }
  bool is_slow() const { return slow_factor_ != 1; }

  // ---- Families
  const families::Registry& registry() const { return registry_; }
  // For copies of the disk in machines that have just been switched on.
  const families::Registry& cold_registry() const { return cold_registry_; }
  // The family that the node begins with.
  const migration::FamilyConfig& initial() const { return initial_; }
  families::OpenRequest open_request(const migration::Instance& instance,
                                     families::FileSystem* fs) const;
  bool is_volatile(const migration::Instance& instance) const;

  // ---- Memory
  void lose_memory();
  bool memory_lost() const { return memory_lost_; }
  // A start has succeeded: whatever the families need is there.
  void memory_is_whole() { memory_lost_ = false; }

  // ---- Chance that no restart repeats
  RandomStream& elections() { return elections_; }
  RandomStream& ids() { return ids_; }

  using DrawSink = std::function<void(std::string_view stream, uint64_t draws)>;
  void tell_draws(const DrawSink& sink) const;

  // ---- Lives
  void begin_life() { ++life_; }
  void end_life() { ++life_; }
  // Runs `fn` at time `t`, in this life only.
  EventId at(Nanos t, std::function<void()> fn);
  // Runs `fn` when everything issued to the disk so far is complete, in this life only.
  void after_storage(std::function<void()> fn);

 private:
  // DiskObserver
  void issued(const DiskOperation& operation, Nanos done) override;
  void struck(const DiskCall& call, const DiskStrike& strike) override {
    if (told_of_fault_) told_of_fault_(call, strike);
  }
  std::string place_of(const std::string& path) const;
  void install_initial_tree();

  World world_;
  NodeId id_;
  const NodePlan& plan_;
  SimDisk disk_;
  families::VolatileMemory memory_;
  const families::Registry registry_;
  families::VolatileMemory no_memory_{0};
  const families::Registry cold_registry_;
  RandomStream elections_;
  RandomStream ids_;
  bool memory_lost_ = false;  // since the last start that succeeded
  uint32_t slow_factor_ = 1;
  uint64_t life_ = 0;
  ToldOfFault told_of_fault_;
  migration::FamilyConfig initial_;
};

}  // namespace qk::sim
