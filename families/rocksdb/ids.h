// The process-wide part of RocksDB: where its unique identifiers come from.
//
// RocksDB names each session of a database, and through it each table file, by an identifier that
// it draws from the clock, the process id and a random device. Here every identifier comes from
// this source: from (seed, counter) in a simulated run, so that a run writes the same bytes however
// often it is repeated in a process; from the kernel's random numbers otherwise.
#pragma once

#include <cstdint>
#include <string>

namespace qk::families {

// Call at the start of each run, before the run opens its first database. A real tool never does.
void rocksdb_reset_for_run(uint64_t seed);
bool rocksdb_in_simulated_run();
// How many numbers the run has drawn; and back to so many, which draws the same ones again.
uint64_t rocksdb_draws();
void rocksdb_set_draws(uint64_t draws);

// 20 characters of 0-9A-Z, RocksDB's form of a session id.
std::string next_rocksdb_session_id();
// 36 characters, in the form of a UUID.
std::string next_rocksdb_uuid();

}  // namespace qk::families
