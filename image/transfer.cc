#include "image/transfer.h"

#include <algorithm>
#include <utility>

#include "families/base/bytes.h"
#include "families/base/check.h"

namespace qk::image {

Reading::Reading(families::Family* family, ExportCut cut, const Identity& identity,
                 const families::FamilyDescriptor& descriptor)
    : exporter_(family, std::move(cut), identity, descriptor.name, descriptor.format_version,
                &sink_, Hashing::kBoth) {}

KnownImage Reading::known() const {
  return {exporter_.header(), exporter_.totals(), exporter_.content_xxh3()};
}

// What the exporter has written and the importer has not read, at most a frame: the importer takes
// each one as soon as it is whole.
class Transfer::Pipe final : public Sink, public Source {
 public:
  Pipe(Transfer* transfer, std::string name, const ImageTotals& totals)
      : transfer_(transfer), name_(std::move(name)), totals_(totals) {}

  absl::Status append(std::string_view bytes) override {
    bytes_.append(bytes);
    while (true) {
      const uint64_t begin = frame_begin_ - base_;
      if (bytes_.size() < begin + kFrameHeadBytes) return absl::OkStatus();
      const uint64_t size = kFrameOverhead + get_le32(bytes_.data() + begin + 1);
      if (bytes_.size() < begin + size) return absl::OkStatus();
      frame_begin_ += size;
      // The reader takes magic and header with the first frame of the content.
      if (std::exchange(header_passed_, true)) {
        QK_RETURN_IF_ERROR(
            transfer_->write(transfer_->importer_->step(/*max_entries=*/1)).status());
      }
    }
  }
  // The exporter of a second pass writes no trailer: the first pass has made it.
  absl::Status finish() override {
    std::string frame;
    put_frame(&frame, FrameType::kTrailer, encode_trailer(totals_));
    return append(frame);
  }

  std::string name() const override { return name_; }
  uint64_t size() const override { return base_ + bytes_.size(); }
  absl::Status read(uint64_t offset, std::span<char> buffer) const override {
    QK_CHECK(offset >= base_ && offset + buffer.size() <= size());
    std::copy_n(bytes_.data() + (offset - base_), buffer.size(), buffer.data());
    if (offset + buffer.size() == frame_begin_) {  // the last bytes of the frame
      bytes_.erase(0, frame_begin_ - base_);
      base_ = frame_begin_;
    }
    return absl::OkStatus();
  }

 private:
  Transfer* transfer_;
  const std::string name_;
  const ImageTotals totals_;
  uint64_t frame_begin_ = kMagic.size();  // offset of the frame that is not whole yet
  bool header_passed_ = false;
  // What has been read is dropped; a reader reads each byte once.
  mutable std::string bytes_;
  mutable uint64_t base_ = 0;  // offset of bytes_
};

Transfer::Transfer(families::Family* family, ExportCut cut,
                   const families::FamilyDescriptor& descriptor, const KnownImage& known,
                   ImportRequest request) {
  const Identity identity = request.identity;
  request.known = known;
  request.read_back = false;
  request.final_state = InstanceState::kImporting;
  pipe_ = std::make_unique<Pipe>(this, cat("transfer to ", request.root), known.totals);
  importer_ = std::make_unique<Importer>(std::move(request), pipe_.get());
  exporter_ = std::make_unique<Exporter>(family, std::move(cut), identity, descriptor.name,
                                         descriptor.format_version, pipe_.get(), Hashing::kXxh3);
}

Transfer::~Transfer() = default;

absl::StatusOr<bool> Transfer::write(absl::StatusOr<bool> finished) {
  write_failed_ = write_failed_ || !finished.ok();
  return finished;
}

absl::StatusOr<bool> Transfer::step(int64_t max_entries) {
  QK_RETURN_IF_ERROR(failed_);
  const auto step = [&]() -> absl::StatusOr<bool> {
    if (!importer_->writing() || exported_) return write(importer_->step(max_entries));
    QK_ASSIGN_OR_RETURN(exported_, exporter_->step(max_entries));
    return false;
  };
  auto finished = step();
  failed_ = finished.status();
  return finished;
}

}  // namespace qk::image
