#include "sim/disk/litmus_programs.h"

#include <algorithm>
#include <map>

#include "families/base/check.h"
#include "families/base/strings.h"
#include "families/fs/file_util.h"
#include "sim/disk/all_answers.h"

namespace qk::sim {
namespace {

using families::FileSystem;
using families::SyncKind;
using CallKind = LitmusCall::Kind;

constexpr uint64_t kLetterBytes = 512;
constexpr uint64_t kPageLetters = 8;
constexpr uint64_t kLargestFile = 1 << 20;

constexpr LitmusProgram kPrograms[] = {
    // What an append leaves.
    {"append", "create f", "write f 0 2 X"},
    {"append-page", "create f", "write f 0 8 X"},
    {"append-two-pages", "create f", "write f 0 16 X"},
    {"append-twice", "create f", "write f 0 1 X; write f 1 1 Y"},
    {"append-page-twice", "create f", "write f 0 8 X; write f 8 8 Y"},
    {"append-in-block", "write f 0 1 A", "write f 1 1 X"},
    {"append-in-block-twice", "write f 0 1 A", "write f 1 1 X; write f 2 1 Y"},
    {"append-across-blocks", "write f 0 7 A", "write f 7 2 X"},
    {"append-behind-gap", "create f", "write f 16 1 X"},
    {"append-fsync", "write f 0 1 A", "write f 1 1 X; fsync f"},
    {"append-fdatasync", "write f 0 1 A", "write f 1 1 X; fdatasync f"},
    {"append-fdatasync-append", "create f", "write f 0 8 X; fdatasync f; write f 8 8 Y"},
    {"append-two-files", "create a; create b", "write a 0 1 X; write b 0 1 Y"},
    // Overwrites.
    {"overwrite", "write f 0 3 A", "write f 0 3 B"},
    {"overwrite-two-pages", "write f 0 16 A", "write f 0 16 B"},
    {"overwrite-twice", "write f 0 8 A", "write f 0 8 B; write f 0 8 C"},
    {"overwrite-two-files", "write a 0 1 A; write b 0 1 B", "write a 0 1 X; write b 0 1 Y"},
    {"overwrite-fdatasync", "write f 0 2 A", "write f 0 2 B; fdatasync f"},
    {"overwrite-rename-other", "write f 0 8 A; create x", "write f 0 8 B; rename x y"},
    {"sync-covers-earlier-writes", "write f 0 2 A", "write f 0 1 X; fsync f; write f 1 1 Y"},
    {"write-in-hole", "write f 0 1 A; truncate f 16", "write f 8 1 X; fdatasync f"},
    // New names.
    {"create", "", "create f"},
    {"create-two", "", "create a; create b"},
    {"create-write", "", "write f 0 1 X"},
    {"create-write-fsync", "", "write f 0 1 X; fsync f"},
    {"create-write-fdatasync", "", "write f 0 1 X; fdatasync f"},
    {"create-write-fsyncdir", "", "write f 0 1 X; fsyncdir /"},
    {"create-write-fsync-fsyncdir", "", "write f 0 1 X; fsync f; fsyncdir /"},
    {"create-then-fsync-other", "write b 0 1 B", "create a; write b 1 1 X; fsync b"},
    {"fsync-of-older-change", "write b 0 1 B", "write b 1 1 X; create a; fsync b"},
    // Removals.
    {"unlink-fsync-clean", "write a 0 1 A; write b 0 1 B", "unlink a; fsync b"},
    {"unlink-overwrite-fsync", "write a 0 1 A; write b 0 1 B", "unlink a; write b 0 1 X; fsync b"},
    {"unlink-overwrite-fdatasync", "write a 0 1 A; write b 0 1 B",
     "unlink a; write b 0 1 X; fdatasync b"},
    {"unlink-append-fdatasync", "write a 0 1 A; write b 0 1 B",
     "unlink a; write b 1 1 X; fdatasync b"},
    {"unlink-fsyncdir", "write a 0 1 A; write b 0 1 B", "unlink a; fsyncdir /"},
    {"unlink-recreate-fsync", "write f 0 1 O", "unlink f; write f 0 1 N; fsync f"},
    {"link-unlink", "write a 0 1 A", "link a b; unlink a"},
    {"link-fsync", "write a 0 1 A", "link a b; fsync a"},
    {"rmdir", "mkdir d; write d/x 0 1 X", "unlink d/x; rmdir d"},
    // Renames.
    {"replace", "write f 0 1 O", "write t 0 1 N; rename t f"},
    {"replace-page", "write f 0 8 O", "write t 0 8 N; rename t f"},
    {"replace-synced", "write f 0 1 O", "write t 0 1 N; fsync t; rename t f"},
    {"replace-synced-fsyncdir", "write f 0 1 O", "write t 0 1 N; fsync t; rename t f; fsyncdir /"},
    {"replace-fsync-later", "write f 0 1 O", "write t 0 1 N; rename t f; fsync f"},
    {"rename-fsync", "write a 0 1 A", "rename a b; fsync b"},
    {"rename-twice", "write a 0 1 A", "rename a b; rename b c"},
    {"rename-directory-twice", "mkdir a", "rename a b; rename b c"},
    {"rename-over-recreate", "write a 0 1 A; write b 0 1 B", "rename a b; create a"},
    {"rename-across", "mkdir p; mkdir q; write p/a 0 1 A", "rename p/a q/a"},
    {"rename-across-fsync-source", "mkdir p; mkdir q; write p/a 0 1 A",
     "rename p/a q/a; fsyncdir p"},
    {"rename-across-fsync-target", "mkdir p; mkdir q; write p/a 0 1 A",
     "rename p/a q/a; fsyncdir q"},
    {"create-rename-across", "mkdir p; mkdir q", "create p/a; rename p/a q/a; fsyncdir q"},
    // Directories.
    {"mkdir-subtree", "", "mkdir d; write d/f 0 1 X; fsync d/f; fsyncdir d"},
    {"mkdir-subtree-fsyncdir", "", "mkdir d; write d/f 0 1 X; fsync d/f; fsyncdir d; fsyncdir /"},
    {"move-into-new-directory", "write a 0 1 A", "mkdir d; rename a d/a; fsyncdir d"},
    {"publish-directory", "", "mkdir t; write t/f 0 1 X; fsync t/f; fsyncdir t; rename t u"},
    {"publish-directory-fsyncdir", "mkdir t; write t/f 0 1 X", "rename t u; fsyncdir /"},
    // Sizes.
    {"truncate", "write f 0 1 A; write f 1 1 B", "truncate f 1"},
    {"truncate-regrow", "write f 0 1 A; write f 1 1 B", "truncate f 1; write f 1 1 C"},
    {"truncate-fsync-regrow", "write f 0 1 A; write f 1 1 B",
     "truncate f 1; fsync f; write f 1 1 C"},
    {"truncate-all-rewrite", "write f 0 8 O", "truncate f 0; write f 0 8 N"},
    {"append-truncate", "create f", "write f 0 16 X; truncate f 8"},
    {"extend", "write f 0 1 A", "truncate f 16"},
};

class Words {
 public:
  explicit Words(std::string_view text) {
    while (!text.empty()) {
      const size_t space = std::min(text.find(' '), text.size());
      if (space > 0) words_.emplace_back(text.substr(0, space));
      text.remove_prefix(std::min(space + 1, text.size()));
    }
  }
  bool empty() const { return next_ == words_.size(); }
  std::string word() {
    QK_CHECK(!empty());
    return words_[next_++];
  }
  std::string path() {
    const std::string name = word();
    return name == "/" ? name : cat("/", name);
  }
  uint64_t sectors() { return std::stoull(word()) * kLetterBytes; }

