#include "tools/qksim/explore_directory.h"

#include <nlohmann/json.hpp>

#include "families/base/suggest.h"
#include "families/fs/file_util.h"

namespace qk::cli {
namespace {

using ExploreJson = nlohmann::json;

constexpr size_t kMaxVariants = 10'000;

// The fields of an object, for one complaint at the end.
class DefinitionReader {
 public:
  explicit DefinitionReader(const ExploreJson& object) : object_(object) {}

  const DefinitionReader& text(const char* name, std::string* to) const {
    if (const ExploreJson* value = find(name, &ExploreJson::is_string, "a text")) *to = *value;
    return *this;
  }
  const DefinitionReader& texts(const char* name, std::vector<std::string>* to) const {
    const ExploreJson* value = find(name, &ExploreJson::is_array, "a list of texts");
    if (value == nullptr) return *this;
    for (const ExploreJson& item : *value) {
      if (!item.is_string()) {
        complain(name, "a list of texts");
        return *this;
      }
      to->push_back(item);
    }
    return *this;
  }
  template <typename Number>
  const DefinitionReader& number(const char* name, Number* to) const {
    const ExploreJson* value = find(name, &ExploreJson::is_number_unsigned, "a number");
    if (value == nullptr) return *this;
    const uint64_t found = *value;
    *to = static_cast<Number>(found);
    if (*to != found) complain(name, "a smaller number");
    return *this;
  }
  const ExploreJson* list(const char* name) const {
    return find(name, &ExploreJson::is_array, "a list");
  }
  absl::Status status() const {
    return complaint_.empty() ? absl::OkStatus() : absl::DataLossError(complaint_);
  }

 private:
  using Is = bool (ExploreJson::*)() const noexcept;
  const ExploreJson* find(const char* name, Is is, std::string_view expected) const {
    const auto found = object_.find(name);
    if (found != object_.end() && ((*found).*is)()) return &*found;
    complain(name, expected);
    return nullptr;
  }
  void complain(std::string_view name, std::string_view expected) const {
    if (complaint_.empty()) complaint_ = cat("field ", in_quotes(name), " is not ", expected);
  }

  const ExploreJson& object_;
  mutable std::string complaint_;
};

}  // namespace

std::string to_text(const ExploreDefinition& definition) {
  ExploreJson json;
  json["build"] = definition.build;
  json["directory"] = definition.directory;
  json["nodes"] = definition.nodes;
  json["levels"] = definition.levels;
  json["omit"] = definition.omit;
  json["nested"] = definition.nested;
  json["most"] = definition.most;
  json["recheck"] = definition.recheck;
  json["shard"] = definition.shard;
  json["shards"] = definition.shards;
  json["planted"] = definition.planted;
  json["variants"] = ExploreJson::array();
  for (const ExploreVariant& variant : definition.variants) {
    ExploreJson row;
    row["scenario"] = variant.scenario;
    row["name"] = variant.name;
    row["pair"] = variant.pair;
    row["sets"] = variant.sets;
    row["seed"] = variant.seed;
    row["window"] = variant.window;
    row["scenario_hash"] = variant.scenario_hash;
    json["variants"].push_back(std::move(row));
  }
  return json.dump(2, ' ', false, ExploreJson::error_handler_t::replace) + "\n";
}

absl::StatusOr<ExploreDefinition> parse_exploration(std::string_view text) {
  const ExploreJson json = ExploreJson::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return absl::DataLossError("not a JSON object");
  ExploreDefinition definition;
  const DefinitionReader in(json);
  in.text("build", &definition.build)
      .text("directory", &definition.directory)
      .texts("nodes", &definition.nodes)
      .text("levels", &definition.levels)
      .number("omit", &definition.omit)
      .number("nested", &definition.nested)
      .number("most", &definition.most)
      .number("recheck", &definition.recheck)
      .number("shard", &definition.shard)
      .number("shards", &definition.shards)
      .text("planted", &definition.planted);
  const ExploreJson* variants = in.list("variants");
  QK_RETURN_IF_ERROR(in.status());
  if (variants->empty() || variants->size() > kMaxVariants) {
    return absl::DataLossError(cat(variants->size(), " variants, expected 1 to ", kMaxVariants));
  }
  if (definition.shard == 0 || definition.shard > definition.shards) {
    return absl::DataLossError(cat("shard ", definition.shard, " of ", definition.shards));
  }
  for (const ExploreJson& row : *variants) {
    if (!row.is_object()) return absl::DataLossError("a variant is not a JSON object");
    ExploreVariant variant;
    QK_RETURN_IF_ERROR(DefinitionReader(row)
                           .text("scenario", &variant.scenario)
                           .text("name", &variant.name)
                           .text("pair", &variant.pair)
                           .texts("sets", &variant.sets)
                           .number("seed", &variant.seed)
                           .text("window", &variant.window)
                           .number("scenario_hash", &variant.scenario_hash)
                           .status());
    definition.variants.push_back(std::move(variant));
  }
  return definition;
}

absl::StatusOr<ExploreRecords> read_exploration(families::FileSystem& fs, const std::string& path,
                                                uint64_t* whole) {
  ExploreRecords out;
  QK_ASSIGN_OR_RETURN(const std::string text, read_definition(fs, path, kExploreNames));
  auto definition = parse_exploration(text);
  if (!definition.ok()) {
    return annotate(definition.status(), families::join_path(path, kExploreNames.definition));
  }
  out.definition = *std::move(definition);
  out.units.resize(out.definition.variants.size());
  QK_ASSIGN_OR_RETURN(const std::string records, read_records(fs, path));
  QK_RETURN_IF_ERROR(for_each_record(
      records, records_file(path), sim::parse_unit,
      [&](const sim::ExploredUnit& unit, const std::string& where) -> absl::Status {
        if (unit.variant >= out.units.size()) {
          return absl::DataLossError(
              cat(where, ": variant ", unit.variant, ", expected less than ", out.units.size()));
        }
        if (!out.units[unit.variant].emplace(unit.number, unit).second) {
          return absl::DataLossError(
              cat(where, ": unit ", unit.number, " of variant ", unit.variant, " is there twice"));
        }
        return absl::OkStatus();
      },
      whole));
  return out;
}

}  // namespace qk::cli
