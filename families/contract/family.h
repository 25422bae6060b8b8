// Family: log, metadata and snapshot storage chosen together, in one root directory.
//
// A family knows nothing of identity, migration or other families. Everything above it (image, dual
// write, node, conformance) uses this header alone.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "families/contract/log_storage.h"
#include "families/contract/meta_storage.h"
#include "families/contract/options.h"
#include "families/contract/snapshot_storage.h"
#include "families/fs/file_system.h"

namespace qk::families {

enum class Operation : uint8_t {
  kAppend,
  kTruncatePrefix,
  kTruncateSuffix,
  kReset,
  kSaveMeta,
  kPublish,
};
std::string_view to_string(Operation operation);

// What a crash inside an operation may leave, besides "before" and "after".
enum class Partial : uint8_t {
  kNone,         // before or after, nothing else
  kBatchPrefix,  // append: any prefix of the batch
};

enum class Volatility : uint8_t {
  kDurable,
  kVolatile,  // nothing survives a crash; it opens as absent
};

class Family {
 public:
  virtual ~Family() = default;

  virtual LogStorage& log() = 0;
  virtual MetaStorage& meta() = 0;
  virtual SnapshotStorage& snapshot() = 0;

  // Background work of the engine (flush, compaction): the owner drains it as events of its own.
  // No family has a thread.
  virtual size_t pending_work() const { return 0; }
  virtual absl::Status run_one() { return absl::OkStatus(); }

  // Ends the instance and says what failed, which the destructor cannot. Nothing acknowledged
  // depends on it. All that was opened from the family must be gone; only the destructor may
  // follow.
  virtual absl::Status close() { return absl::OkStatus(); }
};

// Directories of the three parts of an instance, each relative to its root or absolute. braft's
// NodeOptions give each a URI of its own (uri.h).
struct PartPaths {
  std::string log = "log";
  std::string raft_meta = "raft_meta";
  std::string snapshot = "snapshot";
  // Some part lies outside of the root: no single rename moves the instance, or fences it.
  bool split() const;
  friend bool operator==(const PartPaths&, const PartPaths&) = default;
};

struct OpenRequest {
  FileSystem* fs = nullptr;    // must outlive the family
  std::string root;            // directory
  bool create = false;         // make a fresh, empty instance if the root holds none
  FamilyOptions options = {};  // checked against FamilyDescriptor::options
  PartPaths parts = {};
};

// Images after a crash (P0-P2) that a family may refuse to open, with DataLoss. Only a crash inside
// `operation` leaves one, and only one after which bytes are there that nobody wrote.
struct Refusal {
  std::string image;    // which images, for people
  std::string message;  // a part of the error's message, by which this refusal is known
  Operation operation = Operation::kAppend;
};

// Files whose damage a format cannot show, by how their path in the root begins. What is damaged
// then reads as another value of the one domain (log, hard state, snapshot) that the file holds.
struct UncheckedPath {
  std::string prefix;
  bool bytes = false;     // changed bytes may read as another value
  bool length = false;    // so may a file that ends early
  bool presence = false;  // a missing file may read as one that never was
  // A file that lost the last of its bytes may read as it was before the mutations that wrote them:
  // in every domain that it holds.
  bool tail = false;
};

struct FamilyDescriptor {
  std::string name;            // "sqlite"; also the URI scheme
  std::string format_version;  // of the files this build writes; goes into image headers (CI-7)
  Volatility volatility = Volatility::kDurable;
  std::vector<OptionDescriptor> options;
  // Names in the root that belong to the family ("db", "snapshot"); anything else is foreign.
  std::vector<std::string> root_names;
  // The three parts are directories of their own, named by OpenRequest::parts. Other families keep
  // all in the root, and refuse other parts than ROOT/log, ROOT/raft_meta and ROOT/snapshot.
  bool part_paths = false;
  std::vector<Refusal> refusals;
  // Every other change to its files is detected: an error that names the place, never a wrong
  // value.
  std::vector<UncheckedPath> unchecked;
  std::function<Partial(Operation)> partials;
  // Why an instance with these options may lose what it acknowledged; "" if it never does. Null:
  // none does. A volatile family needs none.
  std::function<std::string(const FamilyOptions&)> weakness;
  // NotFound: no instance at the root and `create` is off. DataLoss: there is one, damaged.
  std::function<absl::StatusOr<std::unique_ptr<Family>>(const OpenRequest&)> open;
};

// OK if no crash takes back what an instance of the family with these options acknowledged;
// otherwise FailedPrecondition, which says why one may.
absl::Status check_synchronous(const FamilyDescriptor& family, const FamilyOptions& options);

// The families of this build, in registration order. No global: code that needs families is given
// one.
class Registry {
 public:
  void add(FamilyDescriptor descriptor);  // a name twice, or an incomplete descriptor, is a bug
  const FamilyDescriptor* find(std::string_view name) const;
  // NotFound with the list of built-in names, and the nearest one.
  absl::StatusOr<const FamilyDescriptor*> get(std::string_view name) const;
  const std::vector<FamilyDescriptor>& all() const { return families_; }

 private:
  std::vector<FamilyDescriptor> families_;
};

// `name` must be registered, every option known to it, and the parts where it can have them.
absl::StatusOr<std::unique_ptr<Family>> open_family(const Registry& registry, std::string_view name,
                                                    const OpenRequest& request);

}  // namespace qk::families
