#include "sim/check/image_digest.h"

#include <google/protobuf/io/coded_stream.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "families/base/bytes.h"
#include "families/fs/file_util.h"

namespace qk::sim {
namespace {

constexpr std::string_view kMagic = "QKIMAGE\n";
constexpr int64_t kBlock = 1024;
constexpr size_t kMaxPayload = 268435456;
constexpr size_t kMaxEntriesPayload = 1048576;
constexpr size_t kChunk = 65536;

// The digests, fed with canonical bytes in the order of the content section.
class Digester {
 public:
  Digester() {
    log_.update("qk.log");
    meta_.update("qk.meta");
    snapshot_.update("qk.snapshot");
  }
  void range(int64_t first, int64_t last) {
    std::string bytes;
    put_le64(&bytes, static_cast<uint64_t>(first));
    put_le64(&bytes, static_cast<uint64_t>(last));
    log_.update(bytes);
  }
  void entry(int64_t index, std::string_view bytes) {
    if (!block_ || index / kBlock != block_number_) {
      end_block();
      block_number_ = index / kBlock;
      block_.emplace();
      std::string head = "qk.block";
      put_le64(&head, static_cast<uint64_t>(block_number_));
      block_->update(head);
    }
    block_->update(bytes);
  }
  void meta(std::string_view bytes) { meta_.update(bytes); }
  void snapshot(std::string_view bytes) { snapshot_.update(bytes); }
  CanonicalDigest finish() {
    end_block();
    CanonicalDigest digest{log_.digest(), meta_.digest(), snapshot_.digest(), {}};
    Sha256 state;
    state.update("qk.state");
    for (const Digest& part : {digest.log, digest.meta, digest.snapshot}) {
      state.update(as_bytes(part));
    }
    digest.state = state.digest();
    return digest;
  }

 private:
  void end_block() {
    if (block_) log_.update(as_bytes(block_->digest()));
    block_.reset();
  }

  Sha256 log_;
  Sha256 meta_;
  Sha256 snapshot_;
  std::optional<Sha256> block_;
  int64_t block_number_ = 0;
};

void put_signed(std::string* out, int64_t value) { put_le64(out, static_cast<uint64_t>(value)); }

void put_peers(std::string* out, const std::vector<std::string>& peers) {
  put_le32(out, static_cast<uint32_t>(peers.size()));
  for (const std::string& peer : peers) put_bytes(out, peer);
}

absl::Status digest_snapshot(const families::SnapshotReader& reader, Digester* digester) {
  QK_ASSIGN_OR_RETURN(const std::vector<std::string> unlisted, reader.unlisted());
  // By name; null: not in the table.
  std::map<std::string, const families::FileMeta*> files;
  for (const families::SnapshotFile& file : reader.files()) files[file.path] = &file.meta;
  for (const std::string& place : unlisted) files[place] = nullptr;
  std::string head;
  put_u8(&head, 1);
  put_signed(&head, reader.meta().last_included_index);
  put_signed(&head, reader.meta().last_included_term);
  put_peers(&head, reader.meta().peers);
  put_peers(&head, reader.meta().old_peers);
  put_le64(&head, files.size());
  digester->snapshot(head);
  for (const auto& [name, meta] : files) {
    auto opened = meta == nullptr ? reader.open_unlisted(name) : reader.open_file(name);
    QK_ASSIGN_OR_RETURN(const auto handle, std::move(opened));
    QK_ASSIGN_OR_RETURN(const uint64_t size, handle->size());
    std::string bytes(size, '\0');
    QK_RETURN_IF_ERROR(families::read_exact(*handle, name, 0, bytes));
    std::string row;
    put_bytes(&row, name);
    put_le64(&row, size);
    if (meta == nullptr) {
      put_u8(&row, 8);
    } else {
      put_u8(&row, static_cast<uint8_t>((meta->user_meta ? 1 : 0) + (meta->source ? 2 : 0) +
                                        (meta->checksum ? 4 : 0)));
      if (meta->user_meta) put_bytes(&row, *meta->user_meta);
      if (meta->source) put_le32(&row, static_cast<uint32_t>(*meta->source));
      if (meta->checksum) put_bytes(&row, *meta->checksum);
    }
    digester->snapshot(row);
    digester->snapshot(as_bytes(sha256(bytes)));
  }
  return absl::OkStatus();
}

// A message as its fields: of a text all values, and the last one, which wins if it is not
// repeated.
struct Message {
  std::map<int, uint64_t> numbers;
  std::map<int, std::string> texts;
  std::map<int, std::vector<std::string>> lists;
};

bool parse_message(std::string_view bytes, Message* message) {
  google::protobuf::io::CodedInputStream in(reinterpret_cast<const uint8_t*>(bytes.data()),
                                            static_cast<int>(bytes.size()));
  while (const uint32_t tag = in.ReadTag()) {
    const int field = static_cast<int>(tag >> 3);
    uint32_t fixed32 = 0;
    uint32_t length = 0;
    switch (tag & 7) {
      case 0:
        if (!in.ReadVarint64(&message->numbers[field])) return false;
        break;
      case 1:
        if (!in.ReadLittleEndian64(&message->numbers[field])) return false;
        break;
      case 2:
        if (!in.ReadVarint32(&length) || length > bytes.size() ||
            !in.ReadString(&message->texts[field], static_cast<int>(length))) {
          return false;
        }
        message->lists[field].push_back(message->texts[field]);
        break;
      case 5:
        if (!in.ReadLittleEndian32(&fixed32)) return false;
        message->numbers[field] = fixed32;
        break;
      default:
        return false;
    }
  }
  return in.ConsumedEntireMessage();
}

// Fields of the header and the trailer.
constexpr int kFormatMajor = 1, kSourceFamily = 3, kSourceVersion = 4, kGroup = 5, kPeer = 6,
              kLineage = 7, kGeneration = 8, kCutSeq = 9, kFirst = 10, kLast = 11, kFeatures = 12;
constexpr int kEntries = 1, kFiles = 2, kFileBytes = 3, kContentBytes = 4, kContentHash = 5,
              kImageHash = 6, kLogDigest = 7, kMetaDigest = 8, kSnapshotDigest = 9,
              kStateDigest = 10;

class Decoder {
 public:
  explicit Decoder(std::string_view image) : image_(image) {}

