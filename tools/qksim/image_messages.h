// What the verbs of `qksim image` say: errors with their exit codes, notes, and what an image
// holds.
#pragma once

#include <string>

#include "image/reader.h"
#include "tools/qksim/environment.h"
#include "tools/qksim/exit_codes.h"

namespace qk::cli {

// "where: error: what"; a `what` that begins with where does not say it twice.
ExitCode fail(const Environment& environment, ExitCode code, const std::string& where,
              const absl::Status& status, const std::string& hint = "");
void note(const Environment& environment, const std::string& text);

// An image or an instance that is damaged, or that may not be read as asked, is bad data; one that
// is missing, in use or not readable counts as missing input. An errno says nothing about bytes.
ExitCode code_of_input(const absl::Status& status);

// "entries 8636..12068, term 3, vote nobody, snapshot 8635/3 with 1 file"
std::string describe_state(int64_t first, int64_t last, const families::HardState& hard_state,
                           const image::SnapshotHead& snapshot);

void print_totals(const Environment& environment, const image::ImageTotals& totals);
void print_identity(const Environment& environment, const image::ImageHeader& header);
void print_lost_vote(const Environment& environment);
void print_image(const Environment& environment, const image::VerifiedImage& verified);

}  // namespace qk::cli
