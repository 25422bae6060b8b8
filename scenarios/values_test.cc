// The small languages inside scenario strings: what they accept, exactly, and what they refuse.
#include "scenarios/values.h"

#include <catch2/catch.hpp>

namespace qk::scenarios {
namespace {

TEST_CASE("durations are exact") {
  CHECK(parse_duration("250ms").value() == 250'000'000);
  CHECK(parse_duration("1.5s").value() == 1'500'000'000);
  CHECK(parse_duration("0.000000001s").value() == 1);
  CHECK(parse_duration("0s").value() == 0);
  CHECK(parse_duration("1.250us").value() == 1250);
  CHECK(parse_duration("0.1h").value() == 360'000'000'000);
  CHECK(parse_duration("1000h").value() == 3'600'000'000'000'000);
  for (const char* bad :
       {"", "5", "s", "5x", "-1s", "+1s", " 1s", "1 s", "1.s", ".5s", "1..2s", "1.2.3s", "1e3s",
        "0.0000000001s", "1.5ns", "1001h", "0x5s", "99999999999999999999s", "5S"}) {
    INFO(bad);
    CHECK_FALSE(parse_duration(bad).ok());
  }
  CHECK(parse_duration("5x").complaint().message == "\"5x\" is not a duration");
}

TEST_CASE("ranges are ordered") {
  const sim::DurationRange range = parse_duration_range("4ms..18.5ms").value();
  CHECK(range.low == 4'000'000);
  CHECK(range.high == 18'500'000);
  CHECK(parse_duration_range("1ms").value().high == 1'000'000);
  CHECK(parse_duration_range("2ms..1ms").complaint().message ==
        "\"2ms..1ms\" is an empty duration range");
  for (const char* bad : {"..", "1ms..", "..1ms", "1ms...2ms", "1ms..2ms..3ms", "1ms-2ms"}) {
    INFO(bad);
    CHECK_FALSE(parse_duration_range(bad).ok());
  }
  CHECK(parse_size_range("80B..4KiB").value().high == 4096);
}

TEST_CASE("sizes are whole bytes") {
  CHECK(parse_size("1MiB").value() == 1048576);
  CHECK(parse_size("1.5KiB").value() == 1536);
  for (const char* bad : {"1MB", "1.5B", "64", "-1B", "1025GiB"}) {
    INFO(bad);
    CHECK_FALSE(parse_size(bad).ok());
  }
}

TEST_CASE("probabilities become parts per million without rounding") {
  CHECK(to_ppm(0).value() == 0);
  CHECK(to_ppm(1).value() == 1'000'000);
  CHECK(to_ppm(0.01).value() == 10'000);
  CHECK(to_ppm(0.1).value() == 100'000);
  CHECK(to_ppm(0.3).value() == 300'000);
  CHECK(to_ppm(2e-6).value() == 2);
  for (uint32_t ppm = 0; ppm <= 1'000'000; ppm += 997) {
    CHECK(to_ppm(ppm / 1e6).value() == ppm);
  }
  for (const double bad : {-0.1, 1.000001, 2e-7, 0.1234567, 1e300}) {
    INFO(bad);
    CHECK_FALSE(to_ppm(bad).ok());
  }
  CHECK_FALSE(to_ppm(std::numeric_limits<double>::infinity()).ok());
  CHECK_FALSE(to_ppm(std::numeric_limits<double>::quiet_NaN()).ok());
}

TEST_CASE("triggers") {
  using Kind = sim::Trigger::Kind;
  const auto at = [](const char* text) { return parse_trigger(text).value(); };

  CHECK(at("22.8s").kind == Kind::kTime);
  CHECK(at("22.8s").time == 22'800'000'000);
  CHECK(at("22.8s").text == "22.8s");

  const sim::Trigger enter = at("n1:DUAL+0.9s");
  CHECK(enter.kind == Kind::kPhaseEnter);
  CHECK(enter.node == "n1");
  CHECK(enter.phase == sim::PhaseCode::kDual);
  CHECK(enter.time == 900'000'000);
  CHECK(enter.occurrence == 1);

  CHECK(at("n1:DUAL.exit").kind == Kind::kPhaseExit);
  CHECK(at("n1:DUAL.exit+1s").time == 1'000'000'000);
  CHECK(at("n1:DUAL#2").occurrence == 2);
  CHECK(at("n1:DUAL#2.exit").kind == Kind::kPhaseExit);
  CHECK(at("n1:DUAL#12+1s").occurrence == 12);
  CHECK(at("@migrating:EXPORT@50%").percent == 50);
  CHECK(at("@migrating:EXPORT@50%").node == "@migrating");
  CHECK(at("n2:EXPORT#op=40").kind == Kind::kPhaseOperation);
  CHECK(at("n2:EXPORT#2#op=40").operation == 40);
  CHECK(at("index>=1184").index == 1184);

  for (const char* bad : {"",
                          "n1",
                          ":DUAL",
                          "n1:",
                          "n1:dual",
                          "n1:DUAL-1s",
                          "n1:DUAL+",
                          "n1:DUAL+5",
                          "n1:DUAL#0",
                          "n1:DUAL#",
                          "n1:DUAL#x",
                          "n1:DUAL@101%",
                          "n1:DUAL@%",
                          "n1:DUAL@50",
                          "n1:DUAL.exit@50%",
                          "n1:DUAL#op=0",
                          "n1:DUAL#op=",
                          "n1:DUAL.leave",
                          "n1:DUAL ",
                          "index>=0",
                          "index>=x",
                          "index>5",
                          "-1s"}) {
    INFO(bad);
    CHECK_FALSE(parse_trigger(bad).ok());
  }
  CHECK(parse_trigger("n1:DAUL").complaint().hint.starts_with("did you mean \"DUAL\"?"));
}

TEST_CASE("seeds: the whole range of 64 bits and nothing else") {
  CHECK(parse_seed("0").value() == 0);
  CHECK(parse_seed("24301").value() == 24301);
  CHECK(parse_seed("0x5EED").value() == 0x5eed);
  CHECK(parse_seed("18446744073709551615").value() == ~uint64_t{0});
  CHECK(parse_seed("0xffffffffffffffff").value() == ~uint64_t{0});
  for (const char* bad : {"", "-1", "+1", " 1", "1 ", "0x", "0x-1", "0xg", "12a", "1.0", "1e3",
                          "18446744073709551616", "0x10000000000000000"}) {
    INFO(bad);
    CHECK_FALSE(parse_seed(bad).ok());
  }
  CHECK(parse_seed("18446744073709551616").complaint().message ==
        "\"18446744073709551616\" is too large for a seed");
}

}  // namespace
}  // namespace qk::scenarios
