// SnapshotDownload: the follower's side of InstallSnapshot. Asks for the table, then for each
// listed file, chunk after chunk, one request at a time, and fills a writer of the StorageDriver.
//
// Nothing that arrives is trusted: the table must be for the snapshot that was offered, names must
// be safe, a chunk is never longer than asked for. Nothing becomes visible before the caller
// publishes the writer; destroying the download discards the temporary tree.
#pragma once

#include <memory>
#include <string>

#include "families/contract/mutation.h"
#include "sim/raft/core.h"
#include "sim/raft/wire/convert.h"

namespace qk::raft {

class SnapshotDownload {
 public:
  enum class Result : uint8_t {
    kIgnored,       // not the answer that is waited for
    kContinue,      // send request() next
    kComplete,      // take_writer() and publish
    kAbandoned,     // the leader's fault or a lost reader; status() says what
    kStorageError,  // our disk failed; status() says how
  };

  // InvalidArgument unless the URI is remote://ENDPOINT-OF-LEADER/READER-ID.
  static absl::StatusOr<std::unique_ptr<SnapshotDownload>> begin(Download offer, uint32_t chunk,
                                                                 families::StorageDriver* driver);

  const Download& offer() const { return offer_; }
  // The leader asked again for the same transfer: answer this call.
  void adopt_call(uint64_t call_id) { offer_.call_id = call_id; }

  // What to ask for now, under a new call id; an answer to an earlier one is ignored from here on.
  Packet request(uint64_t call_id);
  Result on_response(const Packet& packet);
  // The answer did not come in time. True if it should be asked for again.
  bool on_timeout() { return ++timeouts_ < kMaxTimeouts; }

  std::unique_ptr<families::SnapshotWriter> take_writer() { return std::move(writer_); }
  const absl::Status& status() const { return status_; }

 private:
  static constexpr int kMaxTimeouts = 10;  // in a row

  SnapshotDownload(Download offer, int64_t reader_id, uint32_t chunk,
                   families::StorageDriver* driver)
      : offer_(std::move(offer)), reader_id_(reader_id), chunk_(chunk), driver_(driver) {}
  Result on_table(std::string_view bytes);
  Result on_chunk(std::string_view bytes, bool eof);
  Result next_file();
  Result end(Result result, absl::Status status);

  Download offer_;
  const int64_t reader_id_;
  const uint32_t chunk_;
  families::StorageDriver* driver_;
  uint64_t call_id_ = 0;
  int timeouts_ = 0;
  std::unique_ptr<families::SnapshotWriter> writer_;  // after the table
  SnapshotTable table_;
  size_t file_ = 0;  // of table_.files
  std::unique_ptr<families::File> open_file_;
  int64_t offset_ = 0;
  absl::Status status_;
};

}  // namespace qk::raft
