// Sentences: events of a trace in words, one at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "sim/kernel/trace.h"

namespace qk::sim {

inline StoreOp store_op(const Event& event) { return static_cast<StoreOp>(event.arg(0)); }
inline DiskOp disk_op(const Event& event) { return static_cast<DiskOp>(event.arg(0)); }

// Worth a line in a chain of causes: what a reader can picture. The rest (disk operations, draws)
// comes between two of these.
bool is_step(const Event& event);

// One event in a few words: "n2 writes 512 bytes at 4096 of /node/local/log/log_meta".
std::string sentence(const Trace& trace, const Event& event);

// Of a store.issue: "an append of 7..9".
std::string mutation_name(const Event& issue);

// "t=1.192374s #374"
std::string at_text(const Event& event);

// "1 change", "2 changes"
std::string plural(uint64_t count, std::string_view what);

}  // namespace qk::sim
