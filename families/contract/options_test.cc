#include "families/contract/options.h"

#include <catch2/catch.hpp>

namespace qk::families {
namespace {

const std::vector<OptionDescriptor>& some_options() {
  static const std::vector<OptionDescriptor> kOptions = [] {
    OptionDescriptor page = number_option("page", 4096, 1024, 65536);
    page.power_of_two = true;
    return std::vector<OptionDescriptor>{word_option("journal", {"WAL", "DELETE"}),
                                         number_option("files", 4, 2, 64), page,
                                         size_option("buffer", 1 << 20, 64 << 10, 256 << 20)};
  }();
  return kOptions;
}

std::string refusal(const FamilyOptions& given) {
  const auto values = read_options("toy", some_options(), given);
  if (values.ok()) return "";
  CHECK(absl::IsInvalidArgument(values.status()));
  return std::string(values.status().message());
}

TEST_CASE("options that are left out have their defaults") {
  const auto values = read_options("toy", some_options(), {{"files", "2"}});
  REQUIRE(values.ok());
  CHECK(values->word("journal") == "WAL");
  CHECK(values->number("files") == 2);
  CHECK(values->number("page") == 4096);
  CHECK(values->number("buffer") == 1 << 20);
}

TEST_CASE("each bound of an option is allowed, and what lies beyond is refused with the bounds") {
  const std::pair<const char*, const char*> kGood[] = {
      {"journal", "DELETE"}, {"files", "2"},       {"files", "64"},        {"page", "1024"},
      {"page", "65536"},     {"buffer", "65536"},  {"buffer", "64KiB"},    {"buffer", "256MiB"},
      {"buffer", "0.5MiB"},  {"buffer", "65536B"}, {"buffer", "268435456"}};
  for (const auto& [name, value] : kGood) {
    INFO(name << " = " << value);
    CHECK(refusal({{name, value}}) == "");
  }
  const std::pair<const char*, const char*> kBad[] = {{"journal", "wal"},
                                                      {"journal", ""},
                                                      {"files", "1"},
                                                      {"files", "65"},
                                                      {"files", "-2"},
                                                      {"files", "+2"},
                                                      {"files", "2 "},
                                                      {"files", "2B"},
                                                      {"page", "512"},
                                                      {"page", "5000"},
                                                      {"page", "131072"},
                                                      {"buffer", "65535"},
                                                      {"buffer", "257MiB"},
                                                      {"buffer", "1 MiB"},
                                                      {"buffer", "1mib"},
                                                      {"buffer", ""},
                                                      {"buffer", "99999999999999999999"}};
  for (const auto& [name, value] : kBad) {
    INFO(name << " = " << value);
    CHECK_FALSE(refusal({{name, value}}).empty());
  }
  CHECK(refusal({{"page", "5000"}}) ==
        "family toy: option page: found \"5000\", expected a power of two in 1024..65536");
  CHECK(refusal({{"buffer", "1"}}) ==
        "family toy: option buffer: found \"1\", expected 64KiB..256MiB");
  CHECK(refusal({{"journal", "OFF"}}) ==
        "family toy: option journal: found \"OFF\", expected WAL, DELETE");
  CHECK(refusal({{"colour", "red"}}) ==
        "family toy has no option \"colour\"; allowed: journal, files, page, buffer");
  CHECK(read_options("toy", {}, {{"colour", "red"}}).status().message() ==
        "family toy has no option \"colour\"; allowed: none");
}

TEST_CASE("an allowed value has one form in which it is kept") {
  CHECK(size_option("s", 1, 1, 1 << 30).normal("64KiB") == "65536");
  CHECK(size_option("s", 1, 1, 1 << 30).normal("065536") == "65536");
  CHECK(word_option("w", {"a", "b"}).normal("b") == "b");
  CHECK(word_option("w", {"a", "b"}).normal("c") == std::nullopt);
  CHECK(size_option("s", 8 << 20, 1, 1 << 30).default_value == "8MiB");
  CHECK(size_option("s", 8 << 20, 1, 1 << 30).allowed() == "1B..1GiB");
}

}  // namespace
}  // namespace qk::families
