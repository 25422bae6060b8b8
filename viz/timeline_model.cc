#include "viz/timeline_model.h"

#include <algorithm>
#include <bit>
#include <map>
#include <optional>

#include "families/base/check.h"
#include "families/base/strings.h"
#include "sim/kernel/trace_text.h"

namespace qk::viz {
namespace {

using sim::EventKind;
using sim::Nanos;
using sim::PhaseCode;

std::string span_text(Nanos begin, Nanos end) {
  return cat(sim::seconds_text(begin, 3), " s to ", sim::seconds_text(end, 3), " s");
}

// "ora.L1 acked-entries-durable" -> "ora.L1".
std::string oracle_id(const std::string& text) { return text.substr(0, text.find(' ')); }

// Follows one node through its marks.
class LaneBuilder {
 public:
  explicit LaneBuilder(Lane* lane) : lane_(lane) {}

  void crash(const sim::Mark& mark, const std::string& what) {
    if (down_) return;
    // A planned restart shows as down time and a restart; nothing broke.
    const bool planned =
        mark.event.kind == EventKind::kNodeStop && sim::is_planned_stop(mark.event);
    if (!planned) point(Point::Kind::kCrash, mark, "crash", what);
    end_leadership(mark.event.t);
    close_bar(mark.event.t);
    open_bar(mark.event, true);
    if (mark.event.kind == EventKind::kFaultCrash &&
        mark.event.arg(0) == static_cast<uint64_t>(sim::CrashLoss::kTornTail)) {
      instant(mark, "torn tail", what);
    }
  }
  void restart(const sim::Mark& mark, const std::string& what) {
    point(Point::Kind::kRestart, mark, "", what);
    close_bar(mark.event.t);
    open_bar(mark.event, false);
    // What the node says of its phase next may replace this bar at the same instant.
    assumed_ = true;
  }
  void role(const sim::Mark& mark) {
    end_leadership(mark.event.t);
    if (mark.event.arg(0) != static_cast<uint64_t>(sim::Role::kLeader)) return;
    leader_ = Strip{Strip::Kind::kLeader,
                    mark.event.t,
                    0,
                    mark.event.seq,
                    cat("leader t", mark.event.arg(1)),
                    ""};
  }
  void phase(const sim::Mark& mark, const std::string& what) {
    const auto next = static_cast<PhaseCode>(mark.event.arg(0));
    if (next == phase_) {
      assumed_ = false;
      return;
    }
    phase_ = next;
    if (down_) return;
    close_bar(mark.event.t);
    open_bar(mark.event, false);
    const int64_t index = mark.event.signed_arg(2);
    if (next == PhaseCode::kCut) {
      point(Point::Kind::kCutover, mark, index > 0 ? cat("cutover @", index) : "cutover", what);
    } else if (next == PhaseCode::kRollback) {
      point(Point::Kind::kRollback, mark, "", what);
    }
  }
  void cut(const sim::Mark& mark, const std::string& what) {
    const bool equal = mark.event.arg(2) != 0;
    const std::string label = cat("V", mark.event.arg(0), "@", mark.event.signed_arg(1));
    point(equal ? Point::Kind::kCutEqual : Point::Kind::kCutDiffers, mark,
          equal ? label : cat(label, " FAIL"), what);
  }
  void slow_disk(const sim::Mark& mark) {
    const uint64_t factor = mark.event.arg(0);
    if (slow_disk_) {
      close_strip(&*slow_disk_, mark.event.t);
      slow_disk_.reset();
    }
    if (factor > 1) {
      slow_disk_ = Strip{
          Strip::Kind::kSlowDisk, mark.event.t, 0, mark.event.seq, cat("slow disk x", factor), ""};
    }
  }
  // The roll waits on one node at a time, for one reason.
  void wait(const sim::Mark& mark) {
    end_wait(mark.event.t);
    const auto why = static_cast<sim::RollWait>(mark.event.arg(0));
    if (!sim::is_hindered(why)) return;
    wait_ = Strip{Strip::Kind::kWait,
                  mark.event.t,
                  0,
                  mark.event.seq,
                  cat("roll waits: ", mark.text.empty() ? "no reason given" : mark.text),
                  ""};
  }
  void end_wait(Nanos t) {
    if (wait_) close_strip(&*wait_, t);
    wait_.reset();
  }
  void instant(const sim::Mark& mark, std::string label, const std::string& what) {
    lane_->strips.push_back({Strip::Kind::kDiskError, mark.event.t, mark.event.t, mark.event.seq,
                             std::move(label),
                             cat(lane_->name, " ", sim::seconds_text(mark.event.t, 3), " s #",
                                 mark.event.seq, " ", what)});
  }
  void point(Point::Kind kind, const sim::Mark& mark, std::string label, std::string_view what) {
    lane_->points.push_back({kind, mark.event.t, mark.event.seq, std::move(label),
                             cat(lane_->name, " ", sim::seconds_text(mark.event.t, 3), " s #",
                                 mark.event.seq, " ", what)});
  }
  void strip(Strip strip, Nanos end) { close_strip(&strip, end); }

