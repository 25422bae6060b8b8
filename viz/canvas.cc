#include "viz/canvas.h"

#include <algorithm>

#include "families/base/strings.h"

namespace qk::viz {
namespace {

// Hundredths as a decimal number without trailing zeros: 1250 -> "12.5".
std::string decimal(int64_t hundredths) {
  const bool negative = hundredths < 0;
  const int64_t value = negative ? -hundredths : hundredths;
  std::string out = cat(negative ? "-" : "", value / 100);
  const int64_t rest = value % 100;
  if (rest != 0) {
    out += cat(".", rest / 10);
    if (rest % 10 != 0) out += cat(rest % 10);
  }
  return out;
}

// Graphviz wants sizes of nodes in inches: 72 points. Four decimals are 1/140 point.
std::string inches(Cp size) {
  const int64_t value = (size * 10'000 + 3'600) / 7'200;
  std::string fraction = cat(value % 10'000);
  fraction.insert(0, 4 - fraction.size(), '0');
  return cat(value / 10'000, ".", fraction);
}

// A quoted DOT string. `&` would start an entity, a control character has no place in a label.
std::string quoted(std::string_view text, std::string_view suffix = "") {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '&') {
      out += "&amp;";
    } else {
      out += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
    }
  }
  out += suffix;
  return out + "\"";
}

std::string font_attributes(const Font& font) {
  return cat(" fontsize=", decimal(font.size), " fontcolor=\"", font.color, "\"",
             font.bold ? " fontname=\"Helvetica-Bold\"" : "");
}

std::string stripes(const Look& look, Cp width) {
  // An odd number, so that both ends look alike.
  const int64_t count = std::clamp<int64_t>(width / look.stripe, 1, 399) | 1;
  std::string list;
  for (int64_t i = 0; i < count; ++i) {
    if (i > 0) list += ':';
    list += i % 2 == 0 ? look.fill : look.hatch;
  }
  return list;
}

size_t code_points(std::string_view utf8) {
  return static_cast<size_t>(std::count_if(utf8.begin(), utf8.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

}  // namespace

Cp text_width(std::string_view utf8, const Font& font) {
  return static_cast<Cp>(code_points(utf8)) * font.size * (font.bold ? 66 : 60) / 100;
}

void Canvas::shape(std::string_view shape, Cp cx, Cp cy, Cp width, Cp height, const Look& look) {
  std::string a = cat("shape=", shape, " width=", inches(width), " height=", inches(height));
  // Graphviz refuses to stripe a shape that has room for one stripe only.
  if (!look.hatch.empty() && width >= 2 * look.stripe) {
    a += cat(" style=striped fillcolor=\"", stripes(look, width), "\"");
  } else {
    a += cat(" fillcolor=\"", look.fill, "\"");
  }
  if (look.stroke.empty()) {
    a += cat(" penwidth=0 color=\"", look.fill, "\"");
  } else {
    a += cat(" penwidth=", decimal(look.pen), " color=\"", look.stroke, "\"");
  }
  if (!look.text.empty()) a += cat(font_attributes(look.font), " label=", quoted(look.text));
  if (!look.id.empty()) a += cat(" id=", quoted(look.id), " URL=", quoted(cat("#", look.id)));
  if (!look.tooltip.empty()) a += cat(" tooltip=", quoted(look.tooltip));
  nodes_.push_back({cx, cy, std::move(a)});
}

void Canvas::text(Cp x, Cp y, Align align, const Font& font, std::string_view utf8) {
  if (utf8.empty()) return;
  // Wider than the text can be: the justification then decides where it is placed.
  const Cp width = text_width(utf8, font) + pt(20);
  std::string_view justify;
  Cp cx = x;
  if (align == Align::kLeft) {
    justify = "\\l";
    cx += width / 2;
  } else if (align == Align::kRight) {
    justify = "\\r";
    cx -= width / 2;
  }
  nodes_.push_back(
      {cx, y,
       cat("shape=plaintext style=\"\" width=", inches(width), " height=", inches(font.size),
           font_attributes(font), " label=", quoted(utf8, justify))});
}

std::string Canvas::to_dot(std::string_view title, Cp width, Cp height) const {
  std::string out = cat("graph ", quoted(title), " {\n");
  out +=
      "  graph [outputorder=nodesfirst, splines=false, notranslate=true, pad=0.15, "
      "bgcolor=\"#FFFFFF\", tooltip=\" \"]\n"
      "  node [fixedsize=true, margin=0, style=filled, label=\"\", tooltip=\" \", "
      "fontname=\"Helvetica\"]\n";
  out += cat("  page [shape=box width=", inches(width), " height=", inches(height), " pos=\"",
             decimal(width / 2), ",", decimal(height / 2),
             "\" fillcolor=\"#FFFFFF\" penwidth=0 color=\"#FFFFFF\"]\n");
  for (size_t i = 0; i < nodes_.size(); ++i) {
    const Node& node = nodes_[i];
    out += cat("  n", i, " [pos=\"", decimal(node.cx), ",", decimal(height - node.cy), "\" ",
               node.attributes, "]\n");
  }
  return out + "}\n";
}

}  // namespace qk::viz
