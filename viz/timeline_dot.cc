#include "viz/timeline_dot.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <vector>

#include "families/base/strings.h"
#include "sim/kernel/trace_text.h"
#include "viz/canvas.h"
#include "viz/palette.h"
#include "viz/timeline_lane.h"

namespace qk::viz {
namespace {

using sim::Nanos;

constexpr Cp kMargin = pt(8);
constexpr Cp kPlotLeft = pt(96);
constexpr Cp kPlotWidth = pt(1180);
constexpr Cp kPageWidth = kPlotLeft + kPlotWidth + pt(24);
constexpr Cp kLaneGap = pt(2);
constexpr Nanos kMaxTicks = 14;

constexpr Font kTitleFont{pt(14), true, kInk};
constexpr Font kDetailFont{pt(9), false, kFaintInk};
constexpr Font kTickFont{pt(9), false, kInk};

// "0x5EED", as everywhere in output.
std::string seed_text(uint64_t seed) {
  std::string digits = cat(absl::Hex(seed));
  std::transform(digits.begin(), digits.end(), digits.begin(),
                 [](char c) { return c >= 'a' ? static_cast<char>(c - 'a' + 'A') : c; });
  return cat("0x", digits);
}

// The smallest step of the series 1, 2, 5 that needs at most kMaxTicks ticks.
Nanos tick_step(Nanos length) {
  for (Nanos decade = 1;; decade *= 10) {
    for (const Nanos factor : {1, 2, 5}) {
      if (length / (decade * factor) < kMaxTicks) return decade * factor;
    }
  }
}

// 2'500'000'000 -> "2.5 s", 5'000'000 -> "5 ms".
std::string tick_text(Nanos t, Nanos step) {
  const auto with_unit = [t](Nanos unit, std::string_view name) {
    std::string text = sim::seconds_text(t * (sim::kSecond / unit), 9);
    text.resize(text.find_last_not_of('0') + 1);
    if (text.back() == '.') text.pop_back();
    return cat(text, " ", name);
  };
  if (step >= sim::kSecond / 10) return with_unit(sim::kSecond, "s");
  if (step >= sim::kMillisecond / 10) return with_unit(sim::kMillisecond, "ms");
  return with_unit(sim::kMicrosecond, "us");
}

std::vector<std::string> wrap(const std::string& text, const Font& font, Cp width) {
  std::vector<std::string> lines;
  std::string line;
  size_t from = 0;
  while (from < text.size()) {
    // A word takes the blanks before it along, so that columns in the text survive.
    size_t to = text.find_first_not_of(' ', from);
    to = to == std::string::npos ? text.size() : text.find(' ', to);
    if (to == std::string::npos) to = text.size();
    const std::string word = text.substr(from, to - from);
    if (!line.empty() && text_width(line + word, font) > width) {
      lines.push_back(line);
      line = "    " + word.substr(std::min(word.find_first_not_of(' '), word.size()));
    } else {
      line += word;
    }
    from = to;
  }
  lines.push_back(line);
  return lines;
}

class Page {
 public:
  explicit Page(const Timeline& timeline) : timeline_(timeline) {
    axis_ = {kPlotLeft, kPlotWidth, timeline.begin, timeline.end, first_violation()};
    for (size_t i = 0; i < timeline.lanes.size(); ++i) {
      lanes_.emplace_back(timeline.lanes[i], i + 1, axis_);
    }
  }

  std::string draw() {
    Cp y = draw_header();
    if (!timeline_.cluster_points.empty()) y += pt(18);
    plot_top_ = y;
    for (const LanePicture& lane : lanes_) {
      tops_.push_back(y);
      y += lane.height() + kLaneGap;
    }
    plot_bottom_ = y;
    draw_grounds();
    draw_ticks();
    for (size_t i = 0; i < lanes_.size(); ++i) lanes_[i].draw_body(tops_[i], &canvas_);
    draw_violation_line();
    for (size_t i = 0; i < lanes_.size(); ++i) lanes_[i].draw_marks(tops_[i], &canvas_);
    draw_cluster_points();
    const Cp bottom = draw_legend(plot_bottom_ + pt(42));
    return canvas_.to_dot(timeline_.run.scenario, kPageWidth, bottom);
  }

