#include "families/sqlite/sqlite_family.h"

#include <charconv>

#include "families/engine/row_family.h"
#include "families/sqlite/store.h"

namespace qk::families {
namespace {

const std::vector<OptionDescriptor>& options() {
  static const std::vector<OptionDescriptor> kOptions = {
      {"journal", "WAL", "WAL, DELETE, TRUNCATE"},
      // OFF and NORMAL acknowledge what a power cut takes back.
      {"synchronous", "FULL", "FULL, EXTRA"},
      {"page_size", "4096", "a power of two in 1024..65536"},
      {"checkpoint_frames", "256", "1..1000000"},
  };
  return kOptions;
}

absl::Status refuse(const OptionDescriptor& option, std::string_view value) {
  return absl::InvalidArgumentError(cat("family sqlite: option ", option.name, ": found \"", value,
                                        "\", expected ", option.allowed));
}

bool parse_number(std::string_view text, uint32_t* out) {
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, *out);
  return error == std::errc() && stop == end;
}

absl::StatusOr<SqliteOptions> parse_options(const FamilyOptions& given) {
  SqliteOptions parsed;
  for (const OptionDescriptor& option : options()) {
    const auto it = given.find(option.name);
    const std::string& value = it == given.end() ? option.default_value : it->second;
    bool valid = false;
    if (option.name == "journal") {
      parsed.journal = value;
      valid = value == "WAL" || value == "DELETE" || value == "TRUNCATE";
    } else if (option.name == "synchronous") {
      parsed.synchronous = value;
      valid = value == "FULL" || value == "EXTRA";
    } else if (option.name == "page_size") {
      const bool number = parse_number(value, &parsed.page_size);
      const uint32_t n = parsed.page_size;
      valid = number && n >= 1024 && n <= 65536 && (n & (n - 1)) == 0;
    } else if (option.name == "checkpoint_frames") {
      valid = parse_number(value, &parsed.checkpoint_frames) && parsed.checkpoint_frames >= 1 &&
              parsed.checkpoint_frames <= 1'000'000;
    }
    if (!valid) return refuse(option, value);
  }
  return parsed;
}

absl::StatusOr<std::unique_ptr<Family>> open(const OpenRequest& request) {
  QK_ASSIGN_OR_RETURN(const SqliteOptions parsed, parse_options(request.options));
  QK_ASSIGN_OR_RETURN(std::unique_ptr<SqliteStore> store, SqliteStore::open(request, parsed));
  return open_row_family(std::move(store));
}

}  // namespace

FamilyDescriptor sqlite_family() {
  FamilyDescriptor family;
  family.name = "sqlite";
  family.format_version = cat(kFormatVersion);
  family.options = options();
  family.root_names = {"db",
                       "db-journal",
                       "db-wal",
                       std::string(kLogMarkName),
                       std::string(kUnfinishedLogMarkName),
                       "db.new",
                       "snapshot"};
  // The mark tells that a WAL is missing or empty, not how many commits it had.
  family.unchecked = {{.prefix = "db-wal", .tail = true}};
  family.partials = [](Operation) { return Partial::kNone; };
  family.open = open;
  return family;
}

}  // namespace qk::families
