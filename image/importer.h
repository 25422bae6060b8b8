// Importer: makes an instance of any family from an image, step by step, all or nothing.
//
// The image is verified completely before anything is created. The root is then made, unless it is
// there as an empty directory, whose mode and owner stay; it is locked, and gets a sidecar in state
// importing, under which nothing opens. The instance is built in the staging directory
// ROOT/qk_importing, reopened and exported again; only if that content is byte for byte the image's
// is the directory renamed to ROOT/qk_publishing, with a list of its names in it, and are they
// moved into the root, the log last; only when that is durable does the sidecar get its final
// state. Bytes are compared by a 128-bit XXH3 of each of the three passes: the first, which also
// checks all SHA-256 hashes, the one that writes, and the one that reads back. So at every crash
// point the root does not open, or it is complete and equal to the image (CI-20, CI-24, ora.L14).
// An import that fails takes a final state back that it may have written.
//
// What a killed import leaves is recognised by its sidecar, and by the root's lock that no process
// holds; the next import of the same identity and family into this root replaces it. Of the names
// in the root only those are the import's that it listed and no longer has in its own directory;
// any other one, braft's log for instance, stays and is a reason to refuse.
//
// Two importers never work in one root: the second one is refused (Unavailable). A root that is not
// empty and an image of another identity (CI-X1) are refused with nothing changed.
//
// Not covered: programs that do not read the sidecar, such as braft itself. Between the moves of
// the names they could see a part of the instance.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "image/exporter.h"
#include "image/identity.h"
#include "image/reader.h"

namespace qk::image {

// What a pass over the whole image has shown of it: of an exporter with Hashing::kBoth.
struct KnownImage {
  ImageHeader header;
  ImageTotals totals;
  Xxh3Stream::Value content_xxh3{};
};

struct ImportRequest {
  const families::Registry* registry = nullptr;  // must outlive the importer, as must fs
  families::FileSystem* fs = nullptr;
  std::string root;
  std::string family;
  families::FamilyOptions options;
  families::PartPaths parts = {};  // not split: the instance appears by one rename
  Identity identity;               // what the image must say (CI-X1)
  std::string instance;            // goes into the sidecar
  InstanceState final_state = InstanceState::kCurrent;
  // The image was seen whole by whoever made it: the source is then read once, from its begin to its
  // end, and must hold just this.
  std::optional<KnownImage> known = {};
  // Whether the instance is read back and compared before it moves to its place. Without it the
  // caller has to, and `final_state` must be importing.
  bool read_back = true;
};

class Importer {
 public:
  // `source` must outlive the importer.
  Importer(ImportRequest request, const Source* source);
  ~Importer();

  // Verifies, writes or compares up to `max_entries` (>= 1) entries or file chunks, a frame at
  // least; true when the instance is at its root, durably. After an error every further step
  // returns it.
  absl::StatusOr<bool> step(int64_t max_entries);
  // All steps.
  absl::Status run();
  // Puts the root back as it was, if this import changed it: what a caller that gives up in good
  // order does. The next import into the root does it otherwise.
  absl::Status discard();

  // In parts per million; 1000000 only when finished.
  int64_t progress_ppm() const;
  // Whether the whole image has been found good; an error before that is about the image, the
  // destination's name, or the identity, and nothing was created.
  bool verified() const { return stage_ != Stage::kVerify; }
  // Whether it reads the image for the instance, or has begun to.
  bool writing() const { return stage_ >= Stage::kWrite; }
  // Whether the root held what an earlier import that was stopped had left; it is replaced.
  bool replaced_leftover() const { return replaced_leftover_; }
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
  absl::Status move_into_root();
  absl::Status write_state(const std::string& directory, InstanceState state);
  absl::StatusOr<std::unique_ptr<families::Family>> open(bool create);

  ImportRequest request_;
  const Source* source_;
  std::string staging_;
  std::optional<families::FamilyDescriptor> descriptor_;  // with the names of these parts

  Stage stage_ = Stage::kVerify;
  absl::Status failed_;
  std::unique_ptr<families::FileLock> lock_;  // of the root
  bool created_ = false;                      // the root was absent
  bool staged_ = false;                       // the root's content is ours
  bool replaced_leftover_ = false;
  std::vector<std::string> moved_;   // names in the root that are ours
  std::optional<Sidecar> reserved_;  // the sidecar of an empty instance that was there
  std::string where_;                // the directory that holds the instance now
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
