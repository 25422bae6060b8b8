// Planted bugs of the Raft core, played by what its messages say.
#include "sim/explore/plants.h"

namespace qk::sim {

std::vector<Row> message_plants() { return {}; }

}  // namespace qk::sim
