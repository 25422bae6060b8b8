#include "tools/qksim/image_command.h"

#include <algorithm>
#include <memory>
#include <new>
#include <optional>

#include "families/base/bytes.h"
#include "families/base/printable.h"
#include "families/fs/file_util.h"
#include "image/exporter.h"
#include "image/identity.h"
#include "image/importer.h"
#include "tools/qksim/image_messages.h"
#include "tools/qksim/image_source.h"
#include "tools/qksim/source_guard.h"
#include "tools/qksim/step_progress.h"
#include "tools/qksim/storage_argument.h"

namespace qk::cli {
namespace {

using image::ImageTotals;
using image::VerifiedImage;

// Of what was exported: files that are not in the table included.
std::string describe_export(const image::Exporter& exporter) {
  const image::ExportCut& cut = exporter.cut();
  image::SnapshotHead snapshot;
  if (cut.snapshot != nullptr) snapshot = {cut.snapshot->meta(), exporter.totals().files};
  return describe_state(cut.first, cut.last, cut.hard_state, snapshot);
}

// Writes an image only if the source was left alone until its end, and remembers whether an error
// was its own or the file's.
class GuardedSink final : public image::Sink {
 public:
  GuardedSink(families::FileSystem* fs, const std::string& path, std::string unique,
              const ImageSource* source)
      : file_(fs, path, std::move(unique)), source_(source) {}
  absl::Status append(std::string_view bytes) override { return note(file_.append(bytes)); }
  absl::Status finish() override {
    QK_RETURN_IF_ERROR(source_->check());
    return note(file_.finish());
  }
  absl::Status discard() { return file_.discard(); }
  bool write_failed() const { return write_failed_; }

 private:
  absl::Status note(absl::Status status) {
    write_failed_ = write_failed_ || !status.ok();
    return status;
  }

  image::FileSink file_;
  const ImageSource* source_;
  bool write_failed_ = false;
};

// Out of memory unwinds past every error path; what was half made is then removed here. discard()
// does nothing after an end that was told.
template <typename Made>
class Discarding {
 public:
  explicit Discarding(Made* made) : made_(made) {}
  Discarding(const Discarding&) = delete;
  Discarding& operator=(const Discarding&) = delete;
  ~Discarding() {
    try {
      made_->discard().IgnoreError();
    } catch (const std::bad_alloc&) {
      // Then it stays, under a name that says what it is.
    }
  }

