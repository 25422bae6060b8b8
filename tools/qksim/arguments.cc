// The one file that includes CLI11 (half a minute of compile time). CLI11 2.1 cuts words into
// options; everything a user reads about a mistake is ours, because its own messages suggest
// nothing, print unknown words in reverse order, and let "--seed -1" pass as 2^64-1.
#include "tools/qksim/arguments.h"

#include <CLI/CLI.hpp>
#include <set>

#include "families/base/strings.h"
#include "families/base/suggest.h"
#include "families/base/units.h"
#include "scenarios/values.h"

namespace qk::cli {
namespace {

UsageError usage_error(std::string_view message, std::string_view hint) {
  return {cat("error: ", message, "\n", hint.empty() ? std::string() : cat("hint: ", hint, "\n"))};
}

UsageError unknown_word(std::string_view what, std::string_view word, std::string_view label,
                        const std::vector<std::string>& allowed) {
  const std::string_view near = nearest(word, allowed);
  return usage_error(cat("there is no ", what, " ", in_quotes(word)),
                     cat(near.empty() ? std::string() : cat("did you mean ", in_quotes(near), "? "),
                         label, ": ", join(allowed)));
}

template <typename T>
struct Choice {
  std::string name;
  T value;
};

// Thrown through CLI11's own control flow and caught in parse_arguments: one bad value ends it.
struct BadValue {
  UsageError error;
};

template <typename T>
T choose(std::string_view option, const std::string& word, const std::vector<Choice<T>>& choices) {
  std::vector<std::string> names;
  for (const Choice<T>& choice : choices) {
    if (choice.name == word) return choice.value;
    names.push_back(choice.name);
  }
  const std::string_view near = nearest(word, names);
  throw BadValue{
      usage_error(cat(option, ": ", in_quotes(word), " is not allowed"),
                  cat(near.empty() ? std::string() : cat("did you mean ", in_quotes(near), "? "),
                      "allowed: ", join(names)))};
}

template <typename T>
T value_of(std::string_view option, const scenarios::Parsed<T>& parsed,
           std::string_view also = "") {
  if (parsed.ok()) return parsed.value();
  throw BadValue{usage_error(cat(option, ": ", parsed.complaint().message),
                             cat("allowed: ", parsed.complaint().hint, also))};
}

std::string exit_codes_text() {
  std::string out = "exit codes\n";
  for (const ExitCodeText& row : kExitCodes) {
    std::string code = cat(to_int(row.code));
    code.insert(0, 4 - code.size(), ' ');
    out += cat(code, "  ", row.meaning, "\n");
  }
  return out;
}

class Parser {
 public:
  Parser() : app_("Simulate, inject faults into, and check the migration of Raft storage.") {
    app_.name("qksim");
    app_.fallthrough();
    app_.require_subcommand(0, 1);
    app_.add_option("--color", color_, "auto, always or never")
        ->capture_default_str()
        ->type_name("WHEN");
    app_.add_flag("--version", version_flag_, "Same as `qksim version`");
    add_run();
    add_shrink();
    add_sweep();
    add_recorded();
    add_image();
    add_migrate();
    add_families();
    add_scenarios();
    add_conformance();
    add_selftest();
    add_explore();
    version_ = app_.add_subcommand("version", "Print the version");
    help_ = app_.add_subcommand("help", "Explain a command, or exit-codes");
    help_->add_option("TOPIC", topic_, "A command, as in image export, or exit-codes");
  }

  std::variant<Arguments, UsageError> parse(const std::vector<std::string>& words) {
    if (auto error = check_words(words)) return *std::move(error);
    try {
      // CLI11 takes them in reverse.
      app_.parse(std::vector<std::string>(words.rbegin(), words.rend()));
      return arguments();
    } catch (const CLI::CallForHelp&) {
      return Arguments{Colour::kAuto, HelpArguments{help_of(deepest(words))}};
    } catch (const CLI::ExtrasError& error) {
      // It puts the words after a colon, the first one first.
      const std::string_view what = error.what();
      return usage_error(cat("unexpected argument", what.substr(what.rfind(": "))),
                         cat("qksim help", path_of(words)));
    } catch (const CLI::ParseError& error) {
      return usage_error(error.what(), cat("qksim help", path_of(words)));
    } catch (const BadValue& bad) {
      return bad.error;
    }
  }

 private:
  void add_run() {
    run_ = app_.add_subcommand("run", "Run a scenario once, for one seed");
    run_->add_option("SCENARIO", run_arguments_.scenario, "A file, or a built-in scenario's name")
        ->required();
    run_->add_option("--seed", seed_,
                     "0 to 2^64-1, decimal or 0x hexadecimal, or random; default: the scenario's, "
                     "or 1")
        ->type_name("N");
    repeatable(run_, "--set", run_arguments_.sets, "Replace one field of the scenario")
        ->type_name("PATH=VALUE");
    run_->add_option("--until", until_, "Stop at this simulated time")->type_name("TIME");
    run_->add_option("--out", run_arguments_.out, "Run directory, instead of .qksim/runs/ID")
        ->type_name("DIR");
    run_->add_option("--write-plan", run_arguments_.write_plan,
                     "Write the scenario with all that was drawn spelled out")
        ->type_name("FILE");
    run_->add_option("--artifacts", artifacts_, "When to leave a run directory: fail, always, none")
        ->capture_default_str()
        ->type_name("WHEN");
    run_->add_option("--trace", trace_, "What the trace keeps: none, marks, full")
        ->capture_default_str()
        ->type_name("LEVEL");
    run_->add_option("--log", log_, "short prints a line per change of state; off")
        ->capture_default_str()
        ->type_name("FORM");
    run_->add_flag("--keep-going", run_arguments_.keep_going, "Go on after a violation");
    run_->add_flag("--check-determinism", run_arguments_.check_determinism,
                   "Run twice and compare the chains");
    run_->add_flag("--swarm", run_arguments_.swarm,
                   "Let the seed draw which kinds of fault are on, and how strong");
    run_->add_option("--planted", run_arguments_.planted, "Switch a known defect on")
        ->group("");  // tests only
  }

