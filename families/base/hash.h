// The hashes of the project, each from its library: ISA-L, xxHash, OpenSSL, libmurmurhash.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace qk {

// CRC-32C (Castagnoli, reflected, unmasked); crc32c("123456789") == 0xe3069283.
uint32_t crc32c(std::string_view bytes);
// Continues a CRC: crc32c_extend(crc32c(a), b) == crc32c(a + b).
uint32_t crc32c_extend(uint32_t crc, std::string_view bytes);

// MurmurHash3_x86_32 with seed 0; the older entry checksum of braft.
uint32_t murmur3_32(std::string_view bytes);

uint64_t xxh3_64(std::string_view bytes, uint64_t seed = 0);

using Digest = std::array<unsigned char, 32>;

// Incremental SHA-256.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void update(std::string_view bytes);
  // The digest of everything so far; more may follow.
  Digest digest() const;

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

Digest sha256(std::string_view bytes);

// Incremental XXH3 of 128 bits: ten times as fast as SHA-256, to tell whether two passes over data
// saw the same. It is never stored, and no defence against somebody who chooses the data.
class Xxh3Stream {
 public:
  using Value = std::array<uint64_t, 2>;

  Xxh3Stream();
  ~Xxh3Stream();
  Xxh3Stream(Xxh3Stream&&) noexcept;
  Xxh3Stream& operator=(Xxh3Stream&&) noexcept;

  void update(std::string_view bytes);
  // Of everything so far; more may follow.
  Value value() const;

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

// 64 lower-case hexadecimal digits.
std::string to_hex(const Digest& digest);
inline std::string_view as_bytes(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

}  // namespace qk
