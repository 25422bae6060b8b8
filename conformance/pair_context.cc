#include "conformance/pair_context.h"

namespace qk::sim::conformance {

using families::Family;

PairContext::PairContext(Host host, const families::FamilyDescriptor* a,
                         const families::FamilyDescriptor* b, DiskKind disk, uint64_t seed)
    : Bench(std::move(host), disk, seed),
      sides_{Part{a, path("a"), nullptr}, Part{b, path("b"), nullptr}} {}

PairContext::PairContext(PairContext& other, SimDisk disk)
    : Bench(other, std::move(disk)),
      sides_{Part{other.sides_[kA].family, other.sides_[kA].root, nullptr},
             Part{other.sides_[kB].family, other.sides_[kB].root, nullptr}} {}

PairContext::~PairContext() = default;

std::unique_ptr<PairContext> PairContext::fork() {
  QK_CHECK(disk() != nullptr && !any_volatile());
  return std::unique_ptr<PairContext>(new PairContext(*this, disk()->fork()));
}

bool PairContext::any_volatile() const {
  return sides_[kA].family->volatility == families::Volatility::kVolatile ||
         sides_[kB].family->volatility == families::Volatility::kVolatile;
}

Family& PairContext::create(Side side, const families::FamilyOptions& options) {
  Part& part = sides_[side];
  QK_CHECK(part.instance == nullptr);
  families::OpenRequest request;
  request.fs = &fs();
  request.root = part.root;
  request.create = true;
  request.options = options;
  part.instance = expect_value(cat("create ", part.family->name),
                               families::open_family(registry(), part.family->name, request));
  settle();
  return *part.instance;
}

absl::StatusOr<Family*> PairContext::open(Side side, const families::FamilyOptions& options) {
  Part& part = sides_[side];
  QK_CHECK(part.instance == nullptr);
  families::OpenRequest request;
  request.fs = &fs();
  request.root = part.root;
  request.options = options;
  QK_ASSIGN_OR_RETURN(const auto sidecar, image::read_sidecar(fs(), part.root));
  const image::Identity expected = sidecar ? transfer_identity() : image::Identity();
  auto opened = image::open_instance(registry(), request, part.family->name, expected);
  settle();
  QK_RETURN_IF_ERROR(opened.status());
  part.instance = *std::move(opened);
  return part.instance.get();
}

Family& PairContext::at(Side side) {
  QK_CHECK(is_open(side));
  return *sides_[side].instance;
}

void PairContext::close(Side side) {
  Part& part = sides_[side];
  while (part.instance != nullptr && part.instance->pending_work() > 0) {
    expect_ok("background work", part.instance->run_one());
  }
  part.instance.reset();
  settle();
}

void PairContext::apply(Side side, const Change& change) {
  families::PlainDriver driver(&at(side));
  auto mutation = expect_value(describe(change), to_mutation(driver, change));
  expect_ok(describe(change), driver.apply(std::move(mutation)));
  settle();
}

void PairContext::apply(Side side, const std::vector<Change>& changes) {
  for (const Change& change : changes) apply(side, change);
}

std::string PairContext::export_from(Side side, uint64_t seq) {
  return expect_value("export", export_image(at(side), descriptor(side), seq));
}

image::ImportRequest PairContext::request_for(Side side) {
  return import_request(registry(), fs(), descriptor(side).name, root(side));
}

absl::Status PairContext::import_into(Side side, std::string_view image) {
  absl::Status status = import_image(request_for(side), image);
  settle();
  return status;
}

void PairContext::expect_equal_digests() {
  const auto a = expect_value("digest of A", image::compute_digest(at(kA)));
  const auto b = expect_value("digest of B", image::compute_digest(at(kB)));
  expect(a == b, cat("digests: found ", image::to_hex(b), " in B (", descriptor(kB).name,
                     "), expected ", image::to_hex(a), " as in A (", descriptor(kA).name, ")"));
}

CrashReport PairContext::crash(CrashLevel level, Choice& choice,
                               const std::function<void()>& drop) {
  CrashReport report = stop(level, choice);
  drop();
  for (Part& part : sides_) part.instance.reset();
  remount();
  return report;
}

}  // namespace qk::sim::conformance