  void add_shrink() {
    shrink_ = app_.add_subcommand("shrink", "Make a run that fails as small as it goes");
    shrink_
        ->add_option("SCENARIO", shrink_arguments_.scenario,
                     "A file, a built-in scenario's name, a run directory, latest or last-failed")
        ->required();
    shrink_
        ->add_option("--seed", shrink_seed_, "The seed that fails; default: the scenario's, or 1")
        ->type_name("N");
    repeatable(shrink_, "--set", shrink_arguments_.sets, "Replace one field of the scenario")
        ->type_name("PATH=VALUE");
    shrink_->add_option("--for", time_limit_, "Stop after this time, with what there is by then")
        ->type_name("TIME");
    shrink_
        ->add_option("-o,--output", shrink_arguments_.output,
                     "The file; default: NAME-shrunk.qks.txtpb")
        ->type_name("FILE");
    shrink_->add_option("--planted", shrink_arguments_.planted, "Switch a known defect on")
        ->group("");  // tests only
  }

  void add_sweep() {
    sweep_ = app_.add_subcommand(
        "sweep",
        "Run scenarios for many seeds, in several processes\n"
        "Exit code 0 says that every seed passed, every oracle with a subject was evaluated in "
        "some\n"
        "seed, every probe of --sometimes was reached, and random faults came where they are "
        "asked\n"
        "for; 1 that a seed failed, 70 that a seed ended this program, 3 that a seed gave two\n"
        "different runs, 2 that none of these happened and something was not shown");
    sweep_->require_subcommand(0, 1);
    SweepArguments& to = sweep_arguments_;
    sweep_->add_option("SCENARIO", to.scenarios, "Files, or built-in scenarios' names");
    repeatable(sweep_, "--seeds", sweep_seeds_,
               "Seeds A to B, or 1 to N; default 1 to 1000, without an end if --for is given")
        ->type_name("A..B|N");
    sweep_->add_option("--seeds-from", to.seeds_from, "Seeds of a file, one in a line")
        ->type_name("FILE");
    sweep_->add_option("--for", sweep_time_, "Start no seed after this much time of the clock")
        ->type_name("TIME");
    sweep_->add_option("--jobs", sweep_jobs_, "Processes; default: as many as there are CPUs")
        ->type_name("N");
    sweep_
        ->add_option("--max-failures", max_failures_,
                     "End after so many different failures; 0: do not")
        ->capture_default_str()
        ->type_name("N");
    sweep_->add_flag("--swarm", to.swarm,
                     "Let each seed draw which kinds of fault are on, and how strong");
    repeatable(sweep_, "--axis", to.axes, "Run with each of these values of a field")
        ->type_name("PATH=V1,V2");
    repeatable(sweep_, "--set", to.sets, "Replace one field of each scenario")
        ->type_name("PATH=VALUE");
    sweep_->add_option("--det-ratio", det_ratio_, "Run this share of the seeds twice and compare")
        ->capture_default_str()
        ->type_name("SHARE");
    sweep_->add_option("--seed-limit", seed_limit_, "CPU time after which a seed is stuck")
        ->capture_default_str()
        ->type_name("TIME");
    repeatable(sweep_, "--sometimes", to.sometimes,
               "A probe that some seed must reach; every: each that a run may reach")
        ->type_name("PROBE");
    sweep_->add_option("--junit", to.junit, "Also write a JUnit report")->type_name("FILE");
    sweep_->add_option("--out", to.out, "Directory of the sweep, instead of .qksim/sweeps/ID")
        ->check(not_empty())
        ->type_name("DIR");
    sweep_->add_option("--resume", to.resume, "Go on with the sweep in this directory")
        ->check(not_empty())
        ->type_name("DIR");
    sweep_
        ->add_option("--against", to.against,
                     "Say which findings are new since the sweep in this directory")
        ->check(not_empty())
        ->type_name("DIR");
    sweep_->add_option("--shard", shard_, "Run each N-th seed, from the K-th on")->type_name("K/N");
    sweep_->add_flag("--json", to.json, "Print one line of JSON for each seed, then one for all");
    sweep_->add_option("--progress", progress_, "auto, plain or none")
        ->capture_default_str()
        ->type_name("FORM");
    sweep_->add_option("--planted", to.planted, "Switch a known defect on")->group("");
    merge_ = sweep_->add_subcommand("merge", "Make one sweep of its shards");
    merge_->add_option("DIR", merge_arguments_.directories, "Directories of the shards")
        ->required();
    merge_->add_option("--out", merge_arguments_.out, "Directory of the whole sweep")
        ->check(not_empty())
        ->required()
        ->type_name("DIR");
  }

  void add_selftest() {
    selftest_ = app_.add_subcommand("selftest", "Switch known bugs on, and see which are found");
    repeatable(selftest_, "--bug", selftest_arguments_.bugs,
               "A bug, or all of a component, level, oracle or known bug (KB-20)")
        ->type_name("NAME");
    selftest_->add_flag("--list", selftest_arguments_.list, "List them, run nothing");
    selftest_->add_flag("--canary-only", selftest_arguments_.canary_only,
                        "Only show that a run can fail, and only when it should");
    selftest_->add_option("--seeds", hunts_, "Seeds to try for each bug, at most")
        ->capture_default_str()
        ->type_name("N");
    selftest_->add_option("--form", form_, "easy (always), hard (one time in about eight), both")
        ->capture_default_str()
        ->type_name("FORM");
    selftest_->add_option("--for", budget_, "Begin no further hunt after this time")
        ->type_name("TIME");
    selftest_
        ->add_option("--shrink", selftest_arguments_.shrink_into,
                     "Make each run that a bug failed as small as it goes, as a file in DIR")
        ->type_name("DIR");
    selftest_->add_option("--shrink-for", shrink_for_, "Stop shrinking one of them after this time")
        ->capture_default_str()
        ->type_name("TIME");
    selftest_->add_option("--jobs", jobs_, "Hunts at a time; 0: one for each processor")
        ->capture_default_str()
        ->type_name("N");
  }

