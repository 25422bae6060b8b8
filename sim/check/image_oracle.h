// ImageOracle: the canonical image of a logical state.
//
//   ora.I1  two exports of equal logical states, by whatever families, have the same content
//           digest; two exports of different states have different ones
//
// Not checked: that the content says what the state is, beyond being a function of it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "sim/check/finding.h"
#include "sim/check/state_image.h"

namespace qk::sim {

class ImageOracle {
 public:
  explicit ImageOracle(const FindingSink* sink) : sink_(sink) {}

  // `content_digest`: SHA-256 of the content section, as bytes or as text.
  void exported(int node, const StateImage& logical, std::string_view content_digest);

 private:
  const FindingSink* sink_;
  std::map<uint64_t, std::string> digest_of_;  // by fingerprint of the state
  std::map<std::string, uint64_t, std::less<>> state_of_;
};

}  // namespace qk::sim
