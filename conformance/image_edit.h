// Images as lists of frames, to be read and altered by checks. Written from image/FORMAT.md; the
// state is decoded without any code of image/.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "conformance/model.h"
#include "image/header.pb.h"

namespace qk::sim::conformance {

struct ImageFrame {
  char type = 0;
  std::string payload;
  friend bool operator==(const ImageFrame&, const ImageFrame&) = default;
};

// Frames with their CRCs; the image must be well-formed as far as that goes.
std::vector<ImageFrame> split_image(std::string_view image);
std::string join_image(const std::vector<ImageFrame>& frames);

// The state that an image holds; an error if it does not hold one, whole.
absl::StatusOr<State> decode_image_state(std::string_view image);
image::proto::ImageHeader image_header(std::string_view image);
// Everything between header and trailer, frame heads and checksums included.
std::string_view content_section(std::string_view image);

// The payloads of all frames of a type, altered, with new CRCs; the trailer stays as it was.
std::string with_frames(std::string_view image, const std::function<void(ImageFrame*)>& alter);
// With another header, and a trailer that says so: what a writer of such an image would write.
std::string with_header(std::string_view image,
                        const std::function<void(image::proto::ImageHeader*)>& alter);
// With the entries altered, in one frame; the trailer stays as it was.
std::string with_entries(std::string_view image,
                         const std::function<void(std::vector<families::LogEntry>*)>& alter);

}  // namespace qk::sim::conformance