  void add_explore() {
    explore_ = app_.add_subcommand("explore",
                                   "Crash a run at every disk operation of a window, with every "
                                   "bounded set of unsynced writes\n"
                                   "Each distinct state is recovered, judged, and cut off again as "
                                   "soon as it serves; what is\n"
                                   "found is written as a scenario that `qksim run` reproduces");
    explore_
        ->add_option("SCENARIO", explore_arguments_.scenario,
                     "A file, or a built-in scenario's name")
        ->required();
    explore_->add_option("--seed", explore_seed_, "Of the run; default: the scenario's, or 1")
        ->type_name("N");
    repeatable(explore_, "--set", explore_arguments_.sets, "Replace one field of the scenario")
        ->type_name("PATH=VALUE");
    explore_
        ->add_option("--window", explore_arguments_.window,
                     "From where to where: phases of a node (n1:DUAL..n1:B) or times (6s..8s); "
                     "default: the migration of the first node that migrates")
        ->type_name("FROM..TO");
    repeatable(explore_, "--node", explore_arguments_.nodes,
               "Who crashes; default: who the window names, or every node")
        ->type_name("NODE");
    explore_
        ->add_option("--level", explore_arguments_.levels,
                     "P0 process crash, P2 power cut where only syncs order anything")
        ->capture_default_str()
        ->type_name("LEVELS");
    explore_->add_option("--omit", omit_, "How many unsynced writes before the last may be missing")
        ->capture_default_str()
        ->type_name("K");
    explore_->add_option("--nested", nested_, "How many crashes in the recovery follow the first")
        ->capture_default_str()
        ->type_name("D");
    explore_
        ->add_option("--for", time_limit_, "Begin nothing more after this time; exit code 2 then")
        ->type_name("TIME");
    explore_->add_option("--jobs", jobs_, "Worlds at a time; 0: one for each processor")
        ->capture_default_str()
        ->type_name("N");
    explore_->add_option("--shard", shard_, "Take each N-th instant, from the K-th on")
        ->type_name("K/N");
    explore_
        ->add_option("--out", explore_arguments_.out,
                     "Where findings go, instead of .qksim/explore/SCENARIO-SEED")
        ->type_name("DIR");
    explore_->add_option("--planted", explore_arguments_.planted, "Switch a known defect on")
        ->group("");  // tests only
  }

  void add_recorded() {
    constexpr char kRun[] = "A run directory, a run's id, latest or last-failed";
    replay_ = app_.add_subcommand("replay", "Run a recorded run again and compare the chains");
    replay_->add_option("RUN", replay_arguments_.run, kRun)->required();
    replay_->add_option("--to", to_, "Print the trace up to this event")->type_name("SEQ");
    diff_ = app_.add_subcommand("diff", "Find the first event that differs between two runs");
    diff_->add_option("RUN", diff_arguments_.left, kRun)->required();
    diff_->add_option("OTHER", diff_arguments_.right, kRun)->required();
    explain_ = app_.add_subcommand("explain", "Say in words what led to a violation");
    explain_->add_option("RUN", explain_arguments_.run, kRun)->required();
    CLI::Option* const violation =
        explain_->add_option("--violation", violation_, "Which one, in the order of the report")
            ->capture_default_str()
            ->type_name("N");
    explain_->add_option("--at", at_, "Explain this event instead")
        ->type_name("SEQ")
        ->excludes(violation);
    explain_->add_option("--radius", radius_, "How many lines of the trace before it to print")
        ->capture_default_str()
        ->type_name("N");
    explain_->add_flag("--cone", explain_arguments_.cone,
                       "Lines of its causal past, instead of its node");
    explain_->add_flag("--when", explain_arguments_.when,
                       "Find where the violation became inevitable: run up to many moments, and on "
                       "from each with other chance");
    explain_->add_option("--futures", futures_, "With --when: how many from each moment")
        ->capture_default_str()
        ->type_name("N");
    explain_->add_option("--moments", moments_, "With --when: how many before the search")
        ->capture_default_str()
        ->type_name("N");
    explain_->add_option("--jobs", explain_jobs_, "With --when: processes; 0: one for each CPU")
        ->capture_default_str()
        ->type_name("N");
    explain_->add_option("--for", explain_time_, "With --when: stop after this much time")
        ->type_name("TIME");
    explain_->add_flag("--json", explain_arguments_.json, "With --when: print one line of JSON");
  }

  void add_image() {
    image_ = app_.add_subcommand("image", "Work with bootstrap images");
    image_->require_subcommand(1);
    export_ = image_->add_subcommand("export", "Write a stopped node's state as an image");
    export_->add_option("--from", export_arguments_.from, "The family's root directory")
        ->check(not_empty())
        ->type_name("DIR");
    export_
        ->add_option("--family", export_arguments_.family,
                     "The family that wrote it (qksim families list)")
        ->check(not_empty());
    add_uris(export_, &export_arguments_.uris);
    export_
        ->add_option("--group", export_arguments_.group, "The Raft group that the state belongs to")
        ->check(not_empty())
        ->required();
    export_
        ->add_option("--peer", export_arguments_.peer,
                     "The node that the state belongs to: ip:port[:index[:role]]")
        ->required();
    export_->add_option("-o,--output", export_arguments_.output, "The image")
        ->type_name("IMG")
        ->required();
    export_->add_flag("--accept-lost-vote", export_arguments_.accept_lost_vote,
                      "Export a state whose term is below its log's or snapshot's");
    import_ = image_->add_subcommand("import", "Make a new instance from an image");
    import_->add_option("IMG", import_arguments_.image, "The image")->required();
    import_
        ->add_option("--family", import_arguments_.family,
                     "The family to make (qksim families list)")
        ->check(not_empty());
    import_->add_option("-d,--directory", import_arguments_.directory, "Root of the new instance")
        ->check(not_empty())
        ->type_name("DIR");
    add_uris(import_, &import_arguments_.uris);
    import_
        ->add_option("--group", import_arguments_.group, "The Raft group that the image must be of")
        ->check(not_empty());
    import_
        ->add_option("--peer", import_arguments_.peer,
                     "The node that the image must be of: ip:port[:index[:role]]")
        ->check(not_empty());
    inspect_ = image_->add_subcommand("inspect", "Say what an image holds");
    inspect_->add_option("IMG", inspect_arguments_.image, "The image")->required();
    verify_ = image_->add_subcommand("verify", "Check every byte of an image");
    verify_->add_option("IMG", verify_arguments_.image, "The image")->required();
    verify_->add_option("--from", verify_arguments_.from, "An instance that must hold the same")
        ->check(not_empty())
        ->type_name("DIR");
    verify_->add_option("--family", verify_arguments_.family, "The family of that instance")
        ->check(not_empty());
    add_uris(verify_, &verify_arguments_.uris);
  }

