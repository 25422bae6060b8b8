// ImageOracle: images, judged through the decoder of image_digest.h.
//
//   ora.I1  an exported image decodes by the rules of the format, to the state at its cut; equal
//           states, by whatever families, have byte-identical content sections
//   ora.I3  an image that does not decode by the rules of the format (truncated, a bit flipped,
//           chunks reordered or doubled, bytes after the end, ...) is not accepted
//
// Not checked: refusals. An undamaged image may be refused for reasons that it does not show
// (another node's, a destination that is not empty).
#pragma once

#include <cstdint>
#include <map>
#include <string_view>

#include "sim/check/finding.h"
#include "sim/check/image_digest.h"

namespace qk::sim {

class ImageOracle {
 public:
  explicit ImageOracle(const FindingSink* sink) : sink_(sink) {}

  void unreadable(int node, const absl::Status& status) const;
  // `at_cut`: the logical state of the source at the cut, if the caller knows it.
  void exported(int node, std::string_view image, const StateImage* at_cut);
  // The last step of exported(): the content section that a state has.
  void content_seen(int node, uint64_t state, const Digest& content);
  // What the system said of the image.
  void judged(int node, std::string_view image, bool accepted) const;

 private:
  const FindingSink* sink_;
  std::map<uint64_t, Digest> content_of_;  // by fingerprint of the state
};

}  // namespace qk::sim
