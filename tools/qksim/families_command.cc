#include "families/base/strings.h"
#include "families/base/suggest.h"
#include "tools/qksim/family_argument.h"
#include "tools/qksim/padded.h"
#include "tools/qksim/verbs.h"

namespace qk::cli {
namespace {

std::string_view volatility_text(families::Volatility volatility) {
  return volatility == families::Volatility::kDurable ? "durable"
                                                      : "volatile: nothing survives a crash";
}

void show(const families::FamilyDescriptor& family, std::ostream& out) {
  out << "family   " << family.name << "\n"
      << "format   " << family.format_version << "\n"
      << "storage  " << volatility_text(family.volatility) << "\n"
      << "root     " << join(family.root_names) << "\n";
  for (const families::OptionDescriptor& option : family.options) {
    out << "option   " << padded(option.name, 20) << " default " << option.default_value
        << ", allowed: " << option.allowed() << "\n";
  }
  for (const families::Refusal& refusal : family.refusals) {
    out << "refuses  " << refusal.image << "\n";
  }
  for (const families::UncheckedPath& path : family.unchecked) {
    std::string damage = path.bytes ? "a changed byte" : "";
    const auto also = [&](bool unseen, std::string_view what) {
      if (unseen) damage += cat(damage.empty() ? "" : ", nor ", what);
    };
    also(path.length, "that the file ends early");
    also(path.presence, "that the file is gone");
    also(path.tail, "that its last mutations are cut off");
    out << "unseen   " << path.prefix << ": the format cannot show " << damage << "\n";
  }
}

}  // namespace

ExitCode families_command(const FamiliesArguments& arguments, const Environment& environment) {
  if (!arguments.show.empty()) {
    const families::FamilyDescriptor* family = nullptr;
    const ExitCode code =
        find_family(environment, arguments.show, "families show", &family, Families::kSimulated);
    if (family != nullptr) show(*family, *environment.out);
    return code;
  }
  for (const families::FamilyDescriptor& family : environment.registry->all()) {
    *environment.out << padded(family.name, 10) << " format " << padded(family.format_version, 8)
                     << " " << volatility_text(family.volatility) << "\n";
  }
  return ExitCode::kOk;
}

}  // namespace qk::cli
