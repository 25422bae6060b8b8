// Draft: a plan while the sections of a scenario are built into it, and everything that is wrong
// with it. Complaints go on after the first one, so that one pass finds them all.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "families/contract/family.h"
#include "scenarios/diagnostic.h"
#include "scenarios/initial_tree.h"
#include "scenarios/source.h"
#include "scenarios/values.h"
#include "sim/cluster/plan.h"

namespace qk::scenarios {

inline constexpr std::string_view kSelectors = "@leader, @follower, @migrating";

// 1 to 32 letters, digits, - and _.
bool is_identifier(std::string_view text);
bool contains(const std::vector<std::string>& words, const std::string& word);

class Draft {
 public:
  using Message = google::protobuf::Message;
  using Point = ParsedSource::Point;

  Draft(ParsedSource& source, const families::Registry& registry, const TreeResolver& resolve,
        std::vector<Diagnostic>* diagnostics)
      : source_(source), registry_(registry), resolve_(resolve), diagnostics_(diagnostics) {}

  const qksim::Scenario& scenario() const { return source_.message(); }
  const ParsedSource& source() const { return source_; }
  const families::Registry& registry() const { return registry_; }
  absl::StatusOr<InitialDirectory> resolve(const std::string& initial_dir) const {
    return resolve_(initial_dir);
  }

  // ---- Complaints, at a field of `message`: element `index` of a repeated one

  void report(const Message& message, std::string_view field, int index, Point point,
              std::string text, std::string hint);
  void bad_value(const Message& message, std::string_view field, const Complaint& complaint);
  void missing(const Message& message, std::string_view field, std::string hint);

  // ---- Values: into *out, or a complaint

  template <typename T>
  bool take(const Message& message, std::string_view field, const Parsed<T>& parsed, T* out) {
    if (parsed.ok()) {
      *out = parsed.value();
      return true;
    }
    bad_value(message, field, parsed.complaint());
    return false;
  }
  void duration(const Message& message, std::string_view field, const std::string& text,
                sim::Nanos* out);
  void positive_duration(const Message& message, std::string_view field, const std::string& text,
                         sim::Nanos* out);
  void probability(const Message& message, std::string_view field, double value, uint32_t* out);
  void at_least_one(const Message& message, std::string_view field, uint64_t value);
  // Nothing follows what happens at the end of a run.
  void before_the_end(const Message& message, std::string_view field, const std::string& text,
                      sim::Nanos time);

  // ---- Names

  std::vector<std::string> node_ids() const;
  std::vector<std::string> store_ids() const;
  void new_id(const Message& message, std::string_view field, const std::string& id,
              const std::vector<std::string>& taken);
  bool known_store(const Message& message, std::string_view field, const std::string& id);
  enum class Selectors { kNo, kYes };
  bool known_node(const Message& message, std::string_view field, int index, const std::string& id,
                  Selectors selectors);

  // As far as it is built.
  sim::Plan plan;
  std::map<std::string, std::string> store_of;  // by node, after the migrations so far
  std::vector<std::string> moved;               // nodes that a migration moves

 private:
  ParsedSource& source_;
  const families::Registry& registry_;
  const TreeResolver& resolve_;
  std::vector<Diagnostic>* diagnostics_;
};

}  // namespace qk::scenarios
