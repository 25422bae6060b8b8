#include "conformance/context.h"

#include <algorithm>

#include "conformance/transfer.h"
#include "image/exporter.h"
#include "image/importer.h"

namespace qk::sim::conformance {
namespace {

using families::Family;
using families::FamilyDescriptor;
using families::Outcome;

// Names of roots. A dual pair's are those of pair checks, so that a mutant of one side is one here.
std::string_view subject_name(Role role) {
  return role == Role::kPrimary ? "a" : role == Role::kMirror ? "b" : "subject";
}
std::string_view partner_name(Role role) {
  return role == Role::kPrimary ? "b" : role == Role::kMirror ? "a" : "partner";
}

}  // namespace

std::string_view to_string(Role role) {
  switch (role) {
    case Role::kPlain:
      return "plain";
    case Role::kPrimary:
      return "primary";
    case Role::kMirror:
      return "mirror";
    case Role::kImported:
      return "imported";
  }
  return "?";
}

absl::Status fill_writer(families::SnapshotWriter& writer, const SnapshotState& tree) {
  for (const auto& [path, content] : tree.files) {
    QK_ASSIGN_OR_RETURN(const auto file, writer.create_file(path));
    if (!content.bytes.empty()) QK_RETURN_IF_ERROR(file->write_at(0, content.bytes));
    if (!content.unlisted) QK_RETURN_IF_ERROR(writer.add_file(path, content.meta));
  }
  return writer.save_meta(tree.meta);
}

absl::StatusOr<families::Mutation> to_mutation(families::StorageDriver& driver,
                                               const Change& change) {
  families::Mutation mutation;
  mutation.operation = change.operation;
  mutation.entries = change.entries;
  mutation.index = change.index;
  mutation.hard_state = change.hard_state;
  if (change.operation == families::Operation::kPublish) {
    QK_ASSIGN_OR_RETURN(mutation.writer, driver.create_snapshot());
    QK_RETURN_IF_ERROR(fill_writer(*mutation.writer, change.snapshot));
  }
  return mutation;
}

InstanceContext::InstanceContext(Host host, const FamilyDescriptor* family,
                                 const FamilyDescriptor* partner, Role role, DiskKind disk,
                                 uint64_t seed)
    : Bench(std::move(host), disk, seed),
      family_(family),
      partner_(partner),
      role_(role),
      root_(path(subject_name(role))),
      partner_root_(path(partner_name(role))),
      background_(random("background")) {}

InstanceContext::InstanceContext(InstanceContext& other, SimDisk disk)
    : Bench(other, std::move(disk)),
      family_(other.family_),
      partner_(other.partner_),
      role_(other.role_),
      root_(other.root_),
      partner_root_(other.partner_root_),
      options_(other.options_),
      model_(other.model_),
      background_(other.background_) {}

InstanceContext::~InstanceContext() = default;

// ---- Opening and closing

absl::StatusOr<std::unique_ptr<Family>> InstanceContext::open_side(
    const FamilyDescriptor& family, const std::string& root, const families::FamilyOptions& options,
    bool create) {
  families::OpenRequest request;
  request.fs = &fs();
  request.root = root;
  request.create = create;
  request.options = options;
  if (role_ == Role::kImported && root == root_) {
    return image::open_instance(registry(), request, family.name, transfer_identity());
  }
  return families::open_family(registry(), family.name, request);
}

absl::Status InstanceContext::open_all(bool create) {
  QK_ASSIGN_OR_RETURN(auto subject, open_side(*family_, root_, options_, create));
  if (!dual()) {
    subject_ = std::move(subject);
    plain_driver_ = std::make_unique<families::PlainDriver>(subject_.get());
    driver_ = plain_driver_.get();
    return absl::OkStatus();
  }
  QK_ASSIGN_OR_RETURN(auto other, open_side(*partner_, partner_root_, {}, create));
  DualStack::Side primary{subject.get(), std::string(subject_name(role_))};
  DualStack::Side mirror{other.get(), std::string(partner_name(role_))};
  if (role_ == Role::kMirror) std::swap(primary, mirror);
  QK_ASSIGN_OR_RETURN(dual_stack_, DualStack::open(&fs(), path("migration"), std::move(primary),
                                                   std::move(mirror)));
  reconciled_ = dual_stack_->reconciled();
  driver_ = &dual_stack_->driver();
  subject_ = std::move(subject);
  other_ = std::move(other);
  return absl::OkStatus();
}

void InstanceContext::drop_handles() {
  driver_ = nullptr;
  plain_driver_.reset();
  dual_stack_.reset();
  other_.reset();
  subject_.reset();
}

void InstanceContext::drain_all(Family* family) {
  while (family != nullptr && family->pending_work() > 0) {
    expect_ok("background work", family->run_one());
    settle();
  }
}

void InstanceContext::drain_some() {
  for (Family* family : {subject_.get(), other_.get()}) {
    if (family == nullptr || family->pending_work() == 0) continue;
    for (uint64_t left = background_.below(family->pending_work() + 1); left > 0; --left) {
      if (family->pending_work() == 0) break;
      expect_ok("background work", family->run_one());
    }
  }
  settle();
}

void InstanceContext::drain() {
  drain_all(subject_.get());
  drain_all(other_.get());
  settle();
}

absl::Status InstanceContext::open() {
  QK_CHECK(!is_open());
  absl::Status status = open_all(false);
  settle();
  return status;
}

families::OpenRequest InstanceContext::bare_request(bool create) {
  families::OpenRequest request;
  request.fs = &fs();
  request.root = root();
  request.create = create;
  return request;
}

void InstanceContext::close() {
  drain();
  drop_handles();
  settle();
}

void InstanceContext::reopen() {
  close();
  expect_ok("reopen", open());
  expect(reconciled_.empty(),
         cat("reopen after a clean close: found a reconciliation (",
             reconciled_.empty() ? std::string() : reconciled_.front(), "), expected none"));
  expect_state();
}

// ---- Histories

void InstanceContext::begin(const std::vector<Change>& history) {
  QK_CHECK(!is_open());
  if (role_ == Role::kImported) {
    begin_imported(history);
  } else {
    expect_ok("create", open_all(true));
    settle();
    expect_state();
    apply(history);
  }
}

void InstanceContext::begin_imported(const std::vector<Change>& history) {
  std::string bytes;
  {
    auto source = expect_value("create the source of the image",
                               open_side(*partner_, partner_root_, {}, true));
    families::PlainDriver driver(source.get());
    for (const Change& change : history) {
      auto mutation = expect_value(describe(change), to_mutation(driver, change));
      expect_ok(describe(change), driver.apply(std::move(mutation)));
      QK_CHECK(model_.apply(change) == Model::Verdict::kApplied);
      settle();
    }
    bytes = expect_value("export", export_image(*source, *partner_));
    drain_all(source.get());
  }
  settle();
  image::ImportRequest request = import_request(registry(), fs(), family_->name, root_);
  request.options = options_;
  expect_ok("import", import_image(std::move(request), bytes));
  settle();
  expect_ok("open the imported instance", open());
  expect_state();
}

Outcome InstanceContext::apply_through_driver(const Change& change) {
  auto mutation = to_mutation(*driver_, change);
  // A snapshot that could not be written does not exist.
  if (!mutation.ok()) return Outcome::failed_clean(annotate(mutation.status(), "preparing it"));
  Outcome outcome = driver_->apply(*std::move(mutation));
  settle();
  return outcome;
}

void InstanceContext::apply(const Change& change) {
  const std::string what = describe(change);
  const int64_t count = model_.count(change);
  const Model::Verdict verdict = model_.apply(change);
  const Outcome outcome = apply_through_driver(change);
  if (verdict == Model::Verdict::kRefused) {
    expect_failed_clean(what, outcome, absl::StatusCode::kInvalidArgument);
  } else {
    expect_ok(what, outcome);
    expect_equal(cat(what, ": count"), outcome.count(), count);
  }
  drain_some();
  expect_state();
}

void InstanceContext::apply(const std::vector<Change>& changes) {
  for (const Change& change : changes) apply(change);
}

Outcome InstanceContext::try_apply(const Change& change) { return apply_through_driver(change); }

// ---- Reading

Family& InstanceContext::subject() {
  QK_CHECK(is_open());
  return *subject_;
}

State InstanceContext::state() { return expect_value("read the state", read_state(subject())); }

void InstanceContext::expect_state() {
  expect_same_state("state", state(), model_.state());
  if (!dual()) return;
  const auto mine = expect_value("digest of the subject", image::compute_digest(*subject_));
  const auto theirs = expect_value("digest of the partner", image::compute_digest(*other_));
  expect(mine == theirs,
         cat("digests of the pair: found ", image::to_hex(mine), " in the subject (", family_->name,
             "), expected ", image::to_hex(theirs), " as in the partner (", partner_->name, ")"));
}

void InstanceContext::expect_lookups() {
  for (const families::LogEntry& expected : model_.state().entries) {
    const int64_t index = expected.index;
    expect_equal(cat("term(", index, ")"), expect_value("term", log().term(index)), expected.term);
    expect(expect_value("entry", log().entry(index)) == expected,
           cat("entry(", index, "): found another one than the scan"));
  }
}

// ---- Crashes

CrashReport InstanceContext::crash(CrashLevel level, Choice& choice) {
  // The machine stops first: whatever the families do while they are torn down reaches no disk.
  CrashReport report = stop(level, choice);
  drop_handles();
  remount();
  return report;
}

std::unique_ptr<InstanceContext> InstanceContext::fork() {
  QK_CHECK(disk() != nullptr && !is_volatile());
  return std::unique_ptr<InstanceContext>(new InstanceContext(*this, disk()->fork()));
}

}  // namespace qk::sim::conformance
