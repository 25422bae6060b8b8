#include "image/importer.h"

#include <algorithm>
#include <cerrno>

#include "families/base/check.h"
#include "families/contract/uri.h"
#include "families/fs/file_util.h"

namespace qk::image {
namespace {

absl::Status annotate_if(const absl::Status& status, std::string_view what) {
  return status.ok() ? status : annotate(status, what);
}

absl::Status failure(const families::Outcome& outcome, std::string_view what) {
  return annotate_if(outcome.status(), what);
}

}  // namespace

Importer::Importer(ImportRequest request, const Source* source)
    : request_(std::move(request)),
      source_(source),
      staging_(families::join_path(request_.root, kStagingName)),
      where_(staging_) {
  QK_CHECK(request_.read_back || request_.final_state == InstanceState::kImporting);
}

Importer::~Importer() = default;

absl::StatusOr<bool> Importer::step(int64_t max_entries) {
  QK_CHECK(max_entries >= 1);
  QK_RETURN_IF_ERROR(failed_);
  auto finished = step_inner(max_entries);
  failed_ = finished.status();
  return finished;
}

absl::Status Importer::run() {
  constexpr int64_t kStep = 1 << 20;
  while (true) {
    QK_ASSIGN_OR_RETURN(const bool finished, step(kStep));
    if (finished) return absl::OkStatus();
  }
}

absl::StatusOr<bool> Importer::step_inner(int64_t max_entries) {
  int64_t budget = max_entries;
  switch (stage_) {
    case Stage::kVerify:
      QK_RETURN_IF_ERROR(verify(&budget));
      return false;
    case Stage::kPrepare:
      QK_RETURN_IF_ERROR(prepare());
      return false;
    case Stage::kWrite:
      QK_RETURN_IF_ERROR(write(&budget));
      return false;
    case Stage::kReopen:
      QK_RETURN_IF_ERROR(reopen());
      return false;
    case Stage::kCompare:
      QK_RETURN_IF_ERROR(compare(max_entries));
      return false;
    case Stage::kCommit:
      QK_RETURN_IF_ERROR(commit());
      return true;
    case Stage::kDone:
      return true;
  }
  return absl::InternalError("import: unknown stage");
}

absl::Status Importer::verify(int64_t* budget) {
  if (reader_ == nullptr) {
    QK_ASSIGN_OR_RETURN(const auto* family, request_.registry->get(request_.family));
    if (request_.parts.split()) {
      return absl::InvalidArgumentError(
          cat("import into ", request_.root, ": parts outside of it cannot appear with it"));
    }
    descriptor_ = families::with_parts(*family, request_.parts);
    for (const std::string& name : descriptor_->root_names) {
      if (!is_reserved_name(name)) continue;
      return absl::InvalidArgumentError(
          cat("import into ", request_.root, ": a part cannot be called ", name));
    }
    QK_RETURN_IF_ERROR(check_empty_destination(*request_.fs, request_.root, *descriptor_));
    if (request_.known) {
      header_ = request_.known->header;
      totals_ = request_.known->totals;
      content_xxh3_ = request_.known->content_xxh3;
      QK_RETURN_IF_ERROR(
          check_identity(cat("image ", source_->name()), header_.identity, request_.identity));
      stage_ = Stage::kPrepare;
      return absl::OkStatus();
    }
    reader_ = std::make_unique<ImageReader>(source_, Hashing::kBoth);
    QK_RETURN_IF_ERROR(reader_->open());
    header_ = reader_->header();
    QK_RETURN_IF_ERROR(
        check_identity(cat("image ", source_->name()), header_.identity, request_.identity));
  }
  while (*budget > 0) {
    QK_ASSIGN_OR_RETURN(const ImageReader::Item item, reader_->next());
    if (item == ImageReader::Item::kEnd) {
      totals_ = reader_->totals();
      content_xxh3_ = reader_->content_xxh3();
      stage_ = Stage::kPrepare;
      return absl::OkStatus();
    }
    *budget -=
        item == ImageReader::Item::kEntries ? static_cast<int64_t>(reader_->entries().size()) : 1;
  }
  return absl::OkStatus();
}

absl::Status Importer::prepare() {
  families::FileSystem& fs = *request_.fs;
  const std::string& root = request_.root;
  QK_ASSIGN_OR_RETURN(const bool there, families::exists(fs, root));
  QK_RETURN_IF_ERROR(families::make_directories(fs, root));
  created_ = !there;
  auto lock = fs.lock_directory(root);
  if (absl::IsUnavailable(lock.status())) {
    return absl::UnavailableError(cat("destination ", root, " is locked by another import"));
  }
  QK_RETURN_IF_ERROR(lock.status());
  lock_ = *std::move(lock);
  QK_RETURN_IF_ERROR(check_empty_destination(fs, root, *descriptor_));
  QK_ASSIGN_OR_RETURN(const std::optional<Sidecar> found, read_sidecar(fs, root));
  if (found) {
    QK_RETURN_IF_ERROR(
        check_identity(cat("destination ", root), found->identity, request_.identity));
    replaced_leftover_ = found->state == InstanceState::kImporting;
    if (!replaced_leftover_) reserved_ = found;
  }
  staged_ = true;
  if (replaced_leftover_) QK_RETURN_IF_ERROR(clear_instance(fs, root, *descriptor_));
  QK_RETURN_IF_ERROR(write_state(root, InstanceState::kImporting));
  QK_RETURN_IF_ERROR(fs.mkdir(staging_));
  // The staging directory must not open by its own name either.
  QK_RETURN_IF_ERROR(write_state(staging_, InstanceState::kImporting));
  QK_ASSIGN_OR_RETURN(family_, open(true));
  reader_ = std::make_unique<ImageReader>(source_, Hashing::kXxh3);
  stage_ = Stage::kWrite;
  return absl::OkStatus();
}

absl::Status Importer::write_state(const std::string& directory, InstanceState state) {
  return write_sidecar(*request_.fs, directory,
                       {request_.identity, request_.family, request_.instance, state});
}

absl::StatusOr<std::unique_ptr<families::Family>> Importer::open(bool create) {
  families::OpenRequest request;
  request.fs = request_.fs;
  request.root = where_;
  request.create = create;
  request.options = request_.options;
  request.parts = request_.parts;
  // Not open_instance(): it refuses what is being imported, and must.
  return families::open_family(*request_.registry, request_.family, request);
}

absl::Status Importer::write(int64_t* budget) {
  while (*budget > 0) {
    QK_ASSIGN_OR_RETURN(const ImageReader::Item item, reader_->next());
    QK_RETURN_IF_ERROR(write_item(item));
    if (item == ImageReader::Item::kEnd) {
      stage_ = request_.read_back ? Stage::kReopen : Stage::kCommit;
      return absl::OkStatus();
    }
    *budget -=
        item == ImageReader::Item::kEntries ? static_cast<int64_t>(reader_->entries().size()) : 1;
  }
  return absl::OkStatus();
}

absl::Status Importer::write_item(ImageReader::Item item) {
  switch (item) {
    case ImageReader::Item::kRange: {
      // The range comes first, then the entries, then the meta.
      QK_ASSIGN_OR_RETURN(loader_, family_->log().bulk_load(header_.first_index));
      return absl::OkStatus();
    }
    case ImageReader::Item::kEntries:
      return annotate_if(loader_->append(reader_->entries()), "import: append");
    case ImageReader::Item::kMeta:
      QK_RETURN_IF_ERROR(annotate_if(loader_->finish(), "import: finish the log"));
      loader_.reset();
      if (reader_->hard_state() == family_->meta().hard_state()) return absl::OkStatus();
      return failure(family_->meta().save(reader_->hard_state()), "import: save meta");
    case ImageReader::Item::kSnapshot: {
      if (!reader_->snapshot().meta) return absl::OkStatus();
      QK_ASSIGN_OR_RETURN(writer_, family_->snapshot().create());
      return writer_->save_meta(*reader_->snapshot().meta);
    }
    case ImageReader::Item::kFile: {
      const families::SnapshotFile& listed = reader_->file().file;
      QK_ASSIGN_OR_RETURN(file_, writer_->create_file(listed.path));
      file_offset_ = 0;
      if (reader_->file().unlisted) return absl::OkStatus();
      return writer_->add_file(listed.path, listed.meta);
    }
    case ImageReader::Item::kChunk:
      QK_RETURN_IF_ERROR(file_->write_at(file_offset_, reader_->chunk()));
      file_offset_ += reader_->chunk().size();
      return absl::OkStatus();
    case ImageReader::Item::kEnd:
      file_.reset();
      if (!(reader_->totals() == totals_) || reader_->content_xxh3() != content_xxh3_) {
        return absl::DataLossError(
            cat(source_->name(), ": image changed between its verification and its import"));
      }
      if (writer_ == nullptr) return absl::OkStatus();
      return failure(family_->snapshot().publish(std::move(writer_)), "import: publish snapshot");
  }
  return absl::InternalError("import: unknown item");
}

absl::Status Importer::close_family() {
  while (family_->pending_work() > 0) QK_RETURN_IF_ERROR(family_->run_one());
  QK_RETURN_IF_ERROR(family_->close());
  family_.reset();
  return families::sync_tree(*request_.fs, where_);
}

absl::Status Importer::reopen() {
  reader_.reset();  // with the memory of the largest entry
  QK_RETURN_IF_ERROR(close_family());
  QK_ASSIGN_OR_RETURN(family_, open(false));
  QK_ASSIGN_OR_RETURN(ExportCut cut, ExportCut::capture(*family_, header_.cut_seq));
  cut.accept_lost_vote = header_.features.lost_vote;
  exporter_ =
      std::make_unique<Exporter>(family_.get(), std::move(cut), header_.identity, request_.family,
                                 descriptor_->format_version, &null_sink_, Hashing::kXxh3);
  stage_ = Stage::kCompare;
  return absl::OkStatus();
}

absl::Status Importer::compare(int64_t max_entries) {
  QK_ASSIGN_OR_RETURN(const bool finished, exporter_->step(max_entries));
  if (!finished) return absl::OkStatus();
  const ImageTotals& found = exporter_->totals();
  const auto hex = [](const Xxh3Stream::Value& v) { return cat(hex16(v[1]), hex16(v[0])); };
  if (exporter_->content_xxh3() != content_xxh3_ || found.content_bytes != totals_.content_bytes) {
    return absl::DataLossError(
        cat("import of ", source_->name(), ": content read back from family ", request_.family,
            " has ", found.content_bytes, " bytes with xxh3 ", hex(exporter_->content_xxh3()),
            ", the image has ", totals_.content_bytes, " with ", hex(content_xxh3_)));
  }
  exporter_.reset();
  stage_ = Stage::kCommit;
  return absl::OkStatus();
}

absl::Status Importer::commit() {
  QK_RETURN_IF_ERROR(close_family());
  QK_RETURN_IF_ERROR(move_into_root());
  if (const absl::Status status = write_state(request_.root, request_.final_state); !status.ok()) {
    // The new sidecar may be there all the same; an import that failed must not open (CI-24).
    write_state(request_.root, InstanceState::kImporting).IgnoreError();
    return status;
  }
  QK_RETURN_IF_ERROR(lock_->check());
  // Empty, and harmless if it stays.
  const std::string publishing = families::join_path(request_.root, kPublishingName);
  for (const std::string_view name : {kPublishedNames, kSidecarName}) {
    request_.fs->unlink(families::join_path(publishing, name)).IgnoreError();
  }
  request_.fs->rmdir(publishing).IgnoreError();
  staged_ = false;
  stage_ = Stage::kDone;
  lock_.reset();
  return absl::OkStatus();
}

// The log comes last in every family that has a name for it: a program that does not know the
// sidecar and looks too early finds term and vote before it finds entries.
absl::Status Importer::move_into_root() {
  families::FileSystem& fs = *request_.fs;
  const std::string publishing = families::join_path(request_.root, kPublishingName);
  QK_RETURN_IF_ERROR(lock_->check());
  QK_ASSIGN_OR_RETURN(std::vector<std::string> names, fs.list(staging_));
  std::string lines;
  for (const std::string& name : names) {
    if (name != kSidecarName) lines += cat(name, "\n");
  }
  QK_RETURN_IF_ERROR(
      families::write_file(fs, families::join_path(staging_, kPublishedNames), lines));
  QK_RETURN_IF_ERROR(fs.sync_dir(staging_, families::SyncKind::kFull));
  QK_RETURN_IF_ERROR(fs.rename_new(staging_, publishing));
  QK_RETURN_IF_ERROR(fs.sync_dir(request_.root, families::SyncKind::kFull));
  std::reverse(names.begin(), names.end());
  std::stable_partition(names.begin(), names.end(),
                        [&](const std::string& name) { return name != request_.parts.log; });
  for (const std::string& name : names) {
    if (name == kSidecarName) continue;
    QK_RETURN_IF_ERROR(fs.rename_new(families::join_path(publishing, name),
                                     families::join_path(request_.root, name)));
    moved_.push_back(name);
  }
  where_ = request_.root;
  QK_RETURN_IF_ERROR(fs.sync_dir(publishing, families::SyncKind::kFull));
  return fs.sync_dir(request_.root, families::SyncKind::kFull);
}

absl::Status Importer::discard() {
  file_.reset();
  writer_.reset();
  loader_.reset();
  exporter_.reset();
  family_.reset();
  if (lock_ == nullptr) return absl::OkStatus();
  const std::unique_ptr<families::FileLock> lock = std::move(lock_);
  families::FileSystem& fs = *request_.fs;
  if (staged_) {
    staged_ = false;
    QK_RETURN_IF_ERROR(lock->check());
    // Without the list of the names that were moved, nothing in the root says whose they are; left
    // there, they would open as a bare instance once the sidecar is gone.
    const std::string list =
        families::join_path(families::join_path(request_.root, kPublishingName), kPublishedNames);
    QK_ASSIGN_OR_RETURN(const bool listed, families::exists(fs, list));
    if (!listed) {
      for (const std::string& name : moved_) {
        QK_RETURN_IF_ERROR(families::remove_tree(fs, families::join_path(request_.root, name)));
      }
    }
    QK_RETURN_IF_ERROR(clear_instance(fs, request_.root, *descriptor_));
    if (reserved_) return write_sidecar(fs, request_.root, *reserved_);
    const absl::Status unlinked = fs.unlink(families::join_path(request_.root, kSidecarName));
    if (!unlinked.ok() && !absl::IsNotFound(unlinked)) return unlinked;
    if (!created_) return fs.sync_dir(request_.root, families::SyncKind::kFull);
  }
  if (!created_) return absl::OkStatus();
  const absl::Status removed = fs.rmdir(request_.root);
  // What lies there is not this import's: somebody else's instance, who was faster, or a file that
  // was put there meanwhile.
  if (status_errno(removed) == ENOTEMPTY) return absl::OkStatus();
  QK_RETURN_IF_ERROR(removed);
  return fs.sync_dir(families::parent_path(request_.root), families::SyncKind::kFull);
}

int64_t Importer::progress_ppm() const {
  constexpr int64_t kPart = 300000;  // verify, write, compare; the rest is the commit
  const auto read_ppm = [&] {
    if (reader_ == nullptr) return int64_t{0};
    const int64_t size = static_cast<int64_t>(source_->size());
    return static_cast<int64_t>(reader_->offset()) / (size / kPart + 1);
  };
  switch (stage_) {
    case Stage::kVerify:
      return std::min(kPart, read_ppm());
    case Stage::kPrepare:
      return kPart;
    case Stage::kWrite:
      return kPart + std::min(kPart, read_ppm());
    case Stage::kReopen:
      return 2 * kPart;
    case Stage::kCompare:
      return 2 * kPart + exporter_->progress_ppm() * 3 / 10;
    case Stage::kCommit:
      return 3 * kPart;
    case Stage::kDone:
      return 1000000;
  }
  return 0;
}

}  // namespace qk::image
