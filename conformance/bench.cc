#include "conformance/bench.h"

#include "families/fs/file_util.h"
#include "families/fs/posix_file_system.h"

namespace qk::sim::conformance {
namespace {

constexpr std::string_view kDirectory = "/node";

SimDisk make_disk(uint64_t seed) {
  // No duration is zero, so that a crash can fall inside each operation.
  DiskOptions options;
  options.latency = {20 * kMicrosecond, 60 * kMicrosecond, 200 * kMicrosecond, 900 * kMicrosecond,
                     1};
  return SimDisk(options, RandomStream(seed, "latency"));
}

}  // namespace

std::string_view to_string(DiskKind disk) { return disk == DiskKind::kSimulated ? "sim" : "real"; }

Bench::Bench(Host host, DiskKind kind, uint64_t seed)
    : host_(std::move(host)), kind_(kind), seed_(seed) {
  host_.lose_memory();
  if (kind_ == DiskKind::kReal) {
    directory_ = std::make_unique<families::TempDirectory>();
    base_ = directory_->path();
    fs_ = std::make_unique<families::PosixFileSystem>();
    return;
  }
  disk_ = std::make_unique<SimDisk>(make_disk(seed));
  base_ = kDirectory;
  remount();
  QK_CHECK(families::make_directories(*fs_, base_).ok());
  settle();
}

Bench::Bench(Bench& other, SimDisk disk)
    : host_(other.host_),
      kind_(other.kind_),
      seed_(other.seed_),
      expectations_(other.expectations_),
      counts_(other.counts_),
      disk_(std::make_unique<SimDisk>(std::move(disk))),
      base_(other.base_) {
  remount();
}

Bench::~Bench() = default;

std::string Bench::path(std::string_view name) const { return families::join_path(base_, name); }

families::FaultFileSystem& Bench::faults() {
  if (faults_ == nullptr) faults_ = std::make_unique<families::FaultFileSystem>(fs_.get());
  return *faults_;
}

void Bench::remount() {
  if (disk_ == nullptr) return;
  const bool with_faults = faults_ != nullptr;
  faults_.reset();
  fs_ = disk_->mount();
  if (planting().disk) fs_ = planting().disk(std::move(fs_));
  if (with_faults) faults();
}

void Bench::settle() {
  if (disk_ == nullptr) return;
  const Nanos end = disk_->pinned_crash().value_or(disk_->busy_until() + 1);
  disk_->set_now(std::max(end, disk_->now()));
}

void Bench::count(std::string_view what, uint64_t times) { (*counts_)[std::string(what)] += times; }

CrashReport Bench::stop(CrashLevel level, Choice& choice) {
  QK_CHECK(disk_ != nullptr);
  const Nanos at = disk_->pinned_crash().value_or(disk_->busy_until());
  CrashReport report = disk_->crash(level, std::max(at, disk_->now()), choice);
  disk_->clear_pin();
  host_.lose_memory();
  return report;
}

void Bench::expect(bool holds, std::string_view what) {
  ++*expectations_;
  if (!holds) fail(what);
}

void Bench::expect_ok(std::string_view what, const absl::Status& status) {
  expect(status.ok(), cat(what, ": found ", status.ToString(), ", expected OK"));
}

void Bench::expect_ok(std::string_view what, const families::Outcome& outcome) {
  expect_ok(what, outcome.status());
}

void Bench::expect_code(std::string_view what, const absl::Status& status,
                        absl::StatusCode expected) {
  expect(status.code() == expected, cat(what, ": found ", status.ToString(), ", expected ",
                                        absl::StatusCodeToString(expected)));
}

void Bench::expect_failed_clean(std::string_view what, const families::Outcome& outcome,
                                absl::StatusCode expected) {
  expect(outcome.kind() == families::Outcome::Kind::kFailedClean,
         cat(what, ": found ", outcome.ok() ? "an ok" : "an indeterminate",
             " outcome, expected failed-clean", outcome.ok() ? "" : ": ",
             outcome.ok() ? std::string() : outcome.status().ToString()));
  expect_code(what, outcome.status(), expected);
}

void Bench::expect_same_state(std::string_view what, const State& found, const State& expected) {
  const std::string difference = first_difference(found, expected);
  expect(difference.empty(), cat(what, ": ", difference));
}

void Bench::fail(std::string_view message) const { throw CheckFailed{std::string(message)}; }

void Bench::not_applicable(std::string_view why) const { throw NotApplicable{std::string(why)}; }

families::FamilyOptions small_units(const families::FamilyDescriptor& family) {
  static const families::FamilyOptions kSmall = {
      {"checkpoint_frames", "1"}, {"compaction_files", "2"}, {"flush_bytes", "256"},
      {"page_size", "1024"},      {"segment_size", "200"},   {"write_buffer_size", "65536"}};
  families::FamilyOptions options;
  for (const families::OptionDescriptor& option : family.options) {
    if (const auto small = kSmall.find(option.name); small != kSmall.end()) options.insert(*small);
  }
  return options;
}

std::vector<families::FamilyOptions> listed_options(const families::FamilyDescriptor& family) {
  std::vector<families::FamilyOptions> all;
  for (const families::OptionDescriptor& option : family.options) {
    for (const std::string& value : option.words) {
      if (value != option.default_value) all.push_back({{option.name, value}});
    }
  }
  return all;
}

families::LogEntry entry(int64_t index, int64_t term, size_t payload_bytes) {
  std::string payload = cat("entry ", index, " of term ", term, " ");
  while (payload.size() < payload_bytes) {
    payload += static_cast<char>('a' + (payload.size() * 7 + static_cast<size_t>(index)) % 26);
  }
  payload.resize(payload_bytes);
  return {index, term, families::EntryType::kData, std::move(payload)};
}

families::LogEntry no_op(int64_t index, int64_t term) {
  return {index, term, families::EntryType::kNoOp, ""};
}

families::LogEntry configuration(int64_t index, int64_t term,
                                 const families::Configuration& value) {
  return {index, term, families::EntryType::kConfiguration, families::encode_configuration(value)};
}

std::vector<families::LogEntry> entries(int64_t from, int64_t to, int64_t term,
                                        size_t payload_bytes) {
  std::vector<families::LogEntry> out;
  for (int64_t index = from; index <= to; ++index) out.push_back(entry(index, term, payload_bytes));
  return out;
}

SnapshotState snapshot(int64_t index, int64_t term) {
  SnapshotState state;
  state.meta = {index, term, {std::string(kPeer), std::string(kOtherPeer)}, {}};
  state.files["data"] = {cat("state at ", index), {}};
  state.files["deep/er/data"] = {cat("more state at ", index, "/", term), {"user", 0, "c0ffee"}};
  state.files["empty"] = {"", {}};
  return state;
}

}  // namespace qk::sim::conformance
