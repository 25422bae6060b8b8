// ParsedSource: a scenario's text, the message in it, and the place of each field in the text.
//
// Protobuf's text parser knows places, with traps that this class avoids: it stops at its
// first error; for an unknown field, an unknown enum value and a field given twice it points at the
// token after the culprit; its columns count tabs as up to eight; in a list ["a", "b"] only the
// first element has a place.
#pragma once

#include <google/protobuf/text_format.h>

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "scenarios/diagnostic.h"
#include "scenarios/scenario.pb.h"

namespace qk::scenarios {

class ParsedSource {
 public:
  // `file` is the name used in messages.
  ParsedSource(std::string file, std::string text);
  ParsedSource(const ParsedSource&) = delete;
  ParsedSource& operator=(const ParsedSource&) = delete;

  // Fills message() and the places; the one syntax or schema error that stopped the parser, if any.
  std::optional<Diagnostic> parse();

  qksim::Scenario& message() { return message_; }
  const std::string& file() const { return file_; }

  // From now on errors at this field (and at everything in it) name `origin`, the --set
  // argument that gave it.
  void mark_set(const google::protobuf::Message& message,
                const google::protobuf::FieldDescriptor& field, const std::string& origin);

  enum class Point { kName, kValue };
  // A diagnostic at a field of `message` (element `index` of a repeated one), or at the enclosing
  // message where the field is absent. `message` must be message() or lie in it.
  Diagnostic at(const google::protobuf::Message& message, std::string_view field, int index,
                Point point) const;

 private:
  struct Position {
    int line = 0;  // from 0
    int column = 0;
  };
  // The place of a message: its own fields' places, and its place in the message that holds it.
  struct Home {
    google::protobuf::TextFormat::ParseInfoTree* places = nullptr;
    const google::protobuf::Message* parent = nullptr;
    const google::protobuf::FieldDescriptor* field = nullptr;
    int index = 0;
  };
  using FieldKey = std::pair<const google::protobuf::Message*, int>;

  void index_homes(const google::protobuf::Message& message, Home home);
  // The field of `message` at `field`, `index`, or of the next enclosing message that has a place.
  std::optional<Position> place(const google::protobuf::Message& message,
                                const google::protobuf::FieldDescriptor* field, int index) const;
  const std::string* origin(const google::protobuf::Message& message,
                            const google::protobuf::FieldDescriptor* field) const;

  // The parser's column counts tabs as up to eight; offsets count bytes.
  size_t offset(Position position) const;
  // Start of the last word `word` before `end` that is neither in a comment nor part of a longer
  // word; `end` itself if there is no such word.
  size_t word_before(std::string_view word, size_t end) const;
  // From the start of a field's name to the start of its (first) value.
  size_t value_after(size_t name) const;
  Diagnostic diagnostic(size_t offset) const;
  Diagnostic schema_error(Position position, const std::string& message) const;

  std::string file_;
  std::string text_;
  std::string bare_;  // text_ with comments blanked out
  std::vector<size_t> lines_;
  qksim::Scenario message_;
  google::protobuf::TextFormat::ParseInfoTree places_;
  // Looked up, never walked: pointer order must not show.
  std::map<const google::protobuf::Message*, Home> homes_;
  std::map<FieldKey, std::string> origins_;
};

// "SqliteStore" -> "sqlite store".
std::string spoken_name(const google::protobuf::Descriptor& type);
std::vector<std::string> field_names(const google::protobuf::Descriptor& type);
std::vector<std::string> value_names(const google::protobuf::EnumDescriptor& type);

// "did you mean \"x\"? " or nothing, then "label: a, b, c".
std::string suggestion(std::string_view word, std::string_view label,
                       const std::vector<std::string>& allowed);

}  // namespace qk::scenarios
