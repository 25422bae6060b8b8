// Replays a target without libFuzzer: its seeds, then the files named, or those in the directories
// named. `--write-seeds DIR` writes the seeds for libFuzzer to start from instead.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

#include "families/base/hash.h"
#include "tools/fuzz/target.h"

namespace {

namespace files = std::filesystem;

std::vector<files::path> expand(int argc, char** argv) {
  std::vector<files::path> paths;
  for (int i = 1; i < argc; ++i) {
    if (!files::is_directory(argv[i])) {
      if (files::exists(argv[i])) paths.emplace_back(argv[i]);
      continue;
    }
    for (const auto& entry : files::directory_iterator(argv[i])) paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

int write_seeds(const files::path& directory) {
  files::create_directories(directory);
  for (const std::string& seed : qk::fuzz::seeds()) {
    std::ofstream file(directory / qk::to_hex(qk::sha256(seed)).substr(0, 16), std::ios::binary);
    file << seed;
    if (!file) return 1;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3 && argv[1] == std::string_view("--write-seeds")) return write_seeds(argv[2]);
  size_t count = 0;
  for (const std::string& seed : qk::fuzz::seeds()) {
    qk::fuzz::run(seed);
    ++count;
  }
  for (const files::path& path : expand(argc, argv)) {
    std::cout << path.filename().string()
              << std::endl;  // flushed: the last one named is the culprit
    std::ifstream file(path, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    qk::fuzz::run(bytes);
    ++count;
  }
  std::cout << count << " inputs\n";
  return count == 0 ? 1 : 0;
}
