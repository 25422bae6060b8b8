#include "scenarios/effective.h"

#include <google/protobuf/text_format.h>

#include <algorithm>
#include <bit>
#include <span>

#include "families/base/bytes.h"
#include "families/base/check.h"
#include "families/base/hash.h"
#include "families/fs/file_util.h"

namespace qk::scenarios {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

void set_default(Message* message, const FieldDescriptor* field) {
  const Reflection& reflection = *message->GetReflection();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection.SetString(message, field, field->default_value_string());
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.SetBool(message, field, field->default_value_bool());
    case FieldDescriptor::CPPTYPE_UINT32:
      return reflection.SetUInt32(message, field, field->default_value_uint32());
    case FieldDescriptor::CPPTYPE_UINT64:
      return reflection.SetUInt64(message, field, field->default_value_uint64());
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return reflection.SetDouble(message, field, field->default_value_double());
    case FieldDescriptor::CPPTYPE_ENUM:
      return reflection.SetEnum(message, field, field->default_value_enum());
    default:
      QK_CHECK(false);
  }
}

void fill_fields(Message* message) {
  const Reflection& reflection = *message->GetReflection();
  for (int f = 0; f < message->GetDescriptor()->field_count(); ++f) {
    const FieldDescriptor* field = message->GetDescriptor()->field(f);
    if (field->message_type() == nullptr) {
      if (field->has_default_value() && !reflection.HasField(*message, field)) {
        set_default(message, field);
      }
    } else if (field->is_repeated()) {
      for (int i = 0; i < reflection.FieldSize(*message, field); ++i) {
        fill_fields(reflection.MutableRepeatedMessage(message, field, i));
      }
    } else if (reflection.HasField(*message, field)) {
      fill_fields(reflection.MutableMessage(message, field));
    }
  }
}

void put_text(std::string* out, std::string_view text) { put_bytes(out, text); }

void encode(const Message& message, std::string* out);

// One value (element `i` of a repeated field): its bytes, in a fixed form of our own.
void encode_value(const Message& message, const FieldDescriptor* field, int i, std::string* out) {
  const Reflection& reflection = *message.GetReflection();
  const bool repeated = field->is_repeated();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      return put_text(out, repeated ? reflection.GetRepeatedString(message, field, i)
                                    : reflection.GetString(message, field));
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return encode(repeated ? reflection.GetRepeatedMessage(message, field, i)
                             : reflection.GetMessage(message, field),
                    out);
    case FieldDescriptor::CPPTYPE_BOOL:
      return put_le64(out, reflection.GetBool(message, field) ? 1 : 0);
    case FieldDescriptor::CPPTYPE_UINT32:
      return put_le64(out, reflection.GetUInt32(message, field));
    case FieldDescriptor::CPPTYPE_UINT64:
      return put_le64(out, reflection.GetUInt64(message, field));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return put_le64(out, std::bit_cast<uint64_t>(reflection.GetDouble(message, field)));
    case FieldDescriptor::CPPTYPE_ENUM:
      // By name, which is what people write; numbers may change.
      return put_text(out, reflection.GetEnum(message, field)->name());
    default:
      QK_CHECK(false);
  }
}

// Fields of a scenario that no hash covers, and those that the chain's does not.
constexpr std::string_view kNoRun[] = {"name", "summary", "tag", "seed"};
constexpr std::string_view kNotInChain[] = {"at", "random", "expect", "until", "planted"};

bool is_among(const FieldDescriptor* field, std::span<const std::string_view> names) {
  return std::find(names.begin(), names.end(), field->name()) != names.end();
}

void encode(const Message& message, std::string* out) {
  const Reflection& reflection = *message.GetReflection();
  for (int f = 0; f < message.GetDescriptor()->field_count(); ++f) {
    const FieldDescriptor* field = message.GetDescriptor()->field(f);
    const bool top = field->containing_type() == qksim::Scenario::descriptor();
    if ((top && is_among(field, kNoRun)) || field->name() == "initial_dir") continue;
    const int count = field->is_repeated() ? reflection.FieldSize(message, field)
                                           : static_cast<int>(reflection.HasField(message, field));
    if (count == 0) continue;
    put_text(out, field->name());
    put_le32(out, static_cast<uint32_t>(count));
    for (int i = 0; i < count; ++i) encode_value(message, field, i, out);
  }
  put_text(out, "");  // ends the message: no field is called so
}

}  // namespace

void fill_defaults(qksim::Scenario* scenario) {
  scenario->mutable_cluster()->mutable_link();
  scenario->mutable_cluster()->mutable_disk();
  scenario->mutable_workload();
  scenario->mutable_expect();
  fill_fields(scenario);
}

std::string effective_text(const qksim::Scenario& scenario, const std::string& directory) {
  qksim::Scenario copy = scenario;
  for (qksim::Node& node : *copy.mutable_cluster()->mutable_node()) {
    const std::string_view initial = node.initial_dir();
    if (!node.has_initial_dir() || initial.starts_with("braft:") || initial.starts_with('/')) {
      continue;
    }
    node.set_initial_dir(families::join_path(directory, initial));
  }
  std::string text;
  QK_CHECK(google::protobuf::TextFormat::PrintToString(copy, &text));
  return cat(kScenarioHead, text);
}

uint64_t chain_hash(const qksim::Scenario& scenario, const sim::Plan& plan) {
  qksim::Scenario runs = scenario;
  for (const std::string_view name : kNotInChain) {
    runs.GetReflection()->ClearField(
        &runs, qksim::Scenario::descriptor()->FindFieldByName(std::string(name)));
  }
  return scenario_hash(runs, plan);
}

uint64_t scenario_hash(const qksim::Scenario& scenario, const sim::Plan& plan) {
  std::string bytes;
  encode(scenario, &bytes);
  for (const sim::NodePlan& node : plan.cluster.nodes) {
    put_u8(&bytes, node.initial.has_value() ? 1 : 0);
    if (!node.initial.has_value()) continue;
    put_le64(&bytes, node.initial->items.size());
    for (const sim::DirectoryTree::Item& item : node.initial->items) {
      put_bytes(&bytes, item.path);
      put_u8(&bytes, item.directory ? 1 : 0);
      put_bytes(&bytes, item.bytes);
    }
  }
  return xxh3_64(bytes);
}

}  // namespace qk::scenarios
