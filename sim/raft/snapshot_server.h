// SnapshotServer: the leader's side of InstallSnapshot. It holds a reader open for each follower
// that is taking a snapshot and serves its files through get_file, as braft's FileService does:
// the table under "__raft_snapshot_meta" in one piece, every listed file in chunks.
//
// Only listed files can be asked for, so nothing outside of the snapshot is ever read.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "families/contract/snapshot_storage.h"
#include "sim/raft/environment.h"
#include "sim/raft/wire/convert.h"

namespace qk::raft {

// "127.0.0.1:8100:0:0" -> "127.0.0.1:8100".
std::string_view endpoint_of(std::string_view peer);

class SnapshotServer {
 public:
  struct Transfer {
    int64_t reader_id = 0;
    std::shared_ptr<families::SnapshotReader> reader;
    uint64_t first_call = 0;  // InstallSnapshot calls of this transfer have this id or a later one
    Nanos last_activity = 0;
    std::string open_path;  // the file of the last chunk is kept open
    std::unique_ptr<families::File> open_file;
  };

  // `first_reader_id` must differ between lives of the node: a follower must not go on with the
  // files of another snapshot.
  SnapshotServer(std::string self, int64_t first_reader_id)
      : self_(std::move(self)), next_reader_id_(first_reader_id) {}

  // Replaces the follower's transfer, if any.
  Transfer& open(const std::string& follower, std::shared_ptr<families::SnapshotReader> reader,
                 Nanos now);
  Transfer* find(const std::string& follower);
  std::map<std::string, Transfer>& transfers() { return transfers_; }
  void close(const std::string& follower) { transfers_.erase(follower); }
  void close_all() { transfers_.clear(); }
  std::string uri_of(const Transfer& transfer) const;

  // Answers a get_file request; the answer has an errno if it cannot be served.
  Packet serve(const Packet& request, Nanos now);

 private:
  absl::StatusOr<Packet> read(Transfer& transfer, const FileRequest& request, uint64_t call_id);

  const std::string self_;
  int64_t next_reader_id_;
  std::map<std::string, Transfer> transfers_;  // by follower
};

}  // namespace qk::raft
