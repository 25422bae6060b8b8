#include "tools/qksim/conformance_evidence.h"

#include "families/fs/file_util.h"
#include "tools/qksim/output_file.h"

namespace qk::cli {
namespace {

constexpr uint64_t kMaxEvidenceBytes = uint64_t{256} << 20;

}  // namespace

absl::StatusOr<std::optional<sim::conformance::Evidence>> load_evidence(
    const Environment& environment) {
  const std::string path = absolute_path(environment, std::string(kEvidenceFile));
  const auto text = families::read_file(*environment.fs, path, kMaxEvidenceBytes);
  if (absl::IsNotFound(text.status())) return std::optional<sim::conformance::Evidence>();
  QK_RETURN_IF_ERROR(text.status());
  QK_ASSIGN_OR_RETURN(auto evidence, sim::conformance::parse_evidence(*text));
  return std::optional<sim::conformance::Evidence>(std::move(evidence));
}

absl::Status check_evidence_replaceable(const Environment& environment) {
  const std::string path = absolute_path(environment, std::string(kEvidenceFile));
  QK_RETURN_IF_ERROR(check_replaceable(path, {"{"}));
  const absl::Status status = load_evidence(environment).status();
  if (status.ok()) return status;
  return absl::FailedPreconditionError(cat(
      kEvidenceFile, " is not replaced, because qksim cannot read what is in it; move it away: ",
      to_std(status.message())));
}

absl::Status save_evidence(const sim::conformance::Evidence& evidence,
                           const Environment& environment) {
  const std::string path = absolute_path(environment, std::string(kEvidenceFile));
  QK_RETURN_IF_ERROR(families::make_directories(*environment.fs, families::parent_path(path)));
  return replace_output(environment, path, sim::conformance::to_json(evidence));
}

}  // namespace qk::cli
