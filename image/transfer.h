// Transfer: copies the state of one instance into a new one of any family, through the frames of an
// image that nobody keeps. It is an exporter and an importer with a frame between them: same bytes,
// same rules, same refusals as with an image file, and memory for one frame.
//
// The source is read twice. The first pass (Reading) makes nothing: it applies every rule, and yields
// the totals and digests of the image to come. The second one (Transfer) writes the new instance,
// and fails unless its bytes are those of the first.
//
// The new instance is not read back here: it ends in state importing, under which nothing opens, and
// whoever has compared it with the totals gives it another one. After an error or a crash the root
// is as with an importer.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "image/exporter.h"
#include "image/importer.h"

namespace qk::image {

// Reads an instance as a whole: its totals, with digests, and its content's hash.
class Reading {
 public:
  // `family` must outlive it.
  Reading(families::Family* family, ExportCut cut, const Identity& identity,
          const families::FamilyDescriptor& descriptor);

  // As of an exporter.
  absl::StatusOr<bool> step(int64_t max_entries) { return exporter_.step(max_entries); }
  int64_t progress_ppm() const { return exporter_.progress_ppm(); }
  uint64_t content_bytes() const { return exporter_.content_bytes(); }
  // Valid once a step returned true.
  KnownImage known() const;
  const ExportCut& cut() const { return exporter_.cut(); }

 private:
  NullSink sink_;
  Exporter exporter_;
};

class Transfer {
 public:
  // `family`, which is at `cut`, must outlive it. `request` says where to; what `known` says goes
  // into it, and the state that the instance ends in.
  Transfer(families::Family* family, ExportCut cut, const families::FamilyDescriptor& descriptor,
           const KnownImage& known, ImportRequest request);
  ~Transfer();

  // As of an exporter, and of an importer.
  absl::StatusOr<bool> step(int64_t max_entries);
  int64_t progress_ppm() const { return exporter_->progress_ppm(); }
  uint64_t content_bytes() const { return exporter_->content_bytes(); }
  absl::Status discard() { return importer_->discard(); }
  // Whether an error was the destination's, and not the source's.
  bool write_failed() const { return write_failed_; }

 private:
  class Pipe;

  absl::StatusOr<bool> write(absl::StatusOr<bool> finished);

  bool write_failed_ = false;
  bool exported_ = false;
  absl::Status failed_;
  std::unique_ptr<Pipe> pipe_;
  std::unique_ptr<Importer> importer_;
  std::unique_ptr<Exporter> exporter_;
};

}  // namespace qk::image
