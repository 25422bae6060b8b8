#include "tools/qksim/image_messages.h"

#include "families/base/printable.h"

namespace qk::cli {

ExitCode fail(const Environment& environment, ExitCode code, const std::string& where,
              const absl::Status& status, const std::string& hint) {
  std::string_view what = to_std(status.message());
  if (what.starts_with(where + ": ")) what.remove_prefix(where.size() + 2);
  *environment.err << printable(where) << ": "
                   << (environment.colour_err ? "\x1b[31merror:\x1b[0m " : "error: ")
                   << printable(what) << "\n";
  if (!hint.empty()) *environment.err << "hint: " << printable(hint) << "\n";
  return code;
}

void note(const Environment& environment, const std::string& text) {
  *environment.err << "note: " << printable(text) << "\n";
}

ExitCode code_of_input(const absl::Status& status) {
  const bool data =
      status_errno(status) == 0 && (absl::IsDataLoss(status) || absl::IsInvalidArgument(status) ||
                                    absl::IsFailedPrecondition(status) ||
                                    absl::IsUnimplemented(status) || absl::IsAborted(status));
  return data ? ExitCode::kData : ExitCode::kNoInput;
}

std::string describe_state(int64_t first, int64_t last, const families::HardState& hard_state,
                           const image::SnapshotHead& snapshot) {
  const std::string log =
      last < first ? cat("no entries, next index ", first) : cat("entries ", first, "..", last);
  const std::string vote = hard_state.voted_for.empty() ? "nobody" : hard_state.voted_for;
  std::string tree = "no snapshot";
  if (snapshot.meta) {
    tree =
        cat("snapshot ", snapshot.meta->last_included_index, "/", snapshot.meta->last_included_term,
            " with ", snapshot.files, snapshot.files == 1 ? " file" : " files");
  }
  return cat(log, ", term ", hard_state.term, ", vote ", vote, ", ", tree);
}

void print_totals(const Environment& environment, const image::ImageTotals& totals) {
  *environment.out << "  content   " << totals.entries << " entries, " << totals.files
                   << (totals.files == 1 ? " file of " : " files of ") << totals.file_bytes
                   << " bytes, " << totals.content_bytes << " bytes in all\n"
                   << "  content sha256  " << image::to_hex(totals.content_sha256) << "\n"
                   << "  state digest    " << image::to_hex(totals.state) << "\n";
}

void print_identity(const Environment& environment, const image::ImageHeader& header) {
  *environment.out << "  identity  " << printable(image::to_string(header.identity)) << ", cut "
                   << header.cut_seq << "\n"
                   << "  source    family " << printable(header.source_family) << ", format "
                   << printable(header.source_format_version) << "\n";
}

void print_lost_vote(const Environment& environment) {
  *environment.out
      << "  warning   lost vote: the term is below the log's or the snapshot's; this was "
         "accepted at export, and a node may vote twice\n";
}

void print_image(const Environment& environment, const image::VerifiedImage& verified) {
  const image::ImageHeader& header = verified.header;
  *environment.out << "  format    " << header.format_major << "." << header.format_minor << "\n";
  print_identity(environment, header);
  *environment.out << "  state     "
                   << printable(describe_state(header.first_index, header.last_index,
                                               verified.hard_state, verified.snapshot))
                   << "\n";
  if (header.features.lost_vote) print_lost_vote(environment);
  print_totals(environment, verified.totals);
}

}  // namespace qk::cli