  absl::StatusOr<DecodedImage> run() {
    if (image_.substr(0, kMagic.size()) != kMagic) return bad("no magic");
    at_ = kMagic.size();
    QK_RETURN_IF_ERROR(header());
    content_start_ = at_;
    heads_.clear();
    QK_RETURN_IF_ERROR(range());
    QK_RETURN_IF_ERROR(entries());
    QK_RETURN_IF_ERROR(meta());
    QK_RETURN_IF_ERROR(snapshot());
    QK_RETURN_IF_ERROR(trailer());
    if (at_ != image_.size()) return bad("bytes after the trailer");
    return std::move(out_);
  }

 private:
  absl::Status bad(std::string_view what) const {
    return absl::DataLossError(cat("image, before offset ", at_, ": ", what));
  }

  char next_type() const { return at_ < image_.size() ? image_[at_] : '\0'; }

  absl::Status frame(char type) {
    if (next_type() != type || image_.size() - at_ < 9) {
      return bad(cat("no whole frame '", std::string(1, type), "'"));
    }
    const size_t length = get_le32(image_.data() + at_ + 1);
    if (length > kMaxPayload || length > image_.size() - at_ - 9) return bad("a cut frame");
    if (get_le32(image_.data() + at_ + 5 + length) != crc32c(image_.substr(at_, 5 + length))) {
      return bad("a wrong CRC-32C");
    }
    payload_ = image_.substr(at_ + 5, length);
    heads_ += image_.substr(at_, 5);
    heads_ += image_.substr(at_ + 5 + length, 4);
    at_ += 9 + length;
    return absl::OkStatus();
  }

  absl::Status header() {
    QK_RETURN_IF_ERROR(frame('H'));
    Message message;
    if (!parse_message(payload_, &message)) return bad("the header does not parse as ImageHeader");
    if (message.numbers[kFormatMajor] != 1) return bad("another major version");
    // What this oracle recomputes below; a run writes images of the current version only.
    const std::vector<std::string>& features = message.lists[kFeatures];
    if (features.empty() || features[0] != "framed-hashes") {
      return bad("the first required feature is not \"framed-hashes\"");
    }
    for (size_t i = 1; i < features.size(); ++i) {
      if (features[i] == "listed-names") {
        listed_names_ = true;
      } else if (features[i] == "unlisted-files") {
        unlisted_files_ = true;
      } else if (features[i] == "lost-vote") {
        lost_vote_ = true;
      } else {
        return bad(cat("required feature \"", features[i], "\""));
      }
    }
    out_.source_family = message.texts[kSourceFamily];
    out_.group = message.texts[kGroup];
    out_.peer = message.texts[kPeer];
    out_.lineage = message.texts[kLineage];
    out_.generation = message.numbers[kGeneration];
    out_.cut_seq = message.numbers[kCutSeq];
    if (out_.source_family.empty() || message.texts[kSourceVersion].empty() || out_.group.empty() ||
        out_.peer.empty()) {
      return bad("the header misses a mandatory field");
    }
    out_.state.first = static_cast<int64_t>(message.numbers[kFirst]);
    out_.state.last = static_cast<int64_t>(message.numbers[kLast]);
    return absl::OkStatus();
  }

