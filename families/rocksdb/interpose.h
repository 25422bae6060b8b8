// Functions of librocksdb that are replaced by ours, because no option reaches them:
//
//   DBImpl::GenerateDbSessionId         identifiers come from ids.h
//   PeriodicTaskScheduler::Register,    no timer thread: all that it would do is flush a log of
//     Unregister                        messages that are never written
//   port::CondVar::Wait, TimedWait      on one thread a wait would never end: abort and say so
//
// The dynamic linker prefers a definition in the executable to the library's. That works only with
// the shared library, and fails silently where it fails (hidden visibility, an object file that was
// never linked). So whatever opens a database calls check_interposed() afterwards; the reference to
// this file also makes the linker take it from its archive.
#pragma once

#include <cstdint>

#include "families/base/status.h"

namespace qk::families {

// Calls that reached our definitions, since the process began.
struct InterposedCalls {
  uint64_t session_ids = 0;
  uint64_t timer_registrations = 0;
};
InterposedCalls interposed_calls();

// Judges the calls that one open of a database made, and the number of threads after it (0: not
// counted). FailedPrecondition: RocksDB runs its own code or a thread of its own.
absl::Status check_interposed(const InterposedCalls& before, const InterposedCalls& after,
                              int threads);

// Threads of this process.
int count_threads();

}  // namespace qk::families
