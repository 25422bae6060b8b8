#include <algorithm>
#include <optional>

#include "families/base/check.h"
#include "families/base/strings.h"
#include "families/base/suggest.h"
#include "scenarios/sections.h"

namespace qk::scenarios {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// What the scenario says of an option: a word as the family calls it, a number in digits, a size as
// it is written.
std::string option_text(const Message& message, const FieldDescriptor& field) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_UINT32:
      return cat(reflection.GetUInt32(message, &field));
    case FieldDescriptor::CPPTYPE_UINT64:
      return cat(reflection.GetUInt64(message, &field));
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection.GetString(message, &field);
    case FieldDescriptor::CPPTYPE_ENUM: {
      const auto& value = *reflection.GetEnum(message, &field);
      return value.options().HasExtension(qksim::option)
                 ? value.options().GetExtension(qksim::option)
                 : value.name();
    }
    default:
      QK_CHECK(false);  // no option is a message, a list or a fraction
  }
}

// The options that the scenario gives, each under its field's name, within the family's limits.
void store_options(Draft& draft, const Message& message, sim::StorePlan* store) {
  const families::FamilyDescriptor* const family = draft.registry().find(store->family);
  if (family == nullptr) return;
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor& field = *message.GetDescriptor()->field(i);
    if (!message.GetReflection()->HasField(message, &field)) continue;
    const std::string text = option_text(message, field);
    const auto option = std::find_if(family->options.begin(), family->options.end(),
                                     [&](const auto& o) { return o.name == field.name(); });
    if (option == family->options.end()) {
      draft.bad_value(message, field.name(),
                      {cat("family ", family->name, " of this build has no such option"),
                       "one of those that \"qksim families show\" prints"});
    } else if (const std::optional<std::string> value = option->normal(text)) {
      store->options[field.name()] = *value;
    } else {
      const bool quoted = field.cpp_type() == FieldDescriptor::CPPTYPE_STRING;
      draft.bad_value(message, field.name(),
                      {cat(quoted ? in_quotes(text) : text, " is not allowed"), option->allowed()});
    }
  }
}

void build_store(Draft& draft, const qksim::Scenario& scenario, int i) {
  const qksim::Store& store = scenario.store(i);
  sim::StorePlan out;
  out.id = store.id();
  if (store.has_id()) {
    draft.new_id(store, "id", store.id(), draft.store_ids());
  } else {
    draft.missing(store, "id", "as in store { id: \"old\" local {} }");
  }
  const FieldDescriptor* const family = store.GetReflection()->GetOneofFieldDescriptor(
      store, store.GetDescriptor()->FindOneofByName("family"));
  if (family == nullptr) {
    draft.report(scenario, "store", i, Draft::Point::kName, "store has no family",
                 cat("families: ", join(family_names()), ", as in store { id: \"old\" local {} }"));
  } else {
    out.family = registered_name(family->name());
    store_options(draft, store.GetReflection()->GetMessage(store, family), &out);
  }
  draft.plan.stores.push_back(std::move(out));
}

}  // namespace

std::string registered_name(std::string field) {
  std::replace(field.begin(), field.end(), '_', '-');
  return field;
}

std::vector<std::string> family_names() {
  std::vector<std::string> names;
  const auto* const oneof = qksim::Store::descriptor()->FindOneofByName("family");
  for (int i = 0; i < oneof->field_count(); ++i) names.push_back(oneof->field(i)->name());
  return names;
}

void build_stores(Draft& draft) {
  const qksim::Scenario& scenario = draft.scenario();
  for (int i = 0; i < scenario.store_size(); ++i) build_store(draft, scenario, i);
}

}  // namespace qk::scenarios
