// FAULT: calls of the disk that fail, each one in turn, and a disk that is full. An outcome must be
// the truth: ok is durable, failed-clean is provably not applied and the instance goes on,
// indeterminate lies within the declared partials and ends the instance's mutations until it is
// opened again, while its reads show one such state throughout. A failed call did nothing, a part,
// or all of what it should.
#include <algorithm>

#include "conformance/crash_explorer.h"
#include "conformance/fault_judge.h"
#include "conformance/groups.h"
#include "conformance/scenes.h"

namespace qk::sim::conformance {
namespace {

using families::Fault;
using families::Outcome;

constexpr uint64_t kPage = 4096;
constexpr uint64_t kMaxPages = 256;

Fault fault(int error, Fault::Effect effect, bool lasts = false) {
  Fault one;
  one.error = error;
  one.effect = effect;
  one.lasts = lasts;
  return one;
}

void needs_copies(InstanceContext& c) {
  if (c.is_volatile()) c.not_applicable("volatile: its state lies outside the disk");
}

// Fails each mutating call of each scene.
void sweep(InstanceContext& c, const std::vector<Scene>& scenes, const Fault& fault) {
  needs_copies(c);
  const Bases bases(c,
                    c.role() == Role::kPlain ? small_units(c.family()) : families::FamilyOptions());
  for (const Scene& scene : scenes) {
    for (uint64_t n = 1;; ++n) {
      if (!c.tries_point(n)) continue;
      if (!fail_call(bases.of(scene), scene.change, n, fault)) break;
    }
  }
}

void eio_at_each_call(InstanceContext& c) {
  sweep(c, c.role() == Role::kPlain ? all_scenes() : few_scenes(),
        fault(EIO, Fault::Effect::kNone));
}

void eio_after_a_part(InstanceContext& c) {
  sweep(c, few_scenes(), fault(EIO, Fault::Effect::kPart));
}

void eio_after_all_of_it(InstanceContext& c) {
  sweep(c, few_scenes(), fault(EIO, Fault::Effect::kAll));
}

void enospc_at_each_call(InstanceContext& c) {
  sweep(c, few_scenes(), fault(ENOSPC, Fault::Effect::kNone));
}

// The disk is gone for good, cleaning up included.
void eio_from_each_call_on(InstanceContext& c) {
  needs_copies(c);
  const Bases bases(c, {});
  for (const Scene& scene : few_scenes()) {
    for (uint64_t n = 1;; ++n) {
      if (!c.tries_point(n)) continue;
      const auto m = bases.of(scene).fork();
      m->faults();
      m->expect_ok("open", m->open());
      m->faults().fail_at(n, fault(EIO, Fault::Effect::kNone, true));
      const Outcome outcome = m->try_apply(scene.change);
      if (!m->faults().failed()) break;
      c.count("failed calls");
      const std::vector<State> promised = promised_states(*m, scene.change, outcome);
      const auto restarted = m->fork();
      restarted->expect_ok("open after a restart", restarted->open());
      const State state = restarted->state();
      expect_among(*restarted,
                   cat(describe(scene.change), " with all calls failing from the ", n, "th on, ",
                       to_text(outcome)),
                   state, promised);
    }
  }
}

// ---- Reading on after a failure

// Whatever call failed, what is read before the instance is opened again is not a mixture.
void reads_before_reopening(InstanceContext& c) {
  needs_copies(c);
  const Bases bases(c,
                    c.role() == Role::kPlain ? small_units(c.family()) : families::FamilyOptions());
  struct Kind {
    bool look;
    Fault fault;
  };
  const std::vector<Kind> kinds = {
      {false, fault(EIO, Fault::Effect::kNone)}, {false, fault(EIO, Fault::Effect::kPart)},
      {false, fault(EIO, Fault::Effect::kAll)},  {false, fault(EIO, Fault::Effect::kNone, true)},
      {true, fault(EIO, Fault::Effect::kNone)},  {true, fault(EIO, Fault::Effect::kNone, true)}};
  for (const Scene& scene : c.role() == Role::kPlain ? all_scenes() : few_scenes()) {
    for (const Kind& kind : kinds) {
      for (uint64_t n = 1;; ++n) {
        if (!c.tries_point(n)) continue;
        const auto m = bases.of(scene).fork();
        m->faults();
        m->expect_ok("open", m->open());
        kind.look ? m->faults().fail_look_at(n, kind.fault) : m->faults().fail_at(n, kind.fault);
        const Outcome outcome = m->try_apply(scene.change);
        if (!m->faults().failed()) break;
        c.count("failed calls");
        const std::string call = m->faults().failed_call();
        at(cat(describe(scene.change), " with a failed ", call, ", ", to_text(outcome)), [&] {
          // A fault that lasts is met by the readers too.
          expect_served(*m, scene.change, outcome);
          m->faults().fail_at(0);
          m->faults().fail_look_at(0);
          expect_served(*m, scene.change, outcome);
        });
      }
    }
  }
}

// Without the background work that may follow.
void apply_alone(InstanceContext& m, const Change& change) {
  m.expect_ok(describe(change), m.try_apply(change));
  Model model = m.model();
  model.apply(change);
  m.adopt(model.state());
}

// Background work that fails: acknowledged state stays, here and after a restart.
void error_in_background_work(InstanceContext& c) {
  needs_copies(c);
  const Bases bases(c, small_units(c.family()));
  bool any = false;
  for (const Scene& scene : few_scenes()) {
    for (uint64_t n = 1;; ++n) {
      if (!c.tries_point(n)) continue;
      const auto m = bases.of(scene).fork();
      m->faults();
      m->expect_ok("open", m->open());
      apply_alone(*m, scene.change);
      m->faults().fail_at(n);
      while (m->subject().pending_work() > 0 && m->subject().run_one().ok()) {
      }
      if (!m->faults().failed()) break;
      any = true;
      m->faults().fail_at(0);
      c.count("failed calls");
      at(cat("background work after ", describe(scene.change), " with a failed ",
             m->faults().failed_call()),
         [&] {
           m->expect_state();
           for (const Loss& loss : all_or_nothing(0, 0)) {
             const auto crashed = m->fork();
             crash_and_open(*crashed, loss);
             crashed->expect_state();
           }
           const auto restarted = m->fork();
           restarted->expect_ok("open after a restart", restarted->open());
           restarted->expect_state();
           go_on(*restarted);
         });
    }
  }
  if (!any) c.not_applicable("no background work");
}

// Closing reports nothing, so nothing may depend on it.
void error_while_closing(InstanceContext& c) {
  needs_copies(c);
  const Bases bases(c, {});
  for (const Scene& scene : few_scenes()) {
    for (uint64_t n = 1;; ++n) {
      if (!c.tries_point(n)) continue;
      const auto m = bases.of(scene).fork();
      m->faults();
      m->expect_ok("open", m->open());
      m->apply(scene.change);
      m->drain();
      m->faults().fail_at(n);
      m->close();
      const bool reached = m->faults().failed();
      m->faults().fail_at(0);
      m->expect_ok("open after a close with a failed call", m->open());
      m->expect_state();
      if (!reached) break;
      c.count("failed calls");
    }
  }
}

// ---- Opening and creating

// An instance that a machine left in the middle of things, and what it holds.
std::vector<std::unique_ptr<InstanceContext>> unclean_instances(InstanceContext& c) {
  const Bases bases(c, {});
  std::vector<std::unique_ptr<InstanceContext>> all;
  for (const Scene& scene : few_scenes()) {
    for (const Loss& loss : all_or_nothing(0, 0)) {
      auto m = bases.of(scene).fork();
      m->expect_ok("open", m->open());
      const uint64_t first = m->disk()->operation_count();
      m->expect_ok(describe(scene.change), m->try_apply(scene.change));
      const uint64_t middle = first + (m->disk()->operation_count() - first + 1) / 2;
      auto again = bases.of(scene).fork();
      again->disk()->pin_crash_at_operation(middle);
      again->expect_ok("open", again->open());
      again->expect_ok(describe(scene.change), again->try_apply(scene.change));
      const auto choice = loss.choice();
      again->crash(loss.level, *choice);
      const auto probe = again->fork();
      probe->expect_ok("open", probe->open());
      again->adopt(probe->state());
      all.push_back(std::move(again));
    }
  }
  return all;
}

// Opening is tried with each call failing. An error is an error, never an instance that lacks
// something, and never "there is none".
void error_while_opening(InstanceContext& c, bool looks) {
  needs_copies(c);
  for (const auto& image : unclean_instances(c)) {
    for (uint64_t n = 1;; ++n) {
      if (!c.tries_point(n)) continue;
      const auto m = image->fork();
      if (looks) {
        m->faults().fail_look_at(n);
      } else {
        m->faults().fail_at(n);
      }
      const absl::Status opened = m->open();
      if (!m->faults().failed()) break;
      c.count("failed calls");
      at(cat("open with a failed ", m->faults().failed_call()), [&] {
        if (opened.ok()) {
          m->expect_state();
        } else {
          m->expect(!absl::IsNotFound(opened),
                    cat("found ", opened.ToString(), ", expected another error"));
        }
        const auto restarted = m->fork();
        restarted->expect_ok("open again", restarted->open());
        restarted->expect_state();
        crash_and_open(*restarted, all_or_nothing(0, 0).front());
        restarted->expect_state();
      });
    }
  }
}

void error_during_repair(InstanceContext& c) { error_while_opening(c, false); }
void error_while_looking_at_open(InstanceContext& c) { error_while_opening(c, true); }

void error_while_creating(InstanceContext& c) {
  needs_copies(c);
  for (const auto effect : {Fault::Effect::kNone, Fault::Effect::kPart, Fault::Effect::kAll}) {
    for (uint64_t n = 1;; ++n) {
      if (!c.tries_point(n)) continue;
      const auto m = c.fork();
      m->faults().fail_at(n, fault(EIO, effect));
      const absl::Status created = m->family().open(m->bare_request(true)).status();
      if (!m->faults().failed()) break;
      c.count("failed calls");
      at(cat("creation with a failed ", m->faults().failed_call(), " (", created.message(), ")"),
         [&] {
           m->faults().fail_at(0);
           const absl::Status found = m->open();
           m->expect(found.ok() || absl::IsNotFound(found),
                     cat("open: found ", found.ToString(), ", expected OK or NotFound"));
           m->expect(!created.ok() || found.ok(), "created, but there is no instance");
           if (m->is_open()) m->close();
           m->begin();
           go_on(*m);
         });
    }
  }
}

// ---- Full disks

uint64_t used_bytes(InstanceContext& m) {
  constexpr uint64_t kHuge = uint64_t{1} << 50;
  m.disk()->set_capacity(kHuge);
  const uint64_t free = m.expect_value("free space", m.fs().free_space("/"));
  m.disk()->set_capacity(0);
  return kHuge - free;
}

// A little more room each time, until the change fits.
void no_space_then_retry(InstanceContext& c) {
  needs_copies(c);
  const Bases bases(c, {});
  std::vector<Scene> scenes = few_scenes();
  scenes.push_back({false, append(entries(21, 30, 4, 5000))});
  for (const Scene& scene : scenes) {
    bool fits = false;
    for (uint64_t pages = 0; !fits; ++pages) {
      const auto m = bases.of(scene).fork();
      m->expect_ok("open", m->open());
      m->expect(pages < kMaxPages, cat(describe(scene.change), ": found it does not fit into ",
                                       kMaxPages, " free pages"));
      m->disk()->set_capacity(used_bytes(*m) + pages * kPage);
      const Outcome outcome = m->try_apply(scene.change);
      fits = outcome.ok();
      m->disk()->set_capacity(0);
      c.count("full disks");
      at(cat(describe(scene.change), " on a disk with ", pages, " free pages, ", to_text(outcome),
             " (", outcome.status().message(), ")"),
         [&] { judge(*m, scene.change, outcome); });
    }
  }
}

void no_space_at_create(InstanceContext& c) {
  needs_copies(c);
  bool fits = false;
  for (uint64_t pages = 0; !fits; ++pages) {
    const auto m = c.fork();
    c.expect(pages < kMaxPages,
             cat("found no room for a fresh instance in ", kMaxPages, " free pages"));
    // A capacity of nothing would be none.
    m->disk()->set_capacity(std::max<uint64_t>(used_bytes(*m) + pages * kPage, 1));
    fits = m->family().open(m->bare_request(true)).ok();
    m->disk()->set_capacity(0);
    c.count("full disks");
    at(cat("creation on a disk with ", pages, " free pages"), [&] {
      const absl::Status found = m->open();
      m->expect(found.ok() || absl::IsNotFound(found),
                cat("open: found ", found.ToString(), ", expected OK or NotFound"));
      if (m->is_open()) m->close();
      m->begin();
      go_on(*m);
    });
  }
}

// ---- Reading

// A read that fails is an error, not the end of something; and it passes.
void error_while_reading(InstanceContext& c) {
  needs_copies(c);
  const Bases bases(c, small_units(c.family()));
  const Scene scene{false, append(entries(21, 29, 4, 90))};
  for (uint64_t n = 1;; ++n) {
    if (!c.tries_point(n)) continue;
    const auto m = bases.of(scene).fork();
    m->faults();
    m->expect_ok("open", m->open());
    m->apply(scene.change);
    m->faults().fail_look_at(n);
    const auto state = read_state(m->subject());
    if (!m->faults().failed()) break;
    c.count("failed calls");
    at(cat("reading with a failed ", m->faults().failed_call()), [&] {
      if (state.ok()) {
        m->expect_same_state("state", *state, m->model().state());
      } else {
        m->expect(!absl::IsNotFound(state.status()) && !absl::IsOutOfRange(state.status()),
                  cat("found ", state.status().ToString(), ", expected another error"));
      }
      m->expect_state();
    });
  }
}

}  // namespace

std::vector<Check> fault_checks() {
  const std::vector<Role> alone = {Role::kPlain, Role::kImported};
  std::vector<Check> checks;
  const auto add = [&](std::string name, std::vector<std::string> ids,
                       std::function<void(InstanceContext&)> run, std::vector<Role> roles) {
    checks.push_back(instance_check("FAULT", std::move(name), std::move(ids), std::move(run))
                         .on(kSimulatedOnly)
                         .in(std::move(roles)));
  };
  add("eio_at_each_call", {"SB-25", "SB-35"}, eio_at_each_call, kAllRoles);
  add("eio_after_a_part", {"SB-25", "SB-35"}, eio_after_a_part, alone);
  add("eio_after_all_of_it", {"SB-25", "SB-35"}, eio_after_all_of_it, kAllRoles);
  add("enospc_at_each_call", {"SB-25", "SB-35"}, enospc_at_each_call, kPlainOnly);
  add("eio_from_each_call_on", {"SB-25", "SB-35"}, eio_from_each_call_on, kPlainOnly);
  add("reads_before_reopening", {"SB-25", "SB-35"}, reads_before_reopening, kAllRoles);
  add("error_in_background_work", {"SB-25", "SB-35"}, error_in_background_work, kPlainOnly);
  add("error_while_closing", {"SB-25"}, error_while_closing, kPlainOnly);
  add("error_during_repair", {"SB-25"}, error_during_repair, alone);
  add("error_while_looking_at_open", {"SB-25", "EV-X1"}, error_while_looking_at_open, kPlainOnly);
  add("error_while_creating", {"SB-23", "SB-25"}, error_while_creating, kPlainOnly);
  add("no_space_then_retry", {"SB-25", "SB-35"}, no_space_then_retry, alone);
  add("no_space_at_create", {"SB-23", "SB-25"}, no_space_at_create, kPlainOnly);
  add("error_while_reading", {"SB-17", "EV-X1"}, error_while_reading, kPlainOnly);
  return checks;
}

}  // namespace qk::sim::conformance
