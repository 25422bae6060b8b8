// The entry point that libFuzzer's own main() calls.
#include "tools/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  qk::fuzz::run({reinterpret_cast<const char*>(data), size});
  return 0;
}
