// One lane of the timeline picture. Drawn in two passes, because the line of a violation runs over
// all bars and under all marks.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "viz/canvas.h"
#include "viz/timeline_model.h"

namespace qk::viz {

// The horizontal axis, shared by all lanes.
struct Axis {
  Cp left = 0;
  Cp width = 0;
  sim::Nanos begin = 0;
  sim::Nanos end = 0;
  std::optional<sim::Nanos> violation;  // the first: a line over all lanes

  Cp right() const { return left + width; }
  Cp x(sim::Nanos t) const;
};

class LanePicture {
 public:
  // `number` tells the lanes' SVG ids apart.
  LanePicture(const Lane& lane, size_t number, const Axis& axis);

  // 98 points with strips, 72 with marks only, 40 quiet.
  Cp height() const;
  void draw_body(Cp top, Canvas* canvas) const;
  void draw_marks(Cp top, Canvas* canvas) const;

 private:
  struct Mark {
    const Point* point;
    Cp x;
    int count = 1;
  };
  // A horizontal stretch that is taken.
  struct Stretch {
    Cp from;
    Cp to;
  };

  Cp bar_centre(Cp top) const;
  std::string id(char prefix, uint64_t seq) const;
  void collect_marks();
  void draw_names(Cp top, Canvas* canvas) const;
  void draw_tints(Cp top, Canvas* canvas) const;
  void draw_bars(Cp centre, Canvas* canvas) const;
  void draw_bar_text(const Bar& bar, Cp from, Cp to, Cp centre, Canvas* canvas) const;
  void draw_leaders(Cp centre, Canvas* canvas) const;
  void draw_faults(Cp centre, Canvas* canvas) const;
  void draw_mark(const Mark& mark, Cp centre, Canvas* canvas) const;
  void draw_labels(Cp centre, Canvas* canvas) const;
  bool crosses_violation(Cp from, Cp to) const;

  const Lane& lane_;
  size_t number_;
  const Axis& axis_;
  std::vector<Mark> marks_;
  bool has_strips_ = false;
};

// The glyph of a kind of mark, at its centre; also drawn in the legend.
void draw_glyph(Point::Kind kind, Cp cx, Cp cy, const Look& base, Canvas* canvas);

}  // namespace qk::viz
