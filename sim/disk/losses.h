// Losses: the ways in which a machine stops, as lists that crash checks walk through. Every one is
// a crash level with a Choice about what was not certain; together they are what SimDisk's model
// allows after one operation, as far as single omissions, prefixes and tears go, and draws beyond.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "families/base/strings.h"
#include "sim/disk/sim_disk.h"

namespace qk::sim {

struct Loss {
  std::string name;  // "P2, only 3"
  CrashLevel level = CrashLevel::kP2;
  // Bytes are there that were never written: only then may a family refuse to open, within its
  // declared refusals.
  bool garbage = false;
  std::function<std::unique_ptr<Choice>()> choice;
};

// P0 with the executing operation cut at its place `cut`, or at its last one.
Loss process_death(uint32_t cut);
Loss drawn_process_death(RandomStream random);
// P2: `Chosen(arguments...)` says what survives.
template <typename Chosen, typename... Arguments>
Loss power_cut(std::string_view name, Arguments... arguments) {
  Loss loss;
  loss.name = cat("P2, ", name);
  loss.choice = [=] { return std::make_unique<Chosen>(arguments...); };
  return loss;
}
// P2: only what was synced survives.
const Loss& nothing_survives();
// P2: a draw from this stream.
Loss drawn_power_cut(RandomStream random);

// `pending`: how many micro-operations were not certain; no more positions are worth a try. `seed`
// is that of the draws.
using LossSource = std::function<std::vector<Loss>(size_t pending, uint64_t seed)>;

// P0: the executing operation cut at each of its places.
std::vector<Loss> process_deaths(size_t pending, uint64_t seed);
// P2: nothing of it survives, everything does.
std::vector<Loss> all_or_nothing(size_t pending, uint64_t seed);
// P2: each one alone, each one missing, each prefix, and draws.
std::vector<Loss> reorderings(size_t pending, uint64_t seed);
// P2: the last write torn; what grew full of garbage, and of each write only some sectors.
std::vector<Loss> tears(size_t pending, uint64_t seed);
// P2: everything survives but one sector of one write.
std::vector<Loss> holes(size_t pending, uint64_t seed);
// All of them but holes.
std::vector<Loss> all_losses(size_t pending, uint64_t seed);
// P0 at both ends, all_or_nothing(), a torn tail and a draw: for combinations that are many.
std::vector<Loss> few_losses(size_t pending, uint64_t seed);

}  // namespace qk::sim