 private:
  Made* made_;
};

// Whether an image may be written at `output`; asked before any work.
absl::Status check_output(families::FileSystem& fs, const std::string& output,
                          const std::string& root) {
  QK_ASSIGN_OR_RETURN(const bool link, fs.is_symlink(output));
  if (link) return absl::AlreadyExistsError("is a symbolic link; it is not followed");
  QK_ASSIGN_OR_RETURN(const bool there, families::exists(fs, output));
  if (there) return absl::AlreadyExistsError("exists; an image is never overwritten");
  QK_ASSIGN_OR_RETURN(const std::string parent, fs.real_path(families::parent_path(output)));
  if (parent == root || parent.starts_with(root + "/")) {
    return absl::FailedPreconditionError(cat("lies in the source ", root, ", which is only read"));
  }
  return fs.check_writable(parent);
}

// Temporary files of exports to `output` that were killed: no process holds their lock.
void say_leftovers(const Environment& environment, const std::string& output) {
  families::FileSystem& fs = *environment.fs;
  const std::string directory(families::parent_path(output));
  const std::string prefix = cat(families::base_name(output), ".");
  const auto names = fs.list(directory);
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    constexpr std::string_view kSuffix = ".tmp";
    if (!name.starts_with(prefix) || !name.ends_with(kSuffix) ||
        name.size() != prefix.size() + 16 + kSuffix.size() ||
        name.find_first_not_of("0123456789abcdef", prefix.size()) != prefix.size() + 16) {
      continue;
    }
    const std::string path = families::join_path(directory, name);
    const auto link = fs.is_symlink(path);
    const auto before = fs.stat(path);
    // Another export has just made it, and may not have locked it yet, or is about to give it its
    // final name: a look at the lock would be in its way.
    if (!link.ok() || *link || !before.ok() || changed_lately(*before)) continue;
    const auto lock = fs.lock(path);
    if (!lock.ok()) continue;
    // An export may have given its file the final name just now; then the lock made a new one.
    if (const auto now = fs.stat(path); now.ok() && now->inode != before->inode) {
      fs.unlink(path).IgnoreError();
      continue;
    }
    note(environment, cat(path, " is what a stopped export left; it may be removed"));
  }
}

// What an import that failed, and that could not be taken back, has left.
std::string what_is_left(families::FileSystem& fs, const std::string& root,
                         const absl::Status& discarded) {
  const std::string why = cat(" (", to_std(discarded.message()), ")");
  const auto sidecar = image::read_sidecar(fs, root);
  if (!sidecar.ok()) return cat("what is left in ", root, " cannot be looked at", why);
  if (!*sidecar) return cat("nothing was imported, but ", root, " could not be cleaned up", why);
  if ((*sidecar)->state == image::InstanceState::kImporting) {
    return cat("what is left in ", root, " is marked as importing and does not open", why);
  }
  return cat(root, " holds an instance in state ", image::to_string((*sidecar)->state),
             " that was not confirmed and could not be taken back; remove it", why);
}

// Reads what the image holds once more, for the sum that an exporter makes of an instance.
absl::StatusOr<Xxh3Stream::Value> content_of(const image::Source& source) {
  image::ImageReader reader(&source, image::Hashing::kXxh3);
  while (true) {
    QK_ASSIGN_OR_RETURN(const auto item, reader.next());
    if (item == image::ImageReader::Item::kEnd) return reader.content_xxh3();
  }
}

// Whether the instance `at` holds exactly what the image does.
ExitCode compare_instance(const Environment& environment, StorageArgument at,
                          const image::Source& image, const VerifiedImage& verified) {
  std::unique_ptr<ImageSource> source;
  if (ExitCode code = ImageSource::find(environment, std::move(at), &source);
      code != ExitCode::kOk) {
    return code;
  }
  if (ExitCode code = source->watch(); code != ExitCode::kOk) return code;
  const std::string& root = source->root();
  const image::ImageHeader& header = verified.header;
  const auto failed = [&](const absl::Status& status) {
    return fail(environment,
                absl::IsCancelled(status) ? ExitCode::kInterrupted : code_of_input(status), root,
                status);
  };
  const auto family = source->open(header.identity);
  if (!family.ok()) return failed(family.status());
  auto cut = image::ExportCut::capture(**family, 0);
  if (!cut.ok()) return failed(cut.status());
  cut->accept_lost_vote = true;  // what is asked is whether the two are equal
  image::NullSink sink;
  image::Exporter exporter(family->get(), *std::move(cut), header.identity, header.source_family,
                           header.source_format_version, &sink, image::Hashing::kXxh3);
  if (const absl::Status status = run_steps(exporter, environment); !status.ok()) {
    return failed(status);
  }
  if (const absl::Status status = source->check(); !status.ok()) return failed(status);
  const auto expected = content_of(image);
  if (!expected.ok()) return failed(expected.status());
  const ImageTotals& found = exporter.totals();
  if (exporter.content_xxh3() != *expected ||
      found.content_bytes != verified.totals.content_bytes) {
    return fail(
        environment, ExitCode::kViolated, root,
        absl::FailedPreconditionError(cat(
            "differs from the image: found ", describe_export(exporter), " in ",
            found.content_bytes, " bytes, expected ",
            describe_state(header.first_index, header.last_index, verified.hard_state,
                           verified.snapshot),
            " in ", verified.totals.content_bytes, " bytes",
            found.content_bytes == verified.totals.content_bytes ? " with other contents" : "")));
  }
  *environment.out << "PASS  " << source->family().name << " " << printable(root)
                   << " holds the same\n";
  return ExitCode::kOk;
}

}  // namespace

