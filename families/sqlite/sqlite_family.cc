#include "families/sqlite/sqlite_family.h"

#include <charconv>

#include "families/sqlite/database.h"
#include "families/sqlite/meta.h"
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

class SqliteFamily final : public Family {
 public:
  static absl::StatusOr<std::unique_ptr<Family>> open(const OpenRequest& request) {
    QK_ASSIGN_OR_RETURN(const SqliteOptions parsed, parse_options(request.options));
    auto family = std::make_unique<SqliteFamily>();
    QK_ASSIGN_OR_RETURN(family->store_, SqliteStore::open(request, parsed));
    QK_ASSIGN_OR_RETURN(family->log_, SqliteLog::open(family->store_.get()));
    QK_ASSIGN_OR_RETURN(family->meta_, SqliteMeta::open(family->store_.get()));
    QK_ASSIGN_OR_RETURN(family->snapshot_,
                        TreeSnapshotStorage::open(request.fs, family->store_->snapshot_root(),
                                                  family->store_.get()));
    return family;
  }

  LogStorage& log() override { return *log_; }
  MetaStorage& meta() override { return *meta_; }
  SnapshotStorage& snapshot() override { return *snapshot_; }

  absl::Status close() override {
    snapshot_.reset();
    meta_.reset();
    log_.reset();
    return store_->close();
  }

 private:
  // In this order: what stands on the store is destroyed before it.
  std::unique_ptr<SqliteStore> store_;
  std::unique_ptr<SqliteLog> log_;
  std::unique_ptr<SqliteMeta> meta_;
  std::unique_ptr<TreeSnapshotStorage> snapshot_;
};

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
  family.open = SqliteFamily::open;
  return family;
}

}  // namespace qk::families
