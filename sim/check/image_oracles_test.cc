// The oracles' reading of image/FORMAT.md against the code that writes images: equal digests, equal
// states; I1 and I3 on legal images and on damaged or rule-breaking ones.
#include <catch2/catch.hpp>

#include "families/base/bytes.h"
#include "families/builtin.h"
#include "image/digest.h"
#include "image/header.pb.h"
#include "image/test_state.h"
#include "sim/check/test_support.h"

namespace qk::sim {
namespace {

using image::Exported;

struct Families : image::TestDisk {
  families::VolatileMemory memory{1};
  std::vector<std::string> names;
  Families() {
    registry = families::builtin_families(&memory);
    registry.add(image::toy_family());
    for (const auto& family : registry.all()) names.push_back(family.name);
    REQUIRE(names.size() >= 3);
  }
};

using Fill = void (*)(families::Family&);

void fill_nothing(families::Family&) {}
// Its term was never saved: an image of it says that the vote may be lost.
void fill_empty_log(families::Family& family) {
  REQUIRE(image::publish(family, {8, 2, {"127.0.0.1:1:0:0"}, {}}, {}).ok());
  REQUIRE(family.log().reset(9).ok());
}
// Names that are not in normal form, two of them of one file; and a file that is not listed.
void fill_listed_names(families::Family& family) {
  const std::vector<image::TestFile> files = {{"./data", "one", {"meta", 1, ""}},
                                              {"/max_id.json", "two", {}},
                                              {"d//x", "three", {}},
                                              {"data", "one", {}},
                                              {"e/../y", "four", {}},
                                              {"notes", "not in the table", {}, true}};
  REQUIRE(family.meta().save({2, ""}).ok());
  REQUIRE(image::publish(family, {8, 2, {"127.0.0.1:1:0:0"}, {}}, files).ok());
}
// Entries that end a frame by their length: two that fit together exactly, and a giant.
void fill_large_entries(families::Family& family) {
  std::vector<families::LogEntry> log = entries(1, 4);
  log[0].payload.assign(1048576 / 2 - 21, 'a');
  log[1].payload.assign(1048576 / 2 - 21, 'b');
  log[3].payload.assign(1048576 + 5, 'c');
  REQUIRE(family.log().append(log).ok());
}

void require_equal(const CanonicalDigest& ours, const image::StateDigest& theirs) {
  REQUIRE(to_hex(ours.log) == to_hex(theirs.log));
  REQUIRE(to_hex(ours.meta) == to_hex(theirs.meta));
  REQUIRE(to_hex(ours.snapshot) == to_hex(theirs.snapshot));
  REQUIRE(to_hex(ours.state) == to_hex(theirs.overall));
}

TEST_CASE("both encoders of the canonical form agree, on every family") {
  Families disk;
  int n = 0;
  for (const Fill fill :
       {Fill(image::fill), Fill(image::fill_small), Fill(fill_nothing), Fill(fill_empty_log),
        Fill(fill_large_entries), Fill(fill_listed_names)}) {
    ++n;
    Watched run;
    for (const std::string& name : disk.names) {
      INFO(name << ", state " << n);
      auto family = disk.create(cat(name, n), name);
      fill(*family);
      const auto ours = canonical_digest(*family);
      REQUIRE(ours.ok());
      require_equal(*ours, image::compute_digest(*family).value());

      const auto state = read_state(*family);
      REQUIRE(state.ok());
      const Exported exported = image::try_export(*family, name, 1 << 20, true).value();
      const auto decoded = decode_image(exported.bytes);
      INFO(decoded.status());
      REQUIRE(decoded.ok());
      REQUIRE(decoded->digest == *ours);
      REQUIRE_FALSE(first_difference(*state, decoded->state));
      REQUIRE(same_state(*state, decoded->state));
      REQUIRE(fingerprint(*state) == fingerprint(decoded->state));
      REQUIRE(decoded->source_family == name);
      REQUIRE(decoded->group == image::kTestIdentity.group_id);
      REQUIRE(decoded->peer == image::kTestIdentity.peer_id);
      REQUIRE(decoded->lineage == image::kTestIdentity.lineage);
      REQUIRE(decoded->generation == image::kTestIdentity.generation);
      REQUIRE(decoded->cut_seq == 17);

      run.checker.exported(0, exported.bytes, &*state);
      run.checker.image_judged(0, exported.bytes, true);
      REQUIRE(run.reported() == "");
    }
  }
}

TEST_CASE("a change of any part of the state shows in the digest and in the state read") {
  image::TestDisk disk;
  auto base = disk.create("base");
  image::fill_small(*base);
  const CanonicalDigest digest = canonical_digest(*base).value();
  const StateImage state = read_state(*base).value();
  const auto changed = [&](std::string_view name, auto change) {
    auto other = disk.create(name);
    image::fill_small(*other);
    change(*other);
    REQUIRE_FALSE(canonical_digest(*other).value() == digest);
    REQUIRE_FALSE(same_state(read_state(*other).value(), state));
    REQUIRE(first_difference(read_state(*other).value(), state));
  };
  changed("append", [](families::Family& f) { image::append(f, 10, 10); });
  changed("prefix", [](families::Family& f) { REQUIRE(f.log().truncate_prefix(8).ok()); });
  changed("term", [](families::Family& f) { REQUIRE(f.meta().save({6, ""}).ok()); });
  changed("snapshot", [](families::Family& f) {
    REQUIRE(
        image::publish(f, {7, 1, {"127.0.0.1:8100:0:0"}, {}}, {{"data", "v", {"m", 0, "c"}}}).ok());
  });
}

// Frames of an image, to be put together again differently.
struct Frames {
  struct Frame {
    char type;
    std::string payload;
  };
  std::vector<Frame> all;

