// Known answers for the primitives that every format rests on.
#include <catch2/catch.hpp>
#include <cerrno>

#include "families/base/bytes.h"
#include "families/base/hash.h"
#include "families/base/printable.h"
#include "families/base/status.h"
#include "families/base/suggest.h"

namespace qk {
namespace {

TEST_CASE("CRC-32C known answers") {
  CHECK(crc32c("123456789") == 0xe3069283u);
  CHECK(crc32c("") == 0u);
  CHECK(crc32c_extend(crc32c("1234"), "56789") == 0xe3069283u);
}

TEST_CASE("MurmurHash3_x86_32 known answers") {
  CHECK(murmur3_32("") == 0u);
  CHECK(murmur3_32("hello") == 0x248bfa47u);
}

TEST_CASE("SHA-256 known answer, incremental and copied") {
  const std::string expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  CHECK(to_hex(sha256("abc")) == expected);
  Sha256 hasher;
  hasher.update("a");
  CHECK(to_hex(hasher.digest()) == to_hex(sha256("a")));
  hasher.update("bc");
  CHECK(to_hex(hasher.digest()) == expected);
}

TEST_CASE("XXH3 known answer") { CHECK(xxh3_64("") == 0x2d06800538d394c2u); }

TEST_CASE("integers have the stated byte order") {
  std::string out;
  put_le32(&out, 0x01020304);
  put_be32(&out, 0x01020304);
  CHECK(to_hex(out) == "0403020101020304");
  CHECK(get_le32(out.data()) == 0x01020304u);
  CHECK(get_be32(out.data() + 4) == 0x01020304u);
  out.clear();
  put_be64(&out, 0x0102030405060708);
  CHECK(to_hex(out) == "0102030405060708");
  CHECK(get_be64(out.data()) == 0x0102030405060708u);
}

TEST_CASE("a short read poisons the reader and allocates nothing") {
  std::string out;
  put_le32(&out, 0xffffffff);
  out += "abc";
  ByteReader reader(out);
  CHECK(reader.bytes().empty());
  CHECK_FALSE(reader.ok());
  CHECK(reader.u8() == 0);
  CHECK_FALSE(reader.done());
}

TEST_CASE("an errno survives annotation") {
  const absl::Status status = annotate(errno_status(ENOSPC, "write x"), "append 3");
  CHECK(status.code() == absl::StatusCode::kResourceExhausted);
  CHECK(status_errno(status) == ENOSPC);
  CHECK(to_std(status.message()) == "append 3: write x: No space left on device");
}

TEST_CASE("a suggestion is the nearest word, and only a near one") {
  CHECK(edit_distance("kitten", "sitting") == 3);
  const std::vector<std::string> words = {"run", "image", "families", "scenarios"};
  CHECK(nearest("scenario", words) == "scenarios");
  CHECK(nearest("rnu", words) == "run");
  CHECK(nearest("ru", words) == "run");
  CHECK(nearest("x", words).empty());
  CHECK(nearest("migrate", words).empty());
  CHECK(join(words) == "run, image, families, scenarios");
}

TEST_CASE("printable leaves nothing that a terminal obeys") {
  CHECK(printable("plain \\ \"text\"") == "plain \\ \"text\"");
  CHECK(printable("a\x1b[31m\r\n\x7f\t") == "a\\x1b[31m\\x0d\\x0a\\x7f\\x09");
  CHECK(printable("a\r\n\tb", "\n\t") == "a\\x0d\n\tb");
  CHECK(printable(std::string_view("\0", 1)) == "\\x00");
  CHECK(printable("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80") ==
        "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
  // C1: as UTF-8, and as a byte of its own; both begin a control sequence on some terminals.
  CHECK(printable("\xc2\x9b"
                  "2J") == "\\xc2\\x9b2J");
  CHECK(printable("\x9b"
                  "2J") == "\\x9b2J");
  // Not UTF-8: cut off, too long a form, a surrogate, beyond the last character.
  CHECK(printable("\xe2\x82") == "\\xe2\\x82");
  CHECK(printable("\xc0\x9b") == "\\xc0\\x9b");
  CHECK(printable("\xe0\x82\x9b") == "\\xe0\\x82\\x9b");
  CHECK(printable("\xed\xa0\x80") == "\\xed\\xa0\\x80");
  CHECK(printable("\xf4\x90\x80\x80") == "\\xf4\\x90\\x80\\x80");
}

}  // namespace
}  // namespace qk
