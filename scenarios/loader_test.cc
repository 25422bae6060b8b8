// The loader against texts that are right, wrong, and overridden. Every bad file in testdata has
// its messages in a file next to it, with their places; `./qk update-golden messages` writes them;
// then read the difference.
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "families/base/strings.h"
#include "families/base/suggest.h"
#include "families/fs/posix_file_system.h"
#include "families/fs/temp_directory.h"
#include "scenarios/embedded.h"
#include "scenarios/scenario.pb.h"
#include "scenarios/test_support.h"

namespace qk::scenarios {
namespace {

const std::filesystem::path kTestdata = QK_SOURCE_DIR "/scenarios/testdata";

std::string slurp(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  REQUIRE(in.good());
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

LoadResult load_text(const std::string& text, const std::vector<std::string>& sets = {},
                     const std::string& file = "test.txtpb") {
  return load_here({file, text, "/"}, sets, 7);
}

std::string messages(const LoadResult& result) { return to_string(result.diagnostics); }

const char* const kSmall = R"(name: "small"
cluster { nodes: 3 default_store: "old" link { loss: 0.01 } }
store { id: "old" local {} }
store { id: "new" sqlite { synchronous: FULL } }
migration { from: "old" to: "new" fresh_mutations: 2000 fresh_time: "2s" }
at { t: "3s" crash { node: "n1" } }
at { t: "4s" heal_all: true }
)";

std::string families_of_the_schema() {
  std::vector<std::string> names;
  const auto* const family = qksim::Store::descriptor()->FindOneofByName("family");
  for (int i = 0; i < family->field_count(); ++i) names.push_back(family->field(i)->name());
  return join(names);
}

// The messages, with "{families}" for the list that grows with each family.
std::string messages_of_any_build(const LoadResult& result) {
  const std::string families = families_of_the_schema();
  std::string text = messages(result);
  for (size_t at = text.find(families); at != text.npos; at = text.find(families, at)) {
    text.replace(at, families.size(), "{families}");
  }
  return text;
}

TEST_CASE("every bad file gets the messages in its .expected file") {
  std::set<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(kTestdata)) {
    if (entry.path().string().ends_with(".bad.qks.txtpb")) files.insert(entry.path());
  }
  REQUIRE(files.size() >= 15);
  for (const std::filesystem::path& file : files) {
    INFO(file.filename().string());
    const LoadResult result = load_text(slurp(file), {}, file.filename().string());
    CHECK_FALSE(result.plan.has_value());
    CHECK(result.effective.empty());
    std::filesystem::path expected = file;
    expected.replace_extension().replace_extension(".expected");
    if (std::getenv("QKSIM_UPDATE_GOLDEN") != nullptr) {
      std::ofstream(expected, std::ios::binary) << messages_of_any_build(result);
    }
    CHECK(messages_of_any_build(result) == slurp(expected));
  }
}

TEST_CASE("at most twenty diagnostics") {
  const LoadResult result = load_text(slurp(kTestdata / "many.bad.qks.txtpb"));
  CHECK(result.diagnostics.size() == kMaxDiagnostics);
}

TEST_CASE("the built-in scenarios load, and their effective text loads to the same plan") {
  REQUIRE(builtin_scenarios().size() >= 1);
  for (const ScenarioSource& source : builtin_scenarios()) {
    INFO(source.file);
    const LoadResult first = load_here(source);
    CHECK(messages(first) == "");
    REQUIRE(first.plan.has_value());
    CHECK(first.plan->seed == 1);
    CHECK_FALSE(head_of(source).summary.empty());
    const LoadResult again = load_here({"scenario.txtpb", first.effective, "/"});
    CHECK(messages(again) == "");
    REQUIRE(again.plan.has_value());
    CHECK(again.plan->scenario_hash == first.plan->scenario_hash);
    CHECK(again.effective == first.effective);
  }
}

TEST_CASE("the default scenario means what it says") {
  families::PosixFileSystem fs;
  const auto source = find_scenario(fs, "/", "rolling-local-to-sqlite");
  REQUIRE(source.ok());
  const LoadResult result = load_here(*source, {}, 0x5eed);
  REQUIRE(result.plan.has_value());
  const sim::Plan& plan = *result.plan;
  CHECK(plan.name == "rolling-local-to-sqlite");
  CHECK(plan.seed == 0x5eed);
  CHECK(plan.cluster.group == "counter");
  REQUIRE(plan.cluster.nodes.size() == 3);
  for (size_t i = 0; i < 3; ++i) {
    CHECK(plan.cluster.nodes[i].peer == cat("127.0.0.1:", 8300 + i, ":0:0"));
    CHECK(plan.cluster.nodes[i].initial.has_value());
  }
  REQUIRE(plan.stores.size() == 2);
  CHECK(plan.stores[0].family == "local");
  CHECK(plan.stores[1].family == "sqlite");
  CHECK(plan.stores[1].options.at("journal") == "WAL");
  REQUIRE(plan.migrations.size() == 1);
  CHECK(plan.migrations[0].nodes.empty());
  CHECK(plan.migrations[0].fresh_mutations >= 1);
  CHECK(plan.migrations[0].fresh_time >= 1);
  CHECK(plan.faults.size() >= 3);
  CHECK(plan.expect.migrated == std::vector<std::string>{"n1", "n2", "n3"});
}

TEST_CASE("an initial tree has only the case's directories, and matches what braft recorded") {
  families::PosixFileSystem fs;
  const TreeResolver resolve = make_tree_resolver(fs, "/");
  const std::vector<std::string> cases = braft_cases();
  REQUIRE(cases.size() == 3);
  for (const std::string& name : cases) {
    INFO(name);
    const auto directory = resolve("braft:" + name);
    REQUIRE(directory.ok());
    const sim::DirectoryTree* const tree = &directory->tree;
    std::map<std::string, size_t> sizes;
    std::set<std::string> directories;
    for (const auto& item : tree->items) {
      if (item.directory) directories.insert(item.path);
      sizes[item.path] = item.bytes.size();
    }
    CHECK(directories.count("log") == 1);
    CHECK(directories.count("raft_meta") == 1);
    CHECK(directories.count("snapshot") == 1);
    CHECK(sizes.count("expected.json") == 0);
    const auto recorded = braft_case(name);
    REQUIRE(recorded.ok());
    std::string expected_text;
    for (const auto& item : recorded->items) {
      if (item.path == "expected.json") expected_text = item.bytes;
    }
    const auto expected = nlohmann::json::parse(expected_text);
    for (const auto& file : expected["log"]["files_after"]) {
      CHECK(sizes["log/" + file["name"].get<std::string>()] == file["size"].get<size_t>());
    }
  }
  const auto unknown = resolve("braft:cluster-b-node7-all-killed");
  CHECK(unknown.status().code() == absl::StatusCode::kNotFound);
  CHECK(to_std(unknown.status().message()).find("did you mean") != std::string_view::npos);
  CHECK_FALSE(resolve("../etc").ok());
  CHECK_FALSE(resolve("a//b").ok());
}

TEST_CASE("a real directory next to the scenario, empty directories included") {
  const std::filesystem::path root =
      std::filesystem::temp_directory_path() / cat("qksim-loader-test-", getpid());
  std::filesystem::create_directories(root / "tree" / "snapshot");
  std::filesystem::create_directories(root / "tree" / "log");
  std::ofstream(root / "tree" / "log" / "log_meta") << "abc";
  families::PosixFileSystem fs;
  const auto directory = make_tree_resolver(fs, root.string())("tree");
  std::filesystem::remove_all(root);
  REQUIRE(directory.ok());
  const sim::DirectoryTree* const tree = &directory->tree;
  REQUIRE(tree->items.size() == 3);
  CHECK(tree->items[0].path == "log");
  CHECK(tree->items[1].path == "log/log_meta");
  CHECK(tree->items[1].bytes == "abc");
  CHECK(tree->items[2].path == "snapshot");
  CHECK(tree->items[2].directory);
}

TEST_CASE("archives are untrusted") {
  const std::string_view good = embedded("braft-cluster-b.tar.gz");
  CHECK(read_archive(good, "nothing").status().code() == absl::StatusCode::kNotFound);
  CHECK(
      read_archive(good.substr(0, good.size() / 2), "cluster-b-node0-all-killed").status().code() ==
      absl::StatusCode::kDataLoss);
  CHECK_FALSE(read_archive("not an archive", "x").ok());

  // A ustar header with a checksum of its own, so that only the name or type is at fault.
  const auto tar = [](const std::string& name, char type) {
    std::string block(512, '\0');
    block.replace(0, name.size(), name);
    block.replace(100, 7, "0000644");
    block.replace(124, 11, "00000000000");
    block.replace(136, 11, "00000000000");
    block[156] = type;
    if (type == '2') block.replace(157, 4, "/etc");
    block.replace(257, 8, std::string("ustar\00000", 8));
    block.replace(148, 8, "        ");
    unsigned sum = 0;
    for (const char c : block) sum += static_cast<unsigned char>(c);
    char text[8];
    snprintf(text, sizeof text, "%06o", sum);
    block.replace(148, 7, std::string(text, 7));
    return block + std::string(1024, '\0');
  };
  CHECK(read_archive(tar("a/b", '0'), "a").ok());
  for (const char* name : {"../a/b", "/a/b", "a/../../b", "a//b"}) {
    INFO(name);
    CHECK(read_archive(tar(name, '0'), "a").status().code() == absl::StatusCode::kInvalidArgument);
  }
  CHECK(read_archive(tar("a/b", '2'), "a").status().code() == absl::StatusCode::kInvalidArgument);
  CHECK(read_archive(tar("a/b", '6'), "a").status().code() == absl::StatusCode::kInvalidArgument);
  const std::string one = tar("a/b", '0').substr(0, 512);
  CHECK(read_archive(one + tar("a/b", '0'), "a").status().code() ==
        absl::StatusCode::kInvalidArgument);
}

TEST_CASE("--set changes one field, by id or by position, and adds what the file leaves out") {
  const LoadResult plain = load_text(kSmall);
  REQUIRE(plain.plan.has_value());
  CHECK(plain.plan->cluster.link.loss_ppm == 10'000);

  const LoadResult set = load_text(
      kSmall, {"cluster.link.loss=0.02", "store[new].sqlite.synchronous=EXTRA",
               "store[0].local.segment_size=1MiB", "at[0].crash.restart_after=3s",
               "migration[0].node=n3,n1", "workload.clients=9", "cluster.disk.sync_latency=1ms",
               "migration[0].transfer_leadership_first=false", "run_for=50s"});
  CHECK(messages(set) == "");
  REQUIRE(set.plan.has_value());
  CHECK(set.plan->cluster.link.loss_ppm == 20'000);
  CHECK(set.plan->stores[1].options.at("synchronous") == "EXTRA");
  CHECK(set.plan->stores[0].options.at("segment_size") == "1048576");
  CHECK(std::get<sim::CrashFault>(set.plan->faults[0].what).restart_after == 3 * sim::kSecond);
  CHECK(set.plan->migrations[0].nodes == std::vector<std::string>{"n3", "n1"});
  CHECK(set.plan->workload.clients == 9);
  CHECK(set.plan->cluster.disk.sync_latency.low == sim::kMillisecond);
  CHECK_FALSE(set.plan->migrations[0].transfer_leadership_first);
  CHECK(set.plan->run_for == 50 * sim::kSecond);
  CHECK(set.plan->scenario_hash != plain.plan->scenario_hash);
  CHECK(load_text(set.effective).plan->scenario_hash == set.plan->scenario_hash);
}

TEST_CASE("--set changes the family of a store, and then its options") {
  const LoadResult set = load_text(
      kSmall,
      {"store[old].family=sqlite", "store[old].sqlite.page_size=8192", "store[new].family=memory"});
  CHECK(messages(set) == "");
  REQUIRE(set.plan.has_value());
  CHECK(set.plan->stores[0].family == "sqlite");
  CHECK(set.plan->stores[0].options == families::FamilyOptions{{"page_size", "8192"}});
  CHECK(set.plan->stores[1].family == "memory");
  CHECK(set.plan->stores[1].options.empty());
  // The family that it already has keeps its options.
  const LoadResult same = load_text(kSmall, {"store[new].family=sqlite"});
  REQUIRE(same.plan.has_value());
  CHECK(same.plan->stores[1].options.at("synchronous") == "FULL");
}

TEST_CASE("bad --set arguments say what is allowed") {
  const std::pair<const char*, std::string> kCases[] = {
      {"cluster.lnk.loss=1",
       "--set cluster.lnk.loss=1: error: cluster has no field \"lnk\"\n"
       "hint: did you mean \"link\"? fields: group, node, nodes, default_store, "
       "election_timeout, heartbeat, link, disk, snapshot_every_entries, "
       "operator_restart_after, entries_per_append\n"},
      {"store[nwe].sqlite.synchronous=EXTRA",
       "--set store[nwe].sqlite.synchronous=EXTRA: error: there is no store[nwe]\n"
       "hint: did you mean \"new\"? there are: old, new\n"},
      {"store.sqlite.synchronous=EXTRA",
       "--set store.sqlite.synchronous=EXTRA: error: \"store\" is a list\n"
       "hint: choose one, as in store[old]; there are: old, new\n"},
      {"store[new].sqlite.synchronous=FUL",
       "--set store[new].sqlite.synchronous=FUL: error: field \"synchronous\" has no value "
       "\"FUL\"\nhint: did you mean \"FULL\"? values: FULL, EXTRA\n"},
      {"store[old].sqlite.synchronous=EXTRA",
       "--set store[old].sqlite.synchronous=EXTRA: error: \"sqlite\" and \"local\" exclude each "
       "other, and the scenario has \"local\"\nhint: first --set store[old].family=sqlite\n"},
      {"store[old].family=memry",
       cat("--set store[old].family=memry: error: unknown family \"memry\"\n"
           "hint: did you mean \"memory\"? allowed: ",
           families_of_the_schema(), "\n")},
      {"cluster.link=1",
       "--set cluster.link=1: error: \"link\" is not a single value\n"
       "hint: set one of its fields: latency, loss, duplicate, reorder, late, late_by\n"},
      {"workload.clients=-1",
       "--set workload.clients=-1: error: \"-1\" is not a value for \"clients\"\n"
       "hint: allowed: a whole number up to 4294967295\n"},
      {"run_for=5x",
       "--set run_for=5x: error: run_for: \"5x\" is not a duration\n"
       "hint: a number and ns, us, ms, s, m or h, as in \"250ms\" or \"1.5s\"; at most 1000h\n"},
      {"cluster.link.loss=2",
       "--set cluster.link.loss=2: error: loss: 2 is not a probability\n"
       "hint: 0 to 1, with at most six decimals (parts per million), as in 0.01\n"},
      {"run_for",
       "--set run_for: error: expected PATH=VALUE\nhint: as in cluster.link.loss=0.01\n"},
      {"run_for.x=1",
       "--set run_for.x=1: error: \"run_for\" is a value and has no fields\n"
       "hint: the path ends at \"run_for\"\n"},
      {"at[5].t=1s", "--set at[5].t=1s: error: there is no at[5]\nhint: there are: 0, 1\n"},
      {"cluster[0].heartbeat=1s",
       "--set cluster[0].heartbeat=1s: error: \"cluster\" is not a list\nhint: write cluster\n"},
  };
  for (const auto& [argument, expected] : kCases) {
    INFO(argument);
    const LoadResult result = load_text(kSmall, {argument});
    CHECK(messages(result) == expected);
    CHECK(result.bad_override);
  }
  CHECK_FALSE(load_text("nonsense: 1").bad_override);
}

TEST_CASE("the hash covers what changes a run, and only that") {
  const auto hash = [](const std::vector<std::string>& sets) {
    const LoadResult result = load_text(kSmall, sets);
    REQUIRE(result.plan.has_value());
    return result.plan->scenario_hash;
  };
  const uint64_t plain = hash({});
  CHECK(hash({"summary=other words"}) == plain);
  CHECK(hash({"name=other"}) == plain);
  CHECK(hash({"run_for=60s"}) == plain);  // its default, spelled out
  CHECK(hash({"run_for=61s"}) != plain);
  CHECK(hash({"at[0].crash.unsynced=PROCESS"}) != plain);
  CHECK(hash({"store[new].sqlite.journal=WAL"}) != plain);  // the family's default is not ours
}

// Texts of a scenario for an option: each word, of numbers the two ends.
std::vector<std::string> texts_of(const google::protobuf::FieldDescriptor& field,
                                  const families::OptionDescriptor& option) {
  std::vector<std::string> texts;
  if (option.kind == families::OptionKind::kWord) {
    REQUIRE(field.enum_type() != nullptr);
    for (int i = 0; i < field.enum_type()->value_count(); ++i) {
      texts.push_back(field.enum_type()->value(i)->name());
    }
    CHECK(texts.size() == option.words.size());
  } else {
    for (const uint64_t value : {option.min, option.max}) {
      texts.push_back(option.kind == families::OptionKind::kSize ? cat("\"", value, "B\"")
                                                                 : cat(value));
    }
  }
  return texts;
}

// The field of Store that stands for a family.
std::string field_of(std::string family) {
  std::replace(family.begin(), family.end(), '-', '_');
  return family;
}

TEST_CASE("the schema has a store of every registered family, and of no other") {
  families::VolatileMemory memory(1);
  std::set<std::string> registered;
  const families::Registry registry = sim::simulated_families(&memory);
  for (const families::FamilyDescriptor& family : registry.all())
    registered.insert(field_of(family.name));
  std::set<std::string> offered;
  const auto* const family = qksim::Store::descriptor()->FindOneofByName("family");
  for (int i = 0; i < family->field_count(); ++i) offered.insert(family->field(i)->name());
  CHECK(offered == registered);
}

TEST_CASE("the schema offers every option of every family, and the families take all it offers") {
  families::VolatileMemory memory(1);
  const families::Registry registry = sim::simulated_families(&memory);
  families::PosixFileSystem fs;
  for (const families::FamilyDescriptor& family : registry.all()) {
    INFO(family.name);
    const auto* const member = qksim::Store::descriptor()->FindFieldByName(field_of(family.name));
    REQUIRE(member != nullptr);
    REQUIRE(member->containing_oneof() != nullptr);
    const google::protobuf::Descriptor& fields = *member->message_type();
    CHECK(static_cast<size_t>(fields.field_count()) == family.options.size());
    std::vector<std::string> texts = {""};
    for (const families::OptionDescriptor& option : family.options) {
      INFO(option.name);
      const auto* const field = fields.FindFieldByName(option.name);
      REQUIRE(field != nullptr);
      for (const std::string& value : texts_of(*field, option)) {
        texts.push_back(cat(option.name, ": ", value));
      }
    }
    for (const std::string& text : texts) {
      INFO(text);
      const LoadResult result = load_text(
          cat("name: \"x\"\ncluster { nodes: 1 default_store: \"s\" }\nstore { id: \"s\" ",
              field_of(family.name), " { ", text, " } }"));
      CHECK(messages(result) == "");
      REQUIRE(result.plan.has_value());
      const sim::StorePlan& store = result.plan->stores[0];
      CHECK(store.family == family.name);
      CHECK(store.options.size() == (text.empty() ? 0 : 1));
      const families::TempDirectory directory;
      families::OpenRequest request;
      request.fs = &fs;
      request.root = cat(directory.path(), "/root");
      request.create = true;
      request.options = store.options;
      CHECK(families::open_family(registry, store.family, request).status().ToString() == "OK");
    }
  }
}

TEST_CASE("a store's option beyond the family's limits is refused with these limits") {
  families::VolatileMemory memory(1);
  const families::Registry registry = sim::simulated_families(&memory);
  for (const families::FamilyDescriptor& family : registry.all()) {
    for (const families::OptionDescriptor& option : family.options) {
      if (option.kind == families::OptionKind::kWord) continue;
      for (const uint64_t value : {option.min - 1, option.max + 1}) {
        const bool size = option.kind == families::OptionKind::kSize;
        const std::string text = size ? cat("\"", value, "B\"") : cat(value);
        const LoadResult result = load_text(
            cat("name: \"x\"\ncluster { nodes: 1 default_store: \"s\" }\nstore { id: \"s\" ",
                field_of(family.name), " { ", option.name, ": ", text, " } }"));
        REQUIRE(result.diagnostics.size() == 1);
        CHECK(result.diagnostics[0].message == cat(option.name, ": ", text, " is not allowed"));
        CHECK(result.diagnostics[0].hint == option.allowed());
      }
    }
  }
}

TEST_CASE("a store of a family that is not in this build loads; its user says so") {
  families::PosixFileSystem fs;
  const LoadResult result =
      load({"test.txtpb", kSmall, "/"}, {}, 7, families::Registry(), make_tree_resolver(fs, "/"));
  REQUIRE(result.plan.has_value());
  CHECK(result.plan->stores[1].family == "sqlite");
  CHECK(result.plan->stores[1].options.empty());
}

TEST_CASE("two nodes never begin with one directory, under any of its names") {
  const families::TempDirectory directory;
  const std::filesystem::path top = directory.path();
  std::filesystem::create_directories(top / "a" / "log");
  std::filesystem::create_directories(top / "b" / "log");
  std::filesystem::create_directory_symlink("a", top / "link");
  std::filesystem::create_directory_symlink(top, top / "again");
  const auto messages_of = [&](const std::string& first, const std::string& second) {
    const std::string text = cat(
        "name: \"x\" cluster { default_store: \"s\" node { id: \"n1\" initial_dir: \"", first,
        "\" } node { id: \"n2\" initial_dir: \"", second, "\" } } store { id: \"s\" local {} }");
    return messages(load_here({"test.txtpb", text, directory.path()}));
  };
  CHECK(messages_of("a", "b") == "");
  const std::string case0 = "braft:cluster-b-node0-all-killed";
  CHECK(messages_of("a", case0) == "");
  const std::pair<std::string, std::string> kSame[] = {{"a", "a"},
                                                       {"a", "link"},
                                                       {"link", "again/a"},
                                                       {"a", cat(directory.path(), "/again/link")},
                                                       {case0, case0}};
  for (const auto& [first, second] : kSame) {
    INFO(first << " and " << second);
    CHECK_THAT(
        messages_of(first, second),
        Catch::Contains(cat("directory \"", second, "\" is also the initial_dir of node \"n1\"")));
  }
  // ".." is never followed.
  CHECK_FALSE(messages_of("a", "b/../a").empty());
  CHECK_FALSE(messages_of("a", cat(directory.path(), "/b/../a")).empty());
}

TEST_CASE("max_ack_gap is a duration above 0, of a run with clients") {
  const auto with = [](const std::string& rest) { return load_text(cat(kSmall, rest)); };
  const LoadResult good = with("expect { max_ack_gap: \"1500ms\" }");
  REQUIRE(good.plan.has_value());
  CHECK(good.plan->expect.max_ack_gap == 1500 * sim::kMillisecond);
  CHECK_FALSE(with("").plan->expect.max_ack_gap.has_value());
  CHECK(messages(with("expect { max_ack_gap: \"0s\" }")).find("max_ack_gap: \"0s\"") !=
        std::string::npos);
  CHECK(messages(with("expect { max_ack_gap: \"soon\" }")).find("max_ack_gap: \"soon\"") !=
        std::string::npos);
  CHECK(messages(with("workload { clients: 0 } expect { max_ack_gap: \"1s\" }"))
            .find("max_ack_gap without clients") != std::string::npos);
}

TEST_CASE("a missing scenario names the built-in ones") {
  families::PosixFileSystem fs;
  const auto missing = find_scenario(fs, "/", "roling-local-to-sqlite");
  CHECK(missing.status().code() == absl::StatusCode::kNotFound);
  CHECK(to_std(missing.status().message()).find("did you mean \"rolling-local-to-sqlite\"?") !=
        std::string_view::npos);
  CHECK(find_scenario(fs, "/", "").status().code() == absl::StatusCode::kNotFound);
  CHECK(find_scenario(fs, "/", "/tmp").status().code() == absl::StatusCode::kNotFound);
  const auto file = find_scenario(fs, QK_SOURCE_DIR "/scenarios", "testdata/empty.bad.qks.txtpb");
  REQUIRE(file.ok());
  CHECK(file->directory == QK_SOURCE_DIR "/scenarios/testdata");
}

}  // namespace
}  // namespace qk::scenarios
