// How far a long copy of state has come, on stderr: on a terminal one line that is drawn again,
// elsewhere a line at most every ten seconds.
//
//   copy     45.3%  412 MiB | 310.2 MiB/s | ETA 0:15
#pragma once

#include <string>

#include "families/base/status.h"
#include "tools/qksim/environment.h"

namespace qk::cli {

// Whether a line of progress is drawn again and again, and not a new one each time.
bool redraws_line(ProgressForm form, const Terminal& terminal);
// "0:15", of a time that is left.
std::string eta_text(uint64_t seconds);

class StepProgress {
 public:
  StepProgress(const Environment& environment, ProgressForm form);
  StepProgress(const StepProgress&) = delete;
  StepProgress& operator=(const StepProgress&) = delete;
  ~StepProgress() { end(); }

  void begin(std::string what);
  // What takes a while and does not tell how far it is; on a terminal alone.
  void announce(std::string what);
  void show(int64_t ppm, uint64_t bytes);
  // Removes what is drawn.
  void end();
  // Since begin().
  int64_t passed_ms() const { return environment_.wall_ms() - start_ms_; }
  std::string passed_text() const;  // "9.8s"

 private:
  std::string line(int64_t ppm, uint64_t bytes) const;

  const Environment& environment_;
  const bool quiet_;
  const bool redraws_;
  std::string what_;
  int64_t start_ms_ = 0;
  int64_t drawn_ms_ = 0;
  bool drawn_ = false;
};

// All steps of a job, unless a signal comes between two of them.
template <typename Job>
absl::Status run_steps(Job& job, const Environment& environment, StepProgress* progress = nullptr) {
  constexpr int64_t kStep = 1024;  // entries or file chunks
  environment.catch_signals();
  while (true) {
    if (environment.interrupted()) return absl::CancelledError("interrupted by a signal");
    QK_ASSIGN_OR_RETURN(const bool finished, job.step(kStep));
    if (finished) return absl::OkStatus();
    if constexpr (requires { job.content_bytes(); }) {
      if (progress != nullptr) progress->show(job.progress_ppm(), job.content_bytes());
    }
  }
}

}  // namespace qk::cli
