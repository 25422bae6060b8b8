// The benchmarks themselves, registered for each family of a registry: nothing here names one.
#pragma once

#include "families/bench/harness.h"

namespace qk::families::bench {

// Append, read, scan, truncate, recover, snapshot and bulk load.
void register_family_benchmarks(const Settings& settings, const std::string& family);
// Image export and import, beside raw engine, dump and reload.
void register_image_benchmarks(const Settings& settings, const std::string& family);
// Open and close on the simulated disk.
void register_simulated_benchmarks(const Settings& settings, const std::string& family);

}  // namespace qk::families::bench