  // An unset shell variable must not count as an option that was left out.
  static CLI::Validator not_empty() {
    return {[](std::string& text) {
              return std::string(text.empty() ? "expected a value, found \"\"" : "");
            },
            ""};
  }

  // `prefix`: "--src" for the options --src-log-uri and so on.
  static void add_uris(CLI::App* app, families::UriTriple* uris, const std::string& prefix = "-",
                       const std::string& instead_of = "Instead of a directory") {
    app->add_option(cat(prefix, "-log-uri"), uris->log_uri, cat(instead_of, ", as braft's log_uri"))
        ->check(not_empty())
        ->type_name("URI");
    app->add_option(cat(prefix, "-raft-meta-uri"), uris->raft_meta_uri, "As braft's raft_meta_uri")
        ->check(not_empty())
        ->type_name("URI");
    app->add_option(cat(prefix, "-snapshot-uri"), uris->snapshot_uri, "As braft's snapshot_uri")
        ->check(not_empty())
        ->type_name("URI");
  }

  void add_migrate() {
    migrate_ = app_.add_subcommand("migrate", "Move a stopped node's storage to another family");
    migrate_
        ->add_option("URI", migrate_uris_,
                     "From where and to where, as in local:///srv/g1 sqlite:///srv/g1-sqlite")
        ->check(not_empty())
        ->type_name("");
    add_uris(migrate_, &migrate_arguments_.from_uris, "--src", "Instead of the first URI");
    add_uris(migrate_, &migrate_arguments_.to_uris, "--dst", "Instead of the second URI");
    migrate_
        ->add_option("--group", migrate_arguments_.group,
                     "The Raft group that the state belongs to")
        ->check(not_empty());
    migrate_
        ->add_option("--peer", migrate_arguments_.peer,
                     "The node that the state belongs to: ip:port[:index[:role]]")
        ->check(not_empty());
    migrate_->add_flag("--dry-run", dry_run_, "Check everything, read the source, copy nothing");
    migrate_->add_flag("--resume", migrate_arguments_.resume,
                       "Go on with what was interrupted or killed; otherwise begin");
    migrate_->add_flag("--status", status_, "Say how far an unfinished migration to URI has come");
    migrate_->add_flag("--abort", abort_, "Remove what an unfinished migration to URI has left");
    migrate_->add_flag("--fence-source", migrate_arguments_.fence_source,
                       "At the end make the source unusable under its name");
    migrate_->add_flag("--accept-lost-vote", migrate_arguments_.accept_lost_vote,
                       "Copy a state whose term is below its log's or snapshot's");
    migrate_->add_flag("--accept-owner", migrate_arguments_.accept_owner,
                       "The destination may belong to another user than the source");
    migrate_
        ->add_option("--progress", migrate_progress_,
                     "auto (a line that is drawn again on a terminal, else one from time to "
                     "time), plain (never drawn again) or none")
        ->capture_default_str()
        ->type_name("FORM");
  }

  MigrateArguments migrate_arguments() {
    MigrateArguments out = migrate_arguments_;
    const auto refuse = [](const std::string& what, const std::string& hint) {
      throw BadValue{usage_error(what, hint)};
    };
    out.progress = choose<ProgressForm>("--progress", migrate_progress_,
                                        {{"auto", ProgressForm::kAuto},
                                         {"plain", ProgressForm::kPlain},
                                         {"none", ProgressForm::kNone}});
    if (dry_run_ + status_ + abort_ > 1) {
      refuse("of --dry-run, --status and --abort more than one is given", "qksim help migrate");
    }
    if (dry_run_) out.action = MigrateAction::kDryRun;
    if (status_) out.action = MigrateAction::kStatus;
    if (abort_) out.action = MigrateAction::kAbort;
    const bool copies = !status_ && !abort_;
    const bool needs_from = copies && out.from_uris.empty();
    const bool needs_to = out.to_uris.empty();
    const size_t expected = size_t{needs_from} + size_t{needs_to};
    if (migrate_uris_.size() != expected) {
      refuse(cat("migrate: found ", migrate_uris_.size(), " URIs, expected ", expected,
                 needs_from && needs_to ? ": from where and to where"
                 : needs_from           ? ": from where; --dst-log-uri and so on say to where"
                 : needs_to && copies   ? ": to where; --src-log-uri and so on say from where"
                 : needs_to             ? ": the destination"
                                        : ": options say where"),
             "as in qksim migrate local:///srv/g1 sqlite:///srv/g1-sqlite --group G --peer P");
    }
    if (needs_from) out.from = migrate_uris_.front();
    if (needs_to) out.to = migrate_uris_.back();
    if (!copies) {
      if (out.resume || out.fence_source || !out.from_uris.empty()) {
        refuse(cat(status_ ? "--status" : "--abort", " takes the destination alone"),
               "qksim help migrate");
      }
      return out;
    }
    if (out.group.empty()) refuse("--group is required", "qksim help migrate");
    if (out.peer.empty()) refuse("--peer is required", "qksim help migrate");
    return out;
  }

