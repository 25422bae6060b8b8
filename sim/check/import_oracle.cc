#include "sim/check/import_oracle.h"

namespace qk::sim {

void ImportOracle::import_opened(int node, ImportOpen open, const Probe& found,
                                 const StateImage& image) const {
  if (open != ImportOpen::kComplete) return;
  if (!found.ok()) {
    sink_->report("ora.L14", node, 0, "absent, incomplete, or equal to the image",
                  cat("complete, but: ", to_std(found.status().message())));
  } else if (const auto difference = first_difference(image, *found)) {
    sink_->report("ora.L14", node, difference->index, cat("as in the image: ", difference->a),
                  cat("opens as complete with ", difference->b));
  }
}

}  // namespace qk::sim
