// Every mutant of the catalogue (mutants.h) is planted around the families, the images and the
// migration of this build, and the check that the catalogue names fails for it and says what is
// wrong. So the pairing that `qksim contract` prints is one that was seen.
#include "conformance/mutants.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <iostream>
#include <map>
#include <numeric>
#include <set>
#include <utility>

#include "conformance/generated.h"
#include "conformance/groups.h"
#include "conformance/image_edit.h"
#include "conformance/migrating_node.h"
#include "conformance/requirements.h"
#include "conformance/runner.h"
#include "families/base/bytes.h"
#include "families/base/hash.h"
#include "families/builtin.h"
#include "families/contract/family_wrapper.h"
#include "families/fs/file_system_wrapper.h"
#include "families/fs/file_util.h"
#include "migration/manifest.pb.h"

namespace qk::sim::conformance {
namespace {

using families::Family;
using families::FamilyDescriptor;
using families::FileMeta;
using families::FileSystem;
using families::HardState;
using families::LogEntry;
using families::LogStorage;
using families::MetaStorage;
using families::OpenRequest;
using families::Outcome;
using families::Registry;
using families::SnapshotFile;
using families::SnapshotMeta;
using families::SnapshotReader;
using families::SnapshotStorage;
using families::SnapshotWriter;
using migration::Phase;

// ---- A family with a twist

// What of an instance is wrong; null: nothing. Each is asked at the moment of the call.
struct Twist {
  std::function<int64_t(LogStorage&)> first_index;
  std::function<int64_t(LogStorage&)> last_index;
  std::function<void(LogEntry*)> entry_read;
  std::function<Outcome(LogStorage&, std::span<const LogEntry>)> append;
  std::function<Outcome(LogStorage&, int64_t)> truncate_prefix;
  std::function<Outcome(LogStorage&, int64_t)> truncate_suffix;
  std::function<Outcome(LogStorage&, int64_t)> reset;
  std::function<HardState(MetaStorage&)> hard_state;
  std::function<Outcome(MetaStorage&, const HardState&)> save;
  std::function<void(SnapshotMeta*)> meta_read;
  std::function<void(std::vector<SnapshotFile>*)> files_read;
  std::function<void(std::string*)> path_read;
  // Into a snapshot; an empty path: it is left out.
  std::function<void(std::string*)> path_written;
  std::function<bool(std::string_view path)> skips_removal;
  std::function<bool()> writes_nothing;  // every operation is ok, and does nothing
  std::function<bool()> swallows_errors;
  bool loads_all_but_last = false;
};

class TwistedLoader final : public families::LogLoader {
 public:
  explicit TwistedLoader(std::unique_ptr<families::LogLoader> inner) : inner_(std::move(inner)) {}
  absl::Status append(std::span<const LogEntry> entries) override {
    return inner_->append(entries.first(entries.empty() ? 0 : entries.size() - 1));
  }
  absl::Status finish() override { return inner_->finish(); }

 private:
  const std::unique_ptr<families::LogLoader> inner_;
};

Outcome told(const Twist& twist, Outcome outcome, int64_t count) {
  const bool swallowed = twist.swallows_errors && twist.swallows_errors();
  return swallowed && !outcome.ok() ? Outcome::success(count) : outcome;
}
bool idle(const Twist& twist) { return twist.writes_nothing && twist.writes_nothing(); }

class TwistedLog final : public families::LogWrapper {
 public:
  TwistedLog(LogStorage* inner, const Twist* twist) : LogWrapper(inner), twist_(*twist) {}

  int64_t first_index() const override {
    LogStorage& log = const_cast<LogStorage&>(inner());
    return twist_.first_index ? twist_.first_index(log) : log.first_index();
  }
  int64_t last_index() const override {
    LogStorage& log = const_cast<LogStorage&>(inner());
    return twist_.last_index ? twist_.last_index(log) : log.last_index();
  }
  absl::StatusOr<LogEntry> entry(int64_t index) override {
    auto entry = inner().entry(index);
    if (entry.ok() && twist_.entry_read) twist_.entry_read(&*entry);
    return entry;
  }
  absl::Status scan(int64_t from, int64_t to, const Visitor& visit) override {
    return inner().scan(from, to, [&](const LogEntry& entry) {
      LogEntry read = entry;
      if (twist_.entry_read) twist_.entry_read(&read);
      return visit(read);
    });
  }
  Outcome append(std::span<const LogEntry> entries) override {
    const auto count = static_cast<int64_t>(entries.size());
    if (idle(twist_)) return Outcome::success(count);
    return told(twist_, twist_.append ? twist_.append(inner(), entries) : inner().append(entries),
                count);
  }
  Outcome truncate_prefix(int64_t first_kept) override {
    if (idle(twist_)) return Outcome::success();
    return told(twist_,
                twist_.truncate_prefix ? twist_.truncate_prefix(inner(), first_kept)
                                       : inner().truncate_prefix(first_kept),
                0);
  }
  Outcome truncate_suffix(int64_t last_kept) override {
    if (idle(twist_)) return Outcome::success();
    return told(twist_,
                twist_.truncate_suffix ? twist_.truncate_suffix(inner(), last_kept)
                                       : inner().truncate_suffix(last_kept),
                0);
  }
  Outcome reset(int64_t next_index) override {
    if (idle(twist_)) return Outcome::success();
    return told(twist_,
                twist_.reset ? twist_.reset(inner(), next_index) : inner().reset(next_index), 0);
  }
  absl::StatusOr<std::unique_ptr<families::LogLoader>> bulk_load(int64_t first_index) override {
    auto loader = inner().bulk_load(first_index);
    if (!loader.ok() || !twist_.loads_all_but_last) return loader;
    return std::make_unique<TwistedLoader>(*std::move(loader));
  }

