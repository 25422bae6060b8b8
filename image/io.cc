#include "image/io.h"

#include <algorithm>
#include <ostream>

#include "families/base/check.h"
#include "families/fs/file_util.h"

namespace qk::image {

FileSink::FileSink(families::FileSystem* fs, std::string path, std::string unique)
    : fs_(fs),
      path_(std::move(path)),
      unique_(std::move(unique)),
      temporary_(shared() ? cat(path_, ".", unique_, ".tmp") : cat(path_, ".tmp")) {}

absl::Status FileSink::append(std::string_view bytes) {
  if (file_ == nullptr) {
    auto file = fs_->open(temporary_, {.create = true,
                                       .exclusive = shared(),  // follows no symbolic link
                                       .truncate = !shared()});
    // A call that failed may have made it all the same.
    made_ = !absl::IsAlreadyExists(file.status());
    QK_RETURN_IF_ERROR(file.status());
    file_ = *std::move(file);
    if (shared()) {
      QK_ASSIGN_OR_RETURN(lock_, fs_->lock(temporary_));
    }
  }
  QK_RETURN_IF_ERROR(file_->write_at(offset_, bytes));
  offset_ += bytes.size();
  return absl::OkStatus();
}

absl::Status FileSink::finish() {
  QK_CHECK(file_ != nullptr);
  QK_RETURN_IF_ERROR(file_->sync(families::SyncKind::kFull));
  file_.reset();
  if (shared()) {
    QK_RETURN_IF_ERROR(lock_->check());
    QK_RETURN_IF_ERROR(publish());
  } else {
    QK_RETURN_IF_ERROR(fs_->rename(temporary_, path_));
  }
  made_ = false;
  const absl::Status synced =
      fs_->sync_dir(families::parent_path(path_), families::SyncKind::kFull);
  if (!synced.ok() && shared()) fs_->unlink(path_).IgnoreError();
  lock_.reset();
  return synced;
}

absl::Status FileSink::publish() {
  QK_ASSIGN_OR_RETURN(const families::FileStat own, fs_->stat(temporary_));
  const absl::Status renamed = fs_->rename_new(temporary_, path_);
  if (renamed.ok()) return renamed;
  // A call that failed may have done its work; then PATH, and only then, is this sink's.
  const auto there = fs_->stat(path_);
  if (there.ok() && there->inode == own.inode && there->device == own.device) {
    fs_->unlink(path_).IgnoreError();
  }
  return renamed;
}

absl::Status FileSink::discard() {
  file_.reset();
  const std::unique_ptr<families::FileLock> lock = std::move(lock_);
  if (!made_) return absl::OkStatus();
  made_ = false;
  // By that name there may be somebody else's file now.
  if (lock != nullptr && !lock->check().ok()) return absl::OkStatus();
  const absl::Status unlinked = fs_->unlink(temporary_);
  return absl::IsNotFound(unlinked) ? absl::OkStatus() : unlinked;
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
