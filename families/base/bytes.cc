#include "families/base/bytes.h"

#include <bit>
#include <cstring>

#include "absl/strings/escaping.h"
#include "families/base/strings.h"

namespace qk {
namespace {

static_assert(std::endian::native == std::endian::little);

template <typename T>
void put(std::string* out, T value) {
  out->append(reinterpret_cast<const char*>(&value), sizeof value);
}

template <typename T>
T get(const char* p) {
  T value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

}  // namespace

void put_u8(std::string* out, uint8_t value) { put(out, value); }
void put_le32(std::string* out, uint32_t value) { put(out, value); }
void put_le64(std::string* out, uint64_t value) { put(out, value); }
void put_be32(std::string* out, uint32_t value) { put(out, __builtin_bswap32(value)); }
void put_be64(std::string* out, uint64_t value) { put(out, __builtin_bswap64(value)); }

void put_bytes(std::string* out, std::string_view bytes) {
  put_le32(out, static_cast<uint32_t>(bytes.size()));
  out->append(bytes);
}

void store_le32(char* p, uint32_t value) { std::memcpy(p, &value, sizeof value); }
void store_le64(char* p, uint64_t value) { std::memcpy(p, &value, sizeof value); }
void store_be32(char* p, uint32_t value) { store_le32(p, __builtin_bswap32(value)); }
void store_be64(char* p, uint64_t value) { store_le64(p, __builtin_bswap64(value)); }

uint32_t get_le32(const char* p) { return get<uint32_t>(p); }
uint64_t get_le64(const char* p) { return get<uint64_t>(p); }
uint32_t get_be32(const char* p) { return __builtin_bswap32(get<uint32_t>(p)); }
uint64_t get_be64(const char* p) { return __builtin_bswap64(get<uint64_t>(p)); }

std::string_view ByteReader::take(size_t length) {
  if (length > data_.size()) {
    ok_ = false;
    data_ = {};
    return {};
  }
  const std::string_view result = data_.substr(0, length);
  data_.remove_prefix(length);
  return result;
}

uint8_t ByteReader::u8() {
  const auto bytes = take(1);
  return ok_ ? static_cast<uint8_t>(bytes[0]) : 0;
}

uint32_t ByteReader::le32() {
  const auto bytes = take(4);
  return ok_ ? get_le32(bytes.data()) : 0;
}

uint64_t ByteReader::le64() {
  const auto bytes = take(8);
  return ok_ ? get_le64(bytes.data()) : 0;
}

std::string_view ByteReader::bytes() {
  const uint32_t length = le32();
  return take(length);
}

std::string to_hex(std::string_view bytes) { return absl::BytesToHexString(to_absl(bytes)); }

}  // namespace qk
