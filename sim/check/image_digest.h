// The oracles' own reading of image/FORMAT.md: the canonical digest of a state, and a strict
// decoder of image files. Written from that page alone; nothing here comes from the code that
// writes, reads or digests images, so that a mistake in one of them shows as a difference.
//
// The decoder holds the image and one file of its snapshot in memory; it is for simulated clusters.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "families/base/hash.h"
#include "sim/check/state_image.h"

namespace qk::sim {

struct CanonicalDigest {
  Digest log{};
  Digest meta{};
  Digest snapshot{};
  Digest state{};
  friend bool operator==(const CanonicalDigest&, const CanonicalDigest&) = default;
};

absl::StatusOr<CanonicalDigest> canonical_digest(families::Family& family);

struct DecodedImage {
  std::string source_family;
  std::string group;
  std::string peer;
  std::string lineage;
  uint64_t generation = 0;
  uint64_t cut_seq = 0;
  StateImage state;
  CanonicalDigest digest;
  Digest content{};  // SHA-256 of the content section
};

// Every rule of the format is checked, the canonical way of writing included; an error says which
// one is broken.
absl::StatusOr<DecodedImage> decode_image(std::string_view image);

}  // namespace qk::sim
