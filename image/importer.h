// Importer: makes an instance of any family from an image, step by step, all or nothing.
//
// The image is verified completely before anything is created. The instance is then built in the
// staging directory ROOT.importing, under a sidecar in state importing, reopened and exported
// again; only if that content is byte for byte the image's does the sidecar get its final state and
// the directory its final name. Bytes are compared by a 128-bit XXH3 of each of the three passes:
// the first, which also checks all SHA-256 hashes, the one that writes, and the one that reads
// back. So at every crash point ROOT is absent (or the empty directory it was), or complete and
// equal to the image (CI-20, CI-24, ora.L14). What a killed or failed import leaves in the staging
// place opens only if it was stopped between its last two steps, final state and final name, when
// it is whole; nobody looks there, and the next import into the same root removes it. An import
// whose very last directory sync fails answers with that error, though the whole instance may
// stand.
//
// A root that is not empty and an image of another identity (CI-X1) are refused with nothing
// changed.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "image/exporter.h"
#include "image/identity.h"
#include "image/reader.h"

namespace qk::image {

struct ImportRequest {
  const families::Registry* registry = nullptr;  // must outlive the importer, as must fs
  families::FileSystem* fs = nullptr;
  std::string root;
  std::string family;
  families::FamilyOptions options;
  Identity identity;     // what the image must say (CI-X1)
  std::string instance;  // goes into the sidecar
  InstanceState final_state = InstanceState::kCurrent;
  // A planted defect, for tests of the oracles only: the final marker and name come before the
  // content.
  bool marker_first = false;
};

class Importer {
 public:
  // `source` must outlive the importer.
  Importer(ImportRequest request, const Source* source);
  ~Importer();

  // Verifies, writes or compares up to `max_entries` (>= 1) entries or file chunks, a frame at
  // least; true when the instance stands at its root, durably. After an error every further step
  // returns it.
  absl::StatusOr<bool> step(int64_t max_entries);
  // All steps.
  absl::Status run();
  // Removes the staging directory that this import created, if it did: what a caller that gives up
  // in good order does. The next import into the root does it otherwise.
  absl::Status discard();

  // In parts per million; 1000000 only when finished.
  int64_t progress_ppm() const;
  // Whether the whole image has been found good; an error before that is about the image, the
  // destination's name, or the identity, and nothing was created.
  bool verified() const { return stage_ != Stage::kVerify; }
  // The instance under way while it is open, for its background work; null otherwise.
  families::Family* family() { return family_.get(); }
  // Valid once verified.
  const ImageHeader& header() const { return header_; }
  const ImageTotals& totals() const { return totals_; }

 private:
  enum class Stage : uint8_t { kVerify, kPrepare, kWrite, kReopen, kCompare, kCommit, kDone };

  absl::StatusOr<bool> step_inner(int64_t max_entries);
  absl::Status verify(int64_t* budget);
  absl::Status prepare();
  absl::Status write(int64_t* budget);
  absl::Status write_item(ImageReader::Item item);
  absl::Status close_family();
  absl::Status reopen();
  absl::Status compare(int64_t max_entries);
  absl::Status commit();
  // Final state into the sidecar, final name onto the directory.
  absl::Status publish();
  absl::StatusOr<std::unique_ptr<families::Family>> open(bool create);

  ImportRequest request_;
  const Source* source_;
  std::string staging_;
  const families::FamilyDescriptor* descriptor_ = nullptr;

  Stage stage_ = Stage::kVerify;
  absl::Status failed_;
  bool staged_ = false;  // the staging directory is ours
  std::string where_;    // the directory that holds the instance now
  ImageHeader header_;
  ImageTotals totals_;
  Xxh3Stream::Value content_xxh3_{};

  std::unique_ptr<ImageReader> reader_;
  std::unique_ptr<families::Family> family_;
  std::unique_ptr<families::LogLoader> loader_;
  std::unique_ptr<families::SnapshotWriter> writer_;
  std::unique_ptr<families::File> file_;
  uint64_t file_offset_ = 0;

  NullSink null_sink_;
  std::unique_ptr<Exporter> exporter_;
};

}  // namespace qk::image
