#include "sim/disk/choice.h"

#include <catch2/catch.hpp>

namespace qk::sim {
namespace {

using Kind = PendingOperation::Kind;

// A growth with two writes (three sectors, one sector), then a name.
std::vector<PendingOperation> sample() {
  std::vector<PendingOperation> pending(4);
  pending[0] = {Kind::kSize, 1, 1, 2, 0, true, "size"};
  pending[1] = {Kind::kWrite, 2, 1, 2, 0b11100000, false, "write"};
  pending[2] = {Kind::kWrite, 3, 1, 2, 0b1, false, "write"};
  pending[3] = {Kind::kName, 4, 2, 1, 0, false, "name"};
  return pending;
}

std::string decided(Choice& choice) { return format_decision({0, choice.decide(sample())}); }

TEST_CASE("the simple choices", "[choice]") {
  DropAll drop;
  KeepAll keep;
  Prefix prefix(3), longer(9);
  OmitSet omit({1, 3, 17});
  KeepOnly only(2), none(4);
  TornTail torn;
  CHECK(decided(drop) == "0:D4");
  CHECK(decided(keep) == "0:K4");
  CHECK(decided(prefix) == "0:K3D");
  CHECK(decided(longer) == "0:K4");
  CHECK(decided(omit) == "0:KDKD");
  CHECK(decided(only) == "0:D2KD");
  CHECK(decided(none) == "0:D4");
  CHECK(decided(torn) == "0:K2DK");
  CHECK(drop.pick(5) == 0);
  CHECK(keep.pick(5) == 4);
  CHECK(torn.pick(5) == 2);

  auto pending = sample();
  pending.erase(pending.begin() + 2);
  CHECK(format_decision({0, torn.decide(pending)}) == "0:KT20K");
  CHECK(torn.decide({}).empty());
}

TEST_CASE("fates are numbered and made legal", "[choice]") {
  const auto pending = sample();
  CHECK(fate_count(pending[0]) == 3);
  CHECK(fate_count(pending[1]) == 8);
  CHECK(fate_count(pending[2]) == 2);
  CHECK(fate_count(pending[3]) == 2);
  std::set<uint32_t> tears;
  for (const PendingOperation& op : pending) {
    for (uint32_t i = 0; i < fate_count(op); ++i) {
      const Fate fate = fate_at(op, i);
      CHECK(legal_fate(op, fate) == fate);
      if (fate.kind == Fate::Kind::kTorn) tears.insert(fate.sectors);
    }
  }
  CHECK(tears == std::set<uint32_t>{0x20, 0x40, 0x60, 0x80, 0xa0, 0xc0});

  CHECK(legal_fate(pending[1], Fate::torn(0xff)) == Fate::keep());
  CHECK(legal_fate(pending[1], Fate::torn(0x1f)) == Fate::drop());
  CHECK(legal_fate(pending[1], Fate::torn(0x3f)) == Fate::torn(0x20));
  CHECK(legal_fate(pending[1], Fate::garbage()) == Fate::keep());
  CHECK(legal_fate(pending[3], Fate::torn(1)) == Fate::keep());
  PendingOperation shrink = pending[0];
  shrink.extends = false;
  CHECK(legal_fate(shrink, Fate::garbage()) == Fate::keep());
  CHECK(fate_count(shrink) == 2);
}

TEST_CASE("sampling reaches every kind of crash, and repeats", "[choice]") {
  Sampled first(RandomStream(1, "choice")), second(RandomStream(1, "choice"));
  std::set<std::string> seen;
  for (int i = 0; i < 2000; ++i) {
    const std::string text = decided(first);
    CHECK(text == decided(second));
    seen.insert(text);
  }
  for (const char* text : {"0:D4", "0:K4", "0:K3D", "0:KDK2", "0:K2DK", "0:GKDK", "0:K3D"}) {
    CAPTURE(text);
    CHECK(seen.contains(text));
  }
  CHECK(first.decide({}).empty());
  std::set<uint32_t> picks;
  for (int i = 0; i < 100; ++i) picks.insert(first.pick(5));
  CHECK(picks == std::set<uint32_t>{0, 1, 2, 3, 4});
}

TEST_CASE("decisions are read strictly", "[choice]") {
  CHECK(parse_decision("3:K12D3T05G2")->fates.size() == 18);
  CHECK(parse_decision("3:")->picked == 3);
  for (const char* text : {"", "K", "3", ":K", "x:K", "3:X", "3:K0", "3:T5", "3:Tzz", "3:T", "-1:K",
                           "3:K99999999999999999999", "3:K1000001", "3:K600000D600000", "3:K 2"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_decision(text).ok());
  }
  Scripted scripted(*parse_decision("9:KT20"));
  CHECK(decided(scripted) == "0:KT20D2");
  CHECK(scripted.pick(5) == 4);
  CHECK(scripted.decide(std::vector<PendingOperation>(1)).size() == 1);
}

}  // namespace
}  // namespace qk::sim
