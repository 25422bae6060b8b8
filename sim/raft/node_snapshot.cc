// Snapshots of a node: saving its own, offering it to a follower, taking a leader's.
#include "families/base/check.h"
#include "sim/raft/node.h"

namespace qk::raft {

void Node::trigger_snapshot() {
  // The storage has one writer at a time, so saving and downloading exclude each other.
  if (halted_ || !started_ || saving_ || download_) return;
  const RaftLog& log = core_.log();
  if (applied_ <= log.snapshot().last_included_index) return;
  const auto term = core_.log().term(applied_);
  if (!term.ok()) return fail(term.status());
  const families::Configuration& conf = log.configuration_at(applied_);
  const families::SnapshotMeta meta{applied_, *term, conf.peers, conf.old_peers};

  auto writer = driver_->create_snapshot();
  if (!writer.ok()) return fail(writer.status());
  absl::Status status = state_machine_->save(**writer);
  if (status.ok()) status = (*writer)->save_meta(meta);
  if (!status.ok()) return fail(status);
  saving_ = meta;
  lanes_.issue(++snapshot_token_, families::Mutation::publish(std::move(*writer)));
  lanes_.pump();
}

void Node::on_published() {
  if (saving_) {
    const families::SnapshotMeta meta = std::move(*saving_);
    saving_.reset();
    observer_->snapshot_published(meta);
    // Only now may the log lose what the snapshot holds (lane fence).
    return carry_out(step(event::SnapshotSaved{meta}));
  }
  QK_CHECK(download_ && publishing_download_);
  const Download offer = download_->offer();
  const int64_t index = offer.meta.last_included_index;
  publishing_download_ = false;
  download_.reset();
  observer_->snapshot_published(offer.meta);
  if (applied_ < index) {
    auto reader = driver_->authority().snapshot().open();
    if (!reader.ok()) return fail(reader.status());
    const absl::Status loaded = state_machine_->load(**reader);
    if (!loaded.ok()) return fail(loaded);
    applied_ = index;
    observer_->snapshot_installed(offer.meta);
  }
  carry_out(step(event::SnapshotInstalled{offer.meta, offer.leader, offer.call_id}));
}

void Node::offer_snapshot(const std::string& follower) {
  if (halted_) return;
  auto reader = driver_->authority().snapshot().open();
  if (!reader.ok()) return fail(reader.status());
  SnapshotServer::Transfer& transfer =
      server_.open(follower, std::move(*reader), environment_->now());
  transfer.first_call = core_.next_call_id();
  transmit(
      Message{follower, transfer.first_call,
              InstallRequest{core_.term(), transfer.reader->meta(), server_.uri_of(transfer)}});
}

void Node::begin_download(Download offer) {
  if (halted_) return;
  const auto refuse = [&] { post(Event(event::InstallRefused{offer.leader, offer.call_id})); };
  if (download_) {
    const Download& current = download_->offer();
    if (current.leader == offer.leader && current.uri == offer.uri) {
      return download_->adopt_call(offer.call_id);
    }
    if (publishing_download_) return refuse();
    abandon_download();
  }
  if (saving_) return refuse();
  auto download = SnapshotDownload::begin(offer, options_.snapshot_chunk, driver_);
  if (!download.ok()) {
    observer_->refused(offer.leader, download.status());
    return refuse();
  }
  download_ = std::move(*download);
  on_download(SnapshotDownload::Result::kContinue);
}

void Node::on_download(SnapshotDownload::Result result) {
  using Result = SnapshotDownload::Result;
  if (result == Result::kIgnored) return;
  if (download_timer_ != 0) environment_->cancel_timer(download_timer_);
  download_timer_ = 0;
  switch (result) {
    case Result::kIgnored:
      return;
    case Result::kContinue:
      download_timer_ = environment_->start_timer(options_.rpc_timeout, [this] {
        download_timer_ = 0;
        if (halted_ || !download_) return;
        observer_->timer_fired(Timer::kDownload);
        if (download_->on_timeout()) return on_download(SnapshotDownload::Result::kContinue);
        abandon_download();
      });
      return transmit(download_->offer().leader, download_->request(core_.next_call_id()), nullptr);
    case Result::kComplete:
      return publish_download();
    case Result::kAbandoned:
      observer_->refused(download_->offer().leader, download_->status());
      return abandon_download();
    case Result::kStorageError:
      return fail(download_->status());
  }
}

void Node::publish_download() {
  publishing_download_ = true;
  lanes_.issue(++snapshot_token_, families::Mutation::publish(download_->take_writer()));
  lanes_.pump();
}

void Node::abandon_download() {
  QK_CHECK(download_ && !publishing_download_);
  if (download_timer_ != 0) environment_->cancel_timer(download_timer_);
  download_timer_ = 0;
  const Download offer = download_->offer();
  download_.reset();  // discards the temporary tree
  post(Event(event::InstallRefused{offer.leader, offer.call_id}));
}

}  // namespace qk::raft