  void add_families() {
    families_ = app_.add_subcommand("families", "The storage families of this build");
    families_->require_subcommand(1);
    families_list_ = families_->add_subcommand("list", "List the families");
    families_show_ = families_->add_subcommand("show", "Say what a family stores, and its options");
    families_show_
        ->add_option("FAMILY", families_arguments_.show, "A family of `qksim families list`")
        ->required();
  }

  void add_scenarios() {
    scenarios_ = app_.add_subcommand("scenarios", "The scenarios of this build, and files");
    scenarios_->require_subcommand(1);
    scenarios_list_ = scenarios_->add_subcommand("list", "List the built-in scenarios");
    scenarios_list_->add_option("--tag", list_arguments_.tag, "Only those with this tag");
    scenarios_show_ = scenarios_->add_subcommand("show", "Print a scenario");
    scenarios_show_->add_option("SCENARIO", show_arguments_.scenario, "A file or a name")
        ->required();
    validate_ = scenarios_->add_subcommand("validate", "Check files without running them");
    validate_->add_option("FILE", validate_arguments_.files, "Files or names")->required();
  }

  void add_conformance() {
    conformance_ = app_.add_subcommand("conformance", "Run the storage contract's checks");
    conformance_->add_option("FAMILY", conformance_arguments_.family, "A family, or all")
        ->required();
    conformance_
        ->add_option("--filter", conformance_arguments_.filter,
                     "Only cases whose id matches, as in BASIC/append_one/local/plain/sim")
        ->type_name("RE");
    conformance_->add_option("--seeds", seeds_, "Run each case with the seeds 1 to N")
        ->capture_default_str()
        ->type_name("N");
    conformance_->add_option("--disk", disk_, "Where instances lie: sim, real (slow) or both")
        ->capture_default_str()
        ->type_name("WHERE");
    conformance_->add_flag("--list", conformance_arguments_.list, "List the checks, run none");
    conformance_->add_option("--junit", conformance_arguments_.junit, "Also write a JUnit report")
        ->type_name("FILE");

    contract_ = app_.add_subcommand("contract",
                                    "The storage contract's requirements, and what "
                                    "the last conformance runs showed of them");
    contract_->require_subcommand(0, 1);
    repeatable(contract_, "--family", contract_arguments_.families, "Judge these families only")
        ->type_name("FAMILY");
    contract_->add_flag("--missing", contract_arguments_.missing,
                        "Only requirements that failed or lack evidence");
    contract_->add_option("--format", format_, "table, json or markdown")
        ->capture_default_str()
        ->type_name("FORM");
    contract_->add_subcommand("list", "List all requirements");
    contract_show_ =
        contract_->add_subcommand("show", "Print a requirement with its checks and cases");
    contract_show_->add_option("ID", contract_arguments_.show, "As in SB-18")->required();
  }

  // A vector option would swallow the positionals after it.
  static CLI::Option* repeatable(CLI::App* app, const std::string& name,
                                 std::vector<std::string>& values, const std::string& text) {
    return app->add_option(name, values, text)->take_all()->allow_extra_args(false);
  }

  static std::vector<std::string> commands_of(CLI::App& app) {
    std::vector<std::string> names;
    for (const CLI::App* sub : app.get_subcommands([](CLI::App*) { return true; })) {
      names.push_back(sub->get_name());
    }
    return names;
  }

  static CLI::App* find_command(CLI::App& app, const std::string& name) {
    for (CLI::App* sub : app.get_subcommands([](CLI::App*) { return true; })) {
      if (sub->get_name() == name) return sub;
    }
    return nullptr;
  }

  // The command that the words lead to, as far as they are known.
  CLI::App& deepest(const std::vector<std::string>& words) {
    CLI::App* app = &app_;
    for (const std::string& word : words) {
      CLI::App* sub = find_command(*app, word);
      if (sub != nullptr) app = sub;
    }
    return *app;
  }
  // " image export": the commands that lead to `app`, without the program's name.
  static std::string path_of(const CLI::App& app) {
    if (app.get_parent() == nullptr) return "";
    return cat(path_of(*app.get_parent()), " ", app.get_name());
  }
  std::string path_of(const std::vector<std::string>& words) { return path_of(deepest(words)); }

  static std::string help_of(const CLI::App& app) {
    return app.get_parent() == nullptr ? app.help()
                                       : app.help(cat("qksim", path_of(*app.get_parent())));
  }

  // Unknown commands and options, before CLI11 says it worse.
  std::optional<UsageError> check_words(const std::vector<std::string>& words) {
    CLI::App* app = &app_;
    std::string open_option;  // the option that the next word belongs to
    std::set<std::string> given;
    bool help = false;
    for (const std::string& word : words) {
      if (!open_option.empty()) {
        open_option.clear();
        continue;
      }
      if (word == "--") break;
      if (word.size() > 1 && word[0] == '-' && !is_number(word)) {
        const std::string name = word.substr(0, word.find('='));
        const CLI::Option* option = find_option(app, name);
        if (option == nullptr) return unknown_option(app, name);
        help = help || option == app->get_help_ptr();
        if (option->get_multi_option_policy() == CLI::MultiOptionPolicy::Throw &&
            option->get_expected_max() > 0 && !given.insert(option->get_name()).second) {
          return usage_error(cat(name, " is given twice"), cat("qksim help", path_of(*app)));
        }
        if (option->get_expected_max() > 0 && name.size() == word.size()) {
          open_option = name;
        }
        continue;
      }
      if (commands_of(*app).empty()) continue;  // a positional
      CLI::App* sub = find_command(*app, word);
      if (sub == nullptr && takes_words(*app)) continue;
      if (sub == nullptr) {
        return unknown_word(app == &app_ ? "command" : cat(app->get_name(), " command"), word,
                            "commands", commands_of(*app));
      }
      app = sub;
      if (app == help_) return std::nullopt;  // the rest is its topic
    }
    if (!open_option.empty()) {
      return usage_error(cat(open_option, " needs a value"), cat("qksim help", path_of(*app)));
    }
    if (words.empty()) {
      return usage_error("no command", cat("commands: ", join(commands_of(app_))));
    }
    if (!help && app->get_require_subcommand_min() > 0) {
      return usage_error(cat(path_of(*app).substr(1), " needs a command"),
                         cat("commands: ", join(commands_of(*app))));
    }
    return std::nullopt;
  }

