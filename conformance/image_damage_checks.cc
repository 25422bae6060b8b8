// EXPORT, the other way round: no byte of an image, and nothing that it says, can change
// undetected; and the containers that it may come in. Refusals are shown on the reader here; IMPORT
// shows that a destination stays untouched.
#include <algorithm>
#include <sstream>

#include "conformance/groups.h"
#include "conformance/history.h"
#include "conformance/image_edit.h"
#include "families/base/bytes.h"
#include "image/reader.h"

namespace qk::sim::conformance {
namespace {

using families::LogEntry;
using image::proto::ImageHeader;

constexpr absl::StatusCode kDamaged = absl::StatusCode::kDataLoss;

std::string exported(InstanceContext& c) {
  return c.expect_value("export", export_image(c.subject(), c.family(), 9));
}

void expect_refused(InstanceContext& c, std::string_view what, std::string_view image,
                    absl::StatusCode code) {
  c.expect_code(what, verify_bytes(image), code);
}

// The image of full_history(), which the reader accepts.
std::string full_image(InstanceContext& c) {
  c.begin(full_history());
  const std::string image = exported(c);
  c.expect_ok("verify the image", verify_bytes(image));
  return image;
}

void every_byte_counts(InstanceContext& c) {
  const std::string image = full_image(c);
  RandomStream random = c.random("bits");
  for (size_t at = 0; at < image.size(); ++at) {
    std::string damaged = image;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << random.below(8)));
    c.expect(!verify_bytes(damaged).ok(), cat("byte ", at, " flipped: found a good image"));
  }
}

void every_end_counts(InstanceContext& c) {
  const std::string image = full_image(c);
  for (size_t size = 0; size < image.size(); ++size) {
    c.expect(!verify_bytes(std::string_view(image).substr(0, size)).ok(),
             cat("cut after ", size, " bytes: found a good image"));
  }
  c.expect(!verify_bytes(image + '\0').ok(), "a byte more: found a good image");
  c.expect(!verify_bytes(image + image).ok(), "an image twice: found a good image");
}

// Everything that a record says, changed with its checksums made good.
void field_mutants(InstanceContext& c) {
  const std::string image = full_image(c);
  const State state = c.expect_value("decode", decode_image_state(image));
  const auto refused = [&](std::string_view what, std::string_view mutant) {
    c.expect(mutant != image, cat(what, ": found no mutant"));
    c.expect(!verify_bytes(mutant).ok(), cat(what, ": found a good image"));
  };
  for (size_t i = 0; i < state.entries.size(); ++i) {
    const auto entry_with = [&](const std::function<void(LogEntry*)>& alter) {
      return with_entries(image, [&](std::vector<LogEntry>* all) { alter(&(*all)[i]); });
    };
    const std::string which = cat("entry ", state.entries[i].index, ": another ");
    refused(cat(which, "index"), entry_with([](LogEntry* e) { e->index += 1; }));
    refused(cat(which, "term"), entry_with([](LogEntry* e) { e->term += 1; }));
    refused(cat(which, "type"), entry_with([](LogEntry* e) {
              e->type = e->type == families::EntryType::kData ? families::EntryType::kNoOp
                                                              : families::EntryType::kData;
            }));
    refused(cat(which, "payload"), entry_with([](LogEntry* e) { e->payload += 'x'; }));
    refused(cat("entry ", state.entries[i].index, ": removed"),
            with_entries(image, [&](std::vector<LogEntry>* all) {
              all->erase(all->begin() + static_cast<std::ptrdiff_t>(i));
            }));
  }
  refused("two entries swapped", with_entries(image, [](std::vector<LogEntry>* all) {
            std::swap((*all)[0].payload, (*all)[1].payload);
          }));
  // Range, term, vote, snapshot index, term, peers, files, paths, sizes, metas: every byte.
  for (const char type : {'R', 'M', 'S', 'F', 'C'}) {
    const std::vector<ImageFrame> frames = split_image(image);
    for (size_t f = 0; f < frames.size(); ++f) {
      if (frames[f].type != type) continue;
      for (size_t at = 0; at < frames[f].payload.size(); ++at) {
        std::vector<ImageFrame> mutant = frames;
        mutant[f].payload[at] = static_cast<char>(mutant[f].payload[at] ^ 1);
        refused(cat("frame ", std::string(1, type), ", byte ", at), join_image(mutant));
      }
    }
  }
}

