// Bootstrap images in memory, as checks use them: exported from an instance, imported into another.
#pragma once

#include <string>
#include <string_view>

#include "image/exporter.h"
#include "image/importer.h"

namespace qk::sim::conformance {

// Whose state all instances of a check are.
const image::Identity& transfer_identity();

// The image of `family` as it is now, at cut `seq`; `descriptor` is what it is an instance of.
absl::StatusOr<std::string> export_image(families::Family& family,
                                         const families::FamilyDescriptor& descriptor,
                                         uint64_t seq = 1);

image::ImportRequest import_request(const families::Registry& registry, families::FileSystem& fs,
                                    std::string_view family, std::string_view root);
// All steps; what a failed import staged is left for the next one.
absl::Status import_image(image::ImportRequest request, std::string_view bytes);

}  // namespace qk::sim::conformance