  static bool takes_words(const CLI::App& app) {
    const std::vector<const CLI::Option*> options = app.get_options();
    return std::any_of(options.begin(), options.end(),
                       [](const CLI::Option* option) { return option->get_positional(); });
  }

  static bool is_number(const std::string& word) {
    return word.find_first_not_of("0123456789", 1) == std::string::npos;
  }

  const CLI::Option* find_option(const CLI::App* app, const std::string& name) const {
    for (const CLI::App* a = app; a != nullptr; a = a->get_parent()) {
      if (const CLI::Option* option = a->get_option_no_throw(name)) return option;
    }
    return nullptr;
  }

  UsageError unknown_option(const CLI::App* app, const std::string& name) const {
    std::vector<std::string> names;
    for (const CLI::App* a = app; a != nullptr; a = a->get_parent()) {
      for (const CLI::Option* option : a->get_options()) {
        if (option->get_group().empty()) continue;  // hidden
        for (const std::string& known : option->get_lnames()) {
          // --help is on every level.
          const std::string full = cat("--", known);
          if (std::find(names.begin(), names.end(), full) == names.end()) names.push_back(full);
        }
      }
    }
    return unknown_word("option", name, "options", names);
  }

  Arguments arguments() {
    Arguments out;
    out.colour = choose<Colour>(
        "--color", color_,
        {{"auto", Colour::kAuto}, {"always", Colour::kAlways}, {"never", Colour::kNever}});
    if (run_->parsed()) {
      out.command = run_arguments();
    } else if (shrink_->parsed()) {
      out.command = shrink_arguments();
    } else if (merge_->parsed()) {
      out.command = merge_arguments_;
    } else if (sweep_->parsed()) {
      out.command = sweep_arguments();
    } else if (replay_->parsed()) {
      out.command = replay_arguments();
    } else if (diff_->parsed()) {
      out.command = diff_arguments_;
    } else if (explain_->parsed()) {
      out.command = explain_arguments();
    } else if (export_->parsed()) {
      out.command = export_arguments_;
    } else if (import_->parsed()) {
      out.command = import_arguments_;
    } else if (inspect_->parsed()) {
      out.command = inspect_arguments_;
    } else if (verify_->parsed()) {
      out.command = verify_arguments_;
    } else if (migrate_->parsed()) {
      out.command = migrate_arguments();
    } else if (families_->parsed()) {
      out.command = families_arguments_;
    } else if (scenarios_list_->parsed()) {
      out.command = list_arguments_;
    } else if (scenarios_show_->parsed()) {
      out.command = show_arguments_;
    } else if (validate_->parsed()) {
      out.command = validate_arguments_;
    } else if (conformance_->parsed()) {
      out.command = conformance_arguments();
    } else if (contract_->parsed()) {
      out.command = contract_arguments();
    } else if (explore_->parsed()) {
      out.command = explore_arguments();
    } else if (selftest_->parsed()) {
      out.command = selftest_arguments();
    } else if (version_->parsed() || version_flag_) {
      out.command = VersionArguments{};
    } else if (help_->parsed()) {
      out.command = help_arguments();
    } else {
      throw BadValue{usage_error("no command", cat("commands: ", join(commands_of(app_))))};
    }
    return out;
  }

  RunArguments run_arguments() {
    RunArguments out = run_arguments_;
    if (seed_ == "random") {
      out.random_seed = true;
    } else if (!seed_.empty()) {
      out.seed = value_of("--seed", scenarios::parse_seed(seed_), ", or \"random\"");
    }
    if (!until_.empty()) out.until = value_of("--until", scenarios::parse_duration(until_));
    out.artifacts = choose<Artifacts>(
        "--artifacts", artifacts_,
        {{"fail", Artifacts::kFail}, {"always", Artifacts::kAlways}, {"none", Artifacts::kNone}});
    out.trace = choose<sim::TraceLevel>("--trace", trace_,
                                        {{"none", sim::TraceLevel::kNone},
                                         {"marks", sim::TraceLevel::kMarks},
                                         {"full", sim::TraceLevel::kFull}});
    out.log =
        choose<ShortLog>("--log", log_, {{"short", ShortLog::kShort}, {"off", ShortLog::kOff}});
    return out;
  }

  ShrinkArguments shrink_arguments() {
    ShrinkArguments out = shrink_arguments_;
    if (!shrink_seed_.empty()) out.seed = value_of("--seed", scenarios::parse_seed(shrink_seed_));
    if (!time_limit_.empty()) {
      out.time_limit = value_of("--for", scenarios::parse_duration(time_limit_));
    }
    return out;
  }

  // "1000", "5..10", "0x10..0x1F".
  static sim::SeedRange seed_range(const std::string& word) {
    const size_t dots = word.find("..");
    if (dots == std::string::npos) return {1, value_of("--seeds", scenarios::parse_seed(word))};
    return {value_of("--seeds", scenarios::parse_seed(word.substr(0, dots))),
            value_of("--seeds", scenarios::parse_seed(word.substr(dots + 2)))};
  }

  static constexpr uint64_t kMaxJobs = 1024;

