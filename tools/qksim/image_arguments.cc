#include "tools/qksim/argument_values.h"
#include "tools/qksim/verb_syntax.h"

namespace qk::cli {
namespace {

constexpr char kPeer[] = "ip:port[:index[:role]]";

CommandSyntax export_syntax(Command& command) {
  const auto to = std::make_shared<ImageExportArguments>();
  CommandSyntax out("export", "Write a stopped node's state as an image");
  out.option("--from", "DIR", &to->from, "The family's root directory").not_empty();
  out.option("--family", "TEXT", &to->family, "The family that wrote it (qksim families list)")
      .not_empty();
  add_uris(out, &to->uris, "-", "Instead of a directory");
  out.option("--group", "TEXT", &to->group, "The Raft group that the state belongs to")
      .not_empty()
      .required();
  out.option("--peer", "TEXT", &to->peer, cat("The node that the state belongs to: ", kPeer))
      .required();
  out.option("-o,--output", "IMG", &to->output, "The image").required();
  out.flag("--accept-lost-vote", &to->accept_lost_vote,
           "Export a state whose term is below its log's or snapshot's");
  out.finish = [to, &command](const Given&) { command = *to; };
  return out;
}

CommandSyntax import_syntax(Command& command) {
  const auto to = std::make_shared<ImageImportArguments>();
  CommandSyntax import("import", "Make a new instance from an image");
  import.positional("IMG", &to->image, "The image").required();
  import.option("--family", "TEXT", &to->family, "The family to make (qksim families list)")
      .not_empty();
  import.option("-d,--directory", "DIR", &to->directory, "Root of the new instance").not_empty();
  add_uris(import, &to->uris, "-", "Instead of a directory");
  import.option("--group", "TEXT", &to->group, "The Raft group that the image must be of")
      .not_empty();
  import.option("--peer", "TEXT", &to->peer, cat("The node that the image must be of: ", kPeer))
      .not_empty();
  import.finish = [ to, &command ](const Given&) { command = *to;
};
return import;
}  // namespace

CommandSyntax inspect_syntax(Command& command) {
  const auto to = std::make_shared<ImageInspectArguments>();
  CommandSyntax inspect("inspect", "Say what an image holds");
  inspect.positional("IMG", &to->image, "The image").required();
  inspect.finish = [to, &command](const Given&) { command = *to; };
  return inspect;
}

CommandSyntax verify_syntax(Command& command) {
  const auto to = std::make_shared<ImageVerifyArguments>();
  CommandSyntax verify("verify", "Check every byte of an image");
  verify.positional("IMG", &to->image, "The image").required();
  verify.option("--from", "DIR", &to->from, "An instance that must hold the same").not_empty();
  verify.option("--family", "TEXT", &to->family, "The family of that instance").not_empty();
  add_uris(verify, &to->uris, "-", "Instead of a directory");
  verify.finish = [to, &command](const Given&) { command = *to; };
  return verify;
}

}  // namespace qk::cli

CommandSyntax image_syntax(Command& command) {
  CommandSyntax image("image", "Work with bootstrap images");
  image.needs_command = true;
  image.commands = {export_syntax(command), import_syntax(command), inspect_syntax(command),
                    verify_syntax(command)};
  return image;
}

}  // namespace qk::cli
