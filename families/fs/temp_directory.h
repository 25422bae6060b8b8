// A directory under the system's temporary directory, removed when the object goes. For tests that
// need a real disk.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

#include "families/base/check.h"

namespace qk::families {

class TempDirectory {
 public:
  TempDirectory() {
    // Canonical, because FileSystem wants normalised paths.
    std::string name =
        std::filesystem::canonical(std::filesystem::temp_directory_path()) / "qksim-test-XXXXXX";
    QK_CHECK(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~TempDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDirectory(const TempDirectory&) = delete;
  TempDirectory& operator=(const TempDirectory&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace qk::families
