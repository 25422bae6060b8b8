// Manifest: the only source of a node's migration phase and of authority. It lies in
// NODE/migration/, outside both family roots; which directories exist decides nothing.
//
// Two slot files hold {seq, CRC, body}, each twice. A write goes to the slot that is not the newest
// valid one and is synced; a slot's first write is an atomic replacement. After a crash load()
// returns the manifest before or after the write, never a mix. Slots that exist while none is valid
// are an error, never "idle" (migration.md 2), and so is a cut without a strong proof.
//
// A sector that is damaged later costs one copy, and the node goes on: a slot of which no copy is
// valid is a write that a crash has torn, and counts as the one before it. Not told apart from that:
// damage to both copies, which takes the node back by one mark.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "families/base/hash.h"
#include "families/contract/family.h"
#include "families/fs/file_system.h"
#include "image/identity.h"

namespace qk::migration {

enum class Phase : uint8_t {
  kIdle = 0,
  kExporting = 1,
  kBootstrapping = 2,
  kValidated = 3,
  kDualWrite = 4,
  kCutoverValidated = 5,
  kCutOver = 6,
  kAccepted = 7,
  kRetired = 8,
  kRolledBack = 9,
};
std::string_view to_string(Phase phase);

// The automaton of migration.md section 3, re-entry of `exporting` after a crash included.
bool is_legal_transition(Phase from, Phase to);

// Both families hold every acked mutation in these phases.
inline bool is_dual(Phase phase) {
  return phase == Phase::kDualWrite || phase == Phase::kCutoverValidated ||
         phase == Phase::kCutOver;
}

enum class Side : uint8_t { kA = 0, kB = 1 };

struct Instance {
  std::string family;
  std::string root;
  families::FamilyOptions options;
  std::string instance;  // id, fresh for each (re)creation
  image::InstanceState state = image::InstanceState::kEmpty;
  friend bool operator==(const Instance&, const Instance&) = default;
};

// Whether a cut that was shown equal in this way may lead to a cut-over (EV-23): both sides were
// read back. Sampling, whatever it finds, is none (EV-25).
bool is_strong_proof(std::string_view proof_kind);

// A cut is named (lineage, generation, seq).
struct CutRecord {
  uint64_t seq = 0;
  int64_t last_index = 0;
  Digest digest{};
  std::string proof_kind;  // "full" or "digest-readback"
  int64_t time_ns = 0;
  friend bool operator==(const CutRecord&, const CutRecord&) = default;
};

struct Manifest {
  std::string group_id;
  std::string peer_id;
  std::string lineage;
  uint64_t generation = 0;
  Phase phase = Phase::kIdle;
  Side authoritative = Side::kA;
  Instance a;
  Instance b;
  std::optional<CutRecord> export_cut;
  std::optional<CutRecord> validated_cut;
  std::optional<CutRecord> cutover_cut;
  bool accepted = false;
  bool probe_restart_ok = false;     // B was opened as authority by a start after cut-over
  std::string probe_opener_version;  // format version of the opener that did
  uint64_t fresh_mutations = 0;
  int64_t fresh_time_ns = 0;
  uint64_t attempts = 0;  // exports begun in this generation
  std::string reason;
  std::string last_error;
  int64_t started_at_ns = 0;
  int64_t phase_at_ns = 0;

  const Instance& side(Side s) const { return s == Side::kA ? a : b; }
  Instance& side(Side s) { return s == Side::kA ? a : b; }
  image::Identity identity() const { return {group_id, peer_id, lineage, generation}; }
  friend bool operator==(const Manifest&, const Manifest&) = default;
};

class ManifestStore {
 public:
  // `directory` is NODE/migration; it need not exist yet.
  ManifestStore(families::FileSystem* fs, std::string directory);

  // nullopt: there is no manifest. DataLoss: slots exist and none is valid.
  absl::StatusOr<std::optional<Manifest>> load();
  // What load() found is durable on OK. A process that died in save() may have left a manifest that
  // can be read and that no sync has covered, or whose sync has failed; who acts on it must not lose
  // it to a power cut.
  absl::Status make_durable();
  // Durable on OK. After an error the caller must stop: either manifest may be the durable one.
  absl::Status save(const Manifest& manifest);
  // Removes the slots, the newest valid one last, so that a crash in between leaves it or none. What
  // they were about is done; not synced.
  absl::Status remove();

 private:
  std::string slot_path(int slot) const;

  families::FileSystem* fs_;
  std::string directory_;
  uint64_t seq_ = 0;  // of the newest valid slot
  int newest_ = 1;    // which slot that is
  bool slot_exists_[2] = {false, false};
  std::string repaired_;  // what the newest slot should hold, if a copy in it is damaged
};

}  // namespace qk::migration
