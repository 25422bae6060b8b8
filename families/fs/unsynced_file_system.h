// UnsyncedFileSystem: forwards everything but syncs. For tests that ask what is on a real disk, and
// none of them what a power cut leaves of it; a real sync takes milliseconds.
#pragma once

#include <memory>

#include "families/fs/file_system_wrapper.h"

namespace qk::families {

class UnsyncedFileSystem final : public FileSystemWrapper {
 public:
  using FileSystemWrapper::FileSystemWrapper;
  absl::Status sync_dir(std::string_view path, SyncKind) override {
    return inner().stat(path).status();
  }

 private:
  class UnsyncedFile final : public FileWrapper {
   public:
    using FileWrapper::FileWrapper;
    absl::Status sync(SyncKind) override { return absl::OkStatus(); }
  };
  std::unique_ptr<File> wrap(std::unique_ptr<File> file, std::string_view, OpenFlags) override {
    return std::make_unique<UnsyncedFile>(std::move(file));
  }
};

}  // namespace qk::families