  void finish(Nanos end) {
    end_leadership(end);
    if (slow_disk_) close_strip(&*slow_disk_, end);
    end_wait(end);
    close_bar(end);
    lane_->subtitle =
        lane_->to.empty() ? lane_->from : cat(lane_->from, " \xE2\x86\x92 ", lane_->to);
    if (!lane_->subtitle.empty()) lane_->subtitle += ", ";
    lane_->subtitle += cat("ends ", down_ ? "down" : sim::short_name(phase_));
    std::stable_sort(lane_->strips.begin(), lane_->strips.end(),
                     [](const Strip& a, const Strip& b) { return a.begin < b.begin; });
  }

 private:
  void open_bar(const sim::Event& event, bool down) {
    begin_ = event.t;
    seq_ = event.seq;
    down_ = down;
    assumed_ = false;
    bar_phase_ = phase_;
  }
  void close_bar(Nanos end) {
    if (assumed_ && begin_ == end) return;
    const std::string_view what = down_ ? "down" : sim::to_string(bar_phase_);
    lane_->bars.push_back({begin_, end, bar_phase_, down_, seq_,
                           cat(lane_->name, " ", what, " ", span_text(begin_, end))});
  }
  void close_strip(Strip* strip, Nanos end) {
    strip->end = end;
    strip->tooltip = cat(lane_->name, " ", strip->label, " ", span_text(strip->begin, end));
    lane_->strips.push_back(*strip);
  }
  void end_leadership(Nanos t) {
    if (leader_) close_strip(&*leader_, t);
    leader_.reset();
  }

  Lane* lane_;
  // The bar that is open: a node runs its source from the start, unless it says otherwise at once.
  Nanos begin_ = 0;
  uint64_t seq_ = 0;
  bool down_ = false;
  bool assumed_ = true;
  PhaseCode bar_phase_ = PhaseCode::kA;
  PhaseCode phase_ = PhaseCode::kA;
  std::optional<Strip> leader_;
  std::optional<Strip> slow_disk_;
  std::optional<Strip> wait_;
};

// Nodes that a partition sets apart: everyone outside its largest side (everyone, if two sides are
// equally large); of an asymmetric one, the side that is not heard.
uint64_t isolated(const sim::Event& event) {
  if (event.arg(1) != 0) return event.arg(2);
  uint64_t all = 0;
  uint64_t largest = 0;
  bool tie = false;
  for (size_t i = 2; i < sim::kMaxArgs; ++i) {
    const uint64_t side = event.arg(i);
    all |= side;
    if (std::popcount(side) == std::popcount(largest)) tie = side != 0;
    if (std::popcount(side) > std::popcount(largest)) {
      largest = side;
      tie = false;
    }
  }
  return tie ? all : all & ~largest;
}

struct OpenPartition {
  Strip strip;
  uint64_t nodes = 0;
};

class Builder {
 public:
  Builder(const sim::Trace& trace, Timeline* timeline) : trace_(trace), timeline_(timeline) {
    for (Lane& lane : timeline->lanes) lanes_.emplace_back(&lane);
  }

