#include "sim/conformance/transfer.h"

namespace qk::sim::conformance {

const image::Identity& transfer_identity() {
  static const image::Identity kIdentity{"conformance", "127.0.0.1:8100:0:0", "lineage", 1};
  return kIdentity;
}

absl::StatusOr<std::string> export_image(families::Family& family,
                                         const families::FamilyDescriptor& descriptor,
                                         uint64_t seq) {
  std::string bytes;
  image::MemorySink sink(&bytes);
  QK_ASSIGN_OR_RETURN(image::ExportCut cut, image::ExportCut::capture(family, seq));
  image::Exporter exporter(&family, std::move(cut), transfer_identity(), descriptor.name,
                           descriptor.format_version, &sink);
  QK_RETURN_IF_ERROR(exporter.run());
  return bytes;
}

image::ImportRequest import_request(const families::Registry& registry, families::FileSystem& fs,
                                    std::string_view family, std::string_view root) {
  image::ImportRequest request;
  request.registry = &registry;
  request.fs = &fs;
  request.root = root;
  request.family = family;
  request.identity = transfer_identity();
  request.instance = "imported";
  return request;
}

absl::Status import_image(image::ImportRequest request, std::string_view bytes) {
  const image::MemorySource source("image", bytes);
  image::Importer importer(std::move(request), &source);
  return importer.run();
}

}  // namespace qk::sim::conformance
