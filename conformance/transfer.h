// Bootstrap images in memory, as checks use them: exported from an instance, imported into another.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "conformance/model.h"
#include "image/exporter.h"
#include "image/importer.h"

namespace qk::sim::conformance {

// Whose state all instances of a check are.
const image::Identity& transfer_identity();

// The image of `family` as it is now, at cut `seq`; `descriptor` is what it is an instance of. Many
// histories here are storage calls alone, which never saved the term of their entries: by default
// that is accepted (families/contract/lost_vote.h).
absl::StatusOr<std::string> export_image(families::Family& family,
                                         const families::FamilyDescriptor& descriptor,
                                         uint64_t seq = 1, bool accept_lost_vote = true);

// What the reader says of it.
absl::Status verify_bytes(std::string_view image);

image::ImportRequest import_request(const families::Registry& registry, families::FileSystem& fs,
                                    std::string_view family, std::string_view root);
// All steps; what a failed import staged is left for the next one.
absl::Status import_image(image::ImportRequest request, std::string_view bytes);

// The instance that an import made.
absl::StatusOr<std::unique_ptr<families::Family>> open_imported(const families::Registry& registry,
                                                                families::FileSystem& fs,
                                                                std::string_view family,
                                                                std::string_view root);

// A fresh instance with this history, open. Bare: without a sidecar.
absl::StatusOr<std::unique_ptr<families::Family>> make_instance(
    const families::Registry& registry, families::FileSystem& fs, std::string_view family,
    std::string_view root, const std::vector<Change>& history,
    const families::FamilyOptions& options = {});
// Does all background work, then closes.
absl::Status close_instance(std::unique_ptr<families::Family> family);

}  // namespace qk::sim::conformance
