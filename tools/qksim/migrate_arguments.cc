#include "tools/qksim/argument_values.h"
#include "tools/qksim/verb_syntax.h"

namespace qk::cli {
namespace {

struct MigrateWords {
  MigrateArguments arguments;
  std::vector<std::string> uris;
  bool dry_run = false;
  bool status = false;
  bool abort = false;
};

constexpr char kMigrateHelp[] = "qksim help migrate";

void take_uris(const MigrateWords& words, bool copies, MigrateArguments& out) {
  const bool needs_from = copies && out.from_uris.empty();
  const bool needs_to = out.to_uris.empty();
  const size_t expected = size_t{needs_from} + size_t{needs_to};
  if (words.uris.size() != expected) {
    refuse(cat("migrate: found ", words.uris.size(), " URIs, expected ", expected,
               needs_from && needs_to ? ": from where and to where"
               : needs_from           ? ": from where; --dst-log-uri and so on say to where"
               : needs_to && copies   ? ": to where; --src-log-uri and so on say from where"
               : needs_to             ? ": the destination"
                                      : ": options say where"),
           "as in qksim migrate local:///srv/g1 sqlite:///srv/g1-sqlite --group G --peer P");
  }
  if (needs_from) out.from = words.uris.front();
  if (needs_to) out.to = words.uris.back();
}

MigrateArguments migrate_arguments(const MigrateWords& words) {
  MigrateArguments out = words.arguments;
  if (words.dry_run + words.status + words.abort > 1) {
    refuse("of --dry-run, --status and --abort more than one is given", kMigrateHelp);
  }
  if (words.dry_run) out.action = MigrateAction::kDryRun;
  if (words.status) out.action = MigrateAction::kStatus;
  if (words.abort) out.action = MigrateAction::kAbort;
  const bool copies = !words.status && !words.abort;
  take_uris(words, copies, out);
  if (!copies) {
    if (out.resume || out.fence_source || !out.from_uris.empty()) {
      refuse(cat(words.status ? "--status" : "--abort", " takes the destination alone"),
             kMigrateHelp);
    }
    return out;
  }
  if (out.group.empty()) refuse("--group is required", kMigrateHelp);
  if (out.peer.empty()) refuse("--peer is required", kMigrateHelp);
  return out;
}

}  // namespace

CommandSyntax migrate_syntax(Command& command) {
  const auto words = std::make_shared<MigrateWords>();
  MigrateArguments* const to = &words->arguments;
  CommandSyntax migrate("migrate", "Move a stopped node's storage to another family");
  migrate
      .positional("URI", &words->uris,
                  "From where and to where, as in local:///srv/g1 sqlite:///srv/g1-sqlite")
      .not_empty()
      .called("");
  add_uris(migrate, &to->from_uris, "--src", "Instead of the first URI");
  add_uris(migrate, &to->to_uris, "--dst", "Instead of the second URI");
  migrate.option("--group", "TEXT", &to->group, "The Raft group that the state belongs to")
      .not_empty();
  migrate
      .option("--peer", "TEXT", &to->peer,
              "The node that the state belongs to: ip:port[:index[:role]]")
      .not_empty();
  migrate.flag("--dry-run", &words->dry_run, "Check everything, read the source, copy nothing");
  migrate.flag("--resume", &to->resume,
               "Go on with what was interrupted or killed; otherwise begin");
  migrate.flag("--status", &words->status, "Say how far an unfinished migration to URI has come");
  migrate.flag("--abort", &words->abort, "Remove what an unfinished migration to URI has left");
  migrate.flag("--fence-source", &to->fence_source,
               "At the end make the source unusable under its name");
  migrate.flag("--accept-lost-vote", &to->accept_lost_vote,
               "Copy a state whose term is below its log's or snapshot's");
  migrate.flag("--accept-owner", &to->accept_owner,
               "The destination may belong to another user than the source");
  migrate
      .value("--progress", "FORM", progress_form(&to->progress),
             "auto (a line that is drawn again on a terminal, else one from time to time), plain "
             "(never drawn again) or none")
      .by_default("auto");
  migrate.finish = [words, &command](const Given&) { command = migrate_arguments(*words); };
  return migrate;
}

}  // namespace qk::cli
