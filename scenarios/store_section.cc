#include <limits>

#include "families/base/check.h"
#include "families/base/strings.h"
#include "families/base/suggest.h"
#include "scenarios/sections.h"

namespace qk::scenarios {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

std::string number_value(Draft& draft, const Message& family, const FieldDescriptor& field,
                         uint64_t value) {
  const qksim::Limits& limits = field.options().GetExtension(qksim::limits);
  const uint64_t max = limits.has_max() ? limits.max() : std::numeric_limits<uint64_t>::max();
  const bool power = value != 0 && (value & (value - 1)) == 0;
  if (value < limits.min() || value > max || (limits.power_of_two() && !power)) {
    draft.bad_value(family, field.name(),
                    {cat(value, " is not allowed"),
                     cat(limits.power_of_two() ? "a power of two, " : "", limits.min(), " to ", max,
                         limits.size() ? " bytes" : "")});
  }
  return cat(value);
}

std::string option_value(Draft& draft, const Message& family, const FieldDescriptor& field) {
  const google::protobuf::Reflection& reflection = *family.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.GetBool(family, &field) ? "true" : "false";
    case FieldDescriptor::CPPTYPE_UINT32:
      return number_value(draft, family, field, reflection.GetUInt32(family, &field));
    case FieldDescriptor::CPPTYPE_UINT64:
      return number_value(draft, family, field, reflection.GetUInt64(family, &field));
    case FieldDescriptor::CPPTYPE_ENUM: {
      const auto& value = *reflection.GetEnum(family, &field);
      return value.options().HasExtension(qksim::option)
                 ? value.options().GetExtension(qksim::option)
                 : value.name();
    }
    case FieldDescriptor::CPPTYPE_STRING: {
      const std::string text = reflection.GetString(family, &field);
      if (!field.options().GetExtension(qksim::limits).size()) return text;
      uint64_t bytes = 0;
      if (!draft.take(family, field.name(), parse_size(text), &bytes)) return text;
      return number_value(draft, family, field, bytes);
    }
    default:
      QK_CHECK(false);  // no option is a message, a list or a fraction
  }
}

// The options that the scenario gives, each under its field's name.
void store_options(Draft& draft, const Message& family, families::FamilyOptions* options) {
  for (int i = 0; i < family.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor& field = *family.GetDescriptor()->field(i);
    if (!family.GetReflection()->HasField(family, &field)) continue;
    (*options)[field.name()] = option_value(draft, family, field);
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
    out.family = family->name();
    store_options(draft, store.GetReflection()->GetMessage(store, family), &out.options);
  }
  draft.plan.stores.push_back(std::move(out));
}

}  // namespace

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
