// Canvas: shapes at coordinates, written as a Graphviz graph in which every node is pinned, so that
// Graphviz draws and never places.
//
// Coordinates are integers, hundredths of a point, y downwards from the top of the page: no
// floating point and no locale, so the text is the same bytes everywhere. Later shapes cover
// earlier ones.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "viz/palette.h"

namespace qk::viz {

using Cp = int64_t;  // hundredths of a point
constexpr Cp pt(int64_t points) { return points * 100; }

enum class Align : uint8_t { kLeft, kCentre, kRight };

struct Font {
  Cp size = pt(9);
  bool bold = false;
  std::string_view color = kInk;
};

struct Look {
  std::string_view fill = kGround;
  std::string_view stroke;  // empty: no outline
  Cp pen = pt(1);
  // Not empty: stripes of `fill` and this colour, each about `stripe` wide.
  std::string_view hatch;
  Cp stripe = pt(5);
  std::string text;  // centred in the shape
  Font font;
  std::string id;       // of the SVG element, and the target of a link to it
  std::string tooltip;  // empty: decoration
};

// An upper bound for Helvetica and the faces that usually stand in for it. There are no font
// metrics: estimates decide what fits, the renderer draws what it has.
Cp text_width(std::string_view utf8, const Font& font);

class Canvas {
 public:
  // A rectangle by its upper left corner.
  void box(Cp x, Cp y, Cp width, Cp height, const Look& look) {
    shape("box", x + width / 2, y + height / 2, width, height, look);
  }
  // Any Graphviz node shape by its centre.
  void shape(std::string_view shape, Cp cx, Cp cy, Cp width, Cp height, const Look& look);
  // One line of text that ends, is centred or starts at `x`; `y` is its vertical centre.
  void text(Cp x, Cp y, Align align, const Font& font, std::string_view utf8);

  // The whole graph, for a page of that size.
  std::string to_dot(std::string_view title, Cp width, Cp height) const;

 private:
  struct Node {
    Cp cx;
    Cp cy;
    std::string attributes;
  };
  std::vector<Node> nodes_;
};

}  // namespace qk::viz
