// IMPORT, the other way round: importers that forget one thing, each detected, and in which domain.
#include "conformance/groups.h"
#include "conformance/history.h"
#include "conformance/interposer.h"
#include "image/report.h"

namespace qk::sim::conformance {
namespace {

using families::Family;
using families::Operation;
using families::Outcome;
using enum PairContext::Side;

struct ImportMutant {
  std::string name;
  image::Domain domain;
  std::function<void(Interposer*)> plant;
};

const std::vector<ImportMutant>& import_mutants() {
  using image::Domain;
  static const auto* const kMutants = new std::vector<ImportMutant>{
      {"the last entry is forgotten", Domain::kLog,
       [](Interposer* i) { i->drop_last_loaded = true; }},
      {"a payload is another", Domain::kLog,
       [](Interposer* i) {
         i->store_entry = [](families::LogEntry* e) {
           if (e->type == families::EntryType::kData) e->payload += 'x';
         };
       }},
      {"old peers of an entry are forgotten", Domain::kLog,
       [](Interposer* i) {
         i->store_entry = [](families::LogEntry* e) {
           if (e->type != families::EntryType::kConfiguration) return;
           families::Configuration value = *families::decode_configuration(e->payload);
           value.old_peers.clear();
           e->payload = families::encode_configuration(value);
         };
       }},
      {"term and vote are forgotten", Domain::kMeta,
       [](Interposer* i) {
         i->instead = [](Operation operation) -> std::optional<Outcome> {
           if (operation != Operation::kSaveMeta) return std::nullopt;
           return Outcome::success();
         };
       }},
      {"the vote is forgotten", Domain::kMeta,
       [](Interposer* i) {
         i->store_hard_state = [](families::HardState* s) { s->voted_for.clear(); };
       }},
      {"the snapshot is forgotten", Domain::kSnapshot,
       [](Interposer* i) {
         i->instead = [](Operation operation) -> std::optional<Outcome> {
           if (operation != Operation::kPublish) return std::nullopt;
           return Outcome::success(1);
         };
       }},
      {"peers of the snapshot are forgotten", Domain::kSnapshot,
       [](Interposer* i) {
         i->store_snapshot_meta = [](families::SnapshotMeta* m) { m->peers.clear(); };
       }},
      {"old peers of the snapshot are forgotten", Domain::kSnapshot,
       [](Interposer* i) {
         i->store_snapshot_meta = [](families::SnapshotMeta* m) { m->old_peers.clear(); };
       }},
      {"bytes of a file are others", Domain::kSnapshot,
       [](Interposer* i) { i->flip_file_bytes = true; }},
      {"a file at another path", Domain::kSnapshot,
       [](Interposer* i) {
         i->store_file = [](families::SnapshotFile* f) {
           if (f->path == "data") f->path = "moved/data";
         };
       }},
      {"a file is forgotten", Domain::kSnapshot,
       [](Interposer* i) {
         i->store_file = [](families::SnapshotFile* f) {
           if (f->path == "empty") f->path.clear();
         };
       }},
      {"metas of files are forgotten", Domain::kSnapshot,
       [](Interposer* i) { i->store_file = [](families::SnapshotFile* f) { f->meta = {}; }; }},
  };
  return *kMutants;
}

// As an importer fills an instance.
absl::Status load(Family& family, const State& state) {
  QK_ASSIGN_OR_RETURN(const auto loader, family.log().bulk_load(state.first));
  QK_RETURN_IF_ERROR(loader->append(state.entries));
  QK_RETURN_IF_ERROR(loader->finish());
  QK_RETURN_IF_ERROR(family.meta().save(state.hard_state).status());
  QK_ASSIGN_OR_RETURN(auto writer, family.snapshot().create());
  QK_RETURN_IF_ERROR(fill_writer(*writer, *state.snapshot));
  return family.snapshot().publish(std::move(writer)).status();
}

void drop_mutants(PairContext& c) {
  c.create(kA);
  c.apply(kA, full_history());
  const State state = state_after(full_history());
  const std::string image = c.export_from(kA);
  const std::string& family = c.descriptor(kB).name;
  int number = 0;
  for (const ImportMutant& mutant : import_mutants()) {
    Interposer interposer;
    interposer.root = c.path("mutant");
    mutant.plant(&interposer);
    const families::Registry registry = interpose(c.registry(), family, &interposer);
    // The importer finds it when it reads back ...
    const std::string root = c.path(cat("mutant-", ++number));
    c.expect(!import_image(import_request(registry, c.fs(), family, root), image).ok(),
             cat("import when ", mutant.name, ": found it finished"));
    c.expect(!open_imported(c.registry(), c.fs(), family, root).ok(),
             cat(mutant.name, ": found an instance that opens"));
    // ... and a comparison says in which domain.
    const auto wrong = c.expect_value(
        mutant.name, make_instance(registry, c.fs(), family, cat(root, "-filled"), {}));
    c.expect_ok(mutant.name, load(*wrong, state));
    const image::EquivalenceReport report = image::compare(c.at(kA), *wrong, 1);
    c.expect(!report.equal && report.differences.size() == 1 &&
                 report.differences.front().domain == mutant.domain,
             cat(mutant.name, ": found \"", image::to_text(report), "\", expected a difference in ",
                 image::to_string(mutant.domain), " alone"));
    c.settle();
  }
  // Without a mutant, both agree.
  const auto right =
      c.expect_value("fill", make_instance(c.registry(), c.fs(), family, c.path("right"), {}));
  c.expect_ok("fill", load(*right, state));
  c.expect(image::compare(c.at(kA), *right, 1).equal, "no mutant: found a difference");
}

}  // namespace

std::vector<Check> import_mutant_checks() {
  return {pair_check("IMPORT", "drop_mutants", {"SB-9", "SB-21", "SB-26", "EV-18", "EV-27"},
                     drop_mutants)};
}

}  // namespace qk::sim::conformance
