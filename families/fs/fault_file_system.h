// FaultFileSystem: forwards to another file system, and fails calls by number. For tests of what a
// family does after an error, and of what it asks of the disk.
//
// Two counters: mutating calls (open that creates or truncates, write, truncate, sync, unlink,
// rename, link, mkdir, rmdir, sync_dir), of which it also keeps a list, and looks (open of what is
// there, read, size, list, stat). A failing mutating call did nothing, a part of what it should
// (of a write, the first half), or all of it, and says only that it failed.
//
// A failed sync is not made good by the next one: as on Linux, the bytes that it should have made
// durable count as written, and later syncs of the same handle return OK and do nothing.
#pragma once

#include <cerrno>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "families/fs/file_system_wrapper.h"

namespace qk::families {

struct Fault {
  enum class Effect : uint8_t { kNone, kPart, kAll };
  int error = EIO;
  Effect effect = Effect::kNone;  // of mutating calls
  bool lasts = false;             // so do all calls of the kind after it
};

class FaultFileSystem final : public FileSystemWrapper {
 public:
  using FileSystemWrapper::FileSystemWrapper;

  // The n-th mutating call from now on fails (1 is the next); 0: none does.
  void fail_at(uint64_t n, Fault fault = {}) { mutations_ = {n, fault}; }
  void fail_at(uint64_t n, int error) {
    Fault fault;
    fault.error = error;
    fail_at(n, fault);
  }
  // The n-th look.
  void fail_look_at(uint64_t n, Fault fault = {}) { looks_ = {n, fault}; }
  // Whether a failure has happened.
  bool failed() const { return !failed_call_.empty(); }
  // The last call that failed; "" if none has.
  const std::string& failed_call() const { return failed_call_; }
  // "write log/log_meta.tmp": every mutating call since the last take, the failed ones too; a file
  // is named as it was opened.
  std::vector<std::string> take_calls() { return std::exchange(calls_, {}); }

  absl::StatusOr<std::unique_ptr<File>> open(std::string_view path, OpenFlags flags) override {
    std::unique_ptr<File> file;
    const auto open_inner = [&]() -> absl::Status {
      QK_ASSIGN_OR_RETURN(file, inner().open(path, flags));
      return absl::OkStatus();
    };
    if (flags.create || flags.truncate) {
      QK_RETURN_IF_ERROR(mutate("open", path, open_inner));
    } else {
      QK_RETURN_IF_ERROR(look("open", path));
      QK_RETURN_IF_ERROR(open_inner());
    }
    return std::make_unique<FaultFile>(this, std::move(file), path);
  }
  absl::Status unlink(std::string_view path) override {
    return mutate("unlink", path, [&] { return inner().unlink(path); });
  }
  absl::Status rename(std::string_view from, std::string_view to) override {
    return mutate("rename", cat(from, " ", to), [&] { return inner().rename(from, to); });
  }
  absl::Status rename_new(std::string_view from, std::string_view to) override {
    return mutate("rename", cat(from, " ", to), [&] { return inner().rename_new(from, to); });
  }
  absl::Status link(std::string_view existing, std::string_view name) override {
    return mutate("link", cat(existing, " ", name), [&] { return inner().link(existing, name); });
  }
  absl::Status mkdir(std::string_view path) override {
    return mutate("mkdir", path, [&] { return inner().mkdir(path); });
  }
  absl::Status rmdir(std::string_view path) override {
    return mutate("rmdir", path, [&] { return inner().rmdir(path); });
  }
  absl::StatusOr<std::vector<std::string>> list(std::string_view path) override {
    QK_RETURN_IF_ERROR(look("list", path));
    return inner().list(path);
  }
  absl::StatusOr<FileStat> stat(std::string_view path) override {
    QK_RETURN_IF_ERROR(look("stat", path));
    return inner().stat(path);
  }
  absl::Status sync_dir(std::string_view path, SyncKind kind) override {
    return mutate("sync_dir", path, [&] { return inner().sync_dir(path, kind); });
  }

 private:
  class FaultFile final : public FileWrapper {
   public:
    FaultFile(FaultFileSystem* fs, std::unique_ptr<File> inner, std::string_view path)
        : FileWrapper(std::move(inner)), fs_(*fs), path_(path) {}
    absl::StatusOr<size_t> read_at(uint64_t offset, std::span<char> buffer) override {
      QK_RETURN_IF_ERROR(fs_.look("read", path_));
      return inner().read_at(offset, buffer);
    }
    absl::Status write_at(uint64_t offset, std::string_view bytes) override {
      return fs_.mutate(
          "write", path_, [&] { return inner().write_at(offset, bytes); },
          [&] { return inner().write_at(offset, bytes.substr(0, bytes.size() / 2)); });
    }
    absl::Status truncate(uint64_t size) override {
      return fs_.mutate("truncate", path_, [&] { return inner().truncate(size); });
    }
    absl::StatusOr<uint64_t> size() override {
      QK_RETURN_IF_ERROR(fs_.look("size", path_));
      return inner().size();
    }
    absl::Status sync(SyncKind kind) override {
      const absl::Status status = fs_.mutate(
          "sync", path_, [&] { return sync_failed_ ? absl::OkStatus() : inner().sync(kind); });
      if (!status.ok()) sync_failed_ = true;
      return status;
    }
    absl::StatusOr<uint64_t> skip_hole(uint64_t offset) override {
      QK_RETURN_IF_ERROR(fs_.look("skip_hole", path_));
      return inner().skip_hole(offset);
    }

   private:
    FaultFileSystem& fs_;
    const std::string path_;
    bool sync_failed_ = false;
  };

  struct Countdown {
    uint64_t left = 0;
    Fault fault;

    bool fails() {
      if (left == 0) return false;
      if (left > 1) {
        --left;
        return false;
      }
      if (!fault.lasts) left = 0;
      return true;
    }
  };

  absl::Status fail(std::string call, const Fault& fault) {
    failed_call_ = std::move(call);
    return errno_status(fault.error, cat("injected: ", failed_call_));
  }

  template <typename Call>
  absl::Status mutate(std::string_view what, std::string_view path, const Call& call) {
    return mutate(what, path, call, [] { return absl::OkStatus(); });
  }
  // `part` does a part of what `call` does.
  template <typename Call, typename Part>
  absl::Status mutate(std::string_view what, std::string_view path, const Call& call,
                      const Part& part) {
    calls_.push_back(cat(what, " ", path));
    if (!mutations_.fails()) return call();
    // Whatever it did, it says that it failed.
    if (mutations_.fault.effect == Fault::Effect::kAll) call().IgnoreError();
    if (mutations_.fault.effect == Fault::Effect::kPart) part().IgnoreError();
    return fail(calls_.back(), mutations_.fault);
  }

  absl::Status look(std::string_view what, std::string_view path) {
    if (!looks_.fails()) return absl::OkStatus();
    return fail(cat(what, " ", path), looks_.fault);
  }

  Countdown mutations_;
  Countdown looks_;
  std::string failed_call_;
  std::vector<std::string> calls_;
};

}  // namespace qk::families