ExitCode image_export(const ImageExportArguments& arguments, const Environment& environment) {
  StorageArgument from;
  if (ExitCode code = find_storage(environment, arguments.family, arguments.from, "--from",
                                   arguments.uris, &from);
      code != ExitCode::kOk) {
    return code;
  }
  std::string peer;
  if (ExitCode code = parse_peer(environment, arguments.peer, &peer); code != ExitCode::kOk) {
    return code;
  }
  families::FileSystem& fs = *environment.fs;
  std::unique_ptr<ImageSource> source;
  if (ExitCode code = ImageSource::find(environment, std::move(from), &source);
      code != ExitCode::kOk) {
    return code;
  }
  const std::string& root = source->root();
  const std::string output = absolute_path(environment, arguments.output);
  for (const std::string& directory : source->directories()) {
    if (const absl::Status place = check_output(fs, output, directory); !place.ok()) {
      return fail(environment, ExitCode::kCannotWrite, output, place);
    }
  }
  StateToCopy state;
  if (ExitCode code = source->begin(arguments.group, peer, arguments.accept_lost_vote, &state);
      code != ExitCode::kOk) {
    return code;
  }
  say_leftovers(environment, output);

  GuardedSink sink(&fs, output, cat(hex16(environment.random_seed())), source.get());
  const Discarding<GuardedSink> discarding(&sink);
  image::Exporter exporter(state.family.get(), std::move(state.cut), state.identity,
                           source->family().name, source->family().format_version, &sink);
  if (const absl::Status status = run_steps(exporter, environment); !status.ok()) {
    const absl::Status discarded = sink.discard();
    const std::string hint = discarded.ok()
                                 ? "no image was written"
                                 : cat("no image was written, but its temporary file is left: ",
                                       to_std(discarded.message()));
    if (absl::IsCancelled(status)) {
      return fail(environment, ExitCode::kInterrupted, root, status, hint);
    }
    if (sink.write_failed()) {
      return fail(environment, ExitCode::kCannotWrite, output, status, hint);
    }
    return fail(environment, code_of_input(status), root, status, hint);
  }
  const auto& snapshot = exporter.cut().snapshot;
  source->say_left_out(snapshot == nullptr ? std::string() : snapshot->get_path());
  *environment.out << "export    " << source->family().name << " " << printable(root) << " -> "
                   << printable(output) << "\n"
                   << "  identity  " << printable(image::to_string(state.identity)) << "\n"
                   << "  state     " << printable(describe_export(exporter)) << "\n";
  if (!state.vote.ok()) print_lost_vote(environment);
  print_totals(environment, exporter.totals());
  return ExitCode::kOk;
}

