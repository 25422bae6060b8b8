// Fixed-width integers as bytes, and a bounds-checked reader for untrusted input.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace qk {

void put_u8(std::string* out, uint8_t value);
void put_le32(std::string* out, uint32_t value);
void put_le64(std::string* out, uint64_t value);
void put_be32(std::string* out, uint32_t value);
void put_be64(std::string* out, uint64_t value);
// Length (le32), then the bytes.
void put_bytes(std::string* out, std::string_view bytes);

// Require at least 4 (8) bytes at `p`.
void store_le32(char* p, uint32_t value);
void store_le64(char* p, uint64_t value);
void store_be32(char* p, uint32_t value);
void store_be64(char* p, uint64_t value);
uint32_t get_le32(const char* p);
uint64_t get_le64(const char* p);
uint32_t get_be32(const char* p);
uint64_t get_be64(const char* p);

// Reads forward through a buffer. The first short read makes ok() false for good and yields zeros,
// so a decoder checks once at its end.
class ByteReader {
 public:
  explicit ByteReader(std::string_view data) : data_(data) {}

  uint8_t u8();
  uint32_t le32();
  uint64_t le64();
  // Length (le32) and that many bytes; a length beyond the remaining input is a short read, so
  // nothing is allocated for it.
  std::string_view bytes();
  std::string_view take(size_t length);

  size_t remaining() const { return data_.size(); }
  bool ok() const { return ok_; }
  // All input was consumed and nothing was short.
  bool done() const { return ok_ && data_.empty(); }

 private:
  std::string_view data_;
  bool ok_ = true;
};

// Lower-case hexadecimal.
std::string to_hex(std::string_view bytes);

}  // namespace qk
