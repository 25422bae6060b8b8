// What a device may hold after a power cut, from what it was told: every prefix of its writes, and of those
// since the last flush also every one missing, every one alone, and all subsets while there are few.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "tools/calibrate/block_store.h"
#include "tools/calibrate/recording_disk.h"

namespace qk::calibrate {

struct CrashImage {
  BlockStore store;
  size_t calls = 0;   // of the program that had returned
  bool torn = false;  // a block holds a part of a write: only a disk of smaller sectors leaves that
};

// `visit` may return false to end. `before`: what was durable; it must outlive the images.
void for_each_crash_image(const BlockStore& before, const std::vector<DeviceCall>& log,
                          const std::function<bool(CrashImage)>& visit);

}  // namespace qk::calibrate
