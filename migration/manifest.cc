#include "migration/manifest.h"

#include <algorithm>

#include "families/base/bytes.h"
#include "families/fs/file_util.h"
#include "migration/manifest.pb.h"

namespace qk::migration {
namespace {

constexpr std::string_view kManifestMagic = "QKMANIF1";
constexpr uint32_t kFormat = 1;
constexpr uint64_t kMaxSlotSize = 64 * 1024;
// magic (8), seq (8), body length (4); the CRC-32C (4) over all of it follows the body.
constexpr size_t kHeaderSize = 8 + 8 + 4;
// A slot holds that twice, each filled up with zeros to whole sectors, so that no sector holds parts of
// both.
constexpr size_t kSectorSize = 512;

void to_proto(const Instance& from, proto::Instance* to) {
  to->set_family(from.family);
  to->set_root(from.root);
  for (const auto& [name, value] : from.options) {
    proto::Option* option = to->add_option();
    option->set_name(name);
    option->set_value(value);
  }
  to->set_instance(from.instance);
  to->set_state(static_cast<uint32_t>(from.state));
}

absl::StatusOr<Instance> from_proto(const proto::Instance& from) {
  Instance to;
  to.family = from.family();
  to.root = from.root();
  for (const proto::Option& option : from.option()) to.options[option.name()] = option.value();
  to.instance = from.instance();
  if (from.state() > static_cast<uint32_t>(image::InstanceState::kRetired)) {
    return absl::DataLossError(cat("manifest: instance state ", from.state(), " is unknown"));
  }
  to.state = static_cast<image::InstanceState>(from.state());
  return to;
}

void to_proto(const CutRecord& from, proto::Cut* to) {
  to->set_seq(from.seq);
  to->set_last_index(from.last_index);
  to->set_digest(std::string(as_bytes(from.digest)));
  to->set_proof_kind(from.proof_kind);
  to->set_time_ns(from.time_ns);
}

absl::StatusOr<CutRecord> from_proto(const proto::Cut& from) {
  CutRecord to;
  to.seq = from.seq();
  to.last_index = from.last_index();
  if (from.digest().size() != to.digest.size()) {
    return absl::DataLossError(
        cat("manifest: cut digest of ", from.digest().size(), " bytes, expected 32"));
  }
  std::copy(from.digest().begin(), from.digest().end(), to.digest.begin());
  to.proof_kind = from.proof_kind();
  if (!is_strong_proof(to.proof_kind)) {
    return absl::FailedPreconditionError(cat("manifest: cut ", to.seq, " has the proof \"",
                                             to.proof_kind,
                                             "\", expected full or digest-readback"));
  }
  to.time_ns = from.time_ns();
  return to;
}

std::string encode(const Manifest& manifest, uint64_t seq) {
  proto::Manifest body;
  body.set_format(kFormat);
  body.set_group_id(manifest.group_id);
  body.set_peer_id(manifest.peer_id);
  body.set_lineage(manifest.lineage);
  body.set_generation(manifest.generation);
  body.set_phase(static_cast<uint32_t>(manifest.phase));
  body.set_authoritative(static_cast<uint32_t>(manifest.authoritative));
  to_proto(manifest.a, body.mutable_a());
  to_proto(manifest.b, body.mutable_b());
  if (manifest.export_cut) to_proto(*manifest.export_cut, body.mutable_export_cut());
  if (manifest.validated_cut) to_proto(*manifest.validated_cut, body.mutable_validated_cut());
  if (manifest.cutover_cut) to_proto(*manifest.cutover_cut, body.mutable_cutover_cut());
  body.set_accepted(manifest.accepted);
  body.set_probe_restart_ok(manifest.probe_restart_ok);
  body.set_probe_opener_version(manifest.probe_opener_version);
  body.set_fresh_mutations(manifest.fresh_mutations);
  body.set_fresh_time_ns(manifest.fresh_time_ns);
  body.set_attempts(manifest.attempts);
  body.set_reason(manifest.reason);
  body.set_last_error(manifest.last_error);
  body.set_started_at_ns(manifest.started_at_ns);
  body.set_phase_at_ns(manifest.phase_at_ns);

  std::string out(kManifestMagic);
  put_le64(&out, seq);
  put_bytes(&out, body.SerializeAsString());
  put_le32(&out, crc32c(out));
  out.resize((out.size() + kSectorSize - 1) / kSectorSize * kSectorSize);
  return out + out;
}

struct Slot {
  uint64_t seq = 0;
  Manifest manifest;
  bool whole = true;  // both copies are
};

absl::StatusOr<Slot> decode_copy(std::string_view path, std::string_view bytes) {
  if (bytes.size() < kHeaderSize + 4 || bytes.substr(0, kManifestMagic.size()) != kManifestMagic) {
    return absl::DataLossError(cat(path, ": no manifest slot: ", bytes.size(), " bytes"));
  }
  ByteReader reader(bytes.substr(kManifestMagic.size()));
  Slot slot;
  slot.seq = reader.le64();
  const std::string_view encoded = reader.bytes();
  const uint32_t expected = crc32c(bytes.substr(0, bytes.size() - reader.remaining()));
  const uint32_t found = reader.le32();
  if (!reader.ok() || found != expected) {
    return absl::DataLossError(
        cat(path, ": manifest slot checksum ", hex8(found), ", expected ", hex8(expected)));
  }
  proto::Manifest body;
  if (!body.ParseFromArray(encoded.data(), static_cast<int>(encoded.size()))) {
    return absl::DataLossError(cat(path, ": manifest body does not parse"));
  }
  if (body.format() != kFormat) {
    return absl::FailedPreconditionError(
        cat(path, ": manifest format ", body.format(), ", this build reads ", kFormat));
  }
  if (body.phase() > static_cast<uint32_t>(Phase::kRolledBack) || body.authoritative() > 1) {
    return absl::DataLossError(cat(path, ": manifest phase ", body.phase(), " or authority ",
                                   body.authoritative(), " is unknown"));
  }
  Manifest& m = slot.manifest;
  m.group_id = body.group_id();
  m.peer_id = body.peer_id();
  m.lineage = body.lineage();
  m.generation = body.generation();
  m.phase = static_cast<Phase>(body.phase());
  m.authoritative = static_cast<Side>(body.authoritative());
  QK_ASSIGN_OR_RETURN(m.a, from_proto(body.a()));
  QK_ASSIGN_OR_RETURN(m.b, from_proto(body.b()));
  if (body.has_export_cut()) {
    QK_ASSIGN_OR_RETURN(m.export_cut, from_proto(body.export_cut()));
  }
  if (body.has_validated_cut()) {
    QK_ASSIGN_OR_RETURN(m.validated_cut, from_proto(body.validated_cut()));
  }
  if (body.has_cutover_cut()) {
    QK_ASSIGN_OR_RETURN(m.cutover_cut, from_proto(body.cutover_cut()));
  }
  m.accepted = body.accepted();
  m.probe_restart_ok = body.probe_restart_ok();
  m.probe_opener_version = body.probe_opener_version();
  m.fresh_mutations = body.fresh_mutations();
  m.fresh_time_ns = body.fresh_time_ns();
  m.attempts = body.attempts();
  m.reason = body.reason();
  m.last_error = body.last_error();
  m.started_at_ns = body.started_at_ns();
  m.phase_at_ns = body.phase_at_ns();
  return slot;
}

absl::StatusOr<Slot> decode(std::string_view path, std::string_view bytes) {
  absl::StatusOr<Slot> first = decode_copy(path, bytes);
  // Written before slots had two copies.
  if (bytes.empty() || bytes.size() % (2 * kSectorSize) != 0) return first;
  absl::StatusOr<Slot> second = decode_copy(path, bytes.substr(bytes.size() / 2));
  const bool whole = first.ok() && second.ok() && first->seq == second->seq;
  for (absl::StatusOr<Slot>* copy : {&first, &second}) {
    if (copy->ok()) {
      (*copy)->whole = whole;
    } else if (absl::IsFailedPrecondition(copy->status())) {
      return copy->status();
    }
  }
  if (!first.ok()) return second.ok() ? second : first;
  return second.ok() && second->seq > first->seq ? second : first;
}

}  // namespace

std::string_view to_string(Phase phase) {
  switch (phase) {
    case Phase::kIdle:
      return "idle";
    case Phase::kExporting:
      return "exporting";
    case Phase::kBootstrapping:
      return "bootstrapping";
    case Phase::kValidated:
      return "validated";
    case Phase::kDualWrite:
      return "dual-write";
    case Phase::kCutoverValidated:
      return "cutover-validated";
    case Phase::kCutOver:
      return "cut-over";
    case Phase::kAccepted:
      return "accepted";
    case Phase::kRetired:
      return "retired";
    case Phase::kRolledBack:
      return "rolled-back";
  }
  return "unknown";
}

bool is_strong_proof(std::string_view proof_kind) {
  return proof_kind == "full" || proof_kind == "digest-readback";
}

bool is_legal_transition(Phase from, Phase to) {
  switch (to) {
    case Phase::kIdle:
      return false;
    case Phase::kExporting:
      // T1, RS and the next migration of a node that has retired its old family; re-entry when a
      // crash lost the pinned export view, the image or the queue.
      return from == Phase::kIdle || from == Phase::kRolledBack || from == Phase::kRetired ||
             from == Phase::kExporting || from == Phase::kBootstrapping ||
             from == Phase::kValidated;
    case Phase::kBootstrapping:
      return from == Phase::kExporting;
    case Phase::kValidated:
      return from == Phase::kBootstrapping;
    case Phase::kDualWrite:
      // T4; a cutover cut that went stale falls back.
      return from == Phase::kValidated || from == Phase::kCutoverValidated;
    case Phase::kCutoverValidated:
      return from == Phase::kDualWrite;
    case Phase::kCutOver:
      return from == Phase::kCutoverValidated;
    case Phase::kAccepted:
      return from == Phase::kCutOver;
    case Phase::kRetired:
      return from == Phase::kAccepted;
    case Phase::kRolledBack:
      return from >= Phase::kExporting && from <= Phase::kCutoverValidated;
  }
  return false;
}

ManifestStore::ManifestStore(families::FileSystem* fs, std::string directory)
    : fs_(fs), directory_(std::move(directory)) {}

std::string ManifestStore::slot_path(int slot) const {
  return families::join_path(directory_, slot == 0 ? "manifest-0" : "manifest-1");
}

absl::StatusOr<std::optional<Manifest>> ManifestStore::load() {
  std::optional<Manifest> newest;
  absl::Status damage;
  seq_ = 0;
  newest_ = 1;
  for (int slot = 0; slot < 2; ++slot) {
    const std::string path = slot_path(slot);
    QK_ASSIGN_OR_RETURN(slot_exists_[slot], families::exists(*fs_, path));
    if (!slot_exists_[slot]) continue;
    QK_ASSIGN_OR_RETURN(const std::string bytes, families::read_file(*fs_, path, kMaxSlotSize));
    auto decoded = decode(path, bytes);
    if (!decoded.ok()) {
      // A manifest of a newer build is not damage: going on with the older slot would undo it.
      if (decoded.status().code() == absl::StatusCode::kFailedPrecondition) return decoded.status();
      damage = decoded.status();
      continue;
    }
    if (!newest || decoded->seq > seq_) {
      newest = std::move(decoded->manifest);
      seq_ = decoded->seq;
      newest_ = slot;
      repaired_ = decoded->whole ? std::string() : encode(*newest, seq_);
    }
  }
  if (!newest && !damage.ok()) {
    return annotate(damage, "manifest slots exist but none is valid; the phase is unknown");
  }
  return newest;
}

absl::Status ManifestStore::make_durable() {
  if (!slot_exists_[newest_]) return absl::OkStatus();
  // Not in place: the other slot holds another phase.
  if (!repaired_.empty()) {
    return families::replace_file(*fs_, slot_path(newest_), std::exchange(repaired_, {}));
  }
  QK_ASSIGN_OR_RETURN(const auto file, fs_->open(slot_path(newest_), {}));
  QK_RETURN_IF_ERROR(families::write_again(*file));
  return fs_->sync_dir(directory_, families::SyncKind::kFull);
}

absl::Status ManifestStore::save(const Manifest& manifest) {
  const int slot = 1 - newest_;
  const std::string bytes = encode(manifest, seq_ + 1);
  QK_CHECK(bytes.size() <= kMaxSlotSize);
  if (slot_exists_[slot]) {
    // Rewritten in place: if this write is torn, the other slot still holds the manifest before it.
    QK_RETURN_IF_ERROR(families::write_file(*fs_, slot_path(slot), bytes));
  } else {
    QK_RETURN_IF_ERROR(families::make_directories(*fs_, directory_));
    QK_RETURN_IF_ERROR(families::replace_file(*fs_, slot_path(slot), bytes));
    slot_exists_[slot] = true;
  }
  newest_ = slot;
  repaired_.clear();
  ++seq_;
  return absl::OkStatus();
}

absl::Status ManifestStore::remove() {
  for (const int slot : {1 - newest_, newest_}) {
    for (const std::string& path : {cat(slot_path(slot), ".tmp"), slot_path(slot)}) {
      const absl::Status unlinked = fs_->unlink(path);
      if (!unlinked.ok() && !absl::IsNotFound(unlinked)) return unlinked;
    }
    slot_exists_[slot] = false;
  }
  return absl::OkStatus();
}

}  // namespace qk::migration