  void add(const sim::Mark& mark) {
    const sim::Event& event = mark.event;
    switch (event.kind) {
      case EventKind::kFaultPartition:
        add_partition(event);
        return;
      case EventKind::kFaultHeal:
        heal(event.arg(0), event.t);
        return;
      case EventKind::kCheckViolation:
        add_violation(mark);
        return;
      case EventKind::kMigWait:
        for (LaneBuilder& lane : lanes_) lane.end_wait(event.t);
        if (event.node != 0) lanes_[event.node - 1].wait(mark);
        return;
      default:
        if (event.node != 0) add_to_lane(mark, &lanes_[event.node - 1]);
    }
  }

  void finish(Nanos end) {
    while (!partitions_.empty()) heal(partitions_.begin()->first, end);
    for (LaneBuilder& lane : lanes_) lane.finish(end);
  }

 private:
  void add_to_lane(const sim::Mark& mark, LaneBuilder* lane) {
    const std::string what = sim::describe(trace_, mark);
    switch (mark.event.kind) {
      case EventKind::kFaultCrash:
      case EventKind::kNodeStop:
        return lane->crash(mark, what);
      case EventKind::kFaultRestart:
        return lane->restart(mark, what);
      case EventKind::kRaftRole:
        return lane->role(mark);
      case EventKind::kMigPhase:
        return lane->phase(mark, what);
      case EventKind::kMigCut:
        return lane->cut(mark, what);
      case EventKind::kFaultSlowDisk:
        return lane->slow_disk(mark);
      case EventKind::kFaultDisk:
        return lane->instant(mark, "disk fault", what);
      default:
        return;
    }
  }

  void add_partition(const sim::Event& event) {
    OpenPartition& open = partitions_[event.arg(0)];
    if (open.nodes == 0) {
      open.strip = {Strip::Kind::kPartition,
                    event.t,
                    0,
                    event.seq,
                    cat("partition ", sim::partition_sides(trace_, event)),
                    ""};
    }
    open.nodes |= isolated(event);
  }

  void heal(uint64_t id, Nanos t) {
    const auto it = partitions_.find(id);
    if (it == partitions_.end()) return;
    for (size_t i = 0; i < lanes_.size() && i < 64; ++i) {
      if ((it->second.nodes >> i & 1) != 0) lanes_[i].strip(it->second.strip, t);
    }
    partitions_.erase(it);
  }

  void add_violation(const sim::Mark& mark) {
    const sim::Event& event = mark.event;
    std::string label = mark.text.empty() ? std::string("violation") : oracle_id(mark.text);
    if (event.arg(1) != 0) label += cat(" @", event.signed_arg(1));
    const std::string what = sim::describe(trace_, mark);
    if (event.node != 0) {
      lanes_[event.node - 1].point(Point::Kind::kViolation, mark, std::move(label), what);
      return;
    }
    timeline_->cluster_points.push_back(
        {Point::Kind::kViolation, event.t, event.seq, std::move(label),
         cat(sim::seconds_text(event.t, 3), " s #", event.seq, " ", what)});
  }

  const sim::Trace& trace_;
  Timeline* timeline_;
  std::vector<LaneBuilder> lanes_;
  std::map<uint64_t, OpenPartition> partitions_;
};

}  // namespace

Timeline build_timeline(const sim::Trace& trace, const RunSummary& run) {
  QK_CHECK(trace.keeps_marks());
  Timeline timeline;
  timeline.run = run;
  timeline.lanes.resize(trace.nodes());
  for (size_t i = 0; i < trace.nodes(); ++i) {
    Lane& lane = timeline.lanes[i];
    lane.name = trace.start().nodes[i];
    if (i < run.families.size()) {
      lane.from = run.families[i].from;
      lane.to = run.families[i].to;
    }
  }
  Builder builder(trace, &timeline);
  for (const sim::Mark& mark : trace.marks()) {
    timeline.end = std::max(timeline.end, mark.event.t);
    builder.add(mark);
  }
  builder.finish(timeline.end);
  return timeline;
}

}  // namespace qk::viz
