// DualStack: what lies between a node and the two families that it writes: the intent journal,
// reconciled at the opening, and migration's driver.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "migration/node_driver.h"

namespace qk::sim::conformance {

class DualStack {
 public:
  struct Side {
    families::Family* family = nullptr;  // must outlive the stack
    std::string instance;
  };

  // The journal lies in `directory`.
  static absl::StatusOr<std::unique_ptr<DualStack>> open(families::FileSystem* fs,
                                                         std::string directory, Side primary,
                                                         Side mirror);

  migration::NodeDriver& driver() { return *driver_; }
  // What the opening did.
  const std::vector<std::string>& reconciled() const { return reconciled_; }
  // At a barrier.
  void swap_roles();

 private:
  DualStack() = default;
  void engage();

  std::vector<std::unique_ptr<families::Family>> planted_;  // planting.h
  Side primary_;
  Side mirror_;
  std::vector<std::string> reconciled_;
  std::unique_ptr<migration::IntentJournal> journal_;
  std::unique_ptr<migration::NodeDriver> driver_;
};

}  // namespace qk::sim::conformance
