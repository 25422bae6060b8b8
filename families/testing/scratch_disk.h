// ScratchDisk: an empty directory whose files live in memory, for tests that are about bytes and
// not about what a real disk does with them.
#pragma once

#include <string>

#include "families/fs/overlay_file_system.h"
#include "families/fs/posix_file_system.h"
#include "families/fs/temp_directory.h"

namespace qk::families {

class ScratchDisk {
 public:
  FileSystem& fs() { return overlay_; }
  const std::string& path() const { return directory_.path(); }

 private:
  TempDirectory directory_;
  PosixFileSystem lower_;
  OverlayFileSystem overlay_{&lower_};
};

}  // namespace qk::families
