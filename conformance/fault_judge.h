// What FAULT's checks hold an instance to after a call of the disk failed inside a change.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "conformance/context.h"

namespace qk::sim::conformance {

std::string_view to_text(const families::Outcome& outcome);

// The states that an outcome leaves possible once the instance is opened again.
std::vector<State> promised_states(const InstanceContext& m, const Change& change,
                                   const families::Outcome& outcome);
void expect_among(InstanceContext& m, std::string_view what, const State& state,
                  const std::vector<State>& promised);

// What the open subject itself may show; in a dual role nothing has reconciled it.
void expect_served(InstanceContext& m, const Change& change, const families::Outcome& outcome);

// More changes are accepted, and still there after a restart.
void go_on(InstanceContext& m);

// Holds an open instance to what it said about `change`: as it is, after a restart, after a
// power cut; and that it goes on, or is stopped.
void judge(InstanceContext& m, const Change& change, const families::Outcome& outcome);

// Which calls of the file system a fault counts (families/fs/fault_file_system.h).
enum class CallKind : uint8_t { kMutating, kLook };

// On a copy of the closed instance: `change` with its n-th call failing, and judge(). False: the
// change makes no such call, and nothing was judged.
bool fail_call(InstanceContext& base, const Change& change, uint64_t n,
               const families::Fault& fault, CallKind kind = CallKind::kMutating);

}  // namespace qk::sim::conformance
