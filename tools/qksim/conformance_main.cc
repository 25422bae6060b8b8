// qksim-conformance: qksim with the conformance suite in it. `qksim conformance` and `qksim
// contract` start it.
#include "tools/qksim/conformance_verbs.h"
#include "tools/qksim/process.h"

int main(int argc, char** argv) {
  return qk::cli::run_process(argc, argv,
                              {qk::cli::conformance_command, qk::cli::contract_command});
}
