#include "families/testing/golden_script.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <deque>
#include <sstream>

#include "families/base/bytes.h"
#include "families/base/check.h"
#include "families/fs/file_util.h"
#include "families/testing/golden_support.h"
#include "families/testing/scratch_disk.h"

namespace qk::families {
namespace {

using Words = std::deque<std::string>;

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

std::string pop(Words* words) {
  QK_CHECK(!words->empty());
  std::string word = words->front();
  words->pop_front();
  return word;
}
int64_t pop_number(Words* words) { return std::stoll(pop(words)); }

std::string from_hex(const std::string& text) {
  std::string bytes;
  for (size_t i = 0; i + 1 < text.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(text.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

std::string percent_decoded(const std::string& text) {
  std::string bytes;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      bytes += from_hex(text.substr(i + 1, 2));
      i += 2;
    } else {
      bytes += text[i];
    }
  }
  return bytes;
}

// "key=value" among the remaining words.
std::optional<std::string> take(Words* words, const std::string& key) {
  for (auto word = words->begin(); word != words->end(); ++word) {
    if (word->rfind(key + "=", 0) != 0) continue;
    const std::string value = word->substr(key.size() + 1);
    words->erase(word);
    return value;
  }
  return std::nullopt;
}

std::vector<std::string> take_peers(Words* words, const std::string& key) {
  const auto value = take(words, key);
  return value ? split(*value, ',') : std::vector<std::string>{};
}

std::vector<std::string> canonical(std::vector<std::string> peers) {
  for (std::string& peer : peers) peer = *canonical_peer(peer);
  return peers;
}

// Drives one family through one script.
class Interpreter {
 public:
  Interpreter(const FamilyDescriptor& family, FileSystem& fs, std::string root,
              std::map<int64_t, LogEntry> stored_entries)
      : descriptor_(family),
        fs_(fs),
        root_(std::move(root)),
        stored_entries_(std::move(stored_entries)) {}

  void run(const std::string& script) {
    std::istringstream lines(script);
    for (std::string line; std::getline(lines, line);) {
      if (line.empty() || line[0] == '#' || line.rfind("==", 0) == 0) continue;
      INFO(line);
      std::istringstream stream(line);
      Words words;
      for (std::string word; stream >> word;) words.push_back(word);
      const std::string operation = pop(&words);
      execute(operation, &words);
    }
    close();
  }

 private:
  void execute(const std::string& operation, Words* words) {
    if (operation == "open") {
      family();
    } else if (operation == "close") {
      close();
    } else if (operation == "flag") {
      REQUIRE(pop(words) == "raft_max_segment_size");
      options_["segment_size"] = pop(words);
      close();  // options are those of an instance
    } else if (operation == "checksum") {
      options_["checksum"] = pop(words) == "murmur" ? "murmur32" : "crc32c";
      close();
    } else if (operation == "append") {
      append(words);
    } else if (operation == "fill") {
      fill(words);
    } else if (operation == "batch") {
      in_batch_ = true;
    } else if (operation == "endbatch") {
      in_batch_ = false;
      flush();
    } else if (operation == "set_term_vote") {
      const int64_t term = pop_number(words);
      const std::string vote = pop(words);
      check(family().meta().save({term, vote == "none" ? "" : *canonical_peer(vote)}));
    } else if (operation == "truncate_prefix") {
      check(family().log().truncate_prefix(pop_number(words)));
    } else if (operation == "truncate_suffix") {
      check(family().log().truncate_suffix(pop_number(words)));
    } else if (operation == "reset") {
      check(family().log().reset(pop_number(words)));
    } else if (operation == "snapshot") {
      begin_snapshot();
      const int64_t index = pop_number(words);
      const int64_t term = pop_number(words);
      const SnapshotMeta meta{index, term, take_peers(words, "peers"), take_peers(words, "old")};
      for (const std::string& word : *words) {
        const size_t equals = word.find('=');
        write_file(percent_decoded(word.substr(0, equals)), word.substr(equals + 1), {});
      }
      end_snapshot(meta);
    } else if (operation == "snap_begin") {
      begin_snapshot();
    } else if (operation == "sfile") {
      const std::string name = percent_decoded(pop(words));
      const std::string content = pop(words);
      FileMeta meta;
      if (const auto user_meta = take(words, "user_meta")) meta.user_meta = from_hex(*user_meta);
      if (const auto source = take(words, "source")) meta.source = std::stoi(*source);
      meta.checksum = take(words, "checksum");
      write_file(name, content, meta);
    } else if (operation == "sremove") {
      REQUIRE(writer_->remove_file(percent_decoded(pop(words))).ok());
    } else if (operation == "snap_end") {
      const int64_t index = pop_number(words);
      const int64_t term = pop_number(words);
      end_snapshot({index, term, take_peers(words, "peers"), take_peers(words, "old")});
    } else {
      FAIL("unknown operation " << operation);
    }
  }

  Family& family() {
    if (family_ == nullptr) {
      auto opened =
          descriptor_.open({.fs = &fs_, .root = root_, .create = true, .options = options_});
      INFO(opened.status());
      REQUIRE(opened.ok());
      family_ = *std::move(opened);
    }
    return *family_;
  }
  void close() {
    writer_.reset();
    family_.reset();
  }

  static void check(const Outcome& outcome) {
    INFO(outcome.status());
    REQUIRE(outcome.ok());
  }

  // text:..., hex:..., empty:, or something random that only the directory knows (nullopt).
  static std::optional<std::string> literal(const std::string& value) {
    const size_t colon = value.find(':');
    const std::string kind = value.substr(0, colon);
    const std::string rest = value.substr(colon + 1);
    if (kind == "text") return rest;
    if (kind == "hex") return from_hex(rest);
    if (kind == "empty") return "";
    REQUIRE(kind == "rand");
    return std::nullopt;
  }

  void add(int64_t term, EntryType type, std::string payload) {
    const int64_t index = family().log().last_index() + 1 + static_cast<int64_t>(batch_.size());
    batch_.push_back({index, term, type, std::move(payload)});
    if (!in_batch_) flush();
  }
  void add_random(int64_t term, size_t length) {
    const int64_t index = family().log().last_index() + 1 + static_cast<int64_t>(batch_.size());
    const auto known = stored_entries_.find(index);
    const bool survives = known != stored_entries_.end() && known->second.term == term &&
                          known->second.payload.size() == length;
    add(term, EntryType::kData, survives ? known->second.payload : std::string(length, '\0'));
  }
  void flush() {
    check(family().log().append(batch_));
    batch_.clear();
  }

  void append(Words* words) {
    const int64_t term = pop_number(words);
    const std::string type = pop(words);
    if (type == "noop") return add(term, EntryType::kNoOp, "");
    if (type == "conf") {
      return add(term, EntryType::kConfiguration,
                 encode_configuration(
                     {canonical(take_peers(words, "peers")), canonical(take_peers(words, "old"))}));
    }
    REQUIRE(type == "data");
    const std::string value = pop(words);
    const auto bytes = literal(value);
    if (bytes) return add(term, EntryType::kData, *bytes);
    add_random(term, std::stoul(split(value, ':')[1]));
  }
  void fill(Words* words) {
    const int64_t count = pop_number(words);
    const int64_t term = pop_number(words);
    const size_t length = static_cast<size_t>(pop_number(words));
    for (int64_t i = 0; i < count; ++i) add_random(term, length);
  }

  void begin_snapshot() {
    auto writer = family().snapshot().create();
    REQUIRE(writer.ok());
    writer_ = *std::move(writer);
  }
  void write_file(const std::string& name, const std::string& content, const FileMeta& meta) {
    const auto file = writer_->create_file(name);
    INFO(file.status());
    REQUIRE(file.ok());
    REQUIRE((*file)->write_at(0, *literal(content)).ok());
    REQUIRE(writer_->add_file(name, meta).ok());
  }
  void end_snapshot(const SnapshotMeta& meta) {
    REQUIRE(writer_->save_meta(meta).ok());
    check(family().snapshot().publish(std::move(writer_)));
  }

  const FamilyDescriptor& descriptor_;
  FileSystem& fs_;
  const std::string root_;
  const std::map<int64_t, LogEntry> stored_entries_;
  FamilyOptions options_;
  std::unique_ptr<Family> family_;
  std::unique_ptr<SnapshotWriter> writer_;
  bool in_batch_ = false;
  std::vector<LogEntry> batch_;
};

// Every entry that lies in the case's segment files, those below the first index too.
std::map<int64_t, LogEntry> stored_entries(const GoldenArchive::Tree& tree) {
  std::map<int64_t, LogEntry> entries;
  for (const auto& [path, bytes] : tree.files) {
    const std::string prefix =
        path.rfind("log/log_inprogress_", 0) == 0 ? "log/log_inprogress_" : "log/log_";
    if (path.rfind(prefix, 0) != 0 || path == "log/log_meta") continue;
    int64_t index = std::stoll(path.substr(prefix.size(), 20));
    for (size_t offset = 0; offset < bytes.size(); ++index) {
      const size_t length = get_be32(&bytes[offset + 12]);
      entries[index] = {index, static_cast<int64_t>(get_be64(&bytes[offset])), EntryType::kData,
                        bytes.substr(offset + 24, length)};
      offset += 24 + length;
    }
  }
  return entries;
}

}  // namespace

std::vector<std::string> script_differences(const FamilyDescriptor& family,
                                            const std::string& name) {
  const auto script = golden_archive().file(name, "script.txt");
  const auto expected = golden_archive().tree(name);
  REQUIRE(script.ok());
  REQUIRE(expected.ok());
  ScratchDisk disk;
  Interpreter(family, disk.fs(), disk.path(), stored_entries(*expected)).run(*script);
  return tree_differences(read_tree(disk.fs(), disk.path()), *expected);
}

}  // namespace qk::families
