// DiskLooks: what was looked at of a disk's content, in the order of the first looks. Two disks that
// show the same at each of them cannot be told apart by the process that looked.
//
// More is noted than was needed: a file that was written since is still one of the content. That
// makes two disks differ that could be taken for one, never the other way round.
#pragma once

#include <compare>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace qk::sim {

struct DiskLook {
  enum class Kind : uint8_t {
    kName,   // what `name` in the directory leads to
    kNames,  // all that the directory holds
    kSize,   // of the file
    kPage,   // the bytes of page `page`
  };
  Kind kind = Kind::kName;
  uint64_t inode = 0;
  uint32_t page = 0;
  std::string name = {};
  auto operator<=>(const DiskLook&) const = default;
};

class DiskLooks {
 public:
  // Forgets all, and counts what is below `first_new` as content.
  void begin(uint64_t first_new) {
    first_new_ = first_new;
    seen_.clear();
    in_order_.clear();
  }
  void add(DiskLook look) {
    if (look.inode >= first_new_) return;
    const auto [place, fresh] = seen_.insert(std::move(look));
    if (fresh) in_order_.push_back(*place);
  }
  const std::vector<DiskLook>& in_order() const { return in_order_; }

 private:
  uint64_t first_new_ = 0;
  std::set<DiskLook> seen_;
  std::vector<DiskLook> in_order_;
};

}  // namespace qk::sim