 private:
  std::vector<std::string> words_;
  size_t next_ = 0;
};

LitmusCall parse_call(std::string_view text) {
  static const std::map<std::string_view, CallKind> kinds = {
      {"create", CallKind::kCreate},     {"write", CallKind::kWrite},
      {"truncate", CallKind::kTruncate}, {"fsync", CallKind::kFsync},
      {"rename", CallKind::kRename},     {"fdatasync", CallKind::kFdatasync},
      {"mkdir", CallKind::kMkdir},       {"rmdir", CallKind::kRmdir},
      {"link", CallKind::kLink},         {"fsyncdir", CallKind::kFsyncDir},
      {"unlink", CallKind::kUnlink},
  };
  Words words(text);
  LitmusCall call;
  call.kind = kinds.at(words.word());
  call.path = words.path();
  if (call.kind == CallKind::kRename || call.kind == CallKind::kLink) call.to = words.path();
  if (call.kind == CallKind::kWrite) call.offset = words.sectors();
  if (call.kind == CallKind::kWrite || call.kind == CallKind::kTruncate) {
    call.length = words.sectors();
  }
  if (call.kind == CallKind::kWrite) call.letter = words.word()[0];
  QK_CHECK(words.empty());
  return call;
}

std::string letters(const std::string& bytes) {
  std::string text;
  std::string all;
  for (size_t at = 0; at + kLetterBytes <= bytes.size(); at += kLetterBytes) {
    const std::string_view sector = std::string_view(bytes).substr(at, kLetterBytes);
    const bool uniform = sector.find_first_not_of(sector[0]) == std::string_view::npos;
    const bool letter = sector[0] >= 'A' && sector[0] <= 'Z';
    all += !uniform ? '?' : sector[0] == '\0' ? '.' : letter ? sector[0] : '?';
  }
  for (size_t at = 0; at < all.size();) {
    const size_t end = std::min(all.find_first_not_of(all[at], at), all.size());
    if (end - at > 1) text += cat(end - at);
    text += all[at];
    at = end;
  }
  if (bytes.size() % kLetterBytes != 0) text += cat("+", bytes.size() % kLetterBytes);
  return text;
}

absl::Status observe_directory(FileSystem& fs, const std::string& root, const std::string& path,
                               std::string* out) {
  const std::string directory = path.empty() ? root : families::join_path(root, path);
  QK_ASSIGN_OR_RETURN(const auto names, fs.list(directory));
  for (const std::string& name : names) {
    if (name.starts_with('.') || name == "lost+found") continue;
    const std::string child = path.empty() ? name : cat(path, "/", name);
    const std::string full = families::join_path(directory, name);
    if (!out->empty()) *out += ' ';
    QK_ASSIGN_OR_RETURN(const families::FileStat stat, fs.stat(full));
    if (stat.kind == families::FileKind::kDirectory) {
      *out += cat(child, "/");
      QK_RETURN_IF_ERROR(observe_directory(fs, root, child, out));
    } else {
      QK_ASSIGN_OR_RETURN(const std::string bytes, families::read_file(fs, full, kLargestFile));
      *out += cat(child, "=", letters(bytes));
    }
  }
  return absl::OkStatus();
}

void must_run(FileSystem& fs, const LitmusCall& call) {
  const absl::Status status = run_litmus_call(fs, "", call);
  QK_CHECK(status.ok());
}

}  // namespace

std::span<const LitmusProgram> litmus_programs() { return kPrograms; }

std::vector<LitmusCall> litmus_calls(std::string_view text) {
  std::vector<LitmusCall> calls;
  while (!text.empty()) {
    const size_t end = std::min(text.find(';'), text.size());
    calls.push_back(parse_call(text.substr(0, end)));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return calls;
}

absl::Status run_litmus_call(FileSystem& fs, const std::string& root, const LitmusCall& call) {
  const std::string path = call.path == "/" && !root.empty() ? root : root + call.path;
  const auto open = [&](families::OpenFlags flags) { return fs.open(path, flags); };
  switch (call.kind) {
    case CallKind::kCreate:
      return open({.create = true, .exclusive = true}).status();
    case CallKind::kWrite: {
      QK_ASSIGN_OR_RETURN(const auto file, open({.create = true}));
      return file->write_at(call.offset, std::string(call.length, call.letter));
    }
    case CallKind::kTruncate: {
      QK_ASSIGN_OR_RETURN(const auto file, open({}));
      return file->truncate(call.length);
    }
    case CallKind::kFsync:
    case CallKind::kFdatasync: {
      QK_ASSIGN_OR_RETURN(const auto file, open({.read_only = true}));
      return file->sync(call.kind == CallKind::kFsync ? SyncKind::kFull : SyncKind::kData);
    }
    case CallKind::kMkdir:
      return fs.mkdir(path);
    case CallKind::kRmdir:
      return fs.rmdir(path);
    case CallKind::kFsyncDir:
      return fs.sync_dir(path, SyncKind::kFull);
    case CallKind::kRename:
      return fs.rename(path, root + call.to);
    case CallKind::kLink:
      return fs.link(path, root + call.to);
    case CallKind::kUnlink:
      return fs.unlink(path);
  }
  QK_CHECK(false);
}

absl::StatusOr<std::string> litmus_outcome(FileSystem& fs, const std::string& root) {
  std::string outcome;
  QK_RETURN_IF_ERROR(observe_directory(fs, root.empty() ? "/" : root, "", &outcome));
  return outcome;
}

LitmusRun run_litmus(const LitmusProgram& program, const JournalOptions& journal) {
  const std::vector<LitmusCall> body = litmus_calls(program.body);
  DiskOptions steady;
  steady.journal = journal;
  steady.latency = {10, 10, 100, 100, 1};
  // Halves of whole pages show what tears are for; all subsets of their sectors would be too many.
  const bool pages = std::any_of(body.begin(), body.end(), [](const LitmusCall& call) {
    return call.kind == CallKind::kWrite && call.length >= kPageLetters * kLetterBytes;
  });
  if (pages) steady.sector_size = 2048;
  SimDisk disk(steady, RandomStream(1, "disk"));
  const auto fs = disk.mount();
  for (const LitmusCall& call : litmus_calls(program.setup)) must_run(*fs, call);
  const absl::Status durable = families::sync_tree(*fs, "/");
  QK_CHECK(durable.ok());
  disk.set_now(disk.busy_until());

  std::vector<Nanos> returned = {disk.busy_until()};
  for (const LitmusCall& call : body) {
    must_run(*fs, call);
    returned.push_back(disk.busy_until());
  }
  return {std::move(disk), std::move(returned)};
}

std::vector<LitmusOutcomes> allowed_outcomes(const LitmusProgram& program, CrashLevel level,
                                             const JournalOptions& journal) {
  const LitmusRun run = run_litmus(program, journal);
  const SimDisk& disk = run.disk;
  const std::vector<Nanos>& returned = run.returned;
  std::vector<LitmusOutcomes> allowed;
  for (size_t calls = 0; calls < returned.size(); ++calls) {
    std::vector<Nanos> instants = {returned[calls]};
    if (calls + 1 < returned.size()) {
      for (const Nanos at : disk.moments(returned[calls], returned[calls + 1])) {
        instants.push_back(at);
      }
      if (returned[calls + 1] - 1 > instants.back()) instants.push_back(returned[calls + 1] - 1);
    }
    LitmusOutcomes& outcomes = allowed.emplace_back();
    for (const Nanos at : instants) {
      AllAnswers answers;
      do {
        SimDisk crashed = disk.fork();
        crashed.crash(level, at, answers);
        const auto outcome = litmus_outcome(*crashed.mount(), "");
        QK_CHECK(outcome.ok());
        outcomes.insert(*outcome);
      } while (answers.advance());
    }
  }
  return allowed;
}

}  // namespace qk::sim
