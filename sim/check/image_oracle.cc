#include "sim/check/image_oracle.h"

#include "base/bytes.h"

namespace qk::sim {

void ImageOracle::exported(int node, const StateImage& logical, std::string_view content_digest) {
  const uint64_t state = fingerprint(logical);
  const auto [by_state, new_state] = digest_of_.try_emplace(state, content_digest);
  const auto [by_digest, new_digest] = state_of_.try_emplace(std::string(content_digest), state);
  if (!new_state && by_state->second != content_digest) {
    sink_->report("ora.I1", node, 0,
                  cat("content digest ", to_hex(by_state->second), " for state ", hex16(state)),
                  cat("content digest ", to_hex(content_digest)));
  } else if (!new_digest && by_digest->second != state) {
    sink_->report("ora.I1", node, 0,
                  cat("content digest ", to_hex(content_digest), " for state ",
                      hex16(by_digest->second), " alone"),
                  cat("the same digest for state ", hex16(state)));
  }
}

}  // namespace qk::sim
