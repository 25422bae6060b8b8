// Recomputes the palette's contrasts: text on its bar (WCAG), and phase colours against each other
// for normal and colour-blind eyes (CIE76 distance; Machado 2009 matrices, severity 1).
#include "viz/palette.h"

#include <array>
#include <catch2/catch.hpp>
#include <cmath>
#include <string>
#include <vector>

namespace qk::viz {
namespace {

using Triple = std::array<double, 3>;
using Matrix = std::array<Triple, 3>;

constexpr Matrix kNormal = {{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
constexpr Matrix kProtan = {{{0.152286, 1.052583, -0.204868},
                             {0.114503, 0.786281, 0.099216},
                             {-0.003882, -0.048116, 1.051998}}};
constexpr Matrix kDeutan = {{{0.367322, 0.860646, -0.227968},
                             {0.280085, 0.672501, 0.047413},
                             {-0.011820, 0.042940, 0.968881}}};
constexpr Matrix kTritan = {{{1.255528, -0.076749, -0.178779},
                             {-0.078411, 0.930809, 0.147602},
                             {0.004733, 0.691367, 0.303900}}};

Triple linear(std::string_view hex) {
  Triple out{};
  for (size_t i = 0; i < 3; ++i) {
    const double v = std::stoi(std::string(hex.substr(1 + 2 * i, 2)), nullptr, 16) / 255.0;
    out[i] = v <= 0.04045 ? v / 12.92 : std::pow((v + 0.055) / 1.055, 2.4);
  }
  return out;
}

Triple times(const Matrix& m, const Triple& v) {
  Triple out{};
  for (size_t i = 0; i < 3; ++i) {
    for (size_t j = 0; j < 3; ++j) out[i] += m[i][j] * v[j];
    out[i] = std::min(1.0, std::max(0.0, out[i]));
  }
  return out;
}

double luminance(const Triple& rgb) { return 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2]; }

double contrast(std::string_view a, std::string_view b) {
  const double la = luminance(linear(a)) + 0.05;
  const double lb = luminance(linear(b)) + 0.05;
  return la > lb ? la / lb : lb / la;
}

Triple lab(const Triple& rgb) {
  constexpr Matrix kToXyz = {{{0.4124564, 0.3575761, 0.1804375},
                              {0.2126729, 0.7151522, 0.0721750},
                              {0.0193339, 0.1191920, 0.9503041}}};
  constexpr Triple kWhite = {0.95047, 1.0, 1.08883};
  Triple f{};
  for (size_t i = 0; i < 3; ++i) {
    double xyz = 0;
    for (size_t j = 0; j < 3; ++j) xyz += kToXyz[i][j] * rgb[j];
    const double v = xyz / kWhite[i];
    f[i] = v > 216.0 / 24389.0 ? std::cbrt(v) : (24389.0 / 27.0 * v + 16) / 116;
  }
  return {116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])};
}

double distance(std::string_view a, std::string_view b, const Matrix& eye) {
  const Triple la = lab(times(eye, linear(a)));
  const Triple lb = lab(times(eye, linear(b)));
  return std::hypot(la[0] - lb[0], la[1] - lb[1], la[2] - lb[2]);
}

std::vector<Paint> phases() {
  std::vector<Paint> out;
  for (int i = 0; i < sim::kPhaseCount; ++i) {
    const auto phase = static_cast<sim::PhaseCode>(i);
    if (phase != sim::PhaseCode::kV2) out.push_back(phase_paint(phase));  // painted like V1
  }
  return out;
}

// Rounded, as the design states it.
double smallest_distance(const Matrix& eye) {
  const std::vector<Paint> paints = phases();
  double smallest = 1000;
  for (size_t i = 0; i < paints.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      smallest = std::min(smallest, distance(paints[i].fill, paints[j].fill, eye));
    }
  }
  return std::round(smallest);
}

TEST_CASE("text on a bar can be read") {
  for (const Paint& paint : phases()) {
    INFO(paint.fill);
    CHECK(contrast(paint.fill, paint.text) >= 3.8);
  }
  CHECK(contrast(kLeaderPaint.fill, kLeaderPaint.text) >= 7);
  CHECK(contrast(kFailPaint.fill, kGround) >= 4.5);
  CHECK(contrast(kDownPaint.text, kGround) >= 7);
  CHECK(contrast(kFaintInk, kGround) >= 7);
}

TEST_CASE("phases can be told apart by any eye") {
  CHECK(smallest_distance(kNormal) >= 29);
  CHECK(smallest_distance(kProtan) >= 24);
  CHECK(smallest_distance(kDeutan) >= 17);
  CHECK(smallest_distance(kTritan) >= 21);
}

}  // namespace
}  // namespace qk::viz
