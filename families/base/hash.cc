#include "families/base/hash.h"

#include <isa-l/crc.h>
#include <murmurhash.h>
#include <openssl/evp.h>

#include <algorithm>
#include <climits>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "families/base/bytes.h"
#include "families/base/check.h"

namespace qk {

uint32_t crc32c_extend(uint32_t crc, std::string_view bytes) {
  // ISA-L takes an int length and wants the inverted register on both sides.
  uint32_t state = ~crc;
  while (!bytes.empty()) {
    const size_t chunk = std::min<size_t>(bytes.size(), 1 << 30);
    auto* data = reinterpret_cast<unsigned char*>(const_cast<char*>(bytes.data()));
    state = crc32_iscsi(data, static_cast<int>(chunk), state);
    bytes.remove_prefix(chunk);
  }
  return ~state;
}

uint32_t crc32c(std::string_view bytes) { return crc32c_extend(0, bytes); }

uint32_t murmur3_32(std::string_view bytes) {
  QK_CHECK(bytes.size() <= UINT_MAX);
  uint32_t result = 0;
  lmmh_x86_32(bytes.data(), static_cast<unsigned int>(bytes.size()), 0, &result);
  return result;
}

uint64_t xxh3_64(std::string_view bytes, uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

struct Sha256::Context {
  EVP_MD_CTX* evp = EVP_MD_CTX_new();
  ~Context() { EVP_MD_CTX_free(evp); }
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {
  QK_CHECK(EVP_DigestInit_ex(context_->evp, EVP_sha256(), nullptr) == 1);
}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(std::string_view bytes) {
  QK_CHECK(EVP_DigestUpdate(context_->evp, bytes.data(), bytes.size()) == 1);
}

Digest Sha256::digest() const {
  Context copy;
  QK_CHECK(EVP_MD_CTX_copy_ex(copy.evp, context_->evp) == 1);
  Digest result;
  unsigned int length = 0;
  QK_CHECK(EVP_DigestFinal_ex(copy.evp, result.data(), &length) == 1);
  QK_CHECK(length == result.size());
  return result;
}

Digest sha256(std::string_view bytes) {
  Digest result;
  unsigned int length = 0;
  QK_CHECK(EVP_Digest(bytes.data(), bytes.size(), result.data(), &length, EVP_sha256(), nullptr) ==
           1);
  return result;
}

struct Xxh3Stream::Context {
  XXH3_state_t state;
};

Xxh3Stream::Xxh3Stream() : context_(std::make_unique<Context>()) {
  QK_CHECK(XXH3_128bits_reset(&context_->state) == XXH_OK);
}
Xxh3Stream::~Xxh3Stream() = default;
Xxh3Stream::Xxh3Stream(Xxh3Stream&&) noexcept = default;
Xxh3Stream& Xxh3Stream::operator=(Xxh3Stream&&) noexcept = default;

void Xxh3Stream::update(std::string_view bytes) {
  QK_CHECK(XXH3_128bits_update(&context_->state, bytes.data(), bytes.size()) == XXH_OK);
}

Xxh3Stream::Value Xxh3Stream::value() const {
  const XXH128_hash_t hash = XXH3_128bits_digest(&context_->state);
  return {hash.low64, hash.high64};
}

std::string to_hex(const Digest& digest) { return to_hex(as_bytes(digest)); }

}  // namespace qk
