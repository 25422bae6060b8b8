#include "scenarios/source.h"

#include <google/protobuf/io/tokenizer.h>

#include <algorithm>
#include <cctype>

#include "families/base/check.h"
#include "families/base/strings.h"
#include "families/base/suggest.h"

namespace qk::scenarios {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using google::protobuf::TextFormat;

constexpr int kTabWidth = 8;  // of protobuf's tokenizer

// Keeps the first error: the ones after it are its echo (an unclosed string also spoils the next
// line).
class FirstError : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, google::protobuf::io::ColumnNumber column,
                const std::string& message) override {
    if (found) return;
    found = true;
    this->line = line;
    this->column = column;
    this->message = message;
  }

  bool found = false;
  int line = 0;
  int column = 0;
  std::string message;
};

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

// Comments become spaces, so that a search for words sees code and strings alone.
std::string without_comments(const std::string& text) {
  std::string out = text;
  char quote = 0;
  bool comment = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\n') {
      quote = 0;
      comment = false;
    } else if (comment) {
      out[i] = ' ';
    } else if (quote != 0) {
      if (c == '\\') {
        ++i;
      } else if (c == quote) {
        quote = 0;
      }
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (c == '#') {
      comment = true;
      out[i] = ' ';
    }
  }
  return out;
}

// The n-th "quoted" part of a message, or "".
std::string quoted_part(const std::string& message, int n) {
  size_t begin = 0;
  for (;; --n) {
    begin = message.find('"', begin);
    if (begin == std::string::npos) return "";
    const size_t end = message.find('"', begin + 1);
    if (end == std::string::npos) return "";
    if (n == 0) return message.substr(begin + 1, end - begin - 1);
    begin = end + 1;
  }
}

// Every enum that a field called `name` may have, in any message of the schema.
std::vector<const EnumDescriptor*> enums_of_field(const FileDescriptor& schema,
                                                  std::string_view name) {
  std::vector<const EnumDescriptor*> out;
  for (int i = 0; i < schema.message_type_count(); ++i) {
    const FieldDescriptor* field = schema.message_type(i)->FindFieldByName(std::string(name));
    if (field != nullptr && field->enum_type() != nullptr) out.push_back(field->enum_type());
  }
  return out;
}

}  // namespace

