// The command line as plain data: one struct per verb. VERB_arguments.cc says which words become
// these; verbs know nothing of words.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "families/contract/uri.h"
#include "sim/cluster/plan.h"
#include "sim/explore/sweep_definition.h"
#include "sim/kernel/trace.h"
#include "tools/qksim/exit_codes.h"
#include "tools/qksim/usage_error.h"

namespace qk::cli {

enum class Colour : uint8_t { kAuto, kAlways, kNever };
enum class Artifacts : uint8_t { kFail, kAlways, kNone };
enum class Disks : uint8_t { kSimulated, kReal, kBoth };
enum class ShortLog : uint8_t { kOff, kShort };

struct RunArguments {
  std::string scenario;          // file, or name of a built-in scenario
  std::optional<uint64_t> seed;  // absent: the scenario's own, or 1
  bool random_seed = false;      // `random`: drawn by the verb
  std::vector<std::string> sets;
  std::optional<sim::Nanos> until;
  std::string out;         // run directory; empty: .qksim/runs/<id>
  std::string write_plan;  // file for the written plan; empty: none
  Artifacts artifacts = Artifacts::kFail;
  sim::TraceLevel trace = sim::TraceLevel::kMarks;
  ShortLog log = ShortLog::kOff;
  bool keep_going = false;
  bool check_determinism = false;
  std::string planted;  // "NAME" or "NAME:hard"; empty: none; tests only
  bool swarm = false;
  std::vector<uint64_t> near = {};  // seeds whose plans lead to this one (sim/explore/feedback.h)
};

enum class ProgressForm : uint8_t { kAuto, kPlain, kNone };
struct SweepArguments {
  std::vector<std::string> scenarios;      // files, or names of built-in scenarios
  std::vector<sim::SeedRange> seeds = {};  // of --seeds and --seeds-from
  std::string seeds_from = {};             // file; empty: none
  std::optional<sim::Nanos> time = {};     // of the clock
  uint32_t jobs = 0;                       // 0: as many as there are CPUs
  uint32_t max_failures = 5;               // 0: no limit
  bool swarm = false;
  bool feedback = false;
  std::vector<std::string> axes = {};
  std::vector<std::string> sets = {};
  uint32_t again_ppm = 0;                   // share of the seeds that run twice
  sim::Nanos seed_limit = 0;                // CPU time
  std::vector<std::string> sometimes = {};  // probes
  std::string junit = {};                   // file; empty: none
  std::string out = {};                     // empty: .qksim/sweeps/ID
  std::string resume = {};                  // directory; empty: a new sweep
  std::string against = {};                 // directory; empty: none
  uint32_t shard = 1;
  uint32_t shards = 1;
  bool json = false;
  ProgressForm progress = ProgressForm::kAuto;
  std::string planted = {};  // as of `run`
};
struct SweepMergeArguments {
  std::vector<std::string> directories;
  std::string out;
};

struct ShrinkArguments {
  std::string scenario;          // file, name, run directory, `latest` or `last-failed`
  std::optional<uint64_t> seed;  // absent: the scenario's own, or 1
  std::vector<std::string> sets;
  std::string planted;
  std::optional<sim::Nanos> time_limit;  // wall time; absent: until nothing more can be taken away
  std::string output;                    // empty: NAME-shrunk.qks.txtpb
  bool any_phase = false;                // a failure of the same oracle counts, whatever the phase
  bool swarm = false;                    // as of `run`
};

// `run`, `left`, `right`: a run directory, a run's id, "latest" or "last-failed".
struct ReplayArguments {
  std::string run;
  std::optional<uint64_t> to;  // prints the trace up to this event
};
struct DiffArguments {
  std::string left;
  std::string right;
};
struct ExplainArguments {
  std::string run;
  uint64_t violation = 1;      // from 1, in the order in which they were found
  std::optional<uint64_t> at;  // an event instead of a violation
  uint64_t radius = 40;
  bool cone = false;
  bool when = false;  // where the violation became inevitable; what follows is of that
  uint64_t futures = 12;
  uint64_t moments = 9;
  uint64_t jobs = 0;  // 0: as many as there are processors
  std::optional<sim::Nanos> time_limit = {};
  bool json = false;
};

// Bare braft directories have no identity, so the user says whose they are.
struct ImageExportArguments {
  std::string from;    // the family's root directory; empty: `uris` say where
  std::string family;  // "local", "sqlite"
  std::string group;
  std::string peer;
  std::string output;  // image file; must not exist
  bool accept_lost_vote = false;
  families::UriTriple uris = {};  // empty: `from` says where
};
struct ImageImportArguments {
  std::string image;
  std::string family;
  std::string directory;  // root of the new instance; must not exist or be empty; or `uris`
  std::string group;      // whose image is expected; another's is refused; empty: anybody's
  std::string peer;
  families::UriTriple uris = {};  // empty: `directory` says where
};
struct ImageInspectArguments {
  std::string image;
};
struct ImageVerifyArguments {
  std::string image;
  // An instance that must hold what the image does; none if all are empty.
  std::string from = {};
  std::string family = {};
  families::UriTriple uris = {};  // instead of `from`
};

enum class MigrateAction : uint8_t { kMigrate, kDryRun, kStatus, kAbort };
struct MigrateArguments {
  MigrateAction action = MigrateAction::kMigrate;
  // Storage URIs of whole instances; empty: `from_uris`, `to_uris` say where. Status and abort have
  // no source.
  std::string from = {};
  std::string to = {};
  families::UriTriple from_uris = {};
  families::UriTriple to_uris = {};
  std::string group = {};
  std::string peer = {};
  bool resume = false;
  bool fence_source = false;
  bool accept_lost_vote = false;
  bool accept_owner = false;
  ProgressForm progress = ProgressForm::kAuto;
};

struct FamiliesArguments {
  std::string show;  // empty: list all
};

struct ScenariosListArguments {
  std::string tag;  // empty: all
};
struct ScenariosShowArguments {
  std::string scenario;
};
struct ScenariosValidateArguments {
  std::vector<std::string> files;
};

struct ConformanceArguments {
  std::string family;  // or "all"
  std::string filter;  // regular expression over case ids; empty: all
  uint64_t seeds = 1;
  Disks disk = Disks::kSimulated;
  bool list = false;
  std::string junit;  // file; empty: none
  // Instead of the checks the generated suite, in this setting; empty: the checks.
  std::string generated;
  uint32_t shard = 1;  // of the generated suite
  uint32_t shards = 1;
  std::string resume;  // directory; empty: none
};

enum class TableFormat : uint8_t { kTable, kJson, kMarkdown };
struct ContractArguments {
  std::string show;                   // a requirement's id; empty: list
  std::vector<std::string> families;  // empty: all that are built
  bool missing = false;
  TableFormat format = TableFormat::kTable;
};

// Which forms of each bug are hunted.
enum class Forms : uint8_t { kEasy, kHard, kBoth };
struct SelftestArguments {
  std::vector<std::string> bugs;  // names, components, levels, oracles, known bugs; empty: all
  bool list = false;
  bool canary_only = false;
  uint64_t seeds = 1000;             // of each bug, at most
  std::optional<sim::Nanos> budget;  // wall time; absent: no limit
  uint64_t jobs = 0;                 // processes at a time; 0: as many as there are processors
  Forms forms = Forms::kBoth;
  std::string shrink_into;                     // a directory; empty: nothing is shrunk
  sim::Nanos shrink_for = 120 * sim::kSecond;  // wall time of each
};

// Phases and times as they are typed: what they name depends on the scenario.
struct ExploreArguments {
  std::vector<std::string> scenarios;
  std::string resume;              // a directory; empty: a new exploration
  std::vector<std::string> pairs;  // "local>sqlite", "all"; empty: the scenario's own families
  std::optional<uint64_t> seed;    // absent: the scenario's own, or 1
  std::vector<std::string> sets;
  std::string window;              // "n1:DUAL..n1:B"; empty: the first node that migrates
  std::vector<std::string> nodes;  // empty: those of the window, or all
  std::string levels = "P0,P2";
  uint32_t omit = 1;
  uint32_t nested = 0;
  uint32_t most = 0;       // distinct states of one instant; 0: all
  uint32_t recheck = 100;  // see sim::ExplorationOptions
  ProgressForm progress = ProgressForm::kAuto;
  uint32_t shard = 1;  // the `shard`-th of `shards`, from 1
  uint32_t shards = 1;
  std::optional<sim::Nanos> time;  // wall time
  uint64_t jobs = 0;               // 0: as many as there are processors
  std::string out;                 // empty: .qksim/explore/ID
  std::string planted;
};

struct VersionArguments {};
struct HelpArguments {
  std::string text;  // ready to print
};

using Command =
    std::variant<RunArguments, ReplayArguments, DiffArguments, ExplainArguments,
                 ImageExportArguments, ImageImportArguments, ImageInspectArguments,
                 ImageVerifyArguments, MigrateArguments, FamiliesArguments, ScenariosListArguments,
                 ScenariosShowArguments, ScenariosValidateArguments, ConformanceArguments,
                 ContractArguments, VersionArguments, HelpArguments, ShrinkArguments,
                 SweepArguments, SweepMergeArguments, SelftestArguments, ExploreArguments>;

struct Arguments {
  Colour colour = Colour::kAuto;
  Command command;
};

// `words` without the program's name. A mistake in them is answered with exit code kUsage.
std::variant<Arguments, UsageError> parse_arguments(const std::vector<std::string>& words);

}  // namespace qk::cli
