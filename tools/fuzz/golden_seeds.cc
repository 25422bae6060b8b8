#include "tools/fuzz/golden_seeds.h"

#include <set>

#include "families/base/check.h"
#include "families/testing/golden.h"

namespace qk::fuzz {

std::vector<Tree> golden_trees(std::string_view folder, size_t max_bytes) {
  const auto archive =
      families::GoldenArchive::load(QK_SOURCE_DIR "/families/local/testdata/braft-golden.tar.gz");
  QK_CHECK(archive.ok());
  std::set<Tree> trees;
  for (const std::string& name : archive->cases()) {
    const auto tree = archive->tree(name);
    QK_CHECK(tree.ok());
    Tree part;
    size_t size = 0;
    for (const auto& [path, bytes] : tree->files) {
      if (path.rfind(folder, 0) != 0) continue;
      part[path.substr(folder.size())] = bytes;
      size += bytes.size();
    }
    if (!part.empty() && size <= max_bytes) trees.insert(std::move(part));
  }
  return {trees.begin(), trees.end()};
}

}  // namespace qk::fuzz