  absl::Status range() {
    QK_RETURN_IF_ERROR(frame('R'));
    ByteReader reader(payload_);
    const int64_t first = static_cast<int64_t>(reader.le64());
    const int64_t last = static_cast<int64_t>(reader.le64());
    if (!reader.done() || first != out_.state.first || last != out_.state.last || first < 1 ||
        last < first - 1) {
      return bad("an invalid index range, or not the header's");
    }
    digester_.range(first, last);
    return absl::OkStatus();
  }

  absl::Status entries() {
    int64_t next = out_.state.first;
    int64_t term = 1;
    while (next <= out_.state.last) {
      QK_RETURN_IF_ERROR(frame('E'));
      const size_t length = payload_.size();
      const int64_t block = next / kBlock;
      if (previous_entries_ && previous_block_ == block) {
        // The frame before ended inside this block: only because this entry did not fit.
        if (*previous_entries_ + entry_size(payload_) <= kMaxEntriesPayload) {
          return bad("an entries frame that ends early");
        }
      }
      ByteReader reader(payload_);
      do {
        const size_t start = length - reader.remaining();
        families::LogEntry entry;
        entry.index = static_cast<int64_t>(reader.le64());
        entry.term = static_cast<int64_t>(reader.le64());
        const uint8_t type = reader.u8();
        entry.payload = reader.bytes();
        entry.type = static_cast<families::EntryType>(type);
        if (!reader.ok() || type < 1 || type > 3) return bad("an invalid entry");
        if (entry.index != next || entry.index > out_.state.last) return bad("a gap in the log");
        if (entry.index / kBlock != block) return bad("an entries frame across blocks");
        if (entry.term < term) return bad("terms that go down");
        if (type == 1 && !entry.payload.empty()) return bad("a no-op with a payload");
        term = entry.term;
        const size_t end = length - reader.remaining();
        if (start > 0 && end > kMaxEntriesPayload) return bad("an entries frame that is too long");
        digester_.entry(entry.index, payload_.substr(start, end - start));
        out_.state.entries.push_back(digest_of(entry));
        ++next;
      } while (reader.remaining() > 0);
      previous_entries_ = length;
      previous_block_ = block;
    }
    return absl::OkStatus();
  }

  // Of the first entry in the bytes, or 0.
  static size_t entry_size(std::string_view bytes) {
    constexpr size_t kHead = 8 + 8 + 1;
    return bytes.size() < kHead + 4 ? 0 : kHead + 4 + get_le32(bytes.data() + kHead);
  }

  absl::Status meta() {
    QK_RETURN_IF_ERROR(frame('M'));
    ByteReader reader(payload_);
    out_.state.hard_state.term = static_cast<int64_t>(reader.le64());
    out_.state.hard_state.voted_for = reader.bytes();
    if (!reader.done() || out_.state.hard_state.term < 1) return bad("an invalid hard state");
    digester_.meta(payload_);
    return absl::OkStatus();
  }

  static bool read_peers(ByteReader* reader, std::vector<std::string>* peers) {
    const uint32_t count = reader->le32();
    for (uint32_t i = 0; i < count && reader->ok(); ++i) peers->emplace_back(reader->bytes());
    return reader->ok();
  }

  absl::Status snapshot() {
    QK_RETURN_IF_ERROR(frame('S'));
    ByteReader reader(payload_);
    const uint8_t present = reader.u8();
    digester_.snapshot(payload_);
    if (present == 0 && reader.done()) {
      QK_RETURN_IF_ERROR(term(0));
      return gap(0);
    }
    families::SnapshotMeta meta;
    meta.last_included_index = static_cast<int64_t>(reader.le64());
    meta.last_included_term = static_cast<int64_t>(reader.le64());
    const bool peers = read_peers(&reader, &meta.peers) && read_peers(&reader, &meta.old_peers);
    files_ = reader.le64();
    if (present != 1 || !peers || !reader.done() || meta.last_included_index < 1 ||
        meta.last_included_term < 1) {
      return bad("an invalid snapshot");
    }
    QK_RETURN_IF_ERROR(term(meta.last_included_term));
    QK_RETURN_IF_ERROR(gap(meta.last_included_index));
    QK_RETURN_IF_ERROR(history(meta.last_included_index, meta.last_included_term));
    TreeHasher tree;
    for (uint64_t i = 0; i < files_; ++i) QK_RETURN_IF_ERROR(file(&tree));
    out_.state.snapshot = SnapshotDigest{std::move(meta), tree.finish()};
    return absl::OkStatus();
  }

