#include "sim/check/image_oracle.h"

namespace qk::sim {

void ImageOracle::unreadable(int node, const absl::Status& status) const {
  sink_->report("ora.I1", node, 0, "an image that can be read",
                std::string(to_std(status.message())));
}

void ImageOracle::exported(int node, std::string_view image, const StateImage* at_cut) {
  const auto decoded = decode_image(image);
  if (!decoded.ok()) {
    sink_->report("ora.I1", node, 0, "an image as its format demands",
                  std::string(decoded.status().message()));
    return;
  }
  if (at_cut != nullptr) {
    if (const auto difference = first_difference(*at_cut, decoded->state)) {
      sink_->report("ora.I1", node, difference->index, cat("at the cut: ", difference->a),
                    cat("in the image: ", difference->b));
      return;
    }
  }
  content_seen(node, fingerprint(decoded->state), decoded->content);
}

void ImageOracle::content_seen(int node, uint64_t state, const Digest& content) {
  const auto [found, inserted] = content_of_.try_emplace(state, content);
  if (inserted || found->second == content) return;
  sink_->report("ora.I1", node, 0,
                cat("content ", to_hex(found->second), ", as another export of this state has"),
                cat("content ", to_hex(content)));
}

void ImageOracle::judged(int node, std::string_view image, bool accepted) const {
  if (!accepted) return;
  const auto decoded = decode_image(image);
  if (decoded.ok()) return;
  sink_->report("ora.I3", node, 0, cat("refused: ", std::string(decoded.status().message())),
                "accepted");
}

}  // namespace qk::sim
