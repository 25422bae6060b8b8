// RULES: what a legal state is, at its edges. Every family takes and refuses the same, and so do
// the reader of images and the exporter: what one takes, all take (families/contract/rules.h). Each
// illegal state is offered to the family as a change, which must fail clean, and as an image to the
// reader and to an import, which must refuse it by the rule and not by a checksum; each legal one
// goes into the family, out as an image, through the reader, and into a new instance.
#include <algorithm>
#include <utility>

#include "conformance/groups.h"
#include "conformance/history.h"
#include "conformance/image_edit.h"
#include "families/base/bytes.h"
#include "families/fs/file_util.h"
#include "image/digest.h"

namespace qk::sim::conformance {
namespace {

using families::EntryType;
using families::FileMeta;
using families::LogEntry;
using families::Mutation;

constexpr size_t kMebibyte = 1 << 20;

std::string exported(InstanceContext& c) {
  return c.expect_value("export", export_image(c.subject(), c.family(), 1));
}

void expect_refused(InstanceContext& c, std::string_view what, std::string_view image,
                    const image::Identity& identity = transfer_identity()) {
  c.expect_code(cat("an image with ", what), verify_bytes(image), kInvalid);
  const std::string root = families::join_path(families::parent_path(c.root()), "refused");
  image::ImportRequest request = import_request(c.registry(), c.fs(), c.family().name, root);
  request.identity = identity;
  c.expect_code(cat("import of an image with ", what), import_image(request, image), kInvalid);
  c.expect(!open_imported(c.registry(), c.fs(), c.family().name, root).ok(),
           cat("after the import of an image with ", what, ": found an instance"));
}

// The payload of each frame of `type`, replaced.
std::string with_payload(std::string_view image, char type, const std::string& payload) {
  return with_frames(image, [&](ImageFrame* frame) {
    if (frame->type == type) frame->payload = payload;
  });
}

void expect_exports(InstanceContext& c, std::string_view what) {
  const std::string image = exported(c);
  c.expect_ok(cat("verify the image with ", what), verify_bytes(image));
  const Digest digest = c.expect_value("digest", image::compute_digest(c.subject())).overall;
  const std::string root =
      families::join_path(families::parent_path(c.root()), cat("taken-", image::to_hex(digest)));
  c.expect_ok(cat("import the image with ", what),
              import_image(import_request(c.registry(), c.fs(), c.family().name, root), image));
  const auto copy = c.expect_value(cat("open the instance with ", what),
                                   open_imported(c.registry(), c.fs(), c.family().name, root));
  c.expect(c.expect_value("digest", image::compute_digest(*copy)).overall == digest,
           cat("the imported instance with ", what, ": found another state"));
  c.reopen();
}

void entries_at_the_edge(InstanceContext& c) {
  c.begin(full_history());
  const std::string image = exported(c);
  const int64_t next = c.model().state().last() + 1;
  const int64_t term = c.model().state().entries.back().term;
  const std::pair<const char*, LogEntry> illegal[] = {
      {"term 0", {next, 0, EntryType::kData, "x"}},
      {"a term below 0", {next, -1, EntryType::kData, "x"}},
      {"type 0", {next, term, static_cast<EntryType>(0), ""}},
      {"type 4", {next, term, static_cast<EntryType>(4), ""}},
      {"a no-op with a payload", {next, term, EntryType::kNoOp, "x"}},
      {"a configuration that does not decode", {next, term, EntryType::kConfiguration, "\xff"}},
      {"an index too high", {next + 1, term, EntryType::kData, "x"}},
  };
  for (const auto& [what, entry] : illegal) {
    c.expect_failed_clean(what, c.driver().apply(Mutation::append({entry})), kInvalid);
    const LogEntry placed{entry.index - 1, entry.term, entry.type, entry.payload};
    const std::string mutant =
        with_entries(image, [&](std::vector<LogEntry>* all) { all->back() = placed; });
    // The type is part of the frame's structure: another one is damage.
    c.expect(!verify_bytes(mutant).ok(), cat("an image with ", what, ": found a good one"));
  }
  c.expect_state();
  c.apply(append({{next, term, EntryType::kConfiguration, ""},
                  {next + 1, term, EntryType::kNoOp, ""},
                  {next + 2, term, EntryType::kData, ""},
                  {next + 3, term, EntryType::kData, std::string(kMebibyte + 1, '\0')}}));
  expect_exports(c, "empty and large payloads");
}

void hard_states_at_the_edge(InstanceContext& c) {
  c.begin(full_history());
  const std::string image = exported(c);
  const int64_t term = c.model().state().hard_state.term + 1;
  for (const std::string vote :
       {"nonsense", "127.0.0.1", "127.0.0.1:8100", "127.0.0.1:8100:0", "127.0.0.1:8100:0:2",
        "127.0.0.1:65536:0:0", "127.0.0.1:8100:-1:0", " 127.0.0.1:8100:0:0", "127.0.0.1:8100:0:0:0",
        "0.0.0.0:0:0:0", "127.0.0.1:08100:0:0", "256.0.0.1:8100:0:0", "[::1]:8100:0:0"}) {
    c.expect_failed_clean(cat("vote \"", vote, "\""),
                          c.driver().apply(Mutation::save_meta({term, vote})), kInvalid);
    std::string payload;
    put_le64(&payload, static_cast<uint64_t>(term));
    put_bytes(&payload, vote);
    expect_refused(c, cat("vote \"", vote, "\""), with_payload(image, 'M', payload));
  }
  c.expect_state();
  int64_t next = term;
  for (const std::string vote : {"127.0.0.1:8100:0:1", "127.0.0.1:0:0:0", "0.0.0.0:1:0:0",
                                 "255.255.255.255:65535:1073741824:1", ""}) {
    c.apply(save_meta({next++, vote}));
    expect_exports(c, cat("vote \"", vote, "\""));
  }
}

std::string snapshot_payload(const families::SnapshotMeta& meta, size_t files) {
  std::string payload;
  put_u8(&payload, 1);
  put_le64(&payload, static_cast<uint64_t>(meta.last_included_index));
  put_le64(&payload, static_cast<uint64_t>(meta.last_included_term));
  for (const auto* peers : {&meta.peers, &meta.old_peers}) {
    put_le32(&payload, static_cast<uint32_t>(peers->size()));
    for (const std::string& peer : *peers) put_bytes(&payload, peer);
  }
  put_le64(&payload, files);
  return payload;
}

// A bulk load fills a fresh log without gaps, from any index that an entry may have. What is
// refused changes nothing; only what finish() answered OK for counts.
void bulk_loads_at_the_edge(InstanceContext& c) {
  c.begin({});
  for (const int64_t first : {INT64_MIN, int64_t{-1}, int64_t{0}}) {
    c.expect_code(cat("bulk_load(", first, ")"), c.log().bulk_load(first).status(), kInvalid);
  }
  c.expect_state();
  State loaded = c.model().state();
  {
    const auto loader = c.expect_value("bulk_load(7)", c.log().bulk_load(7));
    c.expect_code("a batch after a gap", loader->append(entries(8, 9)), kInvalid);
    c.expect_ok("an empty batch", loader->append({}));
    c.expect_ok("the first batch", loader->append(entries(7, 9)));
    c.expect_code("a batch again", loader->append(entries(9, 9)), kInvalid);
    c.expect_code("an entry without a term", loader->append(entries(10, 10, 0)), kInvalid);
    c.expect_ok("another batch", loader->append(entries(10, 20)));
    c.expect_ok("finish", loader->finish());
  }
  loaded.first = 7;
  loaded.entries = entries(7, 20);
  c.settle();
  c.adopt(loaded);
  c.expect_state();
  c.reopen();
  c.expect_code("a bulk load of a log that holds entries", c.log().bulk_load(7).status(),
                absl::StatusCode::kFailedPrecondition);
  c.apply(reset(1));
  c.apply(reset(2));
  c.expect_code("a bulk load of an empty log that was written to", c.log().bulk_load(2).status(),
                absl::StatusCode::kFailedPrecondition);
  c.expect_state();
}

// Log and snapshot are of one history. Storage takes an installed snapshot before the log that it
// contradicts is dropped, so such a state exists for a moment; it is not exported.
void histories_at_the_edge(InstanceContext& c) {
  c.begin({save_meta({9, ""}), append(entries(1, 3, 1)), append(entries(4, 6, 2)),
           append(entries(7, 9, 3)), publish(snapshot(5, 2))});
  const auto expect_snapshot_refused = [&](const std::string& image, int64_t index, int64_t term) {
    SnapshotState tree = *c.model().state().snapshot;
    tree.meta.last_included_index = index;
    tree.meta.last_included_term = term;
    expect_refused(c, cat("snapshot ", index, "/", term),
                   with_payload(image, 'S', snapshot_payload(tree.meta, tree.files.size())));
  };
  const std::string whole = exported(c);
  for (const auto& [index, term] : {std::pair(5, 1), {5, 3}, {3, 2}, {6, 1}, {9, 2}, {12, 2}}) {
    expect_snapshot_refused(whole, index, term);
  }
  expect_refused(c, "a term that falls",
                 with_entries(whole, [](std::vector<LogEntry>* all) { all->back().term = 2; }));
  c.apply(truncate_prefix(6));
  expect_snapshot_refused(exported(c), 5, 3);
  expect_exports(c, "a log that goes on in the snapshot's term");
  c.apply(publish(snapshot(12, 3)));
  expect_exports(c, "a log that ends before a snapshot of its last term");
  for (const auto& [what, installed] :
       {std::pair("at the snapshot", snapshot(15, 7)), {"before the snapshot", snapshot(30, 4)}}) {
    const int64_t from = c.model().state().last() + 1;
    c.apply(append(entries(from, from + 9, 5)));
    c.apply(publish(installed));
    c.expect_code(cat("export with another term ", what),
                  export_image(c.subject(), c.family(), 1).status(), absl::StatusCode::kAborted);
    c.apply(reset(installed.meta.last_included_index + 1));
    expect_exports(c, cat("a log that was dropped for its term ", what));
  }
  // The terms of a log are its writer's business; no image is made of any that fall.
  c.apply(append({entry(31, 6), entry(32, 5)}));
  c.expect_code("export of a log whose terms fall",
                export_image(c.subject(), c.family(), 1).status(), kInvalid);
}

// A term below what was written of it: only as an image that says so.
void lost_votes_at_the_edge(InstanceContext& c) {
  c.begin({append(entries(1, 5, 3)), save_meta({3, ""})});
  std::string payload;
  put_le64(&payload, 2);
  put_bytes(&payload, "");
  expect_refused(c, "a term below the last entry's", with_payload(exported(c), 'M', payload));
  c.apply(append({entry(6, 4)}));
  c.expect_code("export without accepting the loss",
                export_image(c.subject(), c.family(), 1, false).status(),
                absl::StatusCode::kFailedPrecondition);
  const image::proto::ImageHeader header = image_header(exported(c));
  const auto& features = header.required_features();
  c.expect(std::find(features.begin(), features.end(), image::kLostVote) != features.end(),
           "an image of a lost vote: its header does not say so");
  expect_exports(c, "a lost vote that was accepted");
}

void files_at_the_edge(InstanceContext& c) {
  c.begin(full_history());
  const std::string image = exported(c);
  const auto image_of = [&](const std::string& name, std::optional<int32_t> source) {
    bool first = true;
    return with_frames(image, [&](ImageFrame* frame) {
      if (frame->type != 'F' || !std::exchange(first, false)) return;
      const uint32_t length = get_le32(frame->payload.data());
      const uint64_t size = get_le64(frame->payload.data() + 4 + length);
      frame->payload.clear();
      put_bytes(&frame->payload, name);
      put_le64(&frame->payload, size);
      put_u8(&frame->payload, source ? 2 : 0);
      if (source) put_le32(&frame->payload, static_cast<uint32_t>(*source));
    });
  };
  {
    auto writer = c.expect_value("create", c.driver().create_snapshot());
    for (const int32_t source : {2, -1, INT32_MAX, INT32_MIN}) {
      FileMeta meta;
      meta.source = source;
      c.expect_code(cat("file source ", source), writer->add_file("data", meta), kInvalid);
      expect_refused(c, cat("file source ", source), image_of("a", source));
    }
    for (const std::string& name :
         {std::string("__raft_snapshot_meta"), std::string("/__raft_snapshot_meta"),
          std::string("__raft_snapshot_meta/x"), std::string("../x"), std::string("a/"),
          std::string(256, 'x'), std::string(4097, 'x'), std::string()}) {
      c.expect_code(cat("file \"", name, "\""), writer->add_file(name, {}), kInvalid);
      expect_refused(c, cat("file \"", name, "\""), image_of(name, std::nullopt));
    }
  }
  c.expect_state();
  SnapshotState tree = snapshot(c.model().state().snapshot->meta.last_included_index + 1,
                                c.model().state().snapshot->meta.last_included_term);
  tree.files[std::string(255, 'x')] = {"x", {std::string(kMebibyte, 'm'), 1, std::string()}};
  tree.files["__raft_snapshot_meta.tmp"] = {"", {}};
  tree.files["dir/__raft_snapshot_meta"] = {"", {}};
  c.apply(publish(tree));
  expect_exports(c, "long names and metas");
}

void snapshot_metas_at_the_edge(InstanceContext& c) {
  c.begin(full_history());
  const std::string image = exported(c);
  const families::SnapshotMeta good = c.model().state().snapshot->meta;
  families::SnapshotMeta many = good;
  many.last_included_index += 1;
  many.peers.assign(kMebibyte / 4 + 1, "");
  families::SnapshotMeta long_peer = many;
  long_peer.peers = {std::string(kMebibyte, 'p')};
  families::SnapshotMeta last = many;
  last.peers = good.peers;
  last.last_included_index = INT64_MAX;
  for (const auto& meta : {many, long_peer, last}) {
    auto writer = c.expect_value("create", c.driver().create_snapshot());
    c.expect_ok("save_meta", writer->save_meta(meta));
    c.expect_failed_clean(cat("publish at ", meta.last_included_index),
                          c.driver().apply(Mutation::publish(std::move(writer))), kInvalid);
    const std::string payload = snapshot_payload(meta, c.model().state().snapshot->files.size());
    expect_refused(c, cat("a snapshot at ", meta.last_included_index),
                   with_payload(image, 'S', payload));
  }
  c.expect_state();
  // Names of peers are kept as they are, whatever they say.
  SnapshotState tree = *c.model().state().snapshot;
  tree.meta.last_included_index += 1;
  tree.meta.peers = {"no peer", std::string(1000, 'p'), std::string("\0", 1), ""};
  c.apply(publish(tree));
  expect_exports(c, "peers of any form");
}

// Whose state it is: what cannot be opened or named afterwards is not written.
void identities_at_the_edge(InstanceContext& c) {
  c.begin(full_history());
  const std::string image = exported(c);
  const image::Identity good = transfer_identity();
  const auto with = [&](const std::function<void(image::Identity*)>& alter) {
    image::Identity identity = good;
    alter(&identity);
    return identity;
  };
  const std::string path = families::join_path(c.root(), "elsewhere");
  const std::pair<const char*, image::Identity> illegal[] = {
      {"a lineage of 100 kB", with([](auto* i) { i->lineage.assign(100'000, 'x'); })},
      {"no group", with([](auto* i) { i->group_id.clear(); })},
      {"a group of 100 kB", with([](auto* i) { i->group_id.assign(100'000, 'x'); })},
      {"a group with a newline", with([](auto* i) { i->group_id = "a\nb"; })},
      {"a lineage with an escape", with([](auto* i) { i->lineage = "a\x1b[31m"; })},
      {"no peer", with([](auto* i) { i->peer_id.clear(); })},
      {"a short peer", with([](auto* i) { i->peer_id = "127.0.0.1:8100"; })},
      {"a peer that no command line names", with([](auto* i) { i->peer_id = "node one"; })},
      {"the empty vote as peer", with([](auto* i) { i->peer_id = "0.0.0.0:0:0:0"; })},
  };
  const auto in_header = [&](const image::Identity& identity) {
    return with_header(image, [&](image::proto::ImageHeader* header) {
      header->set_group_id(identity.group_id);
      header->set_peer_id(identity.peer_id);
      header->set_lineage(identity.lineage);
    });
  };
  for (const auto& [what, identity] : illegal) {
    expect_refused(c, what, in_header(identity), identity);
    std::string bytes;
    image::MemorySink sink(&bytes);
    image::Exporter exporter(
        &c.subject(), c.expect_value("take a cut", image::ExportCut::capture(c.subject(), 1)),
        identity, c.family().name, c.family().format_version, &sink);
    c.expect_code(cat("export as ", what), exporter.run(), kInvalid);
    c.expect_code(cat("a sidecar with ", what),
                  image::write_sidecar(c.fs(), path, {identity, c.family().name, "one", {}}),
                  kInvalid);
  }
  const image::Identity edge = with([](auto* i) {
    i->group_id = cat("\xc3\xa4 \"group\" ", std::string(1000, 'g'));
    i->lineage.assign(1024, 'x');
    i->peer_id = "0.0.0.0:1:7:1";
  });
  const std::string legal = in_header(edge);
  c.expect_ok("verify an identity at the limit", verify_bytes(legal));
  const std::string root = families::join_path(families::parent_path(c.root()), "at-the-limit");
  image::ImportRequest request = import_request(c.registry(), c.fs(), c.family().name, root);
  request.identity = edge;
  c.expect_ok("import it", import_image(request, legal));
  families::OpenRequest open;
  open.fs = &c.fs();
  open.root = root;
  c.expect_ok("open it", image::open_instance(c.registry(), open, c.family().name, edge).status());
}

}  // namespace

std::vector<Check> rules_checks() {
  std::vector<Check> checks;
  const auto add = [&](std::string name, std::vector<std::string> ids,
                       std::function<void(InstanceContext&)> run) {
    checks.push_back(instance_check("RULES", std::move(name), std::move(ids), std::move(run)));
  };
  add("entries_at_the_edge", {"SB-17", "CI-14"}, entries_at_the_edge);
  add("hard_states_at_the_edge", {"SB-18", "CI-15"}, hard_states_at_the_edge);
  add("bulk_loads_at_the_edge", {"SB-4", "SB-17", "SB-23"}, bulk_loads_at_the_edge);
  checks.back().roles = kPlainOnly;
  add("histories_at_the_edge", {"CI-3", "CI-21", "SB-25"}, histories_at_the_edge);
  add("lost_votes_at_the_edge", {"SB-18", "CI-15"}, lost_votes_at_the_edge);
  add("files_at_the_edge", {"SB-20", "CI-17"}, files_at_the_edge);
  add("snapshot_metas_at_the_edge", {"SB-19", "CI-16"}, snapshot_metas_at_the_edge);
  add("identities_at_the_edge", {"CI-X1"}, identities_at_the_edge);
  return checks;
}

}  // namespace qk::sim::conformance