// What no state has, whatever the hashes say: the rules refuse it before they are reached.
void structure_refused(InstanceContext& c) {
  const std::string image = full_image(c);
  const auto altered = [&](std::string_view what,
                           const std::function<void(std::vector<LogEntry>*)>& alter) {
    expect_refused(c, what, with_entries(image, alter), kInvalid);
  };
  altered("a gap", [](std::vector<LogEntry>* all) { all->erase(all->begin() + 2); });
  altered("an overlap",
          [](std::vector<LogEntry>* all) { all->insert(all->begin() + 2, (*all)[1]); });
  altered("a term that goes down", [](std::vector<LogEntry>* all) { (*all)[3].term = 99; });
  altered("a term of 0", [](std::vector<LogEntry>* all) { (*all)[0].term = 0; });
  altered("an entry below the first", [](std::vector<LogEntry>* all) {
    all->insert(all->begin(), entry(all->front().index - 1));
  });
  altered("an entry after the last", [](std::vector<LogEntry>* all) {
    all->push_back(entry(all->back().index + 1, all->back().term));
  });
  altered("a no-op with a payload", [](std::vector<LogEntry>* all) {
    all->back().type = families::EntryType::kNoOp;
    all->back().payload = "x";
  });
  altered("an invalid configuration", [](std::vector<LogEntry>* all) {
    all->back().type = families::EntryType::kConfiguration;
    all->back().payload = "\xff";
  });

  std::vector<ImageFrame> frames = split_image(image);
  const auto frame_of = [&](char type) {
    return std::find_if(frames.begin(), frames.end(),
                        [&](const ImageFrame& frame) { return frame.type == type; });
  };
  const auto with = [&](const std::function<void()>& alter) {
    const std::vector<ImageFrame> saved = frames;
    alter();
    const std::string mutant = join_image(frames);
    frames = saved;
    return mutant;
  };
  // A path in a file frame follows its length.
  const auto renamed = [&](std::string path) {
    return with([&] {
      ImageFrame& file = *frame_of('F');
      const uint32_t length = get_le32(file.payload.data());
      std::string payload;
      put_bytes(&payload, path);
      file.payload = payload + file.payload.substr(4 + length);
    });
  };
  for (const std::string path : {"../x", "x/../../y", "/..", "x/", "x/.", ".", "/", "",
                                 "__raft_snapshot_meta", "/__raft_snapshot_meta/x"}) {
    expect_refused(c, cat("a file at \"", path, "\""), renamed(path), kInvalid);
  }
  // Legal, but this header does not announce it.
  for (const std::string path : {"/x", "x/../y", "./x", "x//y"}) {
    expect_refused(c, cat("a file listed as \"", path, "\""), renamed(path), kInvalid);
  }
  expect_refused(c, "a file out of order", renamed("zzz"), kInvalid);
  expect_refused(c, "a file missing", with([&] {
                   const auto file = frame_of('F');
                   frames.erase(file, std::find_if(file + 1, frames.end(), [](const auto& frame) {
                                  return frame.type != 'C';
                                }));
                 }),
                 kInvalid);
  expect_refused(c, "a file twice", with([&] { frames.insert(frame_of('F'), *frame_of('F')); }),
                 kInvalid);
  expect_refused(c, "no term and vote", with([&] { frames.erase(frame_of('M')); }), kInvalid);
  expect_refused(c, "no snapshot record", with([&] { frames.erase(frame_of('S')); }), kInvalid);
  expect_refused(c, "no range", with([&] { frames.erase(frame_of('R')); }), kInvalid);
  expect_refused(c, "term and vote twice",
                 with([&] { frames.insert(frame_of('M'), *frame_of('M')); }), kInvalid);
  expect_refused(c, "no trailer", with([&] { frames.pop_back(); }), kDamaged);
  expect_refused(c, "no header", with([&] { frames.erase(frames.begin()); }), kDamaged);
}