  static uint32_t count_of(std::string_view option, const std::string& word, uint64_t max,
                           uint64_t min = 0) {
    const auto number = whole_number(word);
    if (number && *number <= max && *number >= min) return static_cast<uint32_t>(*number);
    throw BadValue{usage_error(cat(option, ": ", in_quotes(word), " is not allowed"),
                               cat("allowed: ", min, " to ", max))};
  }

  static uint64_t number_of(std::string_view option, const std::string& word) {
    const auto number = scenarios::parse_seed(word);
    if (number.ok()) return number.value();
    throw BadValue{usage_error(
        cat(option, ": ", in_quotes(word), " is not allowed"),
        cat("allowed: a whole number up to ", UINT64_MAX, ", decimal or hexadecimal with 0x"))};
  }

  static uint32_t share_of(std::string_view option, const std::string& word) {
    constexpr uint32_t kAll = 1'000'000;
    const auto ppm = scaled_decimal(word, kAll, kAll);
    if (ppm) return static_cast<uint32_t>(*ppm);
    throw BadValue{usage_error(cat(option, ": ", in_quotes(word), " is not a share"),
                               "allowed: 0 to 1 with at most six decimals")};
  }

  void take_shard(uint32_t* shard, uint32_t* shards) const {
    if (shard_.empty()) return;
    const size_t slash = std::min(shard_.find('/'), shard_.size());
    const auto k = whole_number(shard_.substr(0, slash));
    const auto n = whole_number(shard_.substr(std::min(slash + 1, shard_.size())));
    if (!k || !n || *k < 1 || *k > *n || *n > UINT32_MAX) {
      throw BadValue{usage_error(cat("--shard: ", in_quotes(shard_), " is not a shard"),
                                 "allowed: K/N with K from 1 to N")};
    }
    *shard = static_cast<uint32_t>(*k);
    *shards = static_cast<uint32_t>(*n);
  }

  ExploreArguments explore_arguments() {
    ExploreArguments out = explore_arguments_;
    if (!explore_seed_.empty()) {
      out.seed = value_of("--seed", scenarios::parse_seed(explore_seed_));
    }
    // More of either is more than any window can be explored with.
    out.omit = count_of("--omit", omit_, 8);
    out.nested = count_of("--nested", nested_, 3);
    if (!time_limit_.empty()) out.time = value_of("--for", scenarios::parse_duration(time_limit_));
    out.jobs = count_of("--jobs", jobs_, 1024);
    take_shard(&out.shard, &out.shards);
    return out;
  }

  SweepArguments sweep_arguments() {
    SweepArguments out = sweep_arguments_;
    if (out.resume.empty() == out.scenarios.empty()) {
      throw BadValue{usage_error("sweep needs one of: SCENARIO, --resume DIR", "qksim help sweep")};
    }
    for (const std::string& word : sweep_seeds_) out.seeds.push_back(seed_range(word));
    if (!sweep_time_.empty()) out.time = value_of("--for", scenarios::parse_duration(sweep_time_));
    if (!sweep_jobs_.empty()) out.jobs = count_of("--jobs", sweep_jobs_, kMaxJobs);
    out.max_failures = count_of("--max-failures", max_failures_, 1'000'000);
    out.again_ppm = share_of("--det-ratio", det_ratio_);
    out.seed_limit = value_of("--seed-limit", scenarios::parse_duration(seed_limit_));
    if (out.seed_limit < sim::kMillisecond) {
      throw BadValue{usage_error("--seed-limit: too short", "allowed: 1ms or more")};
    }
    take_shard(&out.shard, &out.shards);
    out.progress = choose<ProgressForm>("--progress", progress_,
                                        {{"auto", ProgressForm::kAuto},
                                         {"plain", ProgressForm::kPlain},
                                         {"none", ProgressForm::kNone}});
    if (!out.resume.empty()) refuse_beside_resume();
    return out;
  }

  // What a sweep runs lies in its directory; another word beside it would be ignored.
  void refuse_beside_resume() const {
    for (const char* name :
         {"--seeds", "--seeds-from", "--max-failures", "--swarm", "--axis", "--set", "--det-ratio",
          "--seed-limit", "--sometimes", "--out", "--shard", "--planted"}) {
      if (sweep_->get_option(name)->count() == 0) continue;
      throw BadValue{usage_error(cat(name, " cannot be given with --resume"),
                                 "what a sweep runs is in its directory")};
    }
  }

  // An event or a violation: both count from 1.
  static uint64_t ordinal(std::string_view option, const std::string& word) {
    const uint64_t number = number_of(option, word);
    if (number == 0)
      throw BadValue{usage_error(cat(option, ": counts from 1"), "allowed: 1 or more")};
    return number;
  }

  ReplayArguments replay_arguments() {
    ReplayArguments out = replay_arguments_;
    if (!to_.empty()) out.to = ordinal("--to", to_);
    return out;
  }

  ExplainArguments explain_arguments() {
    ExplainArguments out = explain_arguments_;
    out.violation = ordinal("--violation", violation_);
    if (!at_.empty()) out.at = ordinal("--at", at_);
    out.radius = number_of("--radius", radius_);
    out.futures = count_of("--futures", futures_, 1000, 1);
    out.moments = count_of("--moments", moments_, 1000, 2);
    out.jobs = count_of("--jobs", explain_jobs_, kMaxJobs);
    if (!explain_time_.empty()) {
      out.time_limit = value_of("--for", scenarios::parse_duration(explain_time_));
    }
    const auto refuse = [&](std::initializer_list<const char*> names, std::string_view why) {
      for (const char* name : names) {
        if (explain_->get_option(name)->count() == 0) continue;
        throw BadValue{usage_error(cat(name, " cannot be given ", why), "qksim help explain")};
      }
    };
    if (out.when) {
      refuse({"--violation", "--at", "--radius", "--cone"}, "with --when");
    } else {
      refuse({"--futures", "--moments", "--jobs", "--for", "--json"}, "without --when");
    }
    return out;
  }

