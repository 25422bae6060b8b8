#include "image/io.h"

#include <algorithm>
#include <ostream>

#include "base/check.h"
#include "families/fs/file_util.h"

namespace qk::image {

FileSink::FileSink(families::FileSystem* fs, std::string path) : fs_(fs), path_(std::move(path)) {}

absl::Status FileSink::append(std::string_view bytes) {
  if (file_ == nullptr) {
    QK_ASSIGN_OR_RETURN(file_, fs_->open(cat(path_, ".tmp"), {.create = true, .truncate = true}));
  }
  QK_RETURN_IF_ERROR(file_->write_at(offset_, bytes));
  offset_ += bytes.size();
  return absl::OkStatus();
}

absl::Status FileSink::finish() {
  QK_CHECK(file_ != nullptr);
  QK_RETURN_IF_ERROR(file_->sync(families::SyncKind::kFull));
  file_.reset();
  QK_RETURN_IF_ERROR(fs_->rename(cat(path_, ".tmp"), path_));
  return fs_->sync_dir(families::parent_path(path_), families::SyncKind::kFull);
}

absl::Status MemorySink::append(std::string_view bytes) {
  bytes_->append(bytes);
  return absl::OkStatus();
}

absl::Status MemorySink::finish() { return absl::OkStatus(); }

absl::Status StreamSink::append(std::string_view bytes) {
  stream_->write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  return stream_->good() ? absl::OkStatus() : absl::UnavailableError("output stream failed");
}

absl::Status StreamSink::finish() {
  stream_->flush();
  return stream_->good() ? absl::OkStatus() : absl::UnavailableError("output stream failed");
}

FileSource::FileSource(std::string path, std::unique_ptr<families::File> file, uint64_t size)
    : path_(std::move(path)), file_(std::move(file)), size_(size) {}

absl::StatusOr<std::unique_ptr<FileSource>> FileSource::open(families::FileSystem& fs,
                                                             std::string path) {
  QK_ASSIGN_OR_RETURN(std::unique_ptr<families::File> file, fs.open(path, {.read_only = true}));
  QK_ASSIGN_OR_RETURN(const uint64_t size, file->size());
  return std::unique_ptr<FileSource>(new FileSource(std::move(path), std::move(file), size));
}

absl::Status FileSource::read(uint64_t offset, std::span<char> buffer) const {
  return families::read_exact(*file_, path_, offset, buffer);
}

absl::Status MemorySource::read(uint64_t offset, std::span<char> buffer) const {
  QK_CHECK(offset <= bytes_.size() && buffer.size() <= bytes_.size() - offset);
  std::copy_n(bytes_.data() + offset, buffer.size(), buffer.data());
  return absl::OkStatus();
}

}  // namespace qk::image
