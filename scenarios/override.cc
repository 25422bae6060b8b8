#include "scenarios/override.h"

#include <charconv>

#include "families/base/check.h"
#include "families/base/strings.h"
#include "families/base/suggest.h"

namespace qk::scenarios {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::OneofDescriptor;
using google::protobuf::Reflection;

template <typename T>
bool whole(std::string_view text, T* value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

class Override {
 public:
  Override(ParsedSource& source, const std::string& assignment)
      : source_(source), origin_(cat("--set ", assignment)) {
    const size_t equals = assignment.find('=');
    has_value_ = equals != std::string::npos;
    path_ = assignment.substr(0, equals);
    if (has_value_) value_ = assignment.substr(equals + 1);
  }

  std::optional<Diagnostic> apply() {
    if (!has_value_ || path_.empty()) {
      return fail("expected PATH=VALUE", "as in cluster.link.loss=0.01");
    }
    Message* message = &source_.message();
    std::string_view rest = path_;
    for (;;) {
      const size_t dot = rest.find('.');
      const std::string_view step = rest.substr(0, dot);
      const bool last = dot == std::string_view::npos;
      if (auto error = take(step, last, &message)) return error;
      if (last) return std::nullopt;
      rest.remove_prefix(dot + 1);
    }
  }

 private:
  Diagnostic fail(std::string message, std::string hint) const {
    Diagnostic out;
    out.file = origin_;
    out.message = std::move(message);
    out.hint = std::move(hint);
    return out;
  }

  // One step of the path: into a message, or, as the last step, the assignment.
  std::optional<Diagnostic> take(std::string_view step, bool last, Message** message) {
    const size_t bracket = step.find('[');
    const std::string name(step.substr(0, bracket));
    std::optional<std::string> key;
    if (bracket != std::string_view::npos) {
      if (!step.ends_with(']')) return fail(cat("\"", step, "\" lacks its ]"), "as in store[new]");
      key = std::string(step.substr(bracket + 1, step.size() - bracket - 2));
    }
    const Descriptor& type = *(*message)->GetDescriptor();
    const FieldDescriptor* field = type.FindFieldByName(name);
    if (const OneofDescriptor* oneof = type.FindOneofByName(name); oneof != nullptr && last) {
      return choose(**message, *oneof);
    }
    if (field == nullptr) {
      return fail(cat(spoken_name(type), " has no field \"", name, "\""),
                  suggestion(name, "fields", field_names(type)));
    }
    if (const OneofDescriptor* oneof = field->containing_oneof()) {
      const FieldDescriptor* chosen =
          (*message)->GetReflection()->GetOneofFieldDescriptor(**message, oneof);
      if (chosen != nullptr && chosen != field) {
        return fail(cat("\"", name, "\" and \"", chosen->name(),
                        "\" exclude each other, and the scenario has \"", chosen->name(), "\""),
                    field->message_type() == nullptr
                        ? "change the scenario file instead"
                        : cat("first ", origin_.substr(0, origin_.find(' ') + 1),
                              path_.substr(0, static_cast<size_t>(step.data() - path_.data())),
                              oneof->name(), "=", name));
      }
    }
    if (field->message_type() != nullptr) {
      if (last) {
        return fail(cat("\"", name, "\" is not a single value"),
                    cat("set one of its fields: ", join(field_names(*field->message_type()))));
      }
      return descend(*field, key, message);
    }
    if (!last) {
      return fail(cat("\"", name, "\" is a value and has no fields"),
                  cat("the path ends at \"", name, "\""));
    }
    if (key.has_value()) {
      return fail(cat("\"", name, "\" is set as a whole, not by element"),
                  cat("as in ", name, "=a,b"));
    }
    source_.mark_set(**message, *field, origin_);
    return field->is_repeated() ? assign_list(**message, *field) : assign(**message, *field);
  }

  // Alternatives that are messages: the one that the value names, with nothing said about it. The
  // chosen one stays as it is.
  std::optional<Diagnostic> choose(Message& message, const OneofDescriptor& oneof) {
    const Reflection& reflection = *message.GetReflection();
    std::vector<std::string> names;
    for (int i = 0; i < oneof.field_count(); ++i) {
      const FieldDescriptor& field = *oneof.field(i);
      if (field.message_type() == nullptr) continue;
      names.push_back(field.name());
      if (field.name() != value_) continue;
      reflection.MutableMessage(&message, &field);
      return std::nullopt;
    }
    return fail(cat("unknown ", oneof.name(), " \"", value_, "\""),
                suggestion(value_, "allowed", names));
  }

  std::optional<Diagnostic> descend(const FieldDescriptor& field,
                                    const std::optional<std::string>& key, Message** message) {
    const Reflection& reflection = *(*message)->GetReflection();
    if (!field.is_repeated()) {
      if (key.has_value()) {
        return fail(cat("\"", field.name(), "\" is not a list"), cat("write ", field.name()));
      }
      *message = reflection.MutableMessage(*message, &field);
      return std::nullopt;
    }
    const int count = reflection.FieldSize(**message, &field);
    const FieldDescriptor* id = field.message_type()->FindFieldByName("id");
    std::vector<std::string> names;
    for (int i = 0; i < count; ++i) {
      const Message& element = reflection.GetRepeatedMessage(**message, &field, i);
      names.push_back(id == nullptr ? cat(i) : element.GetReflection()->GetString(element, id));
    }
    int chosen = -1;
    for (int i = 0; key.has_value() && i < count && chosen < 0; ++i) {
      if (names[static_cast<size_t>(i)] == *key) chosen = i;
    }
    int position = -1;
    if (key.has_value() && chosen < 0 && whole(*key, &position) && position >= 0 &&
        position < count) {
      chosen = position;
    }
    if (chosen >= 0) {
      *message = reflection.MutableRepeatedMessage(*message, &field, chosen);
      return std::nullopt;
    }
    if (count == 0) {
      return fail(cat("the scenario has no \"", field.name(), "\""), "add it to the file");
    }
    if (!key.has_value()) {
      return fail(
          cat("\"", field.name(), "\" is a list"),
          cat("choose one, as in ", field.name(), "[", names[0], "]; there are: ", join(names)));
    }
    return fail(cat("there is no ", field.name(), "[", *key, "]"),
                suggestion(*key, "there are", names));
  }

  std::optional<Diagnostic> assign_list(Message& message, const FieldDescriptor& field) {
    const Reflection& reflection = *message.GetReflection();
    // Every list of plain values in the schema is one of names.
    QK_CHECK(field.cpp_type() == FieldDescriptor::CPPTYPE_STRING);
    reflection.ClearField(&message, &field);
    for (size_t begin = 0; !value_.empty() && begin <= value_.size();) {
      const size_t end = std::min(value_.find(',', begin), value_.size());
      reflection.AddString(&message, &field, value_.substr(begin, end - begin));
      begin = end + 1;
    }
    return std::nullopt;
  }

  std::optional<Diagnostic> assign(Message& message, const FieldDescriptor& field) {
    const Reflection& reflection = *message.GetReflection();
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_STRING:
        reflection.SetString(&message, &field, value_);
        return std::nullopt;
      case FieldDescriptor::CPPTYPE_BOOL:
        if (value_ != "true" && value_ != "false") return bad_value(field, "true or false");
        reflection.SetBool(&message, &field, value_ == "true");
        return std::nullopt;
      case FieldDescriptor::CPPTYPE_UINT32: {
        uint32_t number = 0;
        if (!whole(value_, &number)) return bad_value(field, "a whole number up to 4294967295");
        reflection.SetUInt32(&message, &field, number);
        return std::nullopt;
      }
      case FieldDescriptor::CPPTYPE_UINT64: {
        uint64_t number = 0;
        if (!whole(value_, &number)) {
          return bad_value(field, "a whole number up to 18446744073709551615");
        }
        reflection.SetUInt64(&message, &field, number);
        return std::nullopt;
      }
      case FieldDescriptor::CPPTYPE_DOUBLE: {
        double number = 0;
        if (!whole(value_, &number)) return bad_value(field, "a decimal number, as in 0.01");
        reflection.SetDouble(&message, &field, number);
        return std::nullopt;
      }
      case FieldDescriptor::CPPTYPE_ENUM: {
        const EnumValueDescriptor* number = field.enum_type()->FindValueByName(value_);
        if (number == nullptr) {
          return fail(cat("field \"", field.name(), "\" has no value \"", value_, "\""),
                      suggestion(value_, "values", value_names(*field.enum_type())));
        }
        reflection.SetEnum(&message, &field, number);
        return std::nullopt;
      }
      default:
        QK_CHECK(false);
    }
  }

  Diagnostic bad_value(const FieldDescriptor& field, std::string_view allowed) const {
    return fail(cat("\"", value_, "\" is not a value for \"", field.name(), "\""),
                cat("allowed: ", allowed));
  }

  ParsedSource& source_;
  const std::string origin_;
  std::string path_;
  std::string value_;
  bool has_value_ = false;
};

}  // namespace

std::optional<Diagnostic> apply_override(ParsedSource& source, const std::string& assignment) {
  return Override(source, assignment).apply();
}

}  // namespace qk::scenarios