// The two together make a node that cannot start.
void gap_refused(InstanceContext& c) {
  c.begin({append(entries(1, 6)), publish(snapshot(4)), truncate_prefix(4)});
  c.expect_ok("verify", verify_bytes(exported(c)));
  // A log that begins at 4, and no snapshot.
  std::vector<ImageFrame> frames = split_image(exported(c));
  std::erase_if(frames, [](const ImageFrame& f) { return f.type == 'F' || f.type == 'C'; });
  for (ImageFrame& frame : frames) {
    if (frame.type == 'S') frame.payload.assign(1, '\0');
  }
  expect_refused(c, "a gap between snapshot and log", join_image(frames), kInvalid);
}

void header_refused(InstanceContext& c) {
  const std::string image = full_image(c);
  const auto refused = [&](std::string_view what, const std::function<void(ImageHeader*)>& alter) {
    expect_refused(c, what, with_header(image, alter), kInvalid);
  };
  c.expect_ok("the header unchanged", verify_bytes(with_header(image, [](ImageHeader*) {})));
  std::string other = image;
  other.replace(0, 8, "QKIMAGE2");
  expect_refused(c, "another magic", other, kDamaged);
  refused("no major version", [](ImageHeader* h) { h->clear_format_major(); });
  refused("no minor version", [](ImageHeader* h) { h->clear_format_minor(); });
  refused("another major version", [](ImageHeader* h) { h->set_format_major(2); });
  refused("major version 0", [](ImageHeader* h) { h->set_format_major(0); });
  refused("no source family", [](ImageHeader* h) { h->clear_source_family(); });
  refused("no version of it", [](ImageHeader* h) { h->clear_source_format_version(); });
  refused("no group", [](ImageHeader* h) { h->clear_group_id(); });
  refused("no peer", [](ImageHeader* h) { h->clear_peer_id(); });
  refused("no lineage", [](ImageHeader* h) { h->clear_lineage(); });
  refused("no generation", [](ImageHeader* h) { h->clear_generation(); });
  refused("no cut", [](ImageHeader* h) { h->clear_cut_seq(); });
  refused("no first index", [](ImageHeader* h) { h->clear_first_index(); });
  refused("no last index", [](ImageHeader* h) { h->clear_last_index(); });
  refused("another first index", [](ImageHeader* h) { h->set_first_index(h->first_index() + 1); });
  refused("another last index", [](ImageHeader* h) { h->set_last_index(h->last_index() + 1); });
  // Exact, although no reader acts on it: the trailer binds it.
  for (const auto& alter : std::vector<std::function<void(ImageHeader*)>>{
           [](ImageHeader* h) { h->set_cut_seq(h->cut_seq() + 1); },
           [](ImageHeader* h) { h->set_source_family("x"); },
           [](ImageHeader* h) { h->set_generation(h->generation() + 1); }}) {
    std::vector<ImageFrame> frames = split_image(image);
    frames.front() = split_image(with_header(image, alter)).front();
    expect_refused(c, "a header that is not the trailer's", join_image(frames), kDamaged);
  }
}

// Nothing in the content is the family's own, and what comes later says so by name.
void no_private_data(InstanceContext& c) {
  const std::string image = full_image(c);
  for (const ImageFrame& frame : split_image(image)) {
    c.expect(std::string_view("HREMSFCT").find(frame.type) != std::string_view::npos,
             cat("frame of type ", std::string(1, frame.type), ", expected one of the format"));
  }
  // The format's own, which says how the trailer is made.
  const ImageHeader header = image_header(image);
  c.expect_equal("required features", header.required_features_size(), 1);
  c.expect_equal("the required feature", header.required_features(0),
                 std::string(image::kFramedHashes));
  std::vector<ImageFrame> frames = split_image(image);
  frames.insert(frames.end() - 1, ImageFrame{'X', "private"});
  expect_refused(c, "an unknown frame, named by no version", join_image(frames), kDamaged);
  const std::string required =
      with_header(image, [](ImageHeader* h) { h->add_required_features("private-layout-v1"); });
  expect_refused(c, "an unknown required feature", required, kInvalid);
  // Ignorable, so ignored: the state is the same without it.
  const std::string ignorable = with_header(image, [](ImageHeader* h) {
    h->set_format_minor(h->format_minor() + 1);
    h->GetReflection()->MutableUnknownFields(h)->AddLengthDelimited(1000)->assign("hint");
  });
  c.expect_ok("an unknown field of a newer minor version", verify_bytes(ignorable));
  c.expect(content_section(ignorable) == content_section(image),
           "an unknown field: found another content section");
}

