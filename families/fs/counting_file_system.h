// CountingFileSystem: forwards to another file system and counts the handles that are open. For
// tests of how many descriptors something needs.
#pragma once

#include <algorithm>
#include <memory>
#include <utility>

#include "families/fs/file_system_wrapper.h"

namespace qk::families {

class CountingFileSystem final : public FileSystemWrapper {
 public:
  using FileSystemWrapper::FileSystemWrapper;

  int open_handles = 0;
  int most_handles = 0;  // at any time

 private:
  class CountedFile final : public FileWrapper {
   public:
    CountedFile(CountingFileSystem* fs, std::unique_ptr<File> inner)
        : FileWrapper(std::move(inner)), fs_(*fs) {
      fs_.most_handles = std::max(fs_.most_handles, ++fs_.open_handles);
    }
    ~CountedFile() override { --fs_.open_handles; }

   private:
    CountingFileSystem& fs_;
  };

  std::unique_ptr<File> wrap(std::unique_ptr<File> file, std::string_view, OpenFlags) override {
    return std::make_unique<CountedFile>(this, std::move(file));
  }
};

}  // namespace qk::families
