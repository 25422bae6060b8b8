#include "tools/qksim/sweep_progress.h"

#include <algorithm>

#include "families/base/printable.h"
#include "families/base/strings.h"
#include "sim/kernel/trace_text.h"
#include "tools/qksim/step_progress.h"

namespace qk::cli {
namespace {

constexpr int64_t kRedrawMs = 100;
constexpr int64_t kPlainMs = 10'000;

// Tenths of `amount` per `per`: "38.1".
std::string tenths(uint64_t amount, uint64_t per) {
  const uint64_t value = per == 0 ? 0 : amount * 10 / per;
  return cat(value / 10, ".", value % 10);
}

}  // namespace

SweepProgress::SweepProgress(const Environment& environment, ProgressForm form, uint64_t all,
                             uint64_t done)
    : environment_(environment),
      quiet_(form == ProgressForm::kNone),
      redraws_(redraws_line(form, environment.terminal_err)),
      all_(all),
      before_(done),
      start_ms_(environment.wall_ms()),
      drawn_ms_(start_ms_),
      drawn_done_(done) {}

void SweepProgress::add(const sim::SeedRecord& record) {
  ++done_;
  simulated_ += record.simulated;
  if (sim::is_failure(record.verdict)) {
    ++failed_;
  } else if (sim::is_finding(record.verdict)) {
    ++open_;
  } else {
    ++good_;
  }
  draw(/*now=*/false);
}

void SweepProgress::tell(const std::string& line) {
  if (quiet_) return;
  end();
  *environment_.err << printable(line) << "\n" << std::flush;
  if (redraws_) draw(/*now=*/true);
}

void SweepProgress::end() {
  if (!drawn_) return;
  *environment_.err << "\r\x1b[K" << std::flush;
  drawn_ = false;
}

std::string SweepProgress::rate_text() const {
  const auto ms = static_cast<uint64_t>(std::max<int64_t>(1, passed_ms()));
  return cat(done_, " seeds in ", sim::seconds_text(passed_ms() * sim::kMillisecond, 1), "s, ",
             tenths(done_ * 1000, ms), " seeds/s");
}

std::string SweepProgress::line() const {
  const auto ms = static_cast<uint64_t>(std::max<int64_t>(1, passed_ms()));
  std::string out =
      cat("sweep ", before_ + done_, all_ > 0 ? cat("/", all_) : std::string(), "  ok ", good_,
          "  FAIL ", failed_, "  ? ", open_, " | ", tenths(done_ * 1000, ms), " seeds/s | ",
          tenths(static_cast<uint64_t>(simulated_ / sim::kSecond), 3600), " sim-h");
  if (all_ > 0 && done_ > 0) {
    const uint64_t left_s = (all_ - std::min(all_, before_ + done_)) * ms / done_ / 1000;
    out += cat(" | ETA ", eta_text(left_s));
  }
  return out;
}

void SweepProgress::draw(bool now) {
  if (quiet_) return;
  const int64_t since = environment_.wall_ms() - drawn_ms_;
  const uint64_t done = before_ + done_;
  if (redraws_) {
    if (!now && since < kRedrawMs) return;
    *environment_.err << "\r\x1b[K" << line() << std::flush;
    drawn_ = true;
  } else {
    const bool tenth = all_ > 0 && (done - drawn_done_) * 10 >= all_ && since >= 1000;
    if (since < kPlainMs && !tenth) return;
    *environment_.err << line() << "\n" << std::flush;
  }
  drawn_ms_ = environment_.wall_ms();
  drawn_done_ = done;
}

}  // namespace qk::cli