// ---- Containers

// Parts of one image, one after the other.
class PartsSource final : public image::Source {
 public:
  explicit PartsSource(const std::vector<std::string>& parts) : bytes_(join(parts)) {}
  std::string name() const override { return "parts"; }
  uint64_t size() const override { return bytes_.size(); }
  absl::Status read(uint64_t offset, std::span<char> buffer) const override {
    return image::MemorySource("parts", bytes_).read(offset, buffer);
  }

 private:
  static std::string join(const std::vector<std::string>& parts) {
    std::string bytes;
    for (const std::string& part : parts) bytes += part;
    return bytes;
  }
  const std::string bytes_;
};

void containers(InstanceContext& c) {
  const std::string image = full_image(c);
  const auto totals =
      c.expect_value("verify", image::verify_image(image::MemorySource("memory", image))).totals;
  const auto cut = [&] {
    return c.expect_value("take a cut", image::ExportCut::capture(c.subject(), 9));
  };
  const auto export_to = [&](image::Sink& sink) {
    image::Exporter exporter(&c.subject(), cut(), transfer_identity(), c.family().name,
                             c.family().format_version, &sink);
    c.expect_ok("export", exporter.run());
  };
  const std::string path = c.path("image");
  image::FileSink file(&c.fs(), path);
  export_to(file);
  c.settle();
  const auto source = c.expect_value("open", image::FileSource::open(c.fs(), path));
  const auto of_file = c.expect_value("verify the file", image::verify_image(*source));
  c.expect(of_file.totals == totals, "an image in a file: found other digests");

  std::ostringstream stream;
  image::StreamSink pipe(&stream);
  export_to(pipe);
  c.expect(stream.str() == image, "an image through a stream: found other bytes");

  const size_t third = image.size() / 3;
  const std::vector<std::string> parts = {image.substr(0, third), image.substr(third, third),
                                          image.substr(2 * third)};
  const auto of_parts = c.expect_value("verify parts", image::verify_image(PartsSource(parts)));
  c.expect(of_parts.totals == totals, "an image in parts: found other digests");
  for (const std::vector<std::string>& wrong :
       {std::vector{parts[0], parts[2]}, std::vector{parts[1], parts[2]},
        std::vector{parts[0], parts[1]}, std::vector{parts[0], parts[2], parts[1]},
        std::vector{parts[0], parts[1], parts[1], parts[2]}}) {
    c.expect(!image::verify_image(PartsSource(wrong)).ok(),
             "parts missing, swapped or doubled: found a good image");
  }
}

}  // namespace

std::vector<Check> image_damage_checks() {
  std::vector<Check> checks;
  // What depends on bytes alone.
  const auto add_plain = [&](std::string name, std::vector<std::string> requirements,
                             void (*run)(InstanceContext&)) {
    checks.push_back(instance_check("EXPORT", std::move(name), std::move(requirements), run)
                         .in(kPlainOnly)
                         .on(kSimulatedOnly));
  };
  add_plain("every_byte_counts", {"CI-8", "CI-20"}, every_byte_counts);
  add_plain("every_end_counts", {"CI-8", "CI-21"}, every_end_counts);
  add_plain("field_mutants",
            {"SB-17", "SB-18", "SB-19", "SB-20", "SB-21", "CI-8", "CI-13", "CI-14", "CI-15",
             "CI-16", "CI-17", "CI-18"},
            field_mutants);
  add_plain("structure_refused", {"CI-13", "CI-17", "CI-21"}, structure_refused);
  add_plain("gap_refused", {"CI-3", "CI-21"}, gap_refused);
  add_plain("header_refused", {"CI-4", "CI-5", "CI-6", "CI-7", "CI-9", "CI-X1"}, header_refused);
  add_plain("no_private_data", {"CI-10", "CI-18", "CI-26", "CI-27"}, no_private_data);
  checks.push_back(instance_check("EXPORT", "containers", {"CI-29", "CI-30"}, containers));
  return checks;
}

}  // namespace qk::sim::conformance
