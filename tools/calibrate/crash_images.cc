#include "tools/calibrate/crash_images.h"

namespace qk::calibrate {
namespace {

// Up to so many writes since the last flush, all subsets are tried.
constexpr size_t kAllSubsets = 5;
// Of more, single ones are missing among the last so many.
constexpr size_t kOmitted = 12;

class Walk {
 public:
  Walk(const BlockStore& before, const std::vector<DeviceCall>& log,
       const std::function<bool(CrashImage)>& visit)
      : log_(log), visit_(visit), durable_(&before) {}

  void run() {
    emit({});
    for (size_t at = 0; at < log_.size() && going_; ++at) {
      const DeviceCall& call = log_[at];
      switch (call.kind) {
        case DeviceCall::Kind::kWrite:
          pending_.push_back(at);
          ending_with(pending_.size() - 1);
          break;
        case DeviceCall::Kind::kFlush:
          for (const size_t write : pending_) apply(write, &durable_);
          pending_.clear();
          break;
        case DeviceCall::Kind::kMark:
          // More is owed now, so what was legal before is looked at again.
          calls_ = call.mark;
          emit({});
          for (size_t last = 0; last < pending_.size(); ++last) ending_with(last);
          break;
      }
    }
  }

 private:
  void apply(size_t write, BlockStore* store) const {
    store->write(log_[write].offset, log_[write].bytes);
  }

  // States in which pending write number `last` is the last one that is there, whole or in part.
  void ending_with(size_t last) {
    std::vector<size_t> all(pending_.begin(), pending_.begin() + static_cast<ptrdiff_t>(last) + 1);
    emit(all);
    tear(all);
    if (last == 0) return;
    if (all.size() <= kAllSubsets) {
      for (uint32_t mask = 0; mask + 1 < 1u << last; ++mask) {
        std::vector<size_t> some;
        for (size_t i = 0; i < last; ++i) {
          if ((mask >> i & 1) != 0) some.push_back(all[i]);
        }
        some.push_back(all[last]);
        emit(some);
      }
      return;
    }
    for (size_t i = last > kOmitted ? last - kOmitted : 0; i < last; ++i) {
      std::vector<size_t> some = all;
      some.erase(some.begin() + static_cast<ptrdiff_t>(i));
      emit(some);
    }
    emit({all[last]});
  }

  void emit(const std::vector<size_t>& writes) {
    if (!going_) return;
    CrashImage image{durable_, calls_, false};
    for (const size_t write : writes) apply(write, &image.store);
    going_ = visit_(std::move(image));
  }

  // The last write ends in its middle: between two blocks, and inside one.
  void tear(const std::vector<size_t>& writes) {
    const DeviceCall& last = log_[writes.back()];
    const uint64_t blocks = last.bytes.size() / kBlock;
    if (blocks >= 2) cut(writes, blocks / 2 * kBlock, last.offset % kBlock != 0);
    if (last.bytes.size() >= kBlock) {
      cut(writes, last.bytes.size() - kBlock / 2, true);
    }
  }
  void cut(const std::vector<size_t>& writes, uint64_t size, bool torn) {
    if (!going_) return;
    CrashImage image{durable_, calls_, torn};
    for (size_t i = 0; i + 1 < writes.size(); ++i) apply(writes[i], &image.store);
    const DeviceCall& last = log_[writes.back()];
    image.store.write(last.offset, std::string_view(last.bytes).substr(0, size));
    going_ = visit_(std::move(image));
  }

  const std::vector<DeviceCall>& log_;
  const std::function<bool(CrashImage)>& visit_;
  BlockStore durable_;
  std::vector<size_t> pending_;
  size_t calls_ = 0;
  bool going_ = true;
};

}  // namespace

void for_each_crash_image(const BlockStore& before, const std::vector<DeviceCall>& log,
                          const std::function<bool(CrashImage)>& visit) {
  Walk(before, log, visit).run();
}

}  // namespace qk::calibrate