 private:
  const Twist& twist_;
};

class TwistedMeta final : public families::MetaWrapper {
 public:
  TwistedMeta(MetaStorage* inner, const Twist* twist) : MetaWrapper(inner), twist_(*twist) {}
  HardState hard_state() const override {
    MetaStorage& meta = const_cast<MetaStorage&>(inner());
    return twist_.hard_state ? twist_.hard_state(meta) : meta.hard_state();
  }
  Outcome save(const HardState& state) override {
    if (idle(twist_)) return Outcome::success();
    return told(twist_, twist_.save ? twist_.save(inner(), state) : inner().save(state), 0);
  }

 private:
  const Twist& twist_;
};

class TwistedReader final : public families::SnapshotReaderWrapper {
 public:
  TwistedReader(std::shared_ptr<SnapshotReader> inner, const Twist* twist)
      : SnapshotReaderWrapper(std::move(inner)), twist_(*twist) {}

  const SnapshotMeta& meta() const override {
    meta_ = inner().meta();
    if (twist_.meta_read) twist_.meta_read(&meta_);
    return meta_;
  }
  const std::vector<SnapshotFile>& files() const override {
    files_ = inner().files();
    if (twist_.files_read) twist_.files_read(&files_);
    return files_;
  }
  std::string get_path() const override {
    std::string path = inner().get_path();
    if (twist_.path_read) twist_.path_read(&path);
    return path;
  }

 private:
  const Twist& twist_;
  mutable SnapshotMeta meta_;
  mutable std::vector<SnapshotFile> files_;
};

class TwistedWriter final : public families::SnapshotWriterWrapper {
 public:
  TwistedWriter(std::unique_ptr<SnapshotWriter> inner, const Twist* twist)
      : SnapshotWriterWrapper(std::move(inner)), twist_(*twist) {}
  absl::StatusOr<std::unique_ptr<families::File>> create_file(std::string_view path) override {
    const std::string to = written(path);
    return inner().create_file(to.empty() ? "left-out" : to);
  }
  absl::Status add_file(std::string_view path, const FileMeta& meta) override {
    const std::string to = written(path);
    return to.empty() ? absl::OkStatus() : inner().add_file(to, meta);
  }
  absl::Status remove_file(std::string_view path) override {
    const bool skipped = twist_.skips_removal && twist_.skips_removal(path);
    return skipped ? absl::OkStatus() : inner().remove_file(path);
  }

 private:
  std::string written(std::string_view path) const {
    std::string to(path);
    if (twist_.path_written) twist_.path_written(&to);
    return to;
  }
  const Twist& twist_;
};

class TwistedSnapshots final : public families::SnapshotWrapper {
 public:
  TwistedSnapshots(SnapshotStorage* inner, const Twist* twist)
      : SnapshotWrapper(inner), twist_(*twist) {}
  absl::StatusOr<std::shared_ptr<SnapshotReader>> open() override {
    QK_ASSIGN_OR_RETURN(auto reader, inner().open());
    return std::make_shared<TwistedReader>(std::move(reader), &twist_);
  }
  std::optional<SnapshotMeta> current() const override {
    auto meta = inner().current();
    if (meta && twist_.meta_read) twist_.meta_read(&*meta);
    return meta;
  }
  absl::StatusOr<std::unique_ptr<SnapshotWriter>> create() override {
    QK_ASSIGN_OR_RETURN(auto writer, inner().create());
    return std::make_unique<TwistedWriter>(std::move(writer), &twist_);
  }
  Outcome publish(std::unique_ptr<SnapshotWriter> writer) override {
    if (idle(twist_)) return Outcome::success(1);
    std::unique_ptr<TwistedWriter> own(static_cast<TwistedWriter*>(writer.release()));
    return told(twist_, inner().publish(TwistedWriter::unwrap(std::move(own))), 1);
  }

 private:
  const Twist& twist_;
};

class TwistedFamily final : public Family {
 public:
  TwistedFamily(Family* inner, Twist twist)
      : twist_(std::move(twist)),
        inner_(*inner),
        log_(&inner->log(), &twist_),
        meta_(&inner->meta(), &twist_),
        snapshot_(&inner->snapshot(), &twist_) {}
  // With what it owns: the family, and the file system below that.
  TwistedFamily(std::unique_ptr<FileSystem> fs, std::unique_ptr<Family> inner, Twist twist)
      : TwistedFamily(inner.get(), std::move(twist)) {
    fs_ = std::move(fs);
    owned_ = std::move(inner);
  }
  ~TwistedFamily() override { owned_.reset(); }

  LogStorage& log() override { return log_; }
  MetaStorage& meta() override { return meta_; }
  SnapshotStorage& snapshot() override { return snapshot_; }
  size_t pending_work() const override { return inner_.pending_work(); }
  absl::Status run_one() override { return inner_.run_one(); }
  absl::Status close() override { return inner_.close(); }

