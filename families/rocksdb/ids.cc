#include "families/rocksdb/ids.h"

#include <sys/random.h>

#include <string_view>

#include "families/base/bytes.h"
#include "families/base/check.h"
#include "families/base/hash.h"

namespace qk::families {
namespace {

struct Source {
  bool simulated = false;
  uint64_t seed = 0;
  uint64_t draws = 0;

  uint64_t next() {
    uint64_t word = 0;
    if (!simulated) {
      QK_CHECK(::getrandom(&word, sizeof word, 0) == sizeof word);
      return word;
    }
    const uint64_t n = draws++;
    return xxh3_64({reinterpret_cast<const char*>(&n), sizeof n}, seed);
  }
};

Source& source() {
  static Source instance;
  return instance;
}

}  // namespace

void rocksdb_reset_for_run(uint64_t seed) { source() = {true, seed, 0}; }

uint64_t rocksdb_draws() { return source().draws; }

void rocksdb_set_draws(uint64_t draws) { source().draws = draws; }

bool rocksdb_in_simulated_run() { return source().simulated; }

std::string next_rocksdb_session_id() {
  constexpr std::string_view kDigits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  std::string id;
  for (int half = 0; half < 2; ++half) {
    uint64_t word = source().next();
    for (int i = 0; i < 10; ++i, word /= kDigits.size()) id += kDigits[word % kDigits.size()];
  }
  return id;
}

std::string next_rocksdb_uuid() {
  std::string bytes;
  put_be64(&bytes, source().next());
  put_be64(&bytes, source().next());
  std::string id = to_hex(bytes);
  for (const size_t at : {8, 13, 18, 23}) id.insert(at, 1, '-');
  return id;
}

}  // namespace qk::families