  absl::Status term(int64_t snapshot_term) const {
    const int64_t log_term = out_.state.entries.empty() ? 0 : out_.state.entries.back().term;
    return lost_vote_ || out_.state.hard_state.term >= std::max(log_term, snapshot_term)
               ? absl::OkStatus()
               : bad("a term below the log's or the snapshot's, without its feature");
  }

  // Log and snapshot are of one history.
  absl::Status history(int64_t index, int64_t term) const {
    for (const EntryDigest& entry : out_.state.entries) {
      if (entry.index == index ? entry.term == term
                               : (entry.index < index ? entry.term <= term : entry.term >= term)) {
        continue;
      }
      return bad("an entry whose term contradicts the snapshot's");
    }
    return absl::OkStatus();
  }

  absl::Status gap(int64_t snapshot_index) const {
    return out_.state.first <= snapshot_index + 1 ? absl::OkStatus()
                                                  : bad("a gap between snapshot and log");
  }

  // FORMAT.md, "Names": where a file lies, or nullopt for a name that is refused. `walked` gets the
  // directories that the name leads through.
  static std::optional<std::string> place_of(const std::string& name,
                                             std::vector<std::string>* walked) {
    constexpr size_t kMaxName = 4096, kMaxComponent = 255;
    if (name.empty() || name.size() > kMaxName || name.back() == '/' ||
        name.find('\0') != std::string::npos) {
      return std::nullopt;
    }
    std::string place;
    std::string component;
    for (size_t at = 0; at <= name.size(); at += component.size() + 1) {
      component = name.substr(at, name.find('/', at) - at);
      const bool last = at + component.size() == name.size();
      if (component.size() > kMaxComponent) return std::nullopt;
      if (component == "..") {
        if (place.empty() || last) return std::nullopt;
        place.resize(place.find('/') == std::string::npos ? 0 : place.rfind('/'));
      } else if (component == ".") {
        if (last) return std::nullopt;
      } else if (!component.empty()) {
        place += place.empty() ? component : "/" + component;
        if (place == "__raft_snapshot_meta") return std::nullopt;
        if (!last) walked->push_back(place);
      }
    }
    return place;
  }

  // The file of each place, and no place on the way to another.
  absl::Status place(const std::string& name, std::string_view bytes, bool unlisted) {
    std::vector<std::string> walked;
    const std::optional<std::string> at = place_of(name, &walked);
    if (!at) return bad("a file with a name that is refused");
    if (*at != name && !listed_names_) return bad("a name not in normal form without its feature");
    directories_.insert(walked.begin(), walked.end());
    const Digest content = sha256(bytes);
    const auto [known, added] = places_.emplace(*at, content);
    if (!added && known->second != content) return bad("two names of one file with other bytes");
    if (unlisted && (!added || *at != name)) return bad("a name of a file that is not listed");
    if (!added && unlisted_places_.count(*at) > 0)
      return bad("a name of a file that is not listed");
    if (unlisted) unlisted_places_.insert(*at);
    for (const std::string& directory : walked) {
      if (places_.count(directory) > 0) return bad("a file that is a directory, too");
    }
    if (directories_.count(*at) > 0) return bad("a file that is a directory, too");
    return absl::OkStatus();
  }

  absl::Status file(TreeHasher* tree) {
    QK_RETURN_IF_ERROR(frame('F'));
    ByteReader reader(payload_);
    families::SnapshotFile file;
    file.path = reader.bytes();
    const uint64_t size = reader.le64();
    const uint8_t present = reader.u8();
    if ((present & 1) != 0) file.meta.user_meta = reader.bytes();
    if ((present & 2) != 0) file.meta.source = static_cast<int32_t>(reader.le32());
    if ((present & 4) != 0) file.meta.checksum = reader.bytes();
    const bool unlisted = present == 8;
    if (!reader.done() || (present > 7 && !(unlisted && unlisted_files_))) {
      return bad("a file with impossible flags");
    }
    if (file.path <= last_name_) return bad("names that do not ascend");
    last_name_ = file.path;
    digester_.snapshot(payload_);
    std::string bytes;
    while (bytes.size() < size) {
      QK_RETURN_IF_ERROR(frame('C'));
      if (payload_.size() != std::min<uint64_t>(kChunk, size - bytes.size())) {
        return bad("a chunk of another length");
      }
      bytes += payload_;
    }
    QK_RETURN_IF_ERROR(place(file.path, bytes, unlisted));
    digester_.snapshot(as_bytes(sha256(bytes)));
    tree->add(file, bytes, unlisted);
    file_bytes_ += size;
    return absl::OkStatus();
  }