 private:
  std::unique_ptr<FileSystem> fs_;
  std::unique_ptr<Family> owned_;
  const Twist twist_;
  Family& inner_;
  TwistedLog log_;
  TwistedMeta meta_;
  TwistedSnapshots snapshot_;
};

using TwistOf = std::function<Twist(const OpenRequest&, Family&)>;
using BelowOf = std::function<std::unique_ptr<FileSystem>(const OpenRequest&)>;

// The families, each instance with its twist, over a file system of its own if there is one.
Registry twisted(const Registry& real, const TwistOf& twist_of, const BelowOf& below_of = nullptr) {
  Registry registry;
  for (FamilyDescriptor family : real.all()) {
    family.open = [open = family.open, twist_of, below_of](
                      const OpenRequest& request) -> absl::StatusOr<std::unique_ptr<Family>> {
      std::unique_ptr<FileSystem> fs;
      OpenRequest below = request;
      if (below_of) fs = below_of(request);
      if (fs) below.fs = fs.get();
      QK_ASSIGN_OR_RETURN(auto opened, open(below));
      Twist twist = twist_of ? twist_of(request, *opened) : Twist();
      return std::make_unique<TwistedFamily>(std::move(fs), std::move(opened), std::move(twist));
    };
    registry.add(std::move(family));
  }
  return registry;
}

// ---- A file system with a twist

struct DiskTwist {
  using Names = std::function<bool(std::string_view path)>;
  Names skips_sync;  // of files and directories
  Names lists_nothing;
  // May change what is written; false: nothing is.
  std::function<bool(std::string_view path, uint64_t offset, std::string* bytes)> write;
  // What a file holds instead of its bytes.
  std::function<std::optional<std::string>(FileSystem&, std::string_view path)> contents;
};

class TwistedDisk final : public families::FileSystemWrapper {
 public:
  TwistedDisk(FileSystem* inner, DiskTwist twist)
      : FileSystemWrapper(inner), twist_(std::move(twist)) {}
  TwistedDisk(std::unique_ptr<FileSystem> inner, DiskTwist twist)
      : TwistedDisk(inner.get(), std::move(twist)) {
    owned_ = std::move(inner);
  }
  absl::Status sync_dir(std::string_view path, families::SyncKind kind) override {
    return hits(twist_.skips_sync, path) ? absl::OkStatus() : inner().sync_dir(path, kind);
  }
  absl::StatusOr<std::vector<std::string>> list(std::string_view path) override {
    if (hits(twist_.lists_nothing, path)) return std::vector<std::string>();
    return inner().list(path);
  }

 private:
  static bool hits(const DiskTwist::Names& names, std::string_view path) {
    return names && names(path);
  }
  class TwistedFile final : public families::FileWrapper {
   public:
    TwistedFile(std::unique_ptr<families::File> inner, std::string_view path, TwistedDisk* owner)
        : FileWrapper(std::move(inner)), path_(path), owner_(*owner) {}
    absl::Status sync(families::SyncKind kind) override {
      return hits(owner_.twist_.skips_sync, path_) ? absl::OkStatus() : inner().sync(kind);
    }
    absl::Status write_at(uint64_t offset, std::string_view bytes) override {
      std::string written(bytes);
      if (owner_.twist_.write && !owner_.twist_.write(path_, offset, &written)) {
        return absl::OkStatus();
      }
      return inner().write_at(offset, written);
    }
    absl::StatusOr<size_t> read_at(uint64_t offset, std::span<char> buffer) override {
      const auto contents = instead();
      if (!contents) return inner().read_at(offset, buffer);
      if (offset >= contents->size()) return size_t{0};
      return contents->copy(buffer.data(), buffer.size(), offset);
    }
    absl::StatusOr<uint64_t> size() override {
      const auto contents = instead();
      return contents ? uint64_t{contents->size()} : inner().size();
    }

   private:
    std::optional<std::string> instead() {
      if (!owner_.twist_.contents) return std::nullopt;
      return owner_.twist_.contents(owner_.inner(), path_);
    }
    const std::string path_;
    TwistedDisk& owner_;
  };
  std::unique_ptr<families::File> wrap(std::unique_ptr<families::File> file, std::string_view path,
                                       families::OpenFlags) override {
    return std::make_unique<TwistedFile>(std::move(file), path, this);
  }

