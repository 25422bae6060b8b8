#include "cli/image_command.h"

#include <algorithm>
#include <memory>

#include "cli/family_argument.h"
#include "cli/source_guard.h"
#include "families/fs/file_util.h"
#include "families/fs/overlay_file_system.h"
#include "image/exporter.h"
#include "image/identity.h"
#include "image/importer.h"

namespace qk::cli {
namespace {

using image::ImageTotals;
using image::VerifiedImage;

// "where: error: what"; a `what` that begins with where does not say it twice.
ExitCode fail(const Environment& environment, ExitCode code, const std::string& where,
              const absl::Status& status, const std::string& hint = "") {
  std::string_view what = to_std(status.message());
  if (what.starts_with(where + ": ")) what.remove_prefix(where.size() + 2);
  *environment.err << where << ": "
                   << (environment.colour_err ? "\x1b[31merror:\x1b[0m " : "error: ") << what
                   << "\n";
  if (!hint.empty()) *environment.err << "hint: " << hint << "\n";
  return code;
}

// An image that reads well and is wrong is bad data; one that does not read is no input.
ExitCode code_of_image(const absl::Status& status) {
  return absl::IsDataLoss(status) || absl::IsInvalidArgument(status) ? ExitCode::kData
                                                                     : ExitCode::kNoInput;
}

// "entries 8636..12068, term 3, vote nobody, snapshot 8635/3 with 1 file"
std::string describe_state(int64_t first, int64_t last, const families::HardState& hard_state,
                           const image::SnapshotHead& snapshot) {
  const std::string log =
      last < first ? cat("no entries, next index ", first) : cat("entries ", first, "..", last);
  const std::string vote = hard_state.voted_for.empty() ? "nobody" : hard_state.voted_for;
  std::string tree = "no snapshot";
  if (snapshot.meta) {
    tree =
        cat("snapshot ", snapshot.meta->last_included_index, "/", snapshot.meta->last_included_term,
            " with ", snapshot.files, snapshot.files == 1 ? " file" : " files");
  }
  return cat(log, ", term ", hard_state.term, ", vote ", vote, ", ", tree);
}

void print_totals(const Environment& environment, const ImageTotals& totals) {
  *environment.out << "  content   " << totals.entries << " entries, " << totals.files
                   << (totals.files == 1 ? " file of " : " files of ") << totals.file_bytes
                   << " bytes, " << totals.content_bytes << " bytes in all\n"
                   << "  content sha256  " << image::to_hex(totals.content_sha256) << "\n"
                   << "  state digest    " << image::to_hex(totals.state) << "\n";
}

void print_identity(const Environment& environment, const image::ImageHeader& header) {
  *environment.out << "  identity  " << image::to_string(header.identity) << ", cut "
                   << header.cut_seq << "\n"
                   << "  source    family " << header.source_family << ", format "
                   << header.source_format_version << "\n";
}

void print_image(const Environment& environment, const VerifiedImage& verified) {
  const image::ImageHeader& header = verified.header;
  *environment.out << "  format    " << header.format_major << "." << header.format_minor << "\n";
  print_identity(environment, header);
  *environment.out << "  state     "
                   << describe_state(header.first_index, header.last_index, verified.hard_state,
                                     verified.snapshot)
                   << "\n";
  print_totals(environment, verified.totals);
}

// Writes an image only if the source was left alone until its end, and remembers whether an error
// was its own or the file's.
class GuardedSink final : public image::Sink {
 public:
  GuardedSink(families::FileSystem* fs, const std::string& path, const SourceGuard* guard)
      : file_(fs, path), guard_(guard) {}
  absl::Status append(std::string_view bytes) override { return note(file_.append(bytes)); }
  absl::Status finish() override {
    QK_RETURN_IF_ERROR(guard_->check());
    return note(file_.finish());
  }
  bool write_failed() const { return write_failed_; }

 private:
  absl::Status note(absl::Status status) {
    write_failed_ = write_failed_ || !status.ok();
    return status;
  }

