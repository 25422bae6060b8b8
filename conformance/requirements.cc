#include "conformance/requirements.h"

namespace qk::sim::conformance {
namespace {

using enum Level;

const std::vector<Requirement>& catalogue() {
  static const std::vector<Requirement> kRequirements = {
      {"SB-1", kNormative,
       "A family without migration support is incomplete: it must bootstrap from any family and "
       "dual-write with any family."},
      {"SB-2", kNormative, "The legacy local family is subject to the contract like any other."},
      {"SB-3", kMust, "Export an image from durable state."},
      {"SB-4", kMust, "Import an image into an empty instance of the family."},
      {"SB-5", kMust, "Serve as the source for every other family."},
      {"SB-6", kMust, "Serve as the destination for every other family."},
      {"SB-7", kMust, "Serve as primary of a dual-written pair."},
      {"SB-8", kMust, "Serve as mirror of a dual-written pair."},
      {"SB-9", kMust, "Every capability covers the whole Raft state, not the log alone."},
      {"SB-10", kMust, "local:// recognised for the log."},
      {"SB-11", kMust, "local:// recognised for single-node metadata."},
      {"SB-12", kMust, "local:// recognised for snapshots."},
      {"SB-13", kNormative,
       "Compatibility goes through the common image: n exporters and n importers."},
      {"SB-14", kMay, "Direct converters may exist but are not the contract."},
      {"SB-15", kMust, "The image reconstructs the state at one well-defined cut."},
      {"SB-16", kMust, "The image holds the retained log range."},
      {"SB-17", kMust, "Each entry carries index, term, type, payload."},
      {"SB-18", kMust, "The image holds term and vote."},
      {"SB-19", kMust, "The image holds the latest snapshot's index and term, or its absence."},
      {"SB-20", kMust, "The image holds snapshot contents with relative paths."},
      {"SB-21", kMust, "Further Raft-critical state round-trips."},
      {"SB-22", kMust, "Any B bootstraps from any A's image."},
      {"SB-23", kMust, "Bootstrap requires an empty destination."},
      {"SB-24", kMust, "Import of one image is deterministic."},
      {"SB-25", kMust, "If A's state restarts safely, so does B's."},
      {"SB-26", kMust,
       "After bootstrap B equals A at the export cut in range, entries, term and vote, snapshot "
       "metadata, snapshot contents and relative tree."},
      {"SB-27", kNormative, "Physical layout may differ."},
      {"SB-28", kMust, "(A primary, B mirror) works."},
      {"SB-29", kMust, "(B primary, A mirror) works."},
      {"SB-30", kMust, "Dual write covers appends."},
      {"SB-31", kMust, "Dual write covers truncation (prefix, suffix) and reset."},
      {"SB-32", kMust, "Dual write covers metadata updates."},
      {"SB-33", kMust, "Dual write covers snapshot publish and update."},
      {"SB-34", kMust,
       "Dual write covers every cleanup or replacement visible in the durable state."},
      {"SB-35", kMust,
       "No operation is reported durable until both accepted it, or it is reported failed."},
      {"SB-36", kMust, "The mirror starts from an empty instance."},
      {"SB-37", kMust, "The mirror is first bootstrapped from the primary."},
      {"SB-38", kMust, "From then on it stays current through dual-written mutations alone."},
      {"SB-39", kMust, "Cut-over needs no second one-off step."},
      {"SB-40", kNormative,
       "The sequence export, bootstrap, dual write, validate, cut over is supported."},
      {"SB-41", kNormative, "A remains a rollback target throughout dual write."},
      {"SB-42", kNormative, "Identical layout, checksum, compaction or pair code is not required."},
      {"SB-43", kNormative, "Equivalent visible state and a repeatable path are required."},
      {"CI-1", kMust, "The image describes one well-defined export cut."},
      {"CI-2", kMust, "It never mixes the state before and after one mutation."},
      {"CI-3", kNormative, "It is a state from which a node can restart."},
      {"CI-4", kMust, "Carries a format identifier."},
      {"CI-5", kMust, "Carries a format version."},
      {"CI-6", kMust, "Carries the source family identifier."},
      {"CI-7", kMust, "Carries the source family's format version where the family is versioned."},
      {"CI-8", kMust, "Carries checksums, or equivalent, over its contents."},
      {"CI-9", kMust, "An unknown major version is refused."},
      {"CI-10", kMay,
       "A newer minor may be accepted when compatible and its unknown fields are ignorable."},
      {"CI-11", kMust, "Holds enough to reconstruct the durable state."},
      {"CI-12", kMust, "Holds the retained range."},
      {"CI-13", kMust, "Holds every retained entry."},
      {"CI-14", kMust, "Index, term, type, payload per entry."},
      {"CI-15", kMust, "Term and vote."},
      {"CI-16", kMust, "Snapshot index and term."},
      {"CI-17", kMust, "Snapshot contents including relative paths."},
      {"CI-18", kMust, "Additional Raft-critical state round-trips."},
      {"CI-19", kMust, "Import accepts only an empty instance."},
      {"CI-20", kMust, "Integrity is validated before acceptance."},
      {"CI-21", kMust, "Incomplete or structurally invalid images are refused."},
      {"CI-22", kMust, "A non-empty destination is refused."},
      {"CI-23", kMust, "The resulting durable state is deterministic."},
      {"CI-24", kMust, "A failed import cannot look like success."},
      {"CI-25", kMust, "Two imports of one image into one family are equivalent."},
      {"CI-26", kMust, "Auxiliary data is allowed only if Raft-critical."},
      {"CI-27", kMust, "Auxiliary data is clearly versioned."},
      {"CI-28", kMust, "Other families need not reproduce a private layout."},
      {"CI-29", kMay, "Any container is allowed: file, stream, multipart."},
      {"CI-30", kNormative,
       "No byte-identical layout, pair logic or universal container is required."},
      {"CI-X1", kOwn,
       "The image carries group id, peer id and lineage; the importer refuses a foreign identity."},
      {"EV-1", kNormative, "Validation compares logical durable state, not bytes."},
      {"EV-2", kNormative, "Equal retained range."},
      {"EV-3", kNormative, "Equal entry at every index."},
      {"EV-4", kNormative, "Equal term and vote."},
      {"EV-5", kNormative, "Equal snapshot metadata."},
      {"EV-6", kNormative, "Equal snapshot contents and relative tree."},
      {"EV-7", kNormative, "Bytes, layout and compaction are irrelevant."},
      {"EV-8", kNormative, "Entry equality includes the index."},
      {"EV-9", kNormative, "Entry equality includes the term."},
      {"EV-10", kNormative, "Entry equality includes the type."},
      {"EV-11", kNormative, "Entry equality includes the payload."},
      {"EV-12", kNormative, "Framing, checksum, compression and segment boundaries are excluded."},
      {"EV-13", kNormative, "Snapshot equality includes the index."},
      {"EV-14", kNormative, "Snapshot equality includes the term."},
      {"EV-15", kNormative, "Snapshot equality covers the contents exposed by the reader."},
      {"EV-16", kNormative, "Snapshot equality covers relative paths and file bytes."},
      {"EV-17", kNormative,
       "Private structure outside the tree is excluded; the public relative layout is included."},
      {"EV-18", kMust, "After bootstrap B equals A at the export cut."},
      {"EV-19", kMust, "The mirror is equal at every completed cut of dual write."},
      {"EV-20", kMust, "Before cut-over B is shown equal at a sufficiently recent cut."},
      {"EV-21", kMust, "After cut-over the new primary restarts safely alone."},
      {"EV-22", kMust, "After cut-over B still exposes the state validated at the cut."},
      {"EV-23", kMust, "The final decision rests on strong proof."},
      {"EV-24", kMay, "Sampling may serve as monitoring."},
      {"EV-25", kMust, "Sampling alone is never the final proof."},
      {"EV-26", kShould, "Mismatch reports are actionable."},
      {"EV-27", kShould, "Reports name logs, metadata or snapshots."},
      {"EV-28", kShould, "Reports name the earliest differing index."},
      {"EV-29", kShould, "Reports say structural, content or freshness."},
      {"EV-30", kNormative, "A cut is a named logical point."},
      {"EV-X1", kOwn, "What cannot be computed counts as failure."},
      {"RM-1", kNormative, "Supported only without a flag day for application, protocol or state."},
      {"RM-2", kNormative, "API, wire and storage contracts hold at the same time."},
      {"RM-3", kNormative, "Shape: replace the binary, keep the family."},
      {"RM-4", kNormative, "Shape: change the family, keep the API."},
      {"RM-5", kNormative, "Shape: both, each stage within the contracts."},
      {"RM-6", kNormative, "Precondition: the application uses the documented API."},
      {"RM-7", kNormative, "Precondition: mixed nodes speak the legacy dialect."},
      {"RM-8", kNormative, "Precondition: families satisfy the storage contract."},
      {"RM-9", kNormative, "Precondition: the operator can validate before cut-over."},
      {"RM-10", kNormative, "Keeping local:// URIs while the binary changes is included."},
      {"RM-11", kMust, "A migrated node restarts safely from its configured state."},
      {"RM-12", kMust, "It rejoins a cluster of non-migrated peers."},
      {"RM-13", kMust, "It exchanges traffic in the legacy dialect."},
      {"RM-14", kMust,
       "It takes part in elections, replication, snapshot install and leadership transfer."},
      {"RM-15", kMust,
       "A family change satisfies bootstrap, dual write, validation, cut-over and rollback."},
      {"RM-16", kMust, "The cluster keeps quorum with mixed nodes."},
      {"RM-17", kMust, "Leaders are elected across mixed peers."},
      {"RM-18", kMust, "Replication works across mixed peers."},
      {"RM-19", kMust, "Snapshots install across mixed peers."},
      {"RM-20", kMust, "Administration works through the legacy surface."},
      {"RM-21", kMust, "The family does not alter wire behaviour."},
      {"RM-22", kMust, "Step 1: export."},
      {"RM-23", kMust, "Step 2: bootstrap."},
      {"RM-24", kMust, "Step 3: validate at the export cut."},
      {"RM-25", kMust, "Step 4: dual write."},
      {"RM-26", kMust, "Step 5: validate at the cut-over cut."},
      {"RM-27", kMust, "Step 6: cut over."},
      {"RM-28", kNormative, "Until step 6 is accepted A is the rollback target."},
      {"RM-29", kNormative, "Success: each migrated node meets the contracts of its stage."},
      {"RM-30", kNormative, "Success: the cluster is healthy throughout."},
      {"RM-31", kNormative, "Success: the final cluster restarts from the state on each node."},
      {"RM-32", kNormative, "Unsupported: a new dialect in mid-roll."},
      {"RM-33", kNormative, "Unsupported: blind one-shot conversion."},
      {"RM-34", kNormative, "Unsupported: reliance on undocumented internals."},
      {"WC-1", kMust, "The default path keeps the legacy dialect."},
      {"WC-2", kMust,
       "RaftService: pre_vote, request_vote, append_entries, install_snapshot, timeout_now."},
      {"WC-3", kMust, "FileService: get_file."},
      {"WC-4", kMust,
       "CliService: add_peer, remove_peer, change_peers, reset_peer, snapshot, get_leader, "
       "transfer_leader."},
      {"WC-5", kShould, "raft_stat default_method."},
      {"WC-6", kMust, "No field is renumbered."},
      {"WC-7", kMust, "No field is removed."},
      {"WC-8", kMust, "No field is given a new meaning."},
      {"WC-9", kMust, "Types and cardinality stay compatible."},
      {"WC-10", kMay, "New optional fields, if ignorable and safe in a mixed cluster."},
      {"WC-11", kMust, "Entry payload in the attachment, length in EntryMeta.data_len."},
      {"WC-12", kMust, "GetFileResponse bytes in the attachment."},
      {"WC-13", kMust, "peer_id and server_id grammar host:port[:idx]."},
      {"WC-14", kMust, "group_id unchanged."},
      {"WC-15", kMust, "InstallSnapshot uri consumable as remote://<addr>/<reader_id>."},
      {"WC-16", kMust, "A mixed cluster elects."},
      {"WC-17", kMust, "A mixed cluster replicates and commits."},
      {"WC-18", kMust, "A mixed cluster installs snapshots."},
      {"WC-19", kMust, "A mixed cluster transfers leadership."},
      {"WC-20", kMust, "A mixed cluster changes configuration."},
      {"WC-21", kMust, "Backend selection does not change the protocol."},
      {"WC-22", kMay, "Another transport may carry the legacy dialect."},
      {"WC-23", kMust, "A native protocol only as a separate, explicit mode."},
      {"BC-1", kMust, "NodeOptions accept local:// in the log, meta and snapshot URIs."},
      {"BC-2", kMust,
       "filter_before_copy_remote skips files whose relative path and checksum match a local "
       "copy."},
      {"BC-3", kMust, "SnapshotWriter accepts nested relative paths and keeps them."},
      {"BC-4", kMust,
       "The reader exposes a materialised tree under get_path() equal to what was added."},
      {"BC-5", kMust, "list_files, get_file_meta, load_meta, generate_uri_for_copy."},
      {"BC-6", kMust, "save_meta, add_file (with meta), remove_file."},
      {"BC-7", kMust, "SnapshotMeta index and term accessors."},
      {"BC-8", kMust, "The abstract snapshot interface stays mockable."},
      {"BC-9", kNormative, "Not-leader, step-down and shutdown report EPERM."},
      {"BC-10", kNormative, "expected_term = -1 disables the term check."},
      {"BC-11", kNormative,
       "Segments, entry layout and numeric type values are outside the contract."},
  };
  return kRequirements;
}

}  // namespace

std::string_view to_string(Level level) {
  switch (level) {
    case kMust:
      return "M";
    case kShould:
      return "S";
    case kMay:
      return "Y";
    case kNormative:
      return "N";
    case kOwn:
      return "own";
  }
  return "?";
}

const std::vector<Requirement>& requirements() { return catalogue(); }

const Requirement* find_requirement(std::string_view id) {
  for (const Requirement& requirement : requirements()) {
    if (requirement.id == id) return &requirement;
  }
  return nullptr;
}

std::string_view section_of(std::string_view id) { return id.substr(0, id.find('-')); }

}  // namespace qk::sim::conformance
