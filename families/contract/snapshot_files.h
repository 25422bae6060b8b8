// The table of a snapshot that is being written: names in any order, each once.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "families/contract/types.h"

namespace qk::families {

class SnapshotFiles {
 public:
  // False if the name is there already.
  bool insert(std::string_view name, const FileMeta& meta) {
    stale_ = true;
    return files_.try_emplace(std::string(name), meta).second;
  }
  // False if the name is not there.
  bool erase(std::string_view name) {
    const auto at = files_.find(name);
    if (at == files_.end()) return false;
    stale_ = true;
    files_.erase(at);
    return true;
  }
  bool contains(std::string_view name) const { return files_.contains(name); }

  // In byte order of name. Made when it is asked for after a change, so that adding names costs the
  // same in every order of them.
  const std::vector<SnapshotFile>& list() const {
    if (stale_) {
      list_.clear();
      list_.reserve(files_.size());
      for (const auto& [name, meta] : files_) list_.push_back({name, meta});
      stale_ = false;
    }
    return list_;
  }

 private:
  std::map<std::string, FileMeta, std::less<>> files_;
  mutable std::vector<SnapshotFile> list_;
  mutable bool stale_ = false;
};

}  // namespace qk::families
