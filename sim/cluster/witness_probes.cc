// What a witness finds on the disk: copies on which everything unsynced is lost, what a crashed
// import left, and images that were damaged on purpose.
#include "families/builtin.h"
#include "families/fs/file_util.h"
#include "image/reader.h"
#include "sim/cluster/node.h"
#include "sim/cluster/witness.h"

namespace qk::sim {
namespace {

using migration::Phase;

// One append in so many is followed by a probe of what is durable, and every other mutation.
constexpr uint64_t kProbeEvery = 96;
// A probe reads the whole log. With so many more entries in it, probes come one time less often, so
// that what they cost for each mutation is bounded, however long the run.
constexpr uint64_t kEntriesAtFullRate = 256;
// And so with so many more bytes on the disk.
constexpr uint64_t kBytesAtFullRate = 256 * 1024;
// Other mutations are rare: they are thinned out so many times less.
constexpr uint64_t kRarer = 4;

}  // namespace

uint64_t probe_thinning(const StateImage& acked) {
  return 1 + acked.entries.size() / kEntriesAtFullRate;
}

uint64_t Witness::probe_thinning_by_bytes() const {
  uint64_t bytes = 0;
  for (const DiskFile& file : machine_.disk().files()) bytes += file.size;
  return 1 + bytes / kBytesAtFullRate;
}

Probe Witness::durable_state(migration::Side side) const {
  if (machine_.is_volatile(manifest_.side(side))) {
    if (node_.controller() == nullptr)
      return absl::NotFoundError("the volatile instance is not open");
    // The controller's sides are those of its next mark, which may change their names.
    if (side == authority()) return read_state(node_.controller()->driver().authority());
    families::Family* family = node_.controller()->family(side);
    if (family == nullptr) return absl::NotFoundError("the volatile instance is not open");
    return read_state(*family);
  }
  return durable_state_of(manifest_.side(side));
}

Probe Witness::durable_state_of(const migration::Instance& instance) const {
  const families::EnginesAside aside;
  SimDisk copy = durable_disk();
  const auto fs = copy.mount();
  QK_ASSIGN_OR_RETURN(const auto family,
                      families::open_family(machine_.cold_registry(), instance.family,
                                            machine_.open_request(instance, fs.get())));
  return read_state(*family);
}

bool Witness::holds_durably(int64_t index, int64_t term) const {
  if (machine_.is_volatile(manifest_.side(authority())) && node_.controller() == nullptr) {
    return world_.checker->ghost(id_ - 1).acked().holds(index, term);
  }
  const Probe state = durable_state(authority());
  if (state.ok()) return state->holds(index, term);
  world_.checker->unreadable(id_ - 1, state.status());
  return false;
}

// Of both families of a dual phase, as they are before the start reconciles them.
void Witness::judge_hard_states(const migration::Manifest& found) {
  const families::EnginesAside aside;
  SimDisk copy = machine_.disk().fork();
  const auto copy_fs = copy.mount();
  std::optional<families::HardState> hard_states[2];
  for (const migration::Side side : {migration::Side::kA, migration::Side::kB}) {
    const migration::Instance& instance = found.side(side);
    const auto family = families::open_family(machine_.registry(), instance.family,
                                              machine_.open_request(instance, copy_fs.get()));
    if (family.ok()) {
      hard_states[static_cast<int>(side)] = (*family)->meta().hard_state();
    } else if (!machine_.is_volatile(instance)) {
      world_.checker->unreadable(index(), family.status());
    }
  }
  if (hard_states[0] && hard_states[1]) {
    world_.checker->dual_opened(index(), *hard_states[0], *hard_states[1]);
  }
}

// ora.M1, of an instance that was given up: what an older program finds, which knows nothing of
// migrations and makes what is not there.
void Witness::judge_fence(migration::Side side, families::FileSystem& after_power_cut) {
  const migration::Instance& instance = manifest_.side(side);
  if (machine_.is_volatile(instance)) return;  // nobody finds it anyway
  families::OpenRequest request = machine_.open_request(instance, &after_power_cut);
  request.create = true;
  world_.checker->given_up(
      index(), static_cast<Side>(side),
      families::open_family(machine_.cold_registry(), instance.family, request).status());
}

// The ghost is seeded from what the first start finds.
absl::Status Witness::judge_start() {
  const FaultPause pause(machine_.disk());
  QK_ASSIGN_OR_RETURN(const StateImage state, read_state(node_.controller()->driver().authority()));
  const auto judge_shown = [this](migration::Side side, const StateImage& live) {
    world_.checker->shown(index(), static_cast<Side>(side), live, durable_state(side));
  };
  judge_shown(authority(), state);
  if (!std::exchange(seen_, true)) {
    world_.checker->seed(index(), state);
    return world_.checker->start_settled(index(), state);
  }
  world_.checker->recovered(index(), Standing::kAuthority, state);
  if (!is_dual(phase())) return world_.checker->start_settled(index(), state);
  const migration::Side mirror =
      authority() == migration::Side::kA ? migration::Side::kB : migration::Side::kA;
  QK_ASSIGN_OR_RETURN(const StateImage other, read_state(*node_.controller()->family(mirror)));
  world_.checker->recovered(index(), Standing::kMirror, other);
  judge_shown(mirror, other);
  return world_.checker->start_settled(index(), state);
}

// The first of each kind in each stay in a phase always, so that none goes unjudged because the stay
// was short or the log long.
void Witness::probe_ack(families::Operation operation) {
  if (probed_entry_ != phase_entries_) probed_kinds_.reset();
  probed_entry_ = phase_entries_;
  const bool first = !probed_kinds_.test(static_cast<size_t>(operation));
  const uint64_t thinning = probe_thinning(world_.checker->ghost(index()).acked());
  const bool append = operation == families::Operation::kAppend;
  const auto one_in = [append](uint64_t thinned) {
    return append ? kProbeEvery * thinned : (thinned + kRarer - 1) / kRarer;
  };
  const uint64_t every = one_in(thinning);
  const bool drawn = every == 1 || probe_random_.below(every) == 0;
  if (!drawn && !first) return;
  if (!first &&
      passes_over(every, one_in(probe_thinning_by_bytes()), &passed_over_[append ? 0 : 1])) {
    return;
  }
  probed_kinds_.set(static_cast<size_t>(operation));
  if (is_dual(phase())) {
    world_.checker->dual_ack(index(), durable_state(migration::Side::kA),
                             durable_state(migration::Side::kB));
  } else {
    world_.checker->durable_probe(index(), static_cast<Side>(authority()),
                                  durable_state(authority()));
  }
}

void Witness::judge_import() {
  if (phase() != Phase::kBootstrapping || !cut_state_) return;
  const families::EnginesAside aside;
  SimDisk copy = machine_.disk().fork();
  const auto fs = copy.mount();
  families::OpenRequest request;
  request.fs = fs.get();
  request.root = manifest_.b.root;
  request.options = manifest_.b.options;
  const auto opened =
      image::open_instance(machine_.registry(), request, manifest_.b.family, manifest_.identity());
  const auto sidecar = image::read_sidecar(*fs, request.root);
  const bool claims_whole = sidecar.ok() && *sidecar &&
                            (*sidecar)->state != image::InstanceState::kImporting &&
                            (*sidecar)->state != image::InstanceState::kEmpty;
  const bool lost =
      machine_.registry().find(manifest_.b.family)->volatility == families::Volatility::kVolatile;
  if (!opened.ok() && (lost || !claims_whole)) {
    world_.reach->hit(ReachProbe::kCrashHalfImport);
    const ImportOpen how =
        absl::IsNotFound(opened.status()) ? ImportOpen::kAbsent : ImportOpen::kIncomplete;
    world_.checker->import_opened(index(), how, opened.status(), *cut_state_);
    return;
  }
  // What does not even open or read is certainly not the image.
  const Probe found = opened.ok() ? read_state(**opened) : opened.status();
  world_.checker->import_opened(index(), ImportOpen::kComplete, found, *cut_state_);
}

// ora.I1 and I3, on the image that the node has just written.
void Witness::judge_image() {
  if (!node_.controller()->exported()) return;
  const FaultPause pause(machine_.disk());
  const std::string path = node_.controller()->image_file();
  const auto bytes = families::read_file(node_.fs(), path, 1u << 30);
  if (!bytes.ok()) return world_.checker->image_unreadable(index(), bytes.status());
  world_.checker->exported(index(), *bytes, &*cut_state_);
  std::string damaged = *bytes;
  if (probe_random_.below(4) == 0) {
    damaged.resize(probe_random_.below(damaged.size()));
  } else {
    const uint64_t bit = probe_random_.below(damaged.size() * 8);
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
  }
  const image::MemorySource source(path, damaged);
  world_.checker->image_judged(index(), damaged, image::verify_image(source).ok());
}

void Witness::cut_compared(int which, const migration::CutRecord& a, const Digest& b) {
  Event event = this->event(EventKind::kMigCut);
  event.args = {static_cast<uint64_t>(which), static_cast<uint64_t>(a.last_index),
                a.digest == b ? 1u : 0u};
  world_.trace->record(event);
  if (which != 2 || a.digest != b) return;
  // No mutation is in flight, so what is durable is all there is.
  world_.checker->cut_validated(index(), manifest_.generation, durable_state(migration::Side::kA),
                                durable_state(migration::Side::kB), world_.scheduler->now());
}

}  // namespace qk::sim