  absl::Status trailer() {
    const std::string_view content = image_.substr(content_start_, at_ - content_start_);
    const std::string_view before = image_.substr(0, content_start_);
    // The trailer's hash of the content: type, length and CRC of each frame, then the state digest.
    std::string heads = heads_;
    QK_RETURN_IF_ERROR(frame('T'));
    Message message;
    if (!parse_message(payload_, &message))
      return bad("the trailer does not parse as ImageTrailer");
    out_.content = sha256(content);
    out_.digest = digester_.finish();
    heads += as_bytes(out_.digest.state);
    const Digest content_hash = sha256(heads);
    const Digest image_hash = sha256(cat(before, as_bytes(content_hash)));
    const std::pair<int, uint64_t> numbers[] = {{kEntries, out_.state.entries.size()},
                                                {kFiles, files_},
                                                {kFileBytes, file_bytes_},
                                                {kContentBytes, content.size()}};
    for (const auto& [field, value] : numbers) {
      if (message.numbers.count(field) == 0 || message.numbers[field] != value) {
        return bad(cat("trailer field ", field, " is not ", value));
      }
    }
    const std::pair<int, const Digest*> hashes[] = {{kContentHash, &content_hash},
                                                    {kImageHash, &image_hash},
                                                    {kLogDigest, &out_.digest.log},
                                                    {kMetaDigest, &out_.digest.meta},
                                                    {kSnapshotDigest, &out_.digest.snapshot},
                                                    {kStateDigest, &out_.digest.state}};
    for (const auto& [field, value] : hashes) {
      if (message.texts[field] != as_bytes(*value)) {
        return bad(cat("trailer field ", field, " is not ", to_hex(*value)));
      }
    }
    return absl::OkStatus();
  }

  std::string_view image_;
  std::string_view payload_;  // of the last frame
  size_t at_ = 0;
  size_t content_start_ = 0;
  bool listed_names_ = false;  // the header's features
  bool unlisted_files_ = false;
  bool lost_vote_ = false;
  std::string last_name_;
  std::map<std::string, Digest> places_;
  std::set<std::string> directories_;
  std::set<std::string> unlisted_places_;
  std::string heads_;  // type, length and CRC of each content frame
  Digester digester_;
  DecodedImage out_;
  std::optional<size_t> previous_entries_;  // length of the entries frame before
  int64_t previous_block_ = 0;
  uint64_t files_ = 0;
  uint64_t file_bytes_ = 0;
};

}  // namespace

absl::StatusOr<CanonicalDigest> canonical_digest(families::Family& family) {
  Digester digester;
  families::LogStorage& log = family.log();
  const int64_t first = log.first_index();
  const int64_t last = log.last_index();
  digester.range(first, last);
  if (first <= last) {
    QK_RETURN_IF_ERROR(log.scan(first, last, [&](const families::LogEntry& entry) {
      std::string bytes;
      put_signed(&bytes, entry.index);
      put_signed(&bytes, entry.term);
      put_u8(&bytes, static_cast<uint8_t>(entry.type));
      put_bytes(&bytes, entry.payload);
      digester.entry(entry.index, bytes);
      return absl::OkStatus();
    }));
  }
  std::string meta;
  put_signed(&meta, family.meta().hard_state().term);
  put_bytes(&meta, family.meta().hard_state().voted_for);
  digester.meta(meta);
  const auto reader = family.snapshot().open();
  if (reader.ok()) {
    QK_RETURN_IF_ERROR(digest_snapshot(**reader, &digester));
  } else if (absl::IsNotFound(reader.status())) {
    digester.snapshot(std::string_view("\0", 1));
  } else {
    return reader.status();
  }
  return digester.finish();
}

absl::StatusOr<DecodedImage> decode_image(std::string_view image) { return Decoder(image).run(); }

}  // namespace qk::sim
