// What SimNode gives the checker beyond what it sees of itself: copies of its disk on which
// everything unsynced is lost, what a crashed import left, and images that were damaged on purpose.
#include <algorithm>

#include "families/fs/file_util.h"
#include "image/reader.h"
#include "sim/cluster/process.h"

namespace qk::sim {
namespace {

using migration::Phase;

// One append in so many is followed by a probe of what is durable, and the first one in each phase,
// so that no phase goes unjudged because it was short. Every other mutation always is.
constexpr uint64_t kProbeEvery = 96;

}  // namespace

Probe SimNode::durable_state(migration::Side side) const {
  if (is_volatile(manifest_.side(side))) {
    if (controller() == nullptr) return absl::NotFoundError("the volatile instance is not open");
    // The controller's sides are those of its next mark, which may change their names.
    if (side == authority_) return read_state(controller()->driver().authority());
    families::Family* family = controller()->family(side);
    if (family == nullptr) return absl::NotFoundError("the volatile instance is not open");
    return read_state(*family);
  }
  SimDisk copy = disk_.fork();
  DropAll drop;
  copy.crash(CrashLevel::kP2, std::max(copy.now(), world_.scheduler->now()), drop);
  const auto fs = copy.mount();
  const migration::Instance& instance = manifest_.side(side);
  QK_ASSIGN_OR_RETURN(const auto family, families::open_family(cold_registry_, instance.family,
                                                               open_request(side, fs.get())));
  return read_state(*family);
}

bool SimNode::holds_durably(int64_t index, int64_t term) const {
  if (is_volatile(manifest_.side(authority_)) && controller() == nullptr) {
    return world_.checker->ghost(id_ - 1).acked().holds(index, term);
  }
  const Probe state = durable_state(authority_);
  if (state.ok()) return state->holds(index, term);
  world_.checker->unreadable(id_ - 1, state.status());
  return false;
}

bool SimNode::still_holds(int64_t index, int64_t term) const {
  if (memory_lost_ && is_volatile(manifest_.side(authority_))) return false;
  return holds_durably(index, term);
}

void SimNode::probe_ack(families::Operation operation) {
  const bool first_in_phase = probed_entry_ != phase_entries_;
  if (operation == families::Operation::kAppend && probe_random_.below(kProbeEvery) != 0 &&
      !first_in_phase) {
    return;
  }
  probed_entry_ = phase_entries_;
  if (is_dual(phase_)) {
    world_.checker->dual_ack(id_ - 1, durable_state(migration::Side::kA),
                             durable_state(migration::Side::kB));
  } else {
    world_.checker->durable_probe(id_ - 1, static_cast<Side>(authority_),
                                  durable_state(authority_));
  }
}

// ora.L14: whatever a crash left of an import must not open as a whole instance that it is not, nor
// say that it is one and then not open. (A volatile instance is lost whatever its directory says.)
void SimNode::judge_import() {
  if (phase_ != Phase::kBootstrapping || !cut_state_) return;
  SimDisk copy = disk_.fork();
  const auto fs = copy.mount();
  families::OpenRequest request;
  request.fs = fs.get();
  request.root = manifest_.b.root;
  request.options = manifest_.b.options;
  const auto opened =
      image::open_instance(registry_, request, manifest_.b.family, manifest_.identity());
  const auto sidecar = image::read_sidecar(*fs, request.root);
  const bool claims_whole = sidecar.ok() && *sidecar &&
                            (*sidecar)->state != image::InstanceState::kImporting &&
                            (*sidecar)->state != image::InstanceState::kEmpty;
  const bool lost =
      registry_.find(manifest_.b.family)->volatility == families::Volatility::kVolatile;
  if (!opened.ok() && (lost || !claims_whole)) {
    const ImportOpen how =
        absl::IsNotFound(opened.status()) ? ImportOpen::kAbsent : ImportOpen::kIncomplete;
    world_.checker->import_opened(id_ - 1, how, opened.status(), *cut_state_);
    return;
  }
  // What does not even open or read is certainly not the image.
  const Probe found = opened.ok() ? read_state(**opened) : opened.status();
  world_.checker->import_opened(id_ - 1, ImportOpen::kComplete, found, *cut_state_);
}

// ora.I1 and I3, on the image that the node has just written.
void SimNode::judge_image() {
  if (!controller()->exported()) return;
  const std::string path = controller()->image_file();
  const auto bytes = families::read_file(*fs_, path, 1u << 30);
  if (!bytes.ok()) return world_.checker->image_unreadable(id_ - 1, bytes.status());
  world_.checker->exported(id_ - 1, *bytes, &*cut_state_);
  std::string damaged = *bytes;
  if (probe_random_.below(4) == 0) {
    damaged.resize(probe_random_.below(damaged.size()));
  } else {
    const uint64_t bit = probe_random_.below(damaged.size() * 8);
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
  }
  const image::MemorySource source(path, damaged);
  world_.checker->image_judged(id_ - 1, damaged, image::verify_image(source).ok());
}

void SimNode::cut_compared(int which, const migration::CutRecord& a, const Digest& b) {
  Event event{.node = id_, .kind = EventKind::kMigCut};
  event.args = {static_cast<uint64_t>(which), static_cast<uint64_t>(a.last_index),
                a.digest == b ? 1u : 0u};
  world_.trace->record(event);
  if (which != 2 || a.digest != b) return;
  // No mutation is in flight, so what is durable is all there is.
  world_.checker->cut_validated(id_ - 1, manifest_.generation, durable_state(migration::Side::kA),
                                durable_state(migration::Side::kB), world_.scheduler->now());
}

}  // namespace qk::sim