std::string spoken_name(const Descriptor& type) {
  std::string out;
  for (const char c : type.name()) {
    if (std::isupper(static_cast<unsigned char>(c)) && !out.empty()) out += ' ';
    out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return out;
}

std::vector<std::string> field_names(const Descriptor& type) {
  std::vector<std::string> out;
  for (int i = 0; i < type.field_count(); ++i) out.push_back(type.field(i)->name());
  return out;
}

std::vector<std::string> value_names(const EnumDescriptor& type) {
  std::vector<std::string> out;
  for (int i = 0; i < type.value_count(); ++i) out.push_back(type.value(i)->name());
  return out;
}

std::string suggestion(std::string_view word, std::string_view label,
                       const std::vector<std::string>& allowed) {
  const std::string_view near = nearest(word, allowed);
  return cat(near.empty() ? std::string() : cat("did you mean \"", near, "\"? "), label, ": ",
             join(allowed));
}

ParsedSource::ParsedSource(std::string file, std::string text)
    : file_(std::move(file)), text_(std::move(text)), bare_(without_comments(text_)) {
  lines_.push_back(0);
  for (size_t i = 0; i < text_.size(); ++i) {
    if (text_[i] == '\n') lines_.push_back(i + 1);
  }
}

std::optional<Diagnostic> ParsedSource::parse() {
  FirstError error;
  TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  parser.WriteLocationsTo(&places_);
  parser.AllowPartialMessage(true);
  if (!parser.ParseFromString(text_, &message_)) {
    QK_CHECK(error.found);
    return schema_error({error.line, error.column}, error.message);
  }
  index_homes(message_, {&places_, nullptr, nullptr, 0});
  return std::nullopt;
}

void ParsedSource::index_homes(const Message& message, Home home) {
  homes_[&message] = home;
  const Descriptor& type = *message.GetDescriptor();
  const Reflection& reflection = *message.GetReflection();
  for (int f = 0; f < type.field_count(); ++f) {
    const FieldDescriptor* field = type.field(f);
    if (field->message_type() == nullptr) continue;
    const bool repeated = field->is_repeated();
    const int count = repeated ? reflection.FieldSize(message, field)
                               : static_cast<int>(reflection.HasField(message, field));
    for (int i = 0; i < count; ++i) {
      const Message& child = repeated ? reflection.GetRepeatedMessage(message, field, i)
                                      : reflection.GetMessage(message, field);
      TextFormat::ParseInfoTree* places =
          home.places == nullptr ? nullptr
                                 : home.places->GetTreeForNested(field, repeated ? i : -1);
      index_homes(child, {places, &message, field, repeated ? i : -1});
    }
  }
}

void ParsedSource::mark_set(const Message& message, const FieldDescriptor& field,
                            const std::string& origin) {
  origins_[{&message, field.number()}] = origin;
  // A --set may have made messages that the file does not have.
  if (homes_.count(&message) == 0) {
    homes_.clear();
    index_homes(message_, {&places_, nullptr, nullptr, 0});
  }
}

const std::string* ParsedSource::origin(const Message& message,
                                        const FieldDescriptor* field) const {
  const auto found = origins_.find({&message, field->number()});
  if (found != origins_.end()) return &found->second;
  const auto home = homes_.find(&message);
  if (home == homes_.end() || home->second.parent == nullptr) return nullptr;
  return origin(*home->second.parent, home->second.field);
}

std::optional<ParsedSource::Position> ParsedSource::place(const Message& message,
                                                          const FieldDescriptor* field,
                                                          int index) const {
  const auto found = homes_.find(&message);
  QK_CHECK(found != homes_.end());
  const Home& home = found->second;
  if (home.places != nullptr) {
    // Protobuf aborts over an index that does not suit the field; -1 is the whole list.
    const int first = field->is_repeated() ? 0 : -1;
    for (const int i : {std::max(index, first), first}) {
      const TextFormat::ParseLocation location = home.places->GetLocation(field, i);
      if (location.line >= 0) return Position{location.line, location.column};
    }
  }
  return std::nullopt;
}

Diagnostic ParsedSource::at(const Message& message, std::string_view field_name, int index,
                            Point point) const {
  const FieldDescriptor* field = message.GetDescriptor()->FindFieldByName(std::string(field_name));
  QK_CHECK(field != nullptr);
  if (const std::string* set = origin(message, field)) {
    Diagnostic out;
    out.file = *set;
    return out;
  }
  if (const auto found = place(message, field, field->is_repeated() ? index : -1)) {
    const size_t name = offset(*found);
    return diagnostic(point == Point::kValue ? value_after(name) : name);
  }
  // Absent: point at the name of the message that should have held it.
  const Home& home = homes_.at(&message);
  if (home.parent == nullptr) return diagnostic(0);
  return at(*home.parent, home.field->name(), home.index, Point::kName);
}

size_t ParsedSource::offset(Position position) const {
  const size_t line = static_cast<size_t>(position.line);
  if (line >= lines_.size()) return text_.size();
  size_t at = lines_[line];
  for (int column = 0; column < position.column && at < text_.size() && text_[at] != '\n'; ++at) {
    column += text_[at] == '\t' ? kTabWidth - column % kTabWidth : 1;
  }
  return at;
}

size_t ParsedSource::word_before(std::string_view word, size_t end) const {
  if (word.empty()) return end;
  for (size_t at = end; at > 0;) {
    at = bare_.rfind(word, at - 1);
    if (at == std::string::npos) break;
    const bool starts = at == 0 || !is_word(bare_[at - 1]);
    const size_t after = at + word.size();
    const bool ends = after >= bare_.size() || !is_word(bare_[after]);
    if (starts && ends && after <= end) return at;
    if (at == 0) break;
  }
  return end;
}

size_t ParsedSource::value_after(size_t name) const {
  size_t at = name;
  while (at < bare_.size() && is_word(bare_[at])) ++at;
  const size_t value = bare_.find_first_not_of(" \t\r\n:[", at);
  return value == std::string::npos ? name : value;
}

Diagnostic ParsedSource::diagnostic(size_t offset) const {
  size_t line = 0;
  while (line + 1 < lines_.size() && lines_[line + 1] <= offset) ++line;
  const size_t begin = lines_[line];
  const size_t end = text_.find('\n', begin);
  Diagnostic out;
  out.file = file_;
  out.line = static_cast<int>(line) + 1;
  out.column = static_cast<int>(offset - begin) + 1;
  out.source = text_.substr(begin, end == std::string::npos ? end : end - begin);
  if (out.source.ends_with('\r')) out.source.pop_back();
  return out;
}

Diagnostic ParsedSource::schema_error(Position position, const std::string& message) const {
  const size_t found = offset(position);
  const FileDescriptor& schema = *qksim::Scenario::descriptor()->file();

  // Protobuf's messages are known by how they begin: further on they may quote the file.
  if (message.starts_with("Message type \"") &&
      message.find("\" has no field named \"") != std::string::npos) {
    const std::string type_name = quoted_part(message, 0);
    const std::string word = quoted_part(message, 1);
    Diagnostic out = diagnostic(word_before(word, found));
    const Descriptor* type = schema.pool()->FindMessageTypeByName(type_name);
    QK_CHECK(type != nullptr);
    out.message = cat(spoken_name(*type), " has no field \"", word, "\"");
    const std::vector<std::string> fields = field_names(*type);
    const std::string near(nearest(word, fields));
    const FieldDescriptor* field = near.empty() ? nullptr : type->FindFieldByName(near);
    out.hint =
        field != nullptr && field->enum_type() != nullptr
            ? cat("did you mean \"", near, "\"? values: ", join(value_names(*field->enum_type())))
            : suggestion(word, "fields", fields);
    return out;
  }
  if (message.starts_with("Unknown enumeration value")) {
    const std::string word = quoted_part(message, 0);
    const std::string field = quoted_part(message, 1);
    Diagnostic out = diagnostic(word_before(word, found));
    out.message = cat("field \"", field, "\" has no value \"", word, "\"");
    std::vector<std::string> values;
    for (const EnumDescriptor* type : enums_of_field(schema, field)) {
      for (std::string& value : value_names(*type)) values.push_back(std::move(value));
    }
    out.hint = suggestion(word, "values", values);
    return out;
  }
  if (message.starts_with("Non-repeated field") ||
      (message.starts_with("Field \"") && message.find("of oneof") != std::string::npos)) {
    const std::string word = quoted_part(message, 0);
    Diagnostic out = diagnostic(word_before(word, found));
    if (message.starts_with("Non-repeated field")) {
      out.message = cat("field \"", word, "\" is given twice");
      out.hint = "remove one of the two";
    } else {
      out.message = cat("\"", word, "\" and \"", quoted_part(message, 1),
                        "\" exclude each other, and both are given");
      out.hint = "keep one of the two";
    }
    return out;
  }
  Diagnostic out = diagnostic(found);
  if (found == text_.size()) {
    out.message = "the file ends inside a message";
    out.hint = "is a } missing?";
    return out;
  }
  out.message = message;
  while (out.message.ends_with('.')) out.message.pop_back();
  if (!out.message.empty()) {
    out.message[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(out.message[0])));
  }
  return out;
}

}  // namespace qk::scenarios