  explicit Frames(const std::string& image) {
    for (size_t at = 8; at < image.size();) {
      const size_t length = get_le32(image.data() + at + 1);
      all.push_back({image[at], image.substr(at + 5, length)});
      at += 9 + length;
    }
  }
  size_t find(char type) const {
    size_t i = 0;
    while (all[i].type != type) ++i;
    return i;
  }
  // With right checksums, and with the lengths and hashes of the trailer set right.
  std::string image() const {
    std::string out = "QKIMAGE\n";
    const size_t head = out.size();
    put(&out, all.front());
    const size_t content = out.size();
    for (size_t i = 1; i + 1 < all.size(); ++i) put(&out, all[i]);
    image::proto::ImageTrailer trailer;
    REQUIRE(trailer.ParseFromString(all.back().payload));
    trailer.set_content_bytes(out.size() - content);
    std::string hashed;
    for (size_t at = content; at < out.size();) {
      const size_t end = at + 9 + get_le32(out.data() + at + 1);
      hashed += out.substr(at, 5) + out.substr(end - 4, 4);
      at = end;
    }
    const Digest content_hash = sha256(hashed + trailer.state_digest());
    trailer.set_content_sha256(std::string(as_bytes(content_hash)));
    trailer.set_image_sha256(
        std::string(as_bytes(sha256(cat(out.substr(0, content), as_bytes(content_hash))))));
    put(&out, {'T', trailer.SerializeAsString()});
    REQUIRE(head == 8);
    return out;
  }

