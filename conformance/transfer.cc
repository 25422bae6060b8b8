#include "conformance/transfer.h"

#include "conformance/context.h"
#include "conformance/planting.h"
#include "families/contract/mutation.h"

namespace qk::sim::conformance {

const image::Identity& transfer_identity() {
  static const image::Identity kIdentity{"conformance", "127.0.0.1:8100:0:0", "lineage", 1};
  return kIdentity;
}

absl::StatusOr<std::string> export_image(families::Family& family,
                                         const families::FamilyDescriptor& descriptor, uint64_t seq,
                                         bool accept_lost_vote) {
  std::unique_ptr<families::Family> planted;
  if (planting().source) planted = planting().source(&family);
  families::Family& source = planted ? *planted : family;
  std::string bytes;
  image::MemorySink sink(&bytes);
  QK_ASSIGN_OR_RETURN(image::ExportCut cut, image::ExportCut::capture(source, seq));
  cut.accept_lost_vote = accept_lost_vote;
  image::Exporter exporter(&source, std::move(cut), transfer_identity(), descriptor.name,
                           descriptor.format_version, &sink);
  QK_RETURN_IF_ERROR(exporter.run());
  if (planting().exported) return planting().exported(std::move(bytes), descriptor);
  return bytes;
}

absl::Status verify_bytes(std::string_view image) {
  std::string planted;
  if (planting().seen) image = planted = planting().seen(image);
  absl::Status status = image::verify_image(image::MemorySource("image", image)).status();
  return planting().verified ? planting().verified(std::move(status)) : status;
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
  if (planting().importing) QK_RETURN_IF_ERROR(planting().importing(request));
  std::string planted;
  if (planting().seen) bytes = planted = planting().seen(bytes);
  const image::MemorySource source("image", bytes);
  image::Importer importer(std::move(request), &source);
  return importer.run();
}

absl::StatusOr<std::unique_ptr<families::Family>> open_imported(const families::Registry& registry,
                                                                families::FileSystem& fs,
                                                                std::string_view family,
                                                                std::string_view root) {
  families::OpenRequest request;
  request.fs = &fs;
  request.root = root;
  return image::open_instance(registry, request, family, transfer_identity());
}

absl::StatusOr<std::unique_ptr<families::Family>> make_instance(
    const families::Registry& registry, families::FileSystem& fs, std::string_view family,
    std::string_view root, const std::vector<Change>& history,
    const families::FamilyOptions& options) {
  families::OpenRequest request;
  request.fs = &fs;
  request.root = root;
  request.create = true;
  request.options = options;
  QK_ASSIGN_OR_RETURN(auto instance, families::open_family(registry, family, request));
  families::PlainDriver driver(instance.get());
  for (const Change& change : history) {
    QK_ASSIGN_OR_RETURN(families::Mutation mutation, to_mutation(driver, change));
    QK_RETURN_IF_ERROR(driver.apply(std::move(mutation)).status());
  }
  return instance;
}

absl::Status close_instance(std::unique_ptr<families::Family> family) {
  while (family->pending_work() > 0) QK_RETURN_IF_ERROR(family->run_one());
  return absl::OkStatus();
}

}  // namespace qk::sim::conformance
