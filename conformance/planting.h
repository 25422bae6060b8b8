// Planting: where a mutant of the product may come between the checks and the code that they
// exercise: below a bench, at the two ends of an image, around the families of a dual write and of a
// migrating node. Nothing in the product asks for it, and no check knows of it. Families need no
// hook here: they come from the registry of the host.
//
// Which mutants there are, and which check each of them must fail: mutants.h.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "families/contract/family.h"
#include "image/importer.h"

namespace qk::sim::conformance {

class MigratingNode;

// Null: nothing comes between.
struct Planting {
  // In place of the file system that a bench mounts.
  std::function<std::unique_ptr<families::FileSystem>(std::unique_ptr<families::FileSystem>)> disk;
  // What an exporter reads in place of the instance, and what it writes in place of its image.
  std::function<std::unique_ptr<families::Family>(families::Family*)> source;
  std::function<std::string(std::string image, const families::FamilyDescriptor&)> exported;
  // The image as a reader or an importer sees it, and what a reader says of it.
  std::function<std::string(std::string_view image)> seen;
  std::function<absl::Status(absl::Status)> verified;
  // Before an import; an error is the import's.
  std::function<absl::Status(const image::ImportRequest&)> importing;
  // What the driver of a dual write holds for one of its families.
  std::function<std::unique_ptr<families::Family>(families::Family*, bool mirror)> driven;
  // The families and the clock of a migrating node; the node outlives what is returned.
  std::function<families::Registry(const families::Registry&, const MigratingNode&)> node;
  std::function<int64_t(int64_t now)> clock;
};

// Of the case that runs; empty while none does.
const Planting& planting();

// From now on, until it is destroyed.
class PlantingScope {
 public:
  explicit PlantingScope(const Planting* now);
  ~PlantingScope();
  PlantingScope(const PlantingScope&) = delete;
  PlantingScope& operator=(const PlantingScope&) = delete;

 private:
  const Planting* const before_;
};

}  // namespace qk::sim::conformance