 private:
  std::optional<Nanos> first_violation() const {
    std::optional<Nanos> first;
    const auto look_at = [&first](const std::vector<Point>& points) {
      for (const Point& point : points) {
        if (point.kind != Point::Kind::kViolation) continue;
        if (!first || point.t < *first) first = point.t;
      }
    };
    for (const Lane& lane : timeline_.lanes) look_at(lane.points);
    look_at(timeline_.cluster_points);
    return first;
  }

  Cp draw_header() {
    constexpr std::string_view kDot = " \xC2\xB7 ";
    const RunSummary& run = timeline_.run;
    Cp y = pt(14);
    canvas_.text(
        kMargin, y, Align::kLeft, kTitleFont,
        cat("qksim", kDot, run.scenario, kDot, "seed ", seed_text(run.seed), kDot, run.version));
    Font font{pt(10), true, kInk};
    if (run.verdict == sim::Verdict::kPass || run.verdict == sim::Verdict::kExpected)
      font.color = kPassPaint.fill;
    if (run.verdict == sim::Verdict::kViolation || run.verdict == sim::Verdict::kInternalError)
      font.color = kFailPaint.fill;
    y += pt(20);
    for (const std::string& line : wrap(run.verdict_text, font, kPageWidth - 2 * kMargin)) {
      canvas_.text(kMargin, y, Align::kLeft, font, line);
      y += pt(14);
    }
    y += pt(3);
    std::string detail = run.run_id.empty() ? "" : cat("run ", run.run_id, kDot);
    detail += cat(run.events, " events", kDot, "chain ", run.chain, kDot, "repro: ", run.repro);
    for (const std::string& line : wrap(detail, kDetailFont, kPageWidth - 2 * kMargin)) {
      canvas_.text(kMargin, y, Align::kLeft, kDetailFont, line);
      y += pt(12);
    }
    return y + pt(18);
  }

  void draw_grounds() {
    for (size_t i = 0; i < lanes_.size(); ++i) {
      Look look;
      look.fill = i % 2 == 0 ? kLaneGround : kGround;
      look.stroke = kLaneEdge;
      look.pen = 60;
      canvas_.box(kPlotLeft, tops_[i], kPlotWidth, lanes_[i].height(), look);
    }
  }

  void draw_ticks() {
    Look line;
    line.fill = kGrid;
    const Nanos step = tick_step(axis_.end - axis_.begin);
    for (Nanos t = (axis_.begin + step - 1) / step * step; t <= axis_.end; t += step) {
      const Cp x = axis_.x(t);
      canvas_.box(x - 50, plot_top_, 100, plot_bottom_ - plot_top_, line);
      canvas_.text(x, plot_bottom_ + pt(9), Align::kCentre, kTickFont, tick_text(t, step));
    }
  }

  void draw_violation_line() {
    if (!axis_.violation) return;
    Look line;
    line.fill = kFailPaint.fill;
    line.tooltip = "first violation";
    canvas_.box(axis_.x(*axis_.violation) - 125, plot_top_ - pt(2), 250,
                plot_bottom_ - plot_top_ + pt(2), line);
  }

  // Violations of no single node are drawn above the lanes.
  void draw_cluster_points() {
    Font font{pt(9), true, kFailPaint.fill};
    std::optional<Cp> taken;
    for (const Point& point : timeline_.cluster_points) {
      const Cp x = axis_.x(point.t);
      Look look;
      look.id = cat("m", point.seq, "_0");
      look.tooltip = point.tooltip;
      const Cp y = plot_top_ - pt(10);
      draw_glyph(point.kind, x, y, look, &canvas_);
      const Cp width = text_width(point.label, font);
      const bool to_the_left = x + pt(14) + width > axis_.right();
      const Cp from = to_the_left ? x - pt(14) - width : x + pt(14);
      if (taken && from < *taken) continue;
      canvas_.text(from, y, Align::kLeft, font, point.label);
      taken = from + width + pt(14);
    }
  }

