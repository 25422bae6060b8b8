#include "tools/qksim/step_progress.h"

#include <algorithm>

#include "families/base/strings.h"

namespace qk::cli {
namespace {

constexpr int64_t kStepRedrawMs = 100;
constexpr int64_t kStepPlainMs = 10'000;
constexpr int64_t kWholePpm = 1'000'000;

// "310.2 MiB".
std::string mebibytes(uint64_t bytes) {
  const uint64_t tenth = bytes / 1024 * 10 / 1024;
  return cat(tenth / 10, ".", tenth % 10, " MiB");
}

}  // namespace

bool redraws_line(ProgressForm form, const Terminal& terminal) {
  return form == ProgressForm::kAuto && terminal.is_terminal && terminal.term != "dumb" &&
         !terminal.term.empty();
}

std::string eta_text(uint64_t seconds) {
  return cat(seconds / 60, seconds % 60 < 10 ? ":0" : ":", seconds % 60);
}

StepProgress::StepProgress(const Environment& environment, ProgressForm form)
    : environment_(environment),
      quiet_(form == ProgressForm::kNone),
      redraws_(redraws_line(form, environment.terminal_err)) {}

void StepProgress::begin(std::string what) {
  end();
  what_ = std::move(what);
  start_ms_ = environment_.wall_ms();
  drawn_ms_ = start_ms_;
}

void StepProgress::announce(std::string what) {
  begin(std::move(what));
  if (quiet_ || !redraws_) return;
  // An error that comes meanwhile is written over it.
  *environment_.err << "\r\x1b[K" << what_ << "\r" << std::flush;
  drawn_ = true;
}

std::string StepProgress::passed_text() const {
  const int64_t ms = passed_ms();
  return cat(ms / 1000, ".", ms / 100 % 10, "s");
}

std::string StepProgress::line(int64_t ppm, uint64_t bytes) const {
  const auto ms = static_cast<uint64_t>(std::max<int64_t>(1, passed_ms()));
  std::string out =
      cat(what_, std::string(what_.size() < 8 ? 8 - what_.size() : 0, ' '), "  ", ppm / 10'000, ".",
          ppm / 1'000 % 10, "%  ", mebibytes(bytes), " | ", mebibytes(bytes * 1000 / ms), "/s");
  if (ppm > 0) {
    const auto left = static_cast<uint64_t>(std::max<int64_t>(0, kWholePpm - ppm));
    out += cat(" | ETA ", eta_text(left * ms / static_cast<uint64_t>(ppm) / 1000));
  }
  return out;
}

void StepProgress::show(int64_t ppm, uint64_t bytes) {
  if (quiet_) return;
  const int64_t now = environment_.wall_ms();
  if (now - drawn_ms_ < (redraws_ ? kStepRedrawMs : kStepPlainMs)) return;
  drawn_ms_ = now;
  if (redraws_) {
    *environment_.err << "\r\x1b[K" << line(ppm, bytes) << std::flush;
    drawn_ = true;
  } else {
    *environment_.err << line(ppm, bytes) << "\n" << std::flush;
  }
}

void StepProgress::end() {
  if (!drawn_) return;
  *environment_.err << "\r\x1b[K" << std::flush;
  drawn_ = false;
}

}  // namespace qk::cli
