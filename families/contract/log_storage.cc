#include "families/contract/log_storage.h"

#include "families/contract/rules.h"

namespace qk::families {
namespace {

class AppendingLoader final : public LogLoader {
 public:
  explicit AppendingLoader(LogStorage* log) : log_(log) {}
  absl::Status append(std::span<const LogEntry> entries) override {
    return log_->append(entries).status();
  }
  absl::Status finish() override { return absl::OkStatus(); }

 private:
  LogStorage* const log_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<LogLoader>> LogStorage::bulk_load(int64_t first) {
  QK_RETURN_IF_ERROR(check_bulk_load("log", {first_index(), last_index()}, first));
  if (first != 1) QK_RETURN_IF_ERROR(reset(first).status());
  return std::make_unique<AppendingLoader>(this);
}

}  // namespace qk::families