ExitCode image_import(const ImageImportArguments& arguments, const Environment& environment) {
  StorageArgument to;
  if (ExitCode code = find_storage(environment, arguments.family, arguments.directory,
                                   "--directory", arguments.uris, &to);
      code != ExitCode::kOk) {
    return code;
  }
  const families::FamilyDescriptor* const family = to.family;
  std::string peer;
  if (!arguments.peer.empty()) {
    if (ExitCode code = parse_peer(environment, arguments.peer, &peer); code != ExitCode::kOk) {
      return code;
    }
  }
  families::FileSystem& fs = *environment.fs;
  const std::string path = absolute_path(environment, arguments.image);
  const std::string& root = to.root;
  if (to.parts.split()) {
    return fail(environment, ExitCode::kUsage, root,
                absl::InvalidArgumentError(
                    cat("the parts of the new instance do not lie in one directory: found ",
                        to.parts.log, ", ", to.parts.raft_meta, ", ", to.parts.snapshot,
                        "; an import appears by one rename, so it needs one")),
                "import into one directory, then move its parts");
  }
  if (ExitCode code = refuse_volatile(environment, *family, root); code != ExitCode::kOk) {
    return code;
  }
  const auto source = image::FileSource::open(fs, path);
  if (!source.ok()) return fail(environment, ExitCode::kNoInput, path, source.status());
  // The instance must not have wider permissions than the image.
  if (const auto stat = fs.stat(path); stat.ok()) {
    environment.narrow_modes(closed_modes(*stat));
  }
  image::ImageReader reader(source->get());
  const std::string nothing = "nothing was imported";
  if (const absl::Status status = reader.open(); !status.ok()) {
    return fail(environment, code_of_input(status), path, status, nothing);
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
  if (const absl::Status status =
          image::check_empty_destination(fs, root, families::with_parts(*family, to.parts));
      !status.ok()) {
    return fail(environment, ExitCode::kCannotWrite, root, status, nothing);
  }

  image::ImportRequest request;
  request.registry = environment.registry;
  request.fs = &fs;
  request.root = root;
  request.family = family->name;
  request.parts = to.parts;
  request.identity = expected;
  // A fresh one each time that the same image goes into the same directory: intents and manifests
  // name instances, and must not name an earlier one.
  request.instance = image::fresh_id(environment.random_seed);
  image::Importer importer(std::move(request), source->get());
  const Discarding<image::Importer> discarding(&importer);
  if (const absl::Status status = run_steps(importer, environment); !status.ok()) {
    const absl::Status discarded = importer.discard();
    const std::string left = discarded.ok() ? nothing : what_is_left(fs, root, discarded);
    if (absl::IsCancelled(status)) {
      return fail(environment, ExitCode::kInterrupted, root, status, left);
    }
    // The destination is looked at once more before the image, and may have been taken meanwhile.
    if (!importer.verified() && !absl::IsAlreadyExists(status)) {
      return fail(environment, code_of_input(status), path, status, left);
    }
    return fail(environment, ExitCode::kCannotWrite, root, status, left);
  }
  if (importer.replaced_leftover()) {
    note(environment, cat(root, " held what a stopped import had left; it was replaced"));
  }
  *environment.out << "import    " << printable(path) << " -> " << family->name << " "
                   << printable(root) << "\n";
  print_identity(environment, importer.header());
  if (importer.header().features.lost_vote) print_lost_vote(environment);
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
    return fail(environment, code_of_input(verified.status()), path, verified.status());
  }
  *environment.out << "image     " << printable(path) << "\n";
  print_image(environment, *verified);
  return ExitCode::kOk;
}

ExitCode image_verify(const ImageVerifyArguments& arguments, const Environment& environment) {
  std::optional<StorageArgument> at;  // what must hold the same
  if (!arguments.from.empty() || !arguments.family.empty() || !arguments.uris.empty()) {
    if (ExitCode code = find_storage(environment, arguments.family, arguments.from, "--from",
                                     arguments.uris, &at.emplace());
        code != ExitCode::kOk) {
      return code;
    }
  }
  const std::string path = absolute_path(environment, arguments.image);
  const auto source = image::FileSource::open(*environment.fs, path);
  if (!source.ok()) return fail(environment, ExitCode::kNoInput, path, source.status());
  const auto verified = image::verify_image(**source);
  if (!verified.ok()) {
    const ExitCode code = code_of_input(verified.status());
    return fail(environment, code == ExitCode::kData ? ExitCode::kViolated : code, path,
                verified.status());
  }
  const ImageTotals& totals = verified->totals;
  *environment.out << "PASS  " << printable(path) << ": " << totals.entries << " entries, "
                   << totals.files << (totals.files == 1 ? " file, " : " files, ")
                   << totals.content_bytes << " bytes of content, sha256 "
                   << image::to_hex(totals.content_sha256) << "\n";
  if (verified->header.features.lost_vote) print_lost_vote(environment);
  if (!at) return ExitCode::kOk;
  return compare_instance(environment, *std::move(at), **source, *verified);
}

}  // namespace qk::cli