  image::FileSink file_;
  const SourceGuard* guard_;
  bool write_failed_ = false;
};

// Whose state lies at `root`: what the sidecar says, and for a bare directory what the caller says.
absl::StatusOr<image::Identity> identity_at(families::FileSystem& fs, const std::string& root,
                                            const std::string& group, const std::string& peer) {
  image::Identity identity{group, peer, "", 0};
  QK_ASSIGN_OR_RETURN(const std::optional<image::Sidecar> sidecar, image::read_sidecar(fs, root));
  if (sidecar) {
    identity.lineage = sidecar->identity.lineage;
    identity.generation = sidecar->identity.generation;
    QK_RETURN_IF_ERROR(image::check_identity(root, sidecar->identity, identity));
  }
  return identity;
}

ExitCode parse_peer(const Environment& environment, const std::string& text, std::string* peer) {
  auto canonical = families::canonical_peer(text);
  if (!canonical.ok() || canonical->empty()) {
    print_error(environment, cat("--peer \"", text,
                                 "\": expected ip:port, ip:port:index or "
                                 "ip:port:index:role"));
    return ExitCode::kUsage;
  }
  *peer = *std::move(canonical);
  return ExitCode::kOk;
}

// no directory holds an instance of a volatile family, and none can be left in one.
ExitCode refuse_volatile(const Environment& environment, const families::FamilyDescriptor& family,
                         const std::string& root) {
  if (family.volatility == families::Volatility::kDurable) return ExitCode::kOk;
  return fail(
      environment, ExitCode::kUsage, root,
      absl::FailedPreconditionError(cat(
          "family ", family.name, " is volatile: an instance ends with the process that made it")),
      "volatile families are for scenarios");
}

}  // namespace

ExitCode image_export(const ImageExportArguments& arguments, const Environment& environment) {
  const families::FamilyDescriptor* family = nullptr;
  if (ExitCode code = find_family(environment, arguments.family, "--family", &family);
      code != ExitCode::kOk) {
    return code;
  }
  std::string peer;
  if (ExitCode code = parse_peer(environment, arguments.peer, &peer); code != ExitCode::kOk) {
    return code;
  }
  families::FileSystem& fs = *environment.fs;
  const std::string root = absolute_path(environment, arguments.from);
  if (ExitCode code = refuse_volatile(environment, *family, root); code != ExitCode::kOk) {
    return code;
  }
  const std::string output = absolute_path(environment, arguments.output);
  if (const auto stat = fs.stat(root); !stat.ok()) {
    return fail(environment, ExitCode::kNoInput, root, stat.status());
  }
  if (const auto there = families::exists(fs, output); !there.ok() || *there) {
    return fail(environment, ExitCode::kCannotWrite, output,
                there.ok() ? absl::AlreadyExistsError("exists; an image is never overwritten")
                           : there.status());
  }
  const auto identity = identity_at(fs, root, arguments.group, peer);
  if (!identity.ok()) return fail(environment, ExitCode::kData, root, identity.status());
  const auto guard = SourceGuard::watch(fs, root);
  if (!guard.ok()) return fail(environment, ExitCode::kNoInput, root, guard.status());

  families::OverlayFileSystem overlay(&fs);
  families::OpenRequest request;
  request.fs = &overlay;
  request.root = root;
  auto source = image::open_instance(*environment.registry, request, family->name, *identity);
  if (!source.ok()) return fail(environment, ExitCode::kNoInput, root, source.status());
  auto cut = image::ExportCut::capture(**source, 0);
  if (!cut.ok()) return fail(environment, ExitCode::kNoInput, root, cut.status());

  const image::SnapshotHead snapshot =
      cut->snapshot == nullptr
          ? image::SnapshotHead{}
          : image::SnapshotHead{cut->snapshot->meta(), cut->snapshot->files().size()};
  const std::string state = describe_state(cut->first, cut->last, cut->hard_state, snapshot);
  GuardedSink sink(&fs, output, &*guard);
  image::Exporter exporter(source->get(), *std::move(cut), *identity, family->name,
                           family->format_version, &sink);
  if (const absl::Status status = exporter.run(); !status.ok()) {
    fs.unlink(cat(output, ".tmp")).IgnoreError();
    if (sink.write_failed()) return fail(environment, ExitCode::kCannotWrite, output, status);
    return fail(environment, code_of_image(status), root, status, "no image was written");
  }
  *environment.out << "export    " << family->name << " " << root << " -> " << output << "\n"
                   << "  identity  " << image::to_string(*identity) << "\n"
                   << "  state     " << state << "\n";
  print_totals(environment, exporter.totals());
  return ExitCode::kOk;
}

ExitCode image_import(const ImageImportArguments& arguments, const Environment& environment) {
  const families::FamilyDescriptor* family = nullptr;
  if (ExitCode code = find_family(environment, arguments.family, "--family", &family);
      code != ExitCode::kOk) {
    return code;
  }
  std::string peer;
  if (!arguments.peer.empty()) {
    if (ExitCode code = parse_peer(environment, arguments.peer, &peer); code != ExitCode::kOk) {
      return code;
    }
  }
  families::FileSystem& fs = *environment.fs;
  const std::string path = absolute_path(environment, arguments.image);
  const std::string root = absolute_path(environment, arguments.directory);
  if (ExitCode code = refuse_volatile(environment, *family, root); code != ExitCode::kOk) {
    return code;
  }
  const auto source = image::FileSource::open(fs, path);
  if (!source.ok()) return fail(environment, ExitCode::kNoInput, path, source.status());
  image::ImageReader reader(source->get());
  const std::string nothing = "nothing was imported";
  if (const absl::Status status = reader.open(); !status.ok()) {
    return fail(environment, code_of_image(status), path, status, nothing);
  }
  // Lineage and generation come with the image: the command line names a node, not an attempt.
  image::Identity expected = reader.header().identity;
  if (!arguments.group.empty()) expected.group_id = arguments.group;
  if (!peer.empty()) expected.peer_id = peer;
  if (const absl::Status status =
          image::check_identity("image", reader.header().identity, expected);
      !status.ok()) {
    return fail(environment, ExitCode::kData, path, status, nothing);
  }
  if (const absl::Status status = image::check_empty_destination(fs, root, *family); !status.ok()) {
    return fail(environment, ExitCode::kCannotWrite, root, status, nothing);
  }

  image::ImportRequest request;
  request.registry = environment.registry;
  request.fs = &fs;
  request.root = root;
  request.family = family->name;
  request.identity = expected;
  // Of its own, however often the same image goes into the same directory: intents and manifests
  // name instances, and must not mean an earlier one.
  request.instance = image::fresh_id(environment.random_seed);
  image::Importer importer(std::move(request), source->get());
  if (const absl::Status status = importer.run(); !status.ok()) {
    importer.discard().IgnoreError();
    if (!importer.verified()) {
      return fail(environment, code_of_image(status), path, status, nothing);
    }
    return fail(environment, ExitCode::kCannotWrite, root, status, nothing);
  }
  *environment.out << "import    " << path << " -> " << family->name << " " << root << "\n";
  print_identity(environment, importer.header());
  print_totals(environment, importer.totals());
  *environment.out << "PASS  read back from " << family->name << ": content equal, "
                   << importer.totals().entries << " entries and " << importer.totals().files
                   << (importer.totals().files == 1 ? " file" : " files") << " compared\n";
  return ExitCode::kOk;
}

ExitCode image_inspect(const ImageInspectArguments& arguments, const Environment& environment) {
  const std::string path = absolute_path(environment, arguments.image);
  const auto source = image::FileSource::open(*environment.fs, path);
  if (!source.ok()) return fail(environment, ExitCode::kNoInput, path, source.status());
  const auto verified = image::verify_image(**source);
  if (!verified.ok()) {
    return fail(environment, code_of_image(verified.status()), path, verified.status());
  }
  *environment.out << "image     " << path << "\n";
  print_image(environment, *verified);
  return ExitCode::kOk;
}

ExitCode image_verify(const ImageVerifyArguments& arguments, const Environment& environment) {
  const std::string path = absolute_path(environment, arguments.image);
  const auto source = image::FileSource::open(*environment.fs, path);
  if (!source.ok()) return fail(environment, ExitCode::kNoInput, path, source.status());
  const auto verified = image::verify_image(**source);
  if (!verified.ok()) {
    const ExitCode code = code_of_image(verified.status());
    return fail(environment, code == ExitCode::kData ? ExitCode::kViolated : code, path,
                verified.status());
  }
  const ImageTotals& totals = verified->totals;
  *environment.out << "PASS  " << path << ": " << totals.entries << " entries, " << totals.files
                   << (totals.files == 1 ? " file, " : " files, ") << totals.content_bytes
                   << " bytes of content, sha256 " << image::to_hex(totals.content_sha256) << "\n";
  return ExitCode::kOk;
}

}  // namespace qk::cli
