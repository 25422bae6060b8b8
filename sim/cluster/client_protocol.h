// What clients ask of the replicated state machine, as bytes: the payload of a log entry, and the
// answer to it.
//
// A command starts with four magic bytes. The first is 0, which no protobuf message starts with
// (field number 0 is illegal), so a command is never taken for an entry of braft's counter.
// Integers are little-endian. Decoding accepts exactly what encoding produces.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "families/base/status.h"

namespace qk::sim {

enum class CommandKind : uint8_t {
  kRead = 1,    // -> value; reads go through the log
  kWrite = 2,   // value replaces
  kCas = 3,     // value replaces if the key holds `expected`
  kAppend = 4,  // value is added at the end
  kAdd = 5,     // `amount` is added to the counter -> counter before the addition
};
std::string_view to_string(CommandKind kind);

// A key that was never written holds the empty string.
struct Command {
  // A client numbers its requests 1, 2, ... and has one outstanding. A request is repeated under
  // its number until it is answered; it takes effect once. Session 0 has no memory.
  uint64_t session = 0;
  uint64_t request = 0;
  CommandKind kind = CommandKind::kRead;
  std::string key = {};
  std::string value = {};
  std::string expected = {};  // kCas
  int64_t amount = 0;         // kAdd
  friend bool operator==(const Command&, const Command&) = default;
};

enum class ResponseStatus : uint8_t {
  kOk = 1,
  kMismatch = 2,   // kCas: nothing changed; `value` is what the key holds
  kStale = 3,      // the session has gone on to a later request; nothing changed
  kMalformed = 4,  // not a command and not a counter request; nothing changed
};
std::string_view to_string(ResponseStatus status);

struct Response {
  ResponseStatus status = ResponseStatus::kOk;
  std::string value = {};  // kRead, and kCas on mismatch
  int64_t counter = 0;     // kAdd: before the addition
  friend bool operator==(const Response&, const Response&) = default;
};

std::string encode_command(const Command& command);
// Has the magic bytes: it is to be decoded as a command, and as nothing else.
bool is_command(std::string_view payload);
absl::StatusOr<Command> decode_command(std::string_view payload);

std::string encode_response(const Response& response);
absl::StatusOr<Response> decode_response(std::string_view bytes);

}  // namespace qk::sim