  ConformanceArguments conformance_arguments() {
    ConformanceArguments out = conformance_arguments_;
    out.seeds = number_of("--seeds", seeds_);
    if (out.seeds == 0)
      throw BadValue{usage_error("--seeds: 0 runs nothing", "allowed: 1 or more")};
    out.disk =
        choose<Disks>("--disk", disk_,
                      {{"sim", Disks::kSimulated}, {"real", Disks::kReal}, {"both", Disks::kBoth}});
    return out;
  }

  SelftestArguments selftest_arguments() {
    SelftestArguments out = selftest_arguments_;
    out.seeds = number_of("--seeds", hunts_);
    if (out.seeds == 0) {
      throw BadValue{usage_error("--seeds: 0 runs nothing", "allowed: 1 or more")};
    }
    out.shrink_for = value_of("--shrink-for", scenarios::parse_duration(shrink_for_));
    if (!budget_.empty()) out.budget = value_of("--for", scenarios::parse_duration(budget_));
    out.jobs = count_of("--jobs", jobs_, kMaxJobs);
    out.forms = choose<Forms>(
        "--form", form_, {{"easy", Forms::kEasy}, {"hard", Forms::kHard}, {"both", Forms::kBoth}});
    return out;
  }

  ContractArguments contract_arguments() {
    ContractArguments out = contract_arguments_;
    out.format = choose<TableFormat>("--format", format_,
                                     {{"table", TableFormat::kTable},
                                      {"json", TableFormat::kJson},
                                      {"markdown", TableFormat::kMarkdown}});
    return out;
  }

  HelpArguments help_arguments() {
    // After parsing, an App explains the command that it found; a fresh one explains itself.
    Parser fresh;
    if (topic_.size() == 1 && topic_[0] == "exit-codes") return {exit_codes_text()};
    CLI::App* app = &fresh.app_;
    for (const std::string& word : topic_) {
      CLI::App* sub = find_command(*app, word);
      if (sub == nullptr) {
        std::vector<std::string> topics = commands_of(*app);
        if (app == &fresh.app_) topics.emplace_back("exit-codes");
        throw BadValue{unknown_word("topic", word, "topics", topics)};
      }
      app = sub;
    }
    return {help_of(*app)};
  }

  CLI::App app_;
  CLI::App* run_ = nullptr;
  CLI::App* shrink_ = nullptr;
  CLI::App* sweep_ = nullptr;
  CLI::App* merge_ = nullptr;
  CLI::App* replay_ = nullptr;
  CLI::App* diff_ = nullptr;
  CLI::App* explain_ = nullptr;
  CLI::App* image_ = nullptr;
  CLI::App* export_ = nullptr;
  CLI::App* import_ = nullptr;
  CLI::App* migrate_ = nullptr;
  CLI::App* inspect_ = nullptr;
  CLI::App* verify_ = nullptr;
  CLI::App* families_ = nullptr;
  CLI::App* families_list_ = nullptr;
  CLI::App* families_show_ = nullptr;
  CLI::App* scenarios_ = nullptr;
  CLI::App* scenarios_list_ = nullptr;
  CLI::App* scenarios_show_ = nullptr;
  CLI::App* validate_ = nullptr;
  CLI::App* conformance_ = nullptr;
  CLI::App* contract_ = nullptr;
  CLI::App* contract_show_ = nullptr;
  CLI::App* selftest_ = nullptr;
  CLI::App* explore_ = nullptr;
  CLI::App* version_ = nullptr;
  CLI::App* help_ = nullptr;

  // Words that need more than CLI11's look.
  std::string color_ = "auto";
  bool version_flag_ = false;
  std::string seed_;
  std::string shrink_seed_;
  std::string explore_seed_;
  std::string omit_ = "1";
  std::string nested_ = "0";
  std::string time_limit_;
  std::string until_;
  std::string artifacts_ = "fail";
  std::string trace_ = "marks";
  std::string log_ = "off";
  std::string to_;
  std::string violation_ = "1";
  std::string at_;
  std::string radius_ = "40";
  std::string seeds_ = "1";
  std::string format_ = "table";
  std::string hunts_ = "100";
  std::string budget_;
  std::string shrink_for_ = "2m";
  std::string jobs_ = "0";
  std::string form_ = "both";
  std::vector<std::string> topic_;

  std::vector<std::string> sweep_seeds_;
  std::string sweep_time_;
  std::string futures_ = "12";
  std::string moments_ = "9";
  std::string explain_jobs_ = "0";
  std::string explain_time_;
  std::string sweep_jobs_;
  std::string max_failures_ = "5";
  std::string det_ratio_ = "0.05";
  std::string seed_limit_ = "60s";
  std::string shard_;
  std::string progress_ = "auto";

  RunArguments run_arguments_;
  ShrinkArguments shrink_arguments_;
  SweepArguments sweep_arguments_;
  SweepMergeArguments merge_arguments_;
  ReplayArguments replay_arguments_;
  DiffArguments diff_arguments_;
  ExplainArguments explain_arguments_;
  ImageExportArguments export_arguments_;
  ImageImportArguments import_arguments_;
  MigrateArguments migrate_arguments_;
  std::vector<std::string> migrate_uris_;
  std::string migrate_progress_ = "auto";
  bool dry_run_ = false;
  bool status_ = false;
  bool abort_ = false;
  ImageInspectArguments inspect_arguments_;
  ImageVerifyArguments verify_arguments_;
  FamiliesArguments families_arguments_;
  ScenariosListArguments list_arguments_;
  ScenariosShowArguments show_arguments_;
  ScenariosValidateArguments validate_arguments_;
  ConformanceArguments conformance_arguments_;
  std::string disk_ = "sim";
  ContractArguments contract_arguments_;
  SelftestArguments selftest_arguments_;
  ExploreArguments explore_arguments_;
};

}  // namespace

std::variant<Arguments, UsageError> parse_arguments(const std::vector<std::string>& words) {
  return Parser().parse(words);
}

}  // namespace qk::cli