 private:
  static void put(std::string* out, const Frame& frame) {
    std::string bytes(1, frame.type);
    put_bytes(&bytes, frame.payload);
    put_le32(&bytes, crc32c(bytes));
    *out += bytes;
  }
};

struct Small : Watched {
  image::TestDisk disk;
  std::string image;
  Small() {
    auto family = disk.create("small");
    image::fill_small(*family);
    image = image::export_image(*family).bytes;
    REQUIRE(Frames(image).image() == image);
  }
  std::string accept(const std::string& other) {
    checker.image_judged(0, other, true);
    return reported();
  }
};

TEST_CASE("an accepted image that is damaged anywhere is I3") {
  Small run;
  REQUIRE(run.accept(run.image) == "");
  for (size_t i = 0; i < run.image.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged = run.image;
      damaged[i] = static_cast<char>(damaged[i] ^ (1 << bit));
      INFO("byte " << i << ", bit " << bit);
      REQUIRE(run.accept(damaged) == "ora.I3");
    }
    REQUIRE(run.accept(run.image.substr(0, i)) == "ora.I3");
  }
  REQUIRE(run.accept(run.image + std::string(1, '\0')) == "ora.I3");
  run.checker.image_judged(0, "", false);
  run.checker.image_judged(0, run.image, false);
  REQUIRE(run.reported() == "");
}

TEST_CASE("a well-hashed image that breaks a rule is I3 when accepted") {
  Small run;
  const auto broken = [&](auto change) {
    Frames frames(run.image);
    change(frames.all, frames);
    REQUIRE(run.accept(frames.image()) == "ora.I3");
  };
  broken([](auto& all, auto&) { std::swap(all[1], all[2]); });
  broken([](auto& all, auto& f) { all.insert(all.begin() + 2, all[f.find('E')]); });
  broken([](auto& all, auto& f) { all.erase(all.begin() + static_cast<int64_t>(f.find('E'))); });
  broken([](auto& all, auto& f) { all.erase(all.begin() + static_cast<int64_t>(f.find('C'))); });
  broken([](auto& all, auto& f) { all[f.find('C')].payload = "w"; });  // the digests notice
  broken([](auto& all, auto& f) { all[f.find('M')].payload[0] ^= 1; });
  broken([](auto& all, auto& f) { all[f.find('E')].payload[17] ^= 1; });
  // The same entries in two frames: another content section for one state.
  broken([](auto& all, auto& f) {
    const size_t at = f.find('E');
    const std::string payload = all[at].payload;
    all[at].payload = payload.substr(0, 21);
    all.insert(all.begin() + static_cast<int64_t>(at) + 1, {'E', payload.substr(21)});
  });
  broken([](auto& all, auto&) {
    image::proto::ImageHeader header;
    REQUIRE(header.ParseFromString(all[0].payload));
    header.add_required_features("later");
    all[0].payload = header.SerializeAsString();
  });
  // A later minor version with an unknown field is not damage.
  Frames minor(run.image);
  image::proto::ImageHeader header;
  REQUIRE(header.ParseFromString(minor.all[0].payload));
  header.set_format_minor(9);
  minor.all[0].payload = header.SerializeAsString() + std::string("\xa0\x06\x01", 3);
  REQUIRE(run.accept(minor.image()) == "");
}

TEST_CASE("an export that is not the state at its cut, or not canonical, is I1") {
  Small run;
  auto family = run.disk.create("source");
  image::fill_small(*family);
  const StateImage at_cut = read_state(*family).value();
  run.checker.exported(0, run.image, &at_cut);
  REQUIRE(run.reported() == "");
  image::append(*family, 10, 10);
  const StateImage later = read_state(*family).value();
  run.checker.exported(0, run.image, &later);
  REQUIRE(run.reported() == "ora.I1");
  run.checker.exported(0, run.image.substr(1), &at_cut);
  REQUIRE(run.reported() == "ora.I1");

  // The same entries in two frames: another content section for one state.
  Frames split(run.image);
  const size_t at = split.find('E');
  const std::string payload = split.all[at].payload;
  split.all[at].payload = payload.substr(0, 21);
  split.all.insert(split.all.begin() + static_cast<int64_t>(at) + 1, {'E', payload.substr(21)});
  run.checker.exported(1, split.image(), &at_cut);
  REQUIRE(run.reported() == "ora.I1");
}

TEST_CASE("one state, one content section") {
  std::vector<Finding> findings;
  const FindingSink sink({"n1", "n2"}, [&](const Finding& of) { findings.push_back(of); });
  ImageOracle oracle(&sink);
  oracle.content_seen(0, 1, sha256("one"));
  oracle.content_seen(1, 1, sha256("one"));
  oracle.content_seen(1, 2, sha256("two"));
  REQUIRE(findings.empty());
  oracle.content_seen(1, 1, sha256("two"));
  REQUIRE(findings.size() == 1);
  REQUIRE(findings[0].oracle == "ora.I1");
}

}  // namespace
}  // namespace qk::sim
