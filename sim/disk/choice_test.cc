#include "sim/disk/choice.h"

#include <catch2/catch.hpp>

namespace qk::sim {
namespace {

using Kind = PendingOperation::Kind;

// A growth with two writes (three sectors, one sector), then a name.
std::vector<PendingOperation> sample() {
  std::vector<PendingOperation> pending(4);
  pending[0] = {Kind::kSize, 1, 1, 2, 0, true, "size", "/f", 1};
  pending[1] = {Kind::kWrite, 2, 1, 2, 0b11100000, false, "write", "/f", 1};
  pending[2] = {Kind::kWrite, 3, 1, 2, 0b1, false, "write", "/f", 2};
  pending[3] = {Kind::kName, 4, 2, 1, 0, false, "name", "/", 1};
  return pending;
}

std::string decided(Choice& choice) { return short_form(choice.decide(sample())); }

TEST_CASE("the simple choices", "[choice]") {
  DropAll drop;
  KeepAll keep;
  Prefix prefix(3), longer(9);
  OmitSet omit({1, 3, 17});
  KeepOnly only(2), none(4);
  TornTail torn;
  CHECK(decided(drop) == "D4");
  CHECK(decided(keep) == "K4");
  CHECK(decided(prefix) == "K3D");
  CHECK(decided(longer) == "K4");
  CHECK(decided(omit) == "KDKD");
  CHECK(decided(only) == "D2KD");
  CHECK(decided(none) == "D4");
  CHECK(decided(torn) == "K2DK");
  CHECK(drop.pick(5) == 0);
  CHECK(keep.pick(5) == 4);
  CHECK(torn.pick(5) == 2);

  auto pending = sample();
  pending.erase(pending.begin() + 2);
  CHECK(short_form(torn.decide(pending)) == "KT20K");
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
  for (const char* text : {"D4", "K4", "K3D", "KDK2", "K2DK", "GKDK", "K3D"}) {
    CAPTURE(text);
    CHECK(seen.contains(text));
  }
  CHECK(first.decide({}).empty());
  std::set<uint32_t> picks;
  for (int i = 0; i < 100; ++i) picks.insert(first.pick(5));
  CHECK(picks == std::set<uint32_t>{0, 1, 2, 3, 4});
}

TEST_CASE("a scripted crash keeps what it names, and says what is not there", "[choice]") {
  const auto key = [](const char* file, Kind kind, uint64_t ordinal) {
    return OperationKey{file, kind, ordinal};
  };
  Decision decision;
  decision.kept[key("/f", Kind::kWrite, 1)] = Fate::torn(0x20);
  decision.kept[key("/f", Kind::kSize, 1)] = Fate::garbage();
  Scripted scripted(decision);
  CHECK(decided(scripted) == "GT20D2");
  // In another order, with an operation more: the same ones.
  auto pending = sample();
  std::swap(pending[0], pending[1]);
  pending.insert(pending.begin(), {Kind::kWrite, 9, 9, 3, 1, false, "write", "/g", 1});
  CHECK(short_form(scripted.decide(pending)) == "DT20GD2");
  CHECK(scripted.decide({}).empty());

  CHECK(difference(decision, decision).empty());
  Decision other = decision;
  other.kept[key("/", Kind::kName, 1)] = Fate::keep();
  CHECK(difference(other, decision) == "/ name 1 is not pending");
  other = decision;
  other.kept[key("/f", Kind::kWrite, 1)] = Fate::torn(0x7);
  CHECK(difference(other, decision) == "what is asked of /f write 1 is not possible");
  other = decision;
  other.executing = key("/f", Kind::kWrite, 2);
  CHECK(difference(other, decision) ==
        "executing is no operation, the decision is about /f write 2");
  decision.executing = other.executing;
  other.picked = 7;
  CHECK(difference(other, decision) == "part 7 of the executing operation is not possible");
  Scripted part(other);
  CHECK(part.pick(5) == 4);
}

}  // namespace
}  // namespace qk::sim
