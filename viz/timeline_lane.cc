#include "viz/timeline_lane.h"

#include <algorithm>

#include "families/base/check.h"
#include "families/base/strings.h"
#include "sim/kernel/random.h"
#include "viz/palette.h"

namespace qk::viz {
namespace {

using sim::PhaseCode;

constexpr Cp kBarHeight = pt(26);
constexpr Cp kStripHeight = pt(9);
constexpr Cp kLeaderBelow = pt(25);
constexpr Cp kFaultsBelow = pt(38);
constexpr Cp kLabelRows[] = {pt(28), pt(40)};
constexpr Cp kMergeWithin = pt(14);
constexpr Cp kLeastBar = pt(2);
constexpr Cp kLeastLeadership = pt(3);
constexpr Cp kLeastStrip = pt(3);
constexpr Cp kLineRoom = pt(4);  // half of what the violation's line takes

constexpr Font kBarFont{pt(9), false, kInk};
constexpr Font kStripFont{pt(7), false, kInk};
constexpr Font kLabelFont{pt(9), false, kInk};

struct BarText {
  std::string full;
  std::string middle;
  std::string_view code;
};

BarText bar_text(const Lane& lane, PhaseCode phase) {
  const auto with = [](std::string_view what, const std::string& family) {
    return family.empty() ? std::string(what) : cat(what, " (", family, ")");
  };
  switch (phase) {
    case PhaseCode::kA:
      return {with("A only", lane.from), "A only", "A"};
    case PhaseCode::kExport:
      return {"export", "export", "EXP"};
    case PhaseCode::kBoot:
      return {"bootstrap B", "bootstrap B", "BOOT"};
    case PhaseCode::kV1:
      return {"validate V1", "V1", "V1"};
    case PhaseCode::kDual:
      return {"dual-write", "dual-write", "DUAL"};
    case PhaseCode::kV2:
      return {"validate V2", "V2", "V2"};
    case PhaseCode::kCut:
      return {"cutover", "CUT", "CUT"};
    case PhaseCode::kB:
      return {with("B only", lane.to), "B only", "B"};
    case PhaseCode::kRollback:
      return {"rollback", "RB", "RB"};
  }
  QK_CHECK(false);
}

std::string_view strip_color(Strip::Kind kind) {
  switch (kind) {
    case Strip::Kind::kLeader:
      return kLeaderPaint.fill;
    case Strip::Kind::kPartition:
      return kPartitionColor;
    case Strip::Kind::kSlowDisk:
      return kSlowDiskColor;
    case Strip::Kind::kDiskError:
      return kDiskErrorColor;
    case Strip::Kind::kWait:
      return kWaitColor;
  }
  QK_CHECK(false);
}

bool overlap(Cp a_from, Cp a_to, Cp b_from, Cp b_to) { return a_from < b_to && b_from < a_to; }

struct Label {
  Cp x;
  std::string text;
  Font font;
  size_t row;   // preferred
  int urgency;  // lower is placed first; 0 is never dropped
};

// Half of what a mark covers of the text in a bar.
Cp mark_room(Point::Kind kind) {
  switch (kind) {
    case Point::Kind::kCrash:
    case Point::Kind::kViolation:
      return pt(10);
    case Point::Kind::kRestart:
    case Point::Kind::kCutEqual:
    case Point::Kind::kCutDiffers:
      return pt(8);
    case Point::Kind::kCutover:
      return pt(2);
    case Point::Kind::kRollback:
      return 0;  // drawn below the bar
  }
  QK_CHECK(false);
}

bool failure(Point::Kind kind) {
  return kind == Point::Kind::kViolation || kind == Point::Kind::kCutDiffers;
}

}  // namespace

Cp Axis::x(sim::Nanos t) const {
  if (end <= begin) return left;
  const auto offset = static_cast<sim::Uint128>(t - begin) * static_cast<uint64_t>(width);
  return left + static_cast<Cp>(offset / static_cast<uint64_t>(end - begin));
}

LanePicture::LanePicture(const Lane& lane, size_t number, const Axis& axis)
    : lane_(lane), number_(number), axis_(axis), has_strips_(!lane.strips.empty()) {
  collect_marks();
}

Cp LanePicture::height() const {
  if (has_strips_) return pt(98);
  return marks_.empty() ? pt(40) : pt(72);
}

Cp LanePicture::bar_centre(Cp top) const {
  return top + (marks_.empty() && !has_strips_ ? pt(20) : pt(51));
}

std::string LanePicture::id(char prefix, uint64_t seq) const {
  return cat(std::string(1, prefix), seq, "_", number_);
}

void LanePicture::collect_marks() {
  // A crowd of crashes is one mark with their number; nothing else is ever merged.
  for (const Point& point : lane_.points) {
    const Cp x = axis_.x(point.t);
    const bool may_merge = point.kind == Point::Kind::kCrash || point.kind == Point::Kind::kRestart;
    const auto near = std::find_if(marks_.begin(), marks_.end(), [&](const Mark& mark) {
      return may_merge && mark.point->kind == point.kind && x - mark.x < kMergeWithin;
    });
    if (near != marks_.end()) {
      ++near->count;
    } else {
      marks_.push_back({&point, x});
    }
  }
}

bool LanePicture::crosses_violation(Cp from, Cp to) const {
  if (!axis_.violation) return false;
  const Cp x = axis_.x(*axis_.violation);
  return overlap(from, to, x - kLineRoom, x + kLineRoom);
}

void LanePicture::draw_body(Cp top, Canvas* canvas) const {
  const Cp centre = bar_centre(top);
  draw_names(top, canvas);
  draw_tints(top, canvas);
  draw_bars(centre, canvas);
  draw_leaders(centre, canvas);
  draw_faults(centre, canvas);
}

void LanePicture::draw_names(Cp top, Canvas* canvas) const {
  const Cp centre = bar_centre(top);
  canvas->text(pt(8), centre - pt(3), Align::kLeft, {pt(13), true, kInk}, lane_.name);
  const Font small{650, false, kFaintInk};
  const Cp room = axis_.left - pt(10);
  const Cp y = centre + pt(12);
  if (text_width(lane_.subtitle, small) <= room) {
    canvas->text(pt(8), y, Align::kLeft, small, lane_.subtitle);
  } else {
    const size_t comma = lane_.subtitle.rfind(", ");
    canvas->text(pt(8), y, Align::kLeft, small, lane_.subtitle.substr(0, comma));
    // Quiet lanes have no room for a second line.
    if (height() > pt(40)) {
      canvas->text(pt(8), y + pt(8), Align::kLeft, small, lane_.subtitle.substr(comma + 2));
    }
  }
  bool leader = false;
  bool faults = false;
  for (const Strip& strip : lane_.strips) {
    (strip.kind == Strip::Kind::kLeader ? leader : faults) = true;
  }
  const Cp x = axis_.left - pt(7);
  if (leader) canvas->text(x, centre + kLeaderBelow, Align::kRight, small, "leader");
  if (faults) canvas->text(x, centre + kFaultsBelow, Align::kRight, small, "faults");
}

void LanePicture::draw_tints(Cp top, Canvas* canvas) const {
  for (const Strip& strip : lane_.strips) {
    if (strip.kind != Strip::Kind::kPartition) continue;
    Look look;
    look.fill = "#CC79A766";
    look.hatch = "#CC79A711";
    look.stripe = pt(2);
    const Cp from = axis_.x(strip.begin);
    const Cp width = std::max(axis_.x(strip.end) - from, kLeastStrip);
    canvas->box(from, top + pt(2), width, height() - pt(4), look);
  }
}

void LanePicture::draw_bars(Cp centre, Canvas* canvas) const {
  struct Text {
    const Bar* bar;
    Cp from;
    Cp to;
  };
  std::vector<Text> texts;
  // Short bars last: one that is drawn wider than it is must not vanish under its neighbour.
  std::vector<const Bar*> order;
  for (const Bar& bar : lane_.bars) order.push_back(&bar);
  std::stable_partition(order.begin(), order.end(), [&](const Bar* bar) {
    return axis_.x(bar->end) - axis_.x(bar->begin) >= kLeastBar;
  });
  for (const Bar* bar : order) {
    const Cp from = axis_.x(bar->begin);
    const Cp width = std::max(axis_.x(bar->end) - from, kLeastBar);
    Look look;
    look.fill = bar->down ? kDownPaint.fill : phase_paint(bar->phase).fill;
    look.stroke = kGround;
    look.pen = 60;
    if (bar->down) {
      look.hatch = kGround;
      look.stroke = kDownPaint.text;
    }
    look.id = id('b', bar->seq);
    look.tooltip = bar->tooltip;
    canvas->box(from, centre - kBarHeight / 2, width, kBarHeight, look);
    if (!bar->down) texts.push_back({bar, from, from + width});
  }
  for (const Text& text : texts) draw_bar_text(*text.bar, text.from, text.to, centre, canvas);
}

void LanePicture::draw_bar_text(const Bar& bar, Cp from, Cp to, Cp centre, Canvas* canvas) const {
  // What marks and the violation's line leave free; the widest stretch takes the text.
  std::vector<Stretch> taken;
  for (const Mark& mark : marks_) {
    const Cp room = mark_room(mark.point->kind);
    taken.push_back({mark.x - room, mark.x + room});
  }
  if (axis_.violation) {
    const Cp x = axis_.x(*axis_.violation);
    taken.push_back({x - kLineRoom, x + kLineRoom});
  }
  std::sort(taken.begin(), taken.end(),
            [](const Stretch& a, const Stretch& b) { return a.from < b.from; });
  Stretch best{from, from};
  Cp free_from = from;
  const auto consider = [&](Cp free_to) {
    if (free_to - free_from > best.to - best.from) best = {free_from, free_to};
  };
  for (const Stretch& stretch : taken) {
    consider(std::min(stretch.from, to));
    free_from = std::max(free_from, stretch.to);
  }
  consider(to);

  const BarText text = bar_text(lane_, bar.phase);
  Font font = kBarFont;
  font.color = phase_paint(bar.phase).text;
  for (const std::string_view candidate :
       {std::string_view(text.full), std::string_view(text.middle), text.code}) {
    if (text_width(candidate, font) + pt(2) > best.to - best.from) continue;
    canvas->text((best.from + best.to) / 2, centre, Align::kCentre, font, candidate);
    return;
  }
}

void LanePicture::draw_leaders(Cp centre, Canvas* canvas) const {
  std::vector<const Strip*> strips;
  for (const Strip& strip : lane_.strips) {
    if (strip.kind == Strip::Kind::kLeader) strips.push_back(&strip);
  }
  for (size_t i = 0; i < strips.size();) {
    // Neighbours that are too short to be seen apart become one strip.
    const Cp from = axis_.x(strips[i]->begin);
    Cp to = axis_.x(strips[i]->end);
    size_t next = i + 1;
    while (to - from < kLeastLeadership && next < strips.size() &&
           axis_.x(strips[next]->end) - from < 2 * kLeastLeadership) {
      to = axis_.x(strips[next++]->end);
    }
    to = std::max(to, from + kLeastLeadership);
    Look look;
    look.fill = kLeaderPaint.fill;
    look.id = id('l', strips[i]->seq);
    look.tooltip = strips[i]->tooltip;
    if (next - i > 1) {
      look.hatch = kGround;
      look.stripe = pt(1);
      look.tooltip = cat(lane_.name, ": ", next - i, " terms");
    }
    canvas->box(from, centre + kLeaderBelow - kStripHeight / 2, to - from, kStripHeight, look);
    Font font = kStripFont;
    font.color = kLeaderPaint.text;
    const std::string& label = strips[i]->label;
    const Cp half = text_width(label, font) / 2;
    // Beside the violation's line rather than under it.
    Cp x = (from + to) / 2;
    if (crosses_violation(x - half, x + half)) {
      const Cp line = axis_.x(*axis_.violation);
      x = line - from > to - line ? (from + line) / 2 : (line + to) / 2;
    }
    if (next - i == 1 && x - half >= from && x + half <= to &&
        !crosses_violation(x - half, x + half)) {
      canvas->text(x, centre + kLeaderBelow, Align::kCentre, font, label);
    }
    i = next;
  }
}

void LanePicture::draw_faults(Cp centre, Canvas* canvas) const {
  std::vector<Stretch> taken;
  for (const Strip& strip : lane_.strips) {
    if (strip.kind == Strip::Kind::kLeader) continue;
    const Cp from = axis_.x(strip.begin);
    taken.push_back({from, std::max(axis_.x(strip.end), from + kLeastStrip)});
  }
  const size_t strips = taken.size();
  size_t i = 0;
  const Cp y = centre + kFaultsBelow;
  for (const Strip& strip : lane_.strips) {
    if (strip.kind == Strip::Kind::kLeader) continue;
    const Stretch own = taken[i++];
    Look look;
    look.fill = strip_color(strip.kind);
    look.id = id('s', strip.seq);
    look.tooltip = strip.tooltip;
    canvas->box(own.from, y - kStripHeight / 2, own.to - own.from, kStripHeight, look);

    const Cp width = text_width(strip.label, kStripFont);
    const Stretch sides[] = {{own.to + pt(3), own.to + pt(3) + width},
                             {own.from - pt(3) - width, own.from - pt(3)}};
    for (const Stretch& side : sides) {
      const bool free = std::none_of(taken.begin(), taken.end(), [&](const Stretch& other) {
        return overlap(side.from, side.to, other.from, other.to);
      });
      if (!free || side.from < axis_.left || side.to > axis_.right() + pt(10) ||
          crosses_violation(side.from, side.to)) {
        continue;
      }
      if (side.from > own.from) {
        canvas->text(side.from, y, Align::kLeft, kStripFont, strip.label);
      } else {
        canvas->text(side.to, y, Align::kRight, kStripFont, strip.label);
      }
      taken.push_back(side);
      break;
    }
  }
  QK_CHECK(i == strips);
}

void LanePicture::draw_marks(Cp top, Canvas* canvas) const {
  const Cp centre = bar_centre(top);
  // Crashes and violations last, on top of everything.
  for (const bool loud : {false, true}) {
    for (const Mark& mark : marks_) {
      const bool is_loud =
          mark.point->kind == Point::Kind::kCrash || mark.point->kind == Point::Kind::kViolation;
      if (is_loud == loud) draw_mark(mark, centre, canvas);
    }
  }
  draw_labels(centre, canvas);
}

void LanePicture::draw_mark(const Mark& mark, Cp centre, Canvas* canvas) const {
  Look look;
  look.id = id('m', mark.point->seq);
  look.tooltip = mark.point->tooltip;
  if (mark.count > 1) look.tooltip += cat(" (and ", mark.count - 1, " more)");
  Cp y = centre;
  switch (mark.point->kind) {
    case Point::Kind::kCutEqual:
    case Point::Kind::kCutDiffers:
      y = centre - kBarHeight / 2;
      break;
    case Point::Kind::kCutover: {
      Look line;
      line.fill = phase_paint(PhaseCode::kCut).fill;
      canvas->box(mark.x - pt(1), centre - kBarHeight / 2, pt(2), kBarHeight + pt(3), line);
      y = centre + kBarHeight / 2 + pt(4);
      break;
    }
    case Point::Kind::kRollback:
      y = centre + kBarHeight / 2 + pt(4);
      break;
    default:
      break;
  }
  draw_glyph(mark.point->kind, mark.x, y, look, canvas);
}

void LanePicture::draw_labels(Cp centre, Canvas* canvas) const {
  std::vector<Label> labels;
  for (const Mark& mark : marks_) {
    if (mark.point->label.empty()) continue;
    Label label{mark.x, mark.point->label, kLabelFont, 0, 2};
    if (mark.count > 1) label.text += cat(" x", mark.count);
    if (failure(mark.point->kind)) {
      label.font.bold = true;
      label.font.color = kFailPaint.fill;
      label.urgency = 0;
    } else if (mark.point->kind == Point::Kind::kCrash) {
      label.font.bold = true;
      label.urgency = 1;
    } else if (mark.point->kind == Point::Kind::kCutover) {
      label.row = 1;
    }
    labels.push_back(std::move(label));
  }
  std::stable_sort(labels.begin(), labels.end(),
                   [](const Label& a, const Label& b) { return a.urgency < b.urgency; });

  std::vector<Stretch> rows[2];
  for (const Label& label : labels) {
    const Cp width = text_width(label.text, label.font);
    const auto fits = [&](Cp from, size_t row) {
      if (from < axis_.left - pt(10) || from + width > axis_.right() + pt(10)) return false;
      if (crosses_violation(from, from + width)) return false;
      return std::none_of(rows[row].begin(), rows[row].end(), [&](const Stretch& other) {
        return overlap(from - pt(3), from + width + pt(3), other.from, other.to);
      });
    };
    // Above the mark; else beside it, nearest first.
    const Cp shifts[] = {-width / 2,     -width * 3 / 4, -width / 4,     pt(5),
                         -width - pt(5), pt(12),         -width - pt(12)};
    bool placed = false;
    for (const Cp shift : shifts) {
      for (const size_t row : {label.row, 1 - label.row}) {
        if (placed || !fits(label.x + shift, row)) continue;
        const Cp from = label.x + shift;
        canvas->text(from + width / 2, centre - kLabelRows[row], Align::kCentre, label.font,
                     label.text);
        rows[row].push_back({from, from + width});
        placed = true;
      }
    }
    if (!placed && label.urgency == 0) {
      const Cp right = label.x + pt(5);
      const bool to_the_left =
          right + width > axis_.right() || crosses_violation(right, right + width);
      const Cp from = to_the_left ? label.x - width - pt(5) : right;
      canvas->text(from + width / 2, centre - kLabelRows[1], Align::kCentre, label.font,
                   label.text);
      rows[1].push_back({from, from + width});
    }
  }
}

void draw_glyph(Point::Kind kind, Cp cx, Cp cy, const Look& base, Canvas* canvas) {
  Look look = base;
  look.stroke = kGround;
  look.pen = 80;
  look.font = {pt(9), true, kGround};
  switch (kind) {
    case Point::Kind::kCrash:
      look.fill = kGround;
      look.stroke = kInk;
      look.pen = 140;
      look.font = {pt(11), true, kInk};
      look.text = "\xE2\x9C\x96";  // heavy multiplication x
      canvas->shape("circle", cx, cy, pt(16), pt(16), look);
      return;
    case Point::Kind::kRestart:
      look.fill = kInk;
      canvas->shape("triangle", cx, cy, pt(15), pt(11), look);
      return;
    case Point::Kind::kCutEqual:
      look.fill = kPassPaint.fill;
      look.text = "\xE2\x9C\x93";  // check mark
      canvas->shape("diamond", cx, cy, pt(17), pt(17), look);
      return;
    case Point::Kind::kCutDiffers:
      look.fill = kFailPaint.fill;
      look.text = "\xE2\x9C\x97";  // ballot x
      canvas->shape("diamond", cx, cy, pt(17), pt(17), look);
      return;
    case Point::Kind::kCutover:
      look.fill = phase_paint(PhaseCode::kCut).fill;
      canvas->shape("invtriangle", cx, cy, pt(13), pt(9), look);
      return;
    case Point::Kind::kRollback:
      look.fill = phase_paint(PhaseCode::kRollback).fill;
      canvas->shape("larrow", cx, cy, pt(15), pt(10), look);
      return;
    case Point::Kind::kViolation:
      look.fill = kFailPaint.fill;
      look.font = {pt(12), true, kGround};
      look.text = "!";
      canvas->shape("octagon", cx, cy, pt(19), pt(19), look);
      return;
  }
}

}  // namespace qk::viz