  std::unique_ptr<FileSystem> owned_;
  const DiskTwist twist_;
};

// ---- The mutants

bool ends_with_part(std::string_view root, std::string_view name) {
  return families::join_path(families::parent_path(root), name) == root;
}
// Of pairs: instances a and b of a check, and the new family of a migrating node.
bool is_b(const OpenRequest& request) { return ends_with_part(request.root, "b"); }
bool is_target(std::string_view root) { return root.find("/node/sqlite-g") != root.npos; }
bool nested(std::string_view path) { return path.find('/') != path.npos; }

// What a mutant is planted in.
struct Product {
  Registry registry;
  Planting planting;
};
using Plant = std::function<void(Product&)>;

Plant in_source(const std::function<Twist(Family&)>& twist) {
  return [=](Product& product) {
    product.planting.source = [=](Family* real) {
      return std::make_unique<TwistedFamily>(real, twist(*real));
    };
  };
}
Plant in_families(const TwistOf& twist) {
  return [=](Product& product) { product.registry = twisted(product.registry, twist); };
}
Plant in_mirror(const std::function<Twist()>& twist) {
  return in_families([=](const OpenRequest& request, Family&) {
    return is_b(request) && !request.create ? twist() : Twist();
  });
}
Plant in_exported(const std::function<std::string(std::string, const FamilyDescriptor&)>& alter) {
  return [=](Product& product) { product.planting.exported = alter; };
}
Plant in_header(const std::function<void(image::proto::ImageHeader*)>& alter) {
  return in_exported(
      [=](std::string image, const FamilyDescriptor&) { return with_header(image, alter); });
}
Plant on_disk(const std::function<DiskTwist()>& twist) {
  return [=](Product& product) {
    product.planting.disk = [=](std::unique_ptr<FileSystem> disk) {
      return std::make_unique<TwistedDisk>(std::move(disk), twist());
    };
  };
}
// No file or directory below such a root is synced.
Plant unsynced(const std::function<bool(const OpenRequest&)>& where) {
  return [=](Product& product) {
    product.registry = twisted(product.registry, nullptr,
                               [=](const OpenRequest& request) -> std::unique_ptr<FileSystem> {
                                 if (!where(request)) return nullptr;
                                 DiskTwist twist;
                                 twist.skips_sync = [](std::string_view) { return true; };
                                 return std::make_unique<TwistedDisk>(request.fs, std::move(twist));
                               });
  };
}
// In each instance that a migrating node opens.
Plant in_node(
    const std::function<Twist(const MigratingNode&, const OpenRequest&, Family&)>& twist) {
  return [=](Product& product) {
    product.planting.node = [=](const Registry& real, const MigratingNode& node) {
      return twisted(real, [&node, twist](const OpenRequest& request, Family& family) {
        return twist(node, request, family);
      });
    };
  };
}
Plant with_parts(const std::function<void(OpenRequest*)>& alter) {
  return [=](Product& product) {
    Registry registry;
    for (FamilyDescriptor family : product.registry.all()) {
      family.open = [open = family.open, alter](OpenRequest request) {
        alter(&request);
        return open(request);
      };
      registry.add(std::move(family));
    }
    product.registry = std::move(registry);
  };
}

HardState without_vote(MetaStorage& meta) { return {meta.hard_state().term, ""}; }

void mark_complete(std::string* bytes) {
  // The state is the last byte before the checksum.
  constexpr size_t kCrcBytes = 4;
  char& state = (*bytes)[bytes->size() - kCrcBytes - 1];
  if (state != static_cast<char>(image::InstanceState::kImporting)) return;
  state = static_cast<char>(image::InstanceState::kCurrent);
  bytes->resize(bytes->size() - kCrcBytes);
  put_le32(bytes, crc32c(*bytes));
}

// A slot of the manifest, changed as whoever writes it would have written it.
void change_manifest(std::string* bytes,
                     const std::function<void(migration::proto::Manifest*)>& alter) {
  constexpr size_t kHead = 8 + 8;  // magic, number
  ByteReader reader(std::string_view(*bytes).substr(kHead));
  migration::proto::Manifest manifest;
  REQUIRE(manifest.ParseFromString(std::string(reader.bytes())));
  alter(&manifest);
  bytes->resize(kHead);
  put_bytes(bytes, manifest.SerializeAsString());
  put_le32(bytes, crc32c(*bytes));
}

// Reads of the new family are answered by the old one, while the migration works.
void compare_a_with_a(Product& product) {
  auto old = std::make_shared<Family*>(nullptr);
  product.planting.node = [old](const Registry& real, const MigratingNode& node) {
    class Front final : public Family {
     public:
      Front(std::unique_ptr<Family> own, const MigratingNode* node, std::shared_ptr<Family*> old)
          : own_(std::move(own)), node_(*node), old_(std::move(old)) {}
      LogStorage& log() override { return read().log(); }
      MetaStorage& meta() override { return read().meta(); }
      SnapshotStorage& snapshot() override { return read().snapshot(); }
      size_t pending_work() const override { return own_->pending_work(); }
      absl::Status run_one() override { return own_->run_one(); }
      absl::Status close() override { return own_->close(); }

     private:
      // Where it is made and where it catches up it is written, too.
      bool compares() const {
        if (*old_ == nullptr || !node_.working()) return false;
        return !node_.is_open() || node_.phase() >= Phase::kDualWrite ||
               (node_.phase() == Phase::kBootstrapping && made_);
      }
      Family& read() { return compares() ? **old_ : *own_; }

      const std::unique_ptr<Family> own_;
      const MigratingNode& node_;
      const std::shared_ptr<Family*> old_;

     public:
      bool made_ = false;
    };
    class Old final : public families::FamilyWrapper {
     public:
      Old(std::unique_ptr<Family> own, std::shared_ptr<Family*> old)
          : FamilyWrapper(std::move(own)), old_(std::move(old)) {
        *old_ = this;
      }
      ~Old() override { *old_ = nullptr; }

     private:
      const std::shared_ptr<Family*> old_;
    };
    Registry registry;
    for (FamilyDescriptor family : real.all()) {
      family.open = [open = family.open, old,
                     &node](const OpenRequest& request) -> absl::StatusOr<std::unique_ptr<Family>> {
        QK_ASSIGN_OR_RETURN(auto opened, open(request));
        if (ends_with_part(request.root, "initial")) {
          return std::make_unique<Old>(std::move(opened), old);
        }
        auto front = std::make_unique<Front>(std::move(opened), &node, old);
        front->made_ = !request.create;
        return front;
      };
      registry.add(std::move(family));
    }
    return registry;
  };
}

const std::map<std::string_view, Plant>& plants() {
  static const std::map<std::string_view, Plant> kPlants = {
      // ---- Exporter
      {"image-not-synced", on_disk([] {
         DiskTwist twist;
         twist.skips_sync = [](std::string_view path) { return path.find("/image") != path.npos; };
         return twist;
       })},
      {"export-stops-short", in_source([](Family&) {
         Twist twist;
         twist.last_index = [](LogStorage& log) {
           return std::max(log.first_index() - 1, log.last_index() - 1);
         };
         return twist;
       })},
      {"export-begins-late", in_source([](Family&) {
         Twist twist;
         twist.first_index = [](LogStorage& log) {
           return std::min(log.first_index() + 1, log.last_index() + 1);
         };
         return twist;
       })},
      {"export-without-types", in_source([](Family&) {
         Twist twist;
         twist.entry_read = [](LogEntry* entry) { entry->type = families::EntryType::kData; };
         return twist;
       })},
      {"export-without-vote", in_source([](Family&) {
         Twist twist;
         twist.hard_state = without_vote;
         return twist;
       })},
      {"export-vote-of-before",
       [](Product& product) {
         auto before = std::make_shared<std::optional<HardState>>();
         product.planting.source = [before](Family* real) {
           Twist twist;
           const HardState now = real->meta().hard_state();
           twist.hard_state = [said = before->value_or(now)](MetaStorage&) { return said; };
           *before = now;
           return std::make_unique<TwistedFamily>(real, std::move(twist));
         };
       }},
      {"export-later-snapshot-term", in_source([](Family&) {
         Twist twist;
         twist.meta_read = [](SnapshotMeta* meta) { meta->last_included_term += 1; };
         return twist;
       })},
      {"export-without-nested-files", in_source([](Family&) {
         Twist twist;
         twist.files_read = [](std::vector<SnapshotFile>* files) {
           std::erase_if(*files, [](const SnapshotFile& file) { return nested(file.path); });
         };
         return twist;
       })},
      {"export-without-old-peers", in_source([](Family&) {
         Twist twist;
         twist.meta_read = [](SnapshotMeta* meta) { meta->old_peers.clear(); };
         return twist;
       })},
      {"export-names-its-family",
       [](Product& product) {
         // The exporter is told the family of what it reads by the order of the two exports.
         auto exports = std::make_shared<int>(0);
         product.planting.source = [exports](Family* real) {
           Twist twist;
           twist.entry_read = [number = ++*exports](LogEntry* entry) {
             if (entry->type == families::EntryType::kData) entry->payload += cat("#", number);
           };
           return std::make_unique<TwistedFamily>(real, std::move(twist));
         };
       }},
      {"export-adds-a-frame", in_exported([](const std::string& image, const FamilyDescriptor&) {
         std::vector<ImageFrame> frames = split_image(image);
         frames.insert(frames.end() - 1, ImageFrame{'P', "private"});
         return join_image(frames);
       })},
      {"header-without-magic", in_exported([](std::string image, const FamilyDescriptor&) {
         image.replace(0, 7, "IMAGEQK");
         return image;
       })},
      {"header-of-next-major", in_header([](image::proto::ImageHeader* header) {
         header->set_format_major(header->format_major() + 1);
       })},
      {"header-of-another-family",
       in_header([](image::proto::ImageHeader* header) { header->set_source_family("braft"); })},
      {"header-without-layout", in_header([](image::proto::ImageHeader* header) {
         header->set_source_format_version("0");
       })},
      {"header-of-next-cut", in_header([](image::proto::ImageHeader* header) {
         header->set_cut_seq(header->cut_seq() + 1);
       })},
      // ---- Reader and importer
      {"damage-accepted",
       [](Product& product) {
         product.planting.verified = [](absl::Status status) {
           return absl::IsDataLoss(status) ? absl::OkStatus() : status;
         };
       }},
      {"rules-not-asked",
       [](Product& product) {
         product.planting.verified = [](absl::Status status) {
           return absl::IsInvalidArgument(status) ? absl::OkStatus() : status;
         };
       }},
      {"major-ignored",
       [](Product& product) {
         product.planting.seen = [](std::string_view image) {
           return with_header(
               image, [](image::proto::ImageHeader* header) { header->set_format_major(1); });
         };
       }},
      {"features-ignored",
       [](Product& product) {
         product.planting.seen = [](std::string_view image) {
           return with_header(image, [](image::proto::ImageHeader* header) {
             while (header->required_features_size() > 1) {
               header->mutable_required_features()->RemoveLast();
             }
           });
         };
       }},
      {"own-images-only",
       [](Product& product) {
         auto newest = std::make_shared<std::string>();
         product.planting.exported = [newest](std::string image, const FamilyDescriptor& family) {
           *newest = family.name;
           return image;
         };
         product.planting.importing = [newest](const image::ImportRequest& request) {
           if (*newest == request.family) return absl::OkStatus();
           return absl::FailedPreconditionError(cat("an image of ", *newest));
         };
       }},
      {"import-into-nothing-only",
       [](Product& product) {
         product.planting.importing = [](const image::ImportRequest& request) -> absl::Status {
           QK_ASSIGN_OR_RETURN(const bool there, families::exists(*request.fs, request.root));
           return there ? absl::AlreadyExistsError(request.root) : absl::OkStatus();
         };
       }},
      {"import-clears-its-place",
       [](Product& product) {
         product.planting.importing = [](const image::ImportRequest& request) {
           const auto there = request.fs->stat(request.root);
           if (!there.ok()) return absl::OkStatus();
           if (there->kind == families::FileKind::kFile) return request.fs->unlink(request.root);
           return families::remove_tree(*request.fs, request.root);
         };
       }},
      {"import-ignores-damage",
       [](Product& product) {
         auto written = std::make_shared<std::string>();
         product.planting.exported = [written](std::string image, const FamilyDescriptor&) {
           *written = image;
           return image;
         };
         product.planting.seen = [written](std::string_view) { return *written; };
       }},
      {"import-marker-first", on_disk([] {
         DiskTwist twist;
         twist.write = [](std::string_view path, uint64_t, std::string* bytes) {
           if (path.ends_with("/qk_identity.tmp")) mark_complete(bytes);
           return true;
         };
         return twist;
       })},
      {"import-depends-on-place", in_families([](const OpenRequest& request, Family&) {
         Twist twist;
         const bool staged = request.root.find(image::kStagingName) != std::string::npos;
         if (request.create || staged) return twist;
         twist.files_read = [root = request.root](std::vector<SnapshotFile>* files) {
           for (SnapshotFile& file : *files) file.meta.user_meta = root;
         };
         return twist;
       })},
      {"load-drops-last", in_families([](const OpenRequest&, Family&) {
         Twist twist;
         twist.loads_all_but_last = true;
         return twist;
       })},
      {"import-loses-file", in_families([](const OpenRequest& request, Family&) {
         Twist twist;
         const bool staged = request.root.find(image::kStagingName) != std::string::npos;
         if (!is_b(request) || request.create || staged) return twist;
         twist.files_read = [](std::vector<SnapshotFile>* files) {
           if (!files->empty()) files->pop_back();
         };
         return twist;
       })},
      {"second-vote-accepted", in_mirror([] {
         Twist twist;
         twist.save = [](MetaStorage& meta, const HardState& state) {
           return state.term == meta.hard_state().term ? Outcome::success() : meta.save(state);
         };
         return twist;
       })},
      // ---- Dual write
      {"primary-not-synced", unsynced([](const OpenRequest& request) {
         return ends_with_part(request.root, "a") && !request.create;
       })},
      {"mirror-not-synced",
       unsynced([](const OpenRequest& request) { return is_b(request) && !request.create; })},
      {"mirror-error-swallowed",
       [](Product& product) {
         product.planting.driven = [](Family* real, bool mirror) {
           Twist twist;
           twist.swallows_errors = [mirror] { return mirror; };
           return std::make_unique<TwistedFamily>(real, std::move(twist));
         };
       }},
      {"mirror-keeps-one-more", in_mirror([] {
         Twist twist;
         twist.truncate_suffix = [](LogStorage& log, int64_t last_kept) {
           return log.truncate_suffix(std::min(last_kept + 1, log.last_index()));
         };
         return twist;
       })},
      {"mirror-drops-last", in_mirror([] {
         Twist twist;
         twist.append = [](LogStorage& log, std::span<const LogEntry> entries) {
           if (entries.size() < 2) return log.append(entries);
           const Outcome outcome = log.append(entries.first(entries.size() - 1));
           return outcome.ok() ? Outcome::success(static_cast<int64_t>(entries.size())) : outcome;
         };
         return twist;
       })},
      {"mirror-skips-prefix", in_mirror([] {
         Twist twist;
         twist.truncate_prefix = [](LogStorage&, int64_t) { return Outcome::success(); };
         return twist;
       })},
      {"mirror-skips-save", in_mirror([] {
         Twist twist;
         twist.save = [](MetaStorage&, const HardState&) { return Outcome::success(); };
         return twist;
       })},
      {"mirror-skips-reset", in_mirror([] {
         Twist twist;
         twist.reset = [](LogStorage&, int64_t) { return Outcome::success(); };
         return twist;
       })},
      {"mirror-vote-partly", in_mirror([] {
         Twist twist;
         twist.save = [](MetaStorage& meta, const HardState& state) {
           return state.term == meta.hard_state().term ? Outcome::success() : meta.save(state);
         };
         return twist;
       })},
      {"mirror-loses-file", in_mirror([] {
         Twist twist;
         twist.path_written = [](std::string* path) {
           if (nested(*path)) path->clear();
         };
         return twist;
       })},
      {"old-side-not-written",
       [](Product& product) {
         // The one that is written first is the primary.
         auto first = std::make_shared<std::map<int64_t, bool>>();
         auto switched = std::make_shared<bool>(false);
         product.planting.driven = [first, switched](Family* real, bool mirror) {
           Twist twist;
           twist.append = [=](LogStorage& log, std::span<const LogEntry> entries) {
             if (entries.empty()) return log.append(entries);
             const auto [it, is_first] = first->try_emplace(entries.front().index, mirror);
             if (is_first && mirror) *switched = true;
             const auto count = static_cast<int64_t>(entries.size());
             if (!mirror && *switched) return Outcome::success(count);
             return log.append(entries);
           };
           return std::make_unique<TwistedFamily>(real, std::move(twist));
         };
       }},
      {"open-compacts", in_families([](const OpenRequest& request, Family& family) {
         LogStorage& log = family.log();
         const bool old = ends_with_part(request.root, "a") && !request.create;
         if (old && log.last_index() > log.first_index()) {
           REQUIRE(log.truncate_prefix(log.first_index() + 1).ok());
         }
         return Twist();
       })},
      // ---- Migration
      {"used-place-not-seen", on_disk([] {
         DiskTwist twist;
         twist.lists_nothing = [](std::string_view path) { return path.ends_with("/sqlite-g1"); };
         return twist;
       })},
      {"sidecar-remembered", on_disk([] {
         DiskTwist twist;
         auto known = std::make_shared<std::map<std::string, std::string>>();
         twist.contents = [known](FileSystem& disk,
                                  std::string_view path) -> std::optional<std::string> {
           if (!path.ends_with("/qk_identity") || !is_target(path)) return std::nullopt;
           const auto bytes = families::read_file(disk, path, 4096);
           if (!bytes.ok()) return std::nullopt;
           const char state = (*bytes)[bytes->size() - 5];
           if (state != static_cast<char>(image::InstanceState::kCurrent)) {
             const auto it = known->find(std::string(path));
             return it == known->end() ? std::nullopt : std::optional(it->second);
           }
           return known->try_emplace(std::string(path), *bytes).first->second;
         };
         return twist;
       })},
      {"mirror-repaired",
       in_node([](const MigratingNode& node, const OpenRequest& request, Family&) {
         Twist twist;
         if (!is_target(request.root)) return twist;
         twist.append = [&node](LogStorage& log, std::span<const LogEntry> entries) {
           Outcome outcome = log.append(entries);
           if (!node.working()) (void)log.truncate_suffix(log.last_index());
           return outcome;
         };
         return twist;
       })},
      {"cut-over-reads-all",
       in_node([](const MigratingNode& node, const OpenRequest& request, Family& family) {
         Twist twist;
         if (!is_target(request.root)) return twist;
         twist.hard_state = [&node, &family](MetaStorage& meta) {
           if (node.working() && node.is_open() && node.phase() == Phase::kCutoverValidated) {
             (void)family.log().scan(family.log().first_index(), family.log().last_index(),
                                     [](const LogEntry&) { return absl::OkStatus(); });
           }
           return meta.hard_state();
         };
         return twist;
       })},
      {"compares-a-with-a", compare_a_with_a},
      {"clock-stands-still",
       [](Product& product) { product.planting.clock = [](int64_t) { return int64_t{1}; }; }},
      {"proof-called-full", on_disk([] {
         DiskTwist twist;
         twist.write = [](std::string_view path, uint64_t, std::string* bytes) {
           if (path.find("/migration/manifest") == path.npos) return true;
           change_manifest(bytes, [](migration::proto::Manifest* manifest) {
             if (manifest->has_cutover_cut()) {
               manifest->mutable_cutover_cut()->set_proof_kind("full");
             }
           });
           return true;
         };
         return twist;
       })},
      {"cut-over-forgets-vote",
       in_node([](const MigratingNode& node, const OpenRequest& request, Family&) {
         Twist twist;
         if (!is_target(request.root)) return twist;
         twist.hard_state = [&node](MetaStorage& meta) {
           const bool answers = node.is_open() && node.phase() == Phase::kCutOver;
           return answers ? without_vote(meta) : meta.hard_state();
         };
         return twist;
       })},
      {"target-not-synced",
       unsynced([](const OpenRequest& request) { return is_target(request.root); })},
      {"manifest-not-synced", on_disk([] {
         DiskTwist twist;
         twist.skips_sync = [](std::string_view path) {
           return path.find("/migration/manifest") != path.npos;
         };
         return twist;
       })},
      {"image-damaged-on-disk", on_disk([] {
         DiskTwist twist;
         twist.write = [](std::string_view path, uint64_t, std::string* bytes) {
           if (path.find(".qki") != path.npos && !bytes->empty()) bytes->back() ^= 1;
           return true;
         };
         return twist;
       })},
      {"dual-append-skipped",
       in_node([](const MigratingNode& node, const OpenRequest& request, Family&) {
         Twist twist;
         if (!is_target(request.root)) return twist;
         twist.append = [&node](LogStorage& log, std::span<const LogEntry> entries) {
           const bool dual = node.is_open() && node.phase() == Phase::kDualWrite;
           if (node.working() || !dual) return log.append(entries);
           return Outcome::success(static_cast<int64_t>(entries.size()));
         };
         return twist;
       })},
      {"cut-over-not-marked", on_disk([] {
         DiskTwist twist;
         twist.write = [skipped = std::make_shared<bool>(false)](std::string_view path, uint64_t,
                                                                 std::string* bytes) {
           if (path.find("/migration/manifest") == path.npos || *skipped) return true;
           change_manifest(bytes, [&](migration::proto::Manifest* manifest) {
             *skipped = manifest->phase() == static_cast<uint32_t>(Phase::kCutOver);
           });
           return !*skipped;
         };
         return twist;
       })},
      // ---- URIs and snapshots
      {"log-uri-ignored", with_parts([](OpenRequest* request) { request->parts.log = "log"; })},
      {"meta-uri-ignored",
       with_parts([](OpenRequest* request) { request->parts.raft_meta = "raft_meta"; })},
      {"snapshot-uri-ignored",
       with_parts([](OpenRequest* request) { request->parts.snapshot = "snapshot"; })},
      {"uris-share-a-root", with_parts([](OpenRequest* request) { request->parts = {}; })},
      {"paths-flattened", in_families([](const OpenRequest&, Family&) {
         Twist twist;
         twist.path_written = [](std::string* path) { *path = path->substr(path->rfind('/') + 1); };
         return twist;
       })},
      {"path-of-the-parent", in_families([](const OpenRequest&, Family&) {
         Twist twist;
         twist.path_read = [](std::string* path) { *path = families::parent_path(*path); };
         return twist;
       })},
      {"file-meta-forgotten", in_families([](const OpenRequest&, Family&) {
         Twist twist;
         twist.files_read = [](std::vector<SnapshotFile>* files) {
           for (SnapshotFile& file : *files) file.meta = {};
         };
         return twist;
       })},
      {"remove-file-ignored", in_families([](const OpenRequest&, Family&) {
         Twist twist;
         twist.skips_removal = [](std::string_view) { return true; };
         return twist;
       })},
      {"snapshot-term-forgotten", in_families([](const OpenRequest&, Family&) {
         Twist twist;
         twist.meta_read = [](SnapshotMeta* meta) { meta->last_included_term -= 1; };
         return twist;
       })},
  };
  return kPlants;
}

// ---- The catalogue

const Check& check_named(const std::vector<Check>& checks, std::string_view name) {
  const auto it = std::find_if(checks.begin(), checks.end(), [&](const Check& check) {
    return cat(check.group, "/", check.name) == name;
  });
  INFO(std::string(name));
  REQUIRE(it != checks.end());
  return *it;
}

// The check on the smallest part of the product that has the mutant: local, from local to sqlite.
CaseResult run_with(const Check& check, const Plant* plant) {
  families::VolatileMemory memory(1);
  const Registry all = families::builtin_families(&memory);
  Product product;
  for (const char* name : {"local", "sqlite"}) product.registry.add(**all.get(name));
  if (plant != nullptr) (*plant)(product);
  Host host;
  host.registry = &product.registry;
  host.planting = &product.planting;
  Case one;
  one.check = &check;
  one.family = &product.registry.all()[0];
  if (one.is_pair()) one.partner = &product.registry.all()[1];
  return run_case(one, host, 1);
}

TEST_CASE("each mutant fails the check that the catalogue names") {
  const std::vector<Check> checks = all_checks();
  std::map<std::pair<std::string_view, std::string_view>, CaseResult> seen;
  for (const Kill& kill : kills()) {
    INFO(kill.requirement << ": " << kill.mutant << ", " << kill.check);
    REQUIRE(plants().contains(kill.mutant));
    const auto [it, is_new] = seen.try_emplace({kill.mutant, kill.check});
    if (is_new) {
      it->second = run_with(check_named(checks, kill.check), &plants().at(kill.mutant));
    }
    const CaseResult& result = it->second;
    INFO("message: " << result.message);
    CHECK(result.verdict == Verdict::kFailed);
    CHECK(result.message.find(kill.found) != std::string::npos);
  }
}

TEST_CASE("without a mutant the same checks pass") {
  const std::vector<Check> checks = all_checks();
  std::set<std::string_view> names;
  for (const Kill& kill : kills()) names.insert(kill.check);
  for (const std::string_view name : names) {
    const CaseResult result = run_with(check_named(checks, name), nullptr);
    INFO(std::string(name) << ": " << result.message);
    CHECK(result.verdict == Verdict::kPassed);
  }
}

TEST_CASE("the catalogue names what there is") {
  const std::vector<Check> checks = all_checks();
  std::set<std::string_view> used;
  for (const Kill& kill : kills()) {
    INFO(kill.requirement << ": " << kill.mutant << ", " << kill.check);
    CHECK(find_requirement(kill.requirement) != nullptr);
    const Check& check = check_named(checks, kill.check);
    CHECK(std::ranges::count(check.requirements, std::string(kill.requirement)) == 1);
    used.insert(kill.mutant);
  }
  std::set<std::string_view> known;
  for (const ProductMutant& mutant : product_mutants()) {
    INFO(mutant.name);
    CHECK(known.insert(mutant.name).second);
    CHECK(plants().contains(mutant.name));
    CHECK(used.contains(mutant.name));
  }
  CHECK(plants().size() == known.size());
}

// ---- The generated suite

// The commit setting with one term, and crashes and failing calls by domain in pairs
// as in families alone.
GeneratedSetting setting_for_mutants() {
  GeneratedSetting setting = *generated_setting("commit");
  setting.bounds = {2, 1, 2};
  setting.every_edge = false;
  setting.pair_edges_one_in = 1;
  return setting;
}

// Where the first case of the generated suite fails for this mutant; "": nowhere.
std::string first_failure(const Plant* plant, const std::string& filter, uint64_t* cases) {
  families::VolatileMemory memory(1);
  const Registry all = families::builtin_families(&memory);
  Product product;
  for (const char* name : {"local", "sqlite"}) product.registry.add(**all.get(name));
  if (plant != nullptr) (*plant)(product);
  Host host;
  host.registry = &product.registry;
  host.planting = &product.planting;
  const GeneratedSetting setting = setting_for_mutants();
  GeneratedSuite suite(&setting, &product.registry, {"local"});
  std::vector<size_t> units(suite.units());
  std::iota(units.begin(), units.end(), size_t{0});
  // What costs least comes first.
  std::stable_partition(units.begin(), units.end(), [&](size_t unit) {
    return suite.unit_name(unit).find("/images") != std::string::npos;
  });
  for (const size_t unit : units) {
    const UnitResult result = suite.run(unit, host, filter);
    *cases += result.cases();
    if (!result.failures.empty()) {
      return cat(result.failures.front().id, ": ", result.failures.front().message);
    }
  }
  return "";
}

// For some mutants of each kind the cases that fail; the README of this folder has the whole table.
TEST_CASE("mutants that the generated suite kills") {
  struct Row {
    std::string_view mutant;
    std::string cases;
  };
  const std::vector<Row> rows = {
      {"export-stops-short", "GEN/local-local/primary/1:1.t1-.s0/move"},
      {"export-without-vote", "GEN/local-local/primary/1:-.t1p.s0/move"},
      {"export-without-old-peers", "GEN/local-local/primary/1:-.t1-.s2/move"},
      {"own-images-only", "GEN/local-sqlite/primary/1:-.t1-.s0/move"},
      {"load-drops-last", "GEN/local-local/primary/1:1.t1-.s0/move"},
      {"primary-not-synced", "GEN/local-sqlite/primary/[^/]*/append:1/crash-acknowledged/.*"},
      {"mirror-drops-last", "GEN/local-sqlite/primary/1:-.t1-.s0/append:11/step"},
      {"mirror-skips-prefix", "GEN/local-sqlite/primary/1:1.t1-.s0/prefix:2/step"},
      {"mirror-skips-save", "GEN/local-sqlite/primary/1:-.t1-.s0/save:t1p/step"},
      {"file-meta-forgotten", "GEN/local/small/1:-.t1-.s0/publish:1/step"},
      {"snapshot-term-forgotten", "GEN/local/small/1:-.t1-.s0/publish:1/step"},
  };
  for (const Row& row : rows) {
    for (const bool planted : {false, true}) {
      INFO(row.mutant << ": " << row.cases << (planted ? "" : ", without the mutant"));
      uint64_t cases = 0;
      const Plant* plant = planted ? &plants().at(row.mutant) : nullptr;
      const std::string found = first_failure(plant, cat("^", row.cases, "$"), &cases);
      INFO(found);
      CHECK(cases > 0);
      CHECK(found.empty() == !planted);
    }
  }
}

// Measures which mutants the generated suite kills alone; by hand, it takes an hour. QKSIM_TEST_MUTANT
// names some of them.
TEST_CASE("the generated suite alone", "[.power]") {
  const char* only = std::getenv("QKSIM_TEST_MUTANT");
  const std::string words = only == nullptr ? "" : cat(" ", only, " ");
  uint64_t killed = 0;
  for (const ProductMutant& mutant : product_mutants()) {
    if (only != nullptr && words.find(cat(" ", mutant.name, " ")) == words.npos) continue;
    uint64_t cases = 0;
    const std::string found = first_failure(&plants().at(mutant.name), "", &cases);
    if (!found.empty()) ++killed;
    std::cout << (found.empty() ? "SURVIVED " : "killed   ") << mutant.name << " after " << cases
              << " cases: " << found << std::endl;
  }
  std::cout << killed << " of " << product_mutants().size() << std::endl;
}

}  // namespace
}  // namespace qk::sim::conformance
