#include "sim/disk/disk_faults.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "families/base/strings.h"

namespace qk::sim {

std::string to_string(const DiskCall& call) {
  if (call.to.empty()) return cat(call.what, " ", call.path);
  return cat(call.what, " ", call.path, call.what == "link" ? " as " : " to ", call.to);
}

uint64_t DiskFaults::add(DiskFault fault, uint64_t from, DiskFaultHit hit) {
  armed_.push_back({next_id_, from, std::move(fault), std::move(hit)});
  return next_id_++;
}

void DiskFaults::remove(uint64_t id) {
  std::erase_if(armed_, [id](const Armed& armed) { return armed.id == id; });
}

void DiskFaults::make_space() {
  std::erase_if(armed_,
                [](const Armed& armed) { return armed.fault.kind == DiskFaultKind::kDiskFull; });
}

bool DiskFaults::disturb() const {
  return std::any_of(armed_.begin(), armed_.end(),
                     [](const Armed& armed) { return !is_damage(armed.fault.kind); });
}

bool DiskFaults::matches(Armed* armed, const DiskCall& call) {
  DiskFault& fault = armed->fault;
  if (fault.access != DiskAccess::kAny && fault.access != call.access) return false;
  if (call.path.find(fault.path) == std::string_view::npos &&
      call.to.find(fault.path) == std::string_view::npos) {
    return false;
  }
  if (fault.kind == DiskFaultKind::kStall) {
    return call.access != DiskAccess::kRead && call.access != DiskAccess::kOpen;
  }
  if (fault.kind == DiskFaultKind::kFsyncLie) return call.access == DiskAccess::kSync;
  if (is_damage(fault.kind)) return call.access == DiskAccess::kWrite && call.size > 0;
  if (fault.kind != DiskFaultKind::kDiskFull) return true;
  if (call.access == DiskAccess::kSync) return fault.access == DiskAccess::kSync;
  if (!call.needs) return false;
  if (*call.needs > fault.free) return true;
  fault.free -= *call.needs;
  return false;
}

std::optional<DiskStrike> DiskFaults::strike(const DiskCall& call, uint64_t operation) {
  for (size_t i = 0; i < armed_.size(); ++i) {
    Armed& armed = armed_[i];
    if (operation < armed.from || !matches(&armed, call)) continue;
    if (++armed.seen < armed.fault.nth) continue;
    DiskStrike strike{armed.fault, 0, armed.hit};
    if (strike.fault.kind != DiskFaultKind::kStall && !is_damage(strike.fault.kind)) {
      strike.error = strike.fault.kind == DiskFaultKind::kDiskFull ? ENOSPC : EIO;
    }
    if (armed.seen + 1 == armed.fault.nth + armed.fault.times)
      armed_.erase(armed_.begin() + static_cast<std::ptrdiff_t>(i));
    return strike;
  }
  return std::nullopt;
}

}  // namespace qk::sim
