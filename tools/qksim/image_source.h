// ImageSource: a directory, or three, that a verb reads as a whole and no process may use or
// change meanwhile. It is resolved as the kernel does, watched (source_guard.h), and opened through
// an overlay in which no link leads out of it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "families/fs/confined_file_system.h"
#include "families/fs/overlay_file_system.h"
#include "image/exporter.h"
#include "image/identity.h"
#include "tools/qksim/environment.h"
#include "tools/qksim/exit_codes.h"
#include "tools/qksim/source_guard.h"
#include "tools/qksim/storage_argument.h"

namespace qk::cli {

// What is to be copied from a source, at its one cut.
struct StateToCopy {
  image::Identity identity;
  std::unique_ptr<families::Family> family;
  image::ExportCut cut;
  absl::Status vote;  // why the vote may be lost, which was accepted; OK otherwise
};

class ImageSource {
 public:
  // Where `at` leads to; what is wrong is said, and its exit code returned.
  static ExitCode find(const Environment& environment, StorageArgument at,
                       std::unique_ptr<ImageSource>* out);
  ~ImageSource();

  const families::FamilyDescriptor& family() const { return *at_.family; }
  const std::string& root() const { return at_.root; }
  // As find() was given it, without symbolic links.
  const StorageArgument& place() const { return at_; }
  // That hold the state: the root, or each part if they do not lie in one.
  const std::vector<std::string>& directories() const { return directories_; }

  // Whose state lies here: what the sidecar says, and for a bare directory what the caller says.
  absl::StatusOr<image::Identity> identity(const std::string& group, const std::string& peer) const;

  // From here on the source must be left alone; says why it is not, or why it is not a whole state.
  ExitCode watch();
  // Permission bits that a copy must not have.
  uint32_t closed_modes() const;
  // Unavailable if the source was changed since watch().
  absl::Status check() const;

  // Once. The source must outlive the family.
  absl::StatusOr<std::unique_ptr<families::Family>> open(const image::Identity& identity);
  // Identity, watch(), open() and the cut: what a copy of the state as a whole begins with. The modes
  // of what this process makes are narrowed to the source's.
  ExitCode begin(const std::string& group, const std::string& peer, bool accept_lost_vote,
                 StateToCopy* out);
  // After open() and an export: says what lies in the source and did not go into the image. That is
  // what was not read, what recovery cut off in the overlay, and directories without a file in
  // the snapshot's `tree` ("" without a snapshot). Files without a byte are left out of this as
  // well.
  void say_left_out(const std::string& tree);

 private:
  class ReadNames;

  ImageSource(const Environment& environment, StorageArgument at);
  absl::Status resolve();
  std::string marked_root() const;
  absl::Status check_links() const;
  absl::Status add_left_out(const std::string& directory, std::vector<std::string>* lines);

  const Environment& environment_;
  families::FileSystem& fs_;
  StorageArgument at_;
  std::vector<std::string> directories_;
  std::vector<SourceGuard> guards_;
  std::unique_ptr<families::ConfinedFileSystem> confined_;
  std::unique_ptr<ReadNames> read_;
  std::unique_ptr<families::OverlayFileSystem> overlay_;
};

// no directory holds an instance of a volatile family, and none can be left in one.
ExitCode refuse_volatile(const Environment& environment, const families::FamilyDescriptor& family,
                         const std::string& root);

// The canonical form of --peer; says what is wrong, as kUsage.
ExitCode parse_peer(const Environment& environment, const std::string& text, std::string* peer);

}  // namespace qk::cli
