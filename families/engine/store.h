// KvStore: one family instance in a key-value engine: its life from creation to close, its state
// rows and its mutations. The log, the hard state and the snapshot of the contract stand on it.
//
// Root:  db/          the engine's files, and FORMAT, which says whose they are
//        db.new/      a store being created; means nothing
//        db.lock      held while the store is open
//        db.mark      the engine's log that must be there (families/engine/log_mark.h)
//        snapshot/    trees of files (families/engine/snapshot.h)
//
// After a crash the state is that after the last ok mutation or the one that was executing:
// mutations are single commits. Opening syncs what it found before the engine reads it, so whatever
// is served after an open survives a power cut (ora.L10). Creation builds `db.new`, syncs it and
// renames it, so a `db` is always whole; an unfinished creation opens as absent. A root with other
// traces of a store and no `db`, or an empty one, is damage and never a fresh store (ora.L13).
//
// FORMAT is judged before the engine sees the directory, because engines write when they open:
// neither a newer format, nor the store of another engine or program, is touched.
//
// Any error of the engine ends the instance's writing (fail-stop): the mutation is indeterminate,
// later ones are refused, reads go on as far as they can.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "families/engine/engine.h"
#include "families/engine/record.h"
#include "families/engine/snapshot.h"

namespace qk::families {

class KvStore final : public SnapshotRecordStore {
 public:
  // `family` is the name that FORMAT bears.
  static absl::StatusOr<std::unique_ptr<KvStore>> open(const OpenRequest& request,
                                                       std::string_view family,
                                                       const OpenKvEngine& open_engine);

  const std::string& db_path() const { return db_path_; }
  std::string snapshot_root() const;
  KvEngine& engine() { return *engine_; }

  // DataLoss if the row is missing or fails its checksum.
  absl::StatusOr<std::string> read_state(StateRow row);
  static void put_state(KvBatch& batch, StateRow row, std::string_view value);

  absl::Status writable() const override;
  // Commits what `fill(KvBatch&)` puts into the batch: ok means durable.
  template <typename Fill>
  Outcome mutate(std::string_view what, const Fill& fill) {
    if (const absl::Status status = writable(); !status.ok()) return Outcome::failed_clean(status);
    batch_->clear();
    if (const absl::Status status = fill(*batch_); !status.ok()) return fail_stop(status, what);
    return commit(what);
  }
  Outcome fail_stop(absl::Status cause, std::string_view what) override;

  absl::StatusOr<std::string> load_snapshot_record() override;
  Outcome commit_snapshot_record(std::string_view record) override;

 private:
  KvStore(FileSystem* fs, std::string root, std::string_view family);

  absl::Status create(const OpenKvEngine& open_engine);
  absl::Status judge_missing() const;
  absl::Status open_existing(const OpenKvEngine& open_engine);
  Outcome commit(std::string_view what);

  FileSystem& fs_;
  const std::string root_;
  const std::string db_path_;
  const std::string family_;
  std::unique_ptr<FileLock> lock_;
  std::unique_ptr<LogMark> mark_;  // outlives the engine
  std::unique_ptr<KvEngine> engine_;
  std::unique_ptr<KvBatch> batch_;  // reused; ends before the engine
  absl::Status poison_;
};

}  // namespace qk::families
