// The renderer, where Graphviz is installed; and what it says where it is not.
#include "viz/render.h"

#include <expat.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <string>

#include "viz/sample_runs.h"
#include "viz/timeline_dot.h"

namespace qk::viz {
namespace {

bool well_formed(const std::string& xml) {
  XML_Parser parser = XML_ParserCreate(nullptr);
  const bool ok = XML_Parse(parser, xml.data(), static_cast<int>(xml.size()), 1) == XML_STATUS_OK;
  XML_ParserFree(parser);
  return ok;
}

class WithPath {
 public:
  explicit WithPath(const char* path) : saved_(std::getenv("PATH")) { setenv("PATH", path, 1); }
  ~WithPath() { setenv("PATH", saved_.c_str(), 1); }

 private:
  std::string saved_;
};

TEST_CASE("without Graphviz the error says what to install") {
  const WithPath path("/nonexistent");
  const auto svg = render("graph {}", "svg");
  CHECK(svg.status().code() == absl::StatusCode::kNotFound);
  CHECK(std::string(svg.status().message()).find("graphviz") != std::string::npos);
}

TEST_CASE("pictures are drawn as told") {
  const auto probe = render("graph {}", "svg");
  if (absl::IsNotFound(probe.status())) {
    WARN("no Graphviz here: nothing to check");
    return;
  }
  REQUIRE(probe.ok());
  const auto run = eventful_run(7);
  const std::string dot = timeline_dot(build_timeline(run->trace, summary_of(*run)));
  const auto svg = render(dot, "svg");
  REQUIRE(svg.ok());
  CHECK(well_formed(*svg));
  CHECK_FALSE(well_formed(svg->substr(0, svg->size() / 2)));
  // Ids link text and picture: the violation's mark.
  uint64_t seq = 0;
  for (const sim::Mark& mark : run->trace.marks()) {
    if (mark.event.kind == sim::EventKind::kCheckViolation) seq = mark.event.seq;
  }
  CHECK(svg->find("id=\"m" + std::to_string(seq) + "_3\"") != std::string::npos);
  const auto png = render(dot, "png");
  REQUIRE(png.ok());
  CHECK(png->substr(0, 4) == "\x89PNG");
}

TEST_CASE("what Graphviz refuses is an error with its words") {
  if (absl::IsNotFound(render("graph {}", "svg").status())) return;
  const auto broken = render("graph { this is [ not", "svg");
  CHECK(broken.status().code() == absl::StatusCode::kInternal);
  CHECK(std::string(broken.status().message()).find("syntax error") != std::string::npos);
  CHECK(render("graph {}", "no-such-format").status().code() == absl::StatusCode::kInternal);
}

TEST_CASE("a large graph does not block the pipes") {
  if (absl::IsNotFound(render("graph {}", "svg").status())) return;
  std::string dot = "graph {\n";
  for (int i = 0; i < 20'000; ++i) {
    dot += "n" + std::to_string(i) + " [pos=\"" + std::to_string(i) + ",5\"]\n";
  }
  const auto svg = render(dot + "}\n", "svg");
  REQUIRE(svg.ok());
  CHECK(svg->size() > 1'000'000);
  CHECK(well_formed(*svg));
}

}  // namespace
}  // namespace qk::viz