  // Draws entries of one legend row from left to right.
  class Row {
   public:
    Row(Canvas* canvas, Cp y, std::string_view name) : canvas_(canvas), y_(y) {
      canvas->text(kMargin, y, Align::kLeft, {pt(9), true, kInk}, name);
    }
    void swatch(const Look& look, std::string_view text) {
      canvas_->box(x_, y_ - pt(5), pt(18), pt(11), look);
      entry(pt(18), text);
    }
    void glyph(Point::Kind kind, std::string_view text) {
      draw_glyph(kind, x_ + pt(9), y_, Look(), canvas_);
      entry(pt(18), text);
    }
    void note(std::string_view text) {
      canvas_->text(x_ + pt(10), y_, Align::kLeft, kDetailFont, text);
    }

   private:
    void entry(Cp width, std::string_view text) {
      const Font font{pt(9), false, kInk};
      canvas_->text(x_ + width + pt(5), y_, Align::kLeft, font, text);
      x_ += width + pt(5) + text_width(text, font) + pt(16);
    }

    Canvas* canvas_;
    Cp y_;
    Cp x_ = pt(62);
  };

  Cp draw_legend(Cp y) {
    using sim::PhaseCode;
    constexpr Cp kRowHeight = pt(22);
    const auto filled = [](std::string_view color) {
      Look look;
      look.fill = color;
      return look;
    };
    Row phases(&canvas_, y, "phase");
    constexpr std::pair<PhaseCode, std::string_view> kPhases[] = {
        {PhaseCode::kA, "A only"},         {PhaseCode::kExport, "export"},
        {PhaseCode::kBoot, "bootstrap B"}, {PhaseCode::kV1, "validate (V1/V2)"},
        {PhaseCode::kDual, "dual-write"},  {PhaseCode::kCut, "cutover"},
        {PhaseCode::kB, "B only"},         {PhaseCode::kRollback, "rollback"}};
    for (const auto& [phase, name] : kPhases) phases.swatch(filled(phase_paint(phase).fill), name);
    Look down = filled(kDownPaint.fill);
    down.hatch = kGround;
    down.stripe = pt(4);
    down.stroke = kDownPaint.text;
    down.pen = 60;
    phases.swatch(down, "down");

    Row marks(&canvas_, y + kRowHeight, "marks");
    marks.glyph(Point::Kind::kCrash, "crash");
    marks.glyph(Point::Kind::kRestart, "restart");
    marks.glyph(Point::Kind::kCutEqual, "cut: backends equal");
    marks.glyph(Point::Kind::kCutDiffers, "cut: backends differ");
    marks.glyph(Point::Kind::kCutover, "cutover @index");
    marks.glyph(Point::Kind::kRollback, "rollback to A");
    marks.glyph(Point::Kind::kViolation, "invariant violated");

    Row strips(&canvas_, y + 2 * kRowHeight, "strips");
    strips.swatch(filled(kLeaderPaint.fill), "leader (term)");
    strips.swatch(filled(kPartitionColor), "network partition (isolated node)");
    strips.swatch(filled(kSlowDiskColor), "slow disk");
    strips.swatch(filled(kDiskErrorColor), "I/O errors, torn writes");
    strips.swatch(filled(kWaitColor), "the roll waits");
    strips.note("labels: V2@1192 = validation cut at log index 1192");
    return y + 2 * kRowHeight + pt(14);
  }

  const Timeline& timeline_;
  Axis axis_;
  std::vector<LanePicture> lanes_;
  std::vector<Cp> tops_;
  Cp plot_top_ = 0;
  Cp plot_bottom_ = 0;
  Canvas canvas_;
};

}  // namespace

std::string timeline_dot(const Timeline& timeline) { return Page(timeline).draw(); }

}  // namespace qk::viz
