#include "scenarios/draft.h"

#include <algorithm>

#include "families/base/strings.h"
#include "families/base/suggest.h"

namespace qk::scenarios {
namespace {

using google::protobuf::Message;

bool is_absent(const Message& message) {
  return &message == &qksim::Cluster::default_instance() ||
         &message == &qksim::Workload::default_instance() ||
         &message == &qksim::Expect::default_instance();
}
std::string_view home_of(const Message& message) {
  if (&message == &qksim::Cluster::default_instance()) return "cluster";
  return &message == &qksim::Workload::default_instance() ? "workload" : "expect";
}

}  // namespace

bool is_identifier(std::string_view text) {
  constexpr std::string_view kAllowed =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
  return !text.empty() && text.size() <= 32 &&
         text.find_first_not_of(kAllowed) == std::string_view::npos;
}

bool contains(const std::vector<std::string>& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

void Draft::report(const Message& message, std::string_view field, int index, Point point,
                   std::string text, std::string hint) {
  if (diagnostics_->size() >= kMaxDiagnostics) return;
  // A message that the file leaves out altogether is its default instance, which has no place.
  Diagnostic out = is_absent(message) ? source_.at(source_.message(), home_of(message), -1, point)
                                      : source_.at(message, field, index, point);
  out.message = std::move(text);
  out.hint = std::move(hint);
  diagnostics_->push_back(std::move(out));
}

void Draft::bad_value(const Message& message, std::string_view field, const Complaint& complaint) {
  report(message, field, -1, Point::kValue, cat(field, ": ", complaint.message), complaint.hint);
}

void Draft::missing(const Message& message, std::string_view field, std::string hint) {
  report(message, field, -1, Point::kName,
         cat(spoken_name(*message.GetDescriptor()), " has no ", field), std::move(hint));
}

void Draft::duration(const Message& message, std::string_view field, const std::string& text,
                     sim::Nanos* out) {
  take(message, field, parse_duration(text), out);
}

void Draft::positive_duration(const Message& message, std::string_view field,
                              const std::string& text, sim::Nanos* out) {
  if (take(message, field, parse_duration(text), out) && *out == 0) {
    bad_value(message, field,
              {cat("found ", in_quotes(text), ", must be greater than 0"), "as in \"1s\""});
  }
}

void Draft::before_the_end(const Message& message, std::string_view field, const std::string& text,
                           sim::Nanos time) {
  if (plan.run_for == 0 || time < plan.run_for) return;
  bad_value(message, field,
            {cat(in_quotes(text), " is not before the end of the run, ",
                 in_quotes(source_.message().run_for())),
             "less than run_for"});
}

void Draft::probability(const Message& message, std::string_view field, double value,
                        uint32_t* out) {
  take(message, field, to_ppm(value), out);
}

void Draft::at_least_one(const Message& message, std::string_view field, uint64_t value) {
  if (value == 0) bad_value(message, field, {"found 0, must be at least 1", "1 or more"});
}

std::vector<std::string> Draft::node_ids() const {
  std::vector<std::string> out;
  for (const sim::NodePlan& node : plan.cluster.nodes) out.push_back(node.id);
  return out;
}

std::vector<std::string> Draft::store_ids() const {
  std::vector<std::string> out;
  for (const sim::StorePlan& store : plan.stores) out.push_back(store.id);
  return out;
}

void Draft::new_id(const Message& message, std::string_view field, const std::string& id,
                   const std::vector<std::string>& taken) {
  if (!is_identifier(id)) {
    bad_value(
        message, field,
        {in_quotes(id) + " is not a valid name", "1 to 32 letters, digits, - and _, as in \"n1\""});
  } else if (contains(taken, id)) {
    report(message, field, -1, Point::kValue, cat(in_quotes(id), " is given twice"),
           cat("given before: ", join(taken)));
  }
}

bool Draft::known_store(const Message& message, std::string_view field, const std::string& id) {
  if (contains(store_ids(), id)) return true;
  report(message, field, -1, Point::kValue, cat("there is no store ", in_quotes(id)),
         suggestion(id, "stores", store_ids()));
  return false;
}

bool Draft::known_node(const Message& message, std::string_view field, int index,
                       const std::string& id, Selectors selectors) {
  const std::vector<std::string> ids = node_ids();
  if (contains(ids, id) || (selectors == Selectors::kYes && is_selector(id))) return true;
  report(message, field, index, Point::kValue, cat("there is no node ", in_quotes(id)),
         cat(suggestion(id, "nodes", ids),
             selectors == Selectors::kYes ? cat(", ", kSelectors) : std::string()));
  return false;
}

}  // namespace qk::scenarios
