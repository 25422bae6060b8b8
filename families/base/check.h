// QK_CHECK: for our own bugs only, never for bad input. It is on in every build type, because a
// storage system that goes on after a broken invariant turns a crash into lost data.
#pragma once

namespace qk {

[[noreturn]] void check_failed(const char* condition, const char* file, int line);

}  // namespace qk

#define QK_CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::qk::check_failed(#condition, __FILE__, __LINE__))
