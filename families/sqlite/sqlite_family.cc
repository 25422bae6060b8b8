#include "families/sqlite/sqlite_family.h"

#include "families/engine/row_family.h"
#include "families/sqlite/store.h"

namespace qk::families {
namespace {

std::vector<OptionDescriptor> descriptors() {
  const SqliteOptions defaults;
  OptionDescriptor page_size = number_option("page_size", defaults.page_size, 1024, 65536);
  page_size.power_of_two = true;
  return {word_option("journal", {"WAL", "DELETE", "TRUNCATE"}),
          // OFF and NORMAL acknowledge what a power cut takes back.
          word_option("synchronous", {"FULL", "EXTRA"}), std::move(page_size),
          number_option("checkpoint_frames", defaults.checkpoint_frames, 1, 1'000'000)};
}

absl::StatusOr<SqliteOptions> parse_options(const FamilyOptions& given) {
  QK_ASSIGN_OR_RETURN(const OptionValues values, read_options("sqlite", descriptors(), given));
  SqliteOptions parsed;
  parsed.journal = values.word("journal");
  parsed.synchronous = values.word("synchronous");
  parsed.page_size = static_cast<uint32_t>(values.number("page_size"));
  parsed.checkpoint_frames = static_cast<uint32_t>(values.number("checkpoint_frames"));
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
  family.options = descriptors();
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
