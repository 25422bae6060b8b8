// The timeline: what the model derives from a trace, the exact DOT text of one eventful run, and
// the layout's rules on random runs.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "families/base/strings.h"
#include "sim/kernel/random.h"
#include "viz/sample_runs.h"
#include "viz/timeline_dot.h"
#include "viz/timeline_model.h"

namespace qk::viz {
namespace {

using sim::EventKind;
using sim::PhaseCode;

// "A 0-33 EXPORT 33-35 ...", in tenths of a second.
std::string bars_text(const Lane& lane) {
  std::string out;
  for (const Bar& bar : lane.bars) {
    out += cat(out.empty() ? "" : " ", bar.down ? "DOWN" : sim::to_string(bar.phase), " ",
               bar.begin / (100 * sim::kMillisecond), "-", bar.end / (100 * sim::kMillisecond));
  }
  return out;
}

std::string strips_text(const Lane& lane) {
  std::string out;
  for (const Strip& strip : lane.strips) {
    out += cat(out.empty() ? "" : "; ", strip.label, " ", strip.begin / (100 * sim::kMillisecond),
               "-", strip.end / (100 * sim::kMillisecond));
  }
  return out;
}

TEST_CASE("bars, strips and marks of an eventful run") {
  const auto run = eventful_run(3);
  const Timeline timeline = build_timeline(run->trace, summary_of(*run));
  CHECK(timeline.end == 60 * sim::kSecond);
  REQUIRE(timeline.lanes.size() == 3);
  const Lane& n1 = timeline.lanes[0];
  CHECK(bars_text(n1) ==
        "A 0-330 EXPORT 330-350 BOOT 350-366 V1 366-371 DUAL 371-430 V2 430-438 ROLLBACK 438-450 "
        "A 450-470 EXPORT 470-490 BOOT 490-506 V1 506-511 DUAL 511-570 V2 570-576 CUT 576-578 B "
        "578-600");
  CHECK(strips_text(n1) == "leader t3 2-416; partition {n1} | {n2,n3} 380-415");
  CHECK(n1.subtitle == "local \xE2\x86\x92 sqlite, ends B");
  const Lane& n2 = timeline.lanes[1];
  CHECK(bars_text(n2) ==
        "A 0-210 EXPORT 210-228 DOWN 228-246 EXPORT 246-264 BOOT 264-280 V1 280-285 DUAL 285-315 "
        "V2 315-320 CUT 320-322 B 322-600");
  CHECK(strips_text(n2) == "leader t5 529-600");
  const Lane& n3 = timeline.lanes[2];
  CHECK(strips_text(n3) == "slow disk x8 90-120; leader t4 389-520; torn tail 520-520");
  std::string labels;
  for (const Point& point : n3.points) labels += point.label + ";";
  CHECK(labels == "V1@402;cutover @611;V2@611;crash;;ora.L1 @1303;");
  CHECK(n3.points.back().kind == Point::Kind::kViolation);
  CHECK(n3.points.back().tooltip.find("ora.L1 acked-entries-durable") != std::string::npos);
}

TEST_CASE("a phase that is first told at the start leaves no trace of a guess") {
  SampleRun run({"n1", "n2"});
  run.phase(0, 1, PhaseCode::kB);
  run.crash(1, 2, 1, sim::CrashLoss::kProcess);
  run.phase(2, 1, PhaseCode::kDual);  // the restart came back in another phase
  run.event(3, 0, EventKind::kRunEnd, {});
  run.run();
  const Timeline timeline = build_timeline(run.trace, RunSummary());
  CHECK(bars_text(timeline.lanes[0]) == "B 0-10 DOWN 10-20 DUAL 20-30");
  CHECK(bars_text(timeline.lanes[1]) == "A 0-30");
}

TEST_CASE("a node that is down at the end, and one that stops twice") {
  SampleRun run({"n1"});
  run.leader(0.5, 0, 1, 2);
  run.event(1, 1, EventKind::kNodeStop, {13}, "EIO");
  run.event(1.5, 1, EventKind::kFaultCrash, {0, 1, 0});
  run.event(3, 0, EventKind::kRunEnd, {});
  run.run();
  const Timeline timeline = build_timeline(run.trace, RunSummary());
  CHECK(bars_text(timeline.lanes[0]) == "A 0-10 DOWN 10-30");
  CHECK(strips_text(timeline.lanes[0]) == "leader t2 5-10");
  CHECK(timeline.lanes[0].points.size() == 1);
  CHECK(timeline.lanes[0].subtitle == "ends down");
}

TEST_CASE("a partition marks the lanes that are cut off") {
  const auto lanes_of = [](uint64_t asymmetric, uint64_t side1, uint64_t side2) {
    SampleRun run({"n1", "n2", "n3", "n4"});
    run.event(1, 0, EventKind::kFaultPartition, {7, asymmetric, side1, side2});
    run.event(2, 0, EventKind::kFaultHeal, {7});
    run.event(3, 0, EventKind::kRunEnd, {});
    run.run();
    std::string out;
    for (const Lane& lane : build_timeline(run.trace, RunSummary()).lanes) {
      if (!lane.strips.empty()) out += lane.name;
    }
    return out;
  };
  CHECK(lanes_of(0, 0b0001, 0b1110) == "n1");
  CHECK(lanes_of(0, 0b0111, 0b1000) == "n4");
  CHECK(lanes_of(0, 0b0011, 0b1100) == "n1n2n3n4");
  CHECK(lanes_of(1, 0b0111, 0b1000) == "n1n2n3");
}

TEST_CASE("what hinders a roll is a strip of its node, as long as it lasts") {
  const auto why = [](sim::RollWait wait) { return static_cast<uint64_t>(wait); };
  SampleRun run({"n1", "n2"});
  run.event(1, 1, EventKind::kMigWait, {why(sim::RollWait::kPlanned)}, "dual write");
  run.event(2, 1, EventKind::kMigWait, {why(sim::RollWait::kGuard)}, "n2 is in phase dual-write");
  run.event(3, 1, EventKind::kMigWait, {why(sim::RollWait::kNode)}, "n1 is down");
  run.event(4, 1, EventKind::kMigWait, {why(sim::RollWait::kNone)});
  run.event(5, 2, EventKind::kMigWait, {why(sim::RollWait::kTransfer)}, "n2 hands over");
  run.event(6, 0, EventKind::kMigWait, {why(sim::RollWait::kPlanned)}, "soak");
  run.event(7, 2, EventKind::kMigWait, {why(sim::RollWait::kNode)}, "n2 is down");
  run.event(8, 0, EventKind::kRunEnd, {});
  run.run();
  const Timeline timeline = build_timeline(run.trace, RunSummary());
  CHECK(strips_text(timeline.lanes[0]) ==
        "roll waits: n2 is in phase dual-write 20-30; roll waits: n1 is down 30-40");
  CHECK(strips_text(timeline.lanes[1]) ==
        "roll waits: n2 hands over 50-60; roll waits: n2 is down 70-80");
}

std::string golden(const std::string& name) {
  std::ifstream in(std::string(QK_SOURCE_DIR) + "/viz/testdata/" + name);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST_CASE("the DOT text of an eventful run, byte for byte") {
  const auto run = eventful_run(3);
  const std::string dot = timeline_dot(build_timeline(run->trace, summary_of(*run)));
  if (std::getenv("QKSIM_UPDATE_GOLDEN") != nullptr) {  // ./qk update-golden pictures
    std::ofstream(QK_SOURCE_DIR "/viz/testdata/eventful.dot", std::ios::binary) << dot;
  }
  const std::string expected = golden("eventful.dot");
  CHECK(dot.size() == expected.size());
  CHECK((dot == expected));  // not printed: it is long
}

TEST_CASE("text that would break DOT is quoted") {
  SampleRun run({"n\"1\\", "a&lt;b"});
  run.event(1, 1, EventKind::kNodeStop, {13}, "bad \"quote\"\nand line");
  run.event(3, 0, EventKind::kRunEnd, {});
  run.run();
  RunSummary summary;
  summary.verdict_text = "PASS \\l";
  const std::string dot = timeline_dot(build_timeline(run.trace, summary));
  CHECK(dot.find("label=\"n\\\"1\\\\\\l\"") != std::string::npos);
  CHECK(dot.find("label=\"a&amp;lt;b\\l\"") != std::string::npos);
  CHECK(dot.find("bad \\\"quote\\\" and line") != std::string::npos);
  CHECK(dot.find("PASS \\\\l\\l") != std::string::npos);
}

// What the layout promises, read back from the DOT text.
struct Text {
  double from;
  double to;
  double y;
  std::string label;
};

struct Drawing {
  std::vector<Text> texts;
  std::optional<double> violation;
  size_t crashes = 0;
};

double number_after(const std::string& line, const std::string& key) {
  const size_t at = line.find(key);
  REQUIRE(at != std::string::npos);
  return std::strtod(line.c_str() + at + key.size(), nullptr);
}

Drawing read_back(const std::string& dot) {
  Drawing drawing;
  std::istringstream in(dot);
  for (std::string line; std::getline(in, line);) {
    if (line.find("tooltip=\"first violation\"") != std::string::npos) {
      drawing.violation = number_after(line, "pos=\"");
    }
    drawing.crashes += line.find("\xE2\x9C\x96") != std::string::npos;
    if (line.find("shape=plaintext") == std::string::npos) continue;
    const double x = number_after(line, "pos=\"");
    const double box = number_after(line, "width=") * 72;
    const double width = box - 20;
    Text text{x - width / 2, x + width / 2, std::strtod(line.c_str() + line.find(',') + 1, nullptr),
              line};
    if (line.find("\\l\"]") != std::string::npos) {
      text.from = x - box / 2;
      text.to = text.from + width;
    } else if (line.find("\\r\"]") != std::string::npos) {
      text.to = x + box / 2;
      text.from = text.to - width;
    }
    drawing.texts.push_back(text);
  }
  return drawing;
}

std::unique_ptr<SampleRun> random_run(uint64_t seed) {
  sim::RandomStream random(seed, "timeline");
  const size_t nodes = 1 + random.below(7);
  std::vector<std::string> names;
  for (size_t i = 1; i <= nodes; ++i) names.push_back(cat("n", i));
  auto run = std::make_unique<SampleRun>(names);
  const double length = static_cast<double>(1 + random.below(60));
  const uint64_t events = random.below(120);
  const auto when = [&] { return length * static_cast<double>(random.below(1000)) / 1000; };
  run->event(length / 2, static_cast<sim::NodeId>(random.below(nodes + 1)),
             EventKind::kCheckViolation, {1, 77}, "ora.M2 mirror-holds-every-ack");
  for (uint64_t i = 0; i < events; ++i) {
    const auto node = static_cast<sim::NodeId>(1 + random.below(nodes));
    switch (random.below(8)) {
      case 0:
        run->crash(when(), when(), node, sim::CrashLoss::kTornTail);
        break;
      case 1:
        run->event(when(), 0, EventKind::kFaultPartition, {i, 0, 1, 2});
        run->event(when(), 0, EventKind::kFaultHeal, {i});
        break;
      case 2:
        run->leader(when(), 0, node, i);
        break;
      case 3:
        run->cut(when(), node, 2, 1000 + i, random.below(4) != 0);
        break;
      case 4:
        run->event(when(), node, EventKind::kFaultSlowDisk, {1 + random.below(2) * 7});
        break;
      default:
        run->phase(when(), node, static_cast<PhaseCode>(random.below(sim::kPhaseCount)), i);
    }
  }
  run->event(length, 0, EventKind::kRunEnd, {});
  run->run();
  return run;
}

TEST_CASE("no label crosses the violation's line, none overlaps another, no crash is dropped") {
  size_t labels = 0;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    const auto run = random_run(seed);
    const std::string dot = timeline_dot(build_timeline(run->trace, summary_of(*run)));
    const Drawing drawing = read_back(dot);
    REQUIRE(drawing.violation);
    INFO("seed " << seed);
    for (size_t i = 0; i < drawing.texts.size(); ++i) {
      const Text& text = drawing.texts[i];
      const bool in_plot =
          text.to > 97 && text.y > 120 && text.label.find("fontsize=14") == std::string::npos;
      const bool axis_or_header = text.label.find(" s\"") != std::string::npos ||
                                  text.label.find("label=\"") == std::string::npos;
      if (!in_plot || axis_or_header) continue;
      const bool is_label = text.label.find("@") != std::string::npos ||
                            text.label.find("crash") != std::string::npos;
      if (!is_label || text.label.find("labels:") != std::string::npos ||
          text.label.find("cutover @index") != std::string::npos ||
          text.label.find("label=\"crash\\l\"") != std::string::npos) {
        continue;
      }
      ++labels;
      INFO(text.label);
      CHECK((text.to <= *drawing.violation || text.from >= *drawing.violation));
      const bool may_overlap = text.label.find("Bold") != std::string::npos;
      for (size_t j = 0; j < i && !may_overlap; ++j) {
        const Text& other = drawing.texts[j];
        if (std::abs(other.y - text.y) > 5) continue;
        INFO(other.label);
        CHECK((text.to <= other.from || other.to <= text.from));
      }
    }
    bool crashed = false;
    for (const sim::Mark& mark : run->trace.marks()) {
      crashed |= mark.event.kind == EventKind::kFaultCrash;
    }
    // One more is in the legend.
    CHECK((drawing.crashes > 1) == crashed);
    CHECK(dot == timeline_dot(build_timeline(run->trace, summary_of(*run))));
  }
  CHECK(labels > 500);
}

}  // namespace
}  // namespace qk::viz
