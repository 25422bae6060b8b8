#include "conformance/planting.h"

namespace qk::sim::conformance {
namespace {

// A case runs on one thread from its beginning to its end.
thread_local const Planting* current_planting = nullptr;

}  // namespace

const Planting& planting() {
  static const Planting kNothing;
  return current_planting != nullptr ? *current_planting : kNothing;
}

PlantingScope::PlantingScope(const Planting* now) : before_(current_planting) {
  current_planting = now;
}

PlantingScope::~PlantingScope() { current_planting = before_; }

}  // namespace qk::sim::conformance
