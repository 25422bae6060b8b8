#include "sim/check/linearizability.h"

#include <algorithm>
#include <set>
#include <utility>

#include "families/base/check.h"

namespace qk::sim {
namespace {

constexpr size_t kShownValues = 4;
constexpr size_t kShownBytes = 40;

std::string quote(std::string_view value) {
  const bool cut = value.size() > kShownBytes;
  return cat("\"", value.substr(0, kShownBytes), cut ? "..." : "", "\"",
             cut ? cat(" (", value.size(), " bytes)") : "");
}

std::string describe(const Command& command) {
  std::string text = cat(to_string(command.kind), "(");
  if (command.kind == CommandKind::kAdd) return cat(text, command.amount, ")");
  text += command.key;
  if (command.kind == CommandKind::kCas) text += cat(", ", quote(command.expected));
  if (command.kind != CommandKind::kRead) text += cat(", ", quote(command.value));
  return text + ")";
}

std::string describe(const Command& command, const Response& response) {
  std::string text = cat(describe(command), " -> ", to_string(response.status));
  if (command.kind == CommandKind::kAdd) return cat(text, " ", response.counter);
  const bool shows =
      command.kind == CommandKind::kRead || response.status == ResponseStatus::kMismatch;
  return shows ? cat(text, " ", quote(response.value)) : text;
}

// Same effect, for any client.
bool twins(const Command& a, const Command& b) {
  return a.kind == b.kind && a.value == b.value && a.expected == b.expected && a.amount == b.amount;
}

using OpSet = std::vector<int>;  // ordinals, ascending

bool contains(const OpSet& set, int op) { return std::binary_search(set.begin(), set.end(), op); }
OpSet with(OpSet set, int op) {
  set.insert(std::lower_bound(set.begin(), set.end(), op), op);
  return set;
}
OpSet without(OpSet set, int op) {
  set.erase(std::lower_bound(set.begin(), set.end(), op));
  return set;
}

// A point that the search may be at: what the key holds, and the operations that are not
// answered yet but took effect.
struct Configuration {
  int64_t state = 0;
  OpSet early;  // will be answered
  OpSet used;   // will never be answered
};

// Configurations, less those that another one makes needless.
class ConfigurationSet {
 public:
  // False if it adds nothing.
  bool insert(const Configuration& configuration) {
    std::vector<OpSet>& alternatives = sets_[{configuration.state, configuration.early}];
    for (const OpSet& other : alternatives) {
      if (std::includes(configuration.used.begin(), configuration.used.end(), other.begin(),
                        other.end())) {
        return false;
      }
    }
    alternatives.erase(std::remove_if(alternatives.begin(), alternatives.end(),
                                      [&](const OpSet& other) {
                                        return std::includes(other.begin(), other.end(),
                                                             configuration.used.begin(),
                                                             configuration.used.end());
                                      }),
                       alternatives.end());
    alternatives.push_back(configuration.used);
    return true;
  }
  std::vector<Configuration> all() const {
    std::vector<Configuration> configurations;
    for (const auto& [key, alternatives] : sets_) {
      for (const OpSet& used : alternatives)
        configurations.push_back({key.first, key.second, used});
    }
    return configurations;
  }

 private:
  std::map<std::pair<int64_t, OpSet>, std::vector<OpSet>> sets_;
};

}  // namespace

// The history of one key, or of the counter.
class KeyHistory {
 public:
  using Operation = ClientHistory::Operation;

  struct Failure {
    uint64_t position = 0;
    uint64_t operation = 0;
    std::string expected;
    std::string actual;
  };

  explicit KeyHistory(bool counter) : counter_(counter) {}

  void add(uint64_t number, const Operation& operation) {
    operations_.push_back({number, &operation, -1});
  }

  std::optional<Failure> judge() {
    prepare();
    std::vector<Configuration> configurations;
    if (!counter_) configurations.push_back({intern(""), {}, {}});
    OpSet pending;
    bool first_answer = true;
    for (const Event& event : events_) {
      if (!event.answer) {
        pending = with(std::move(pending), event.op);
        continue;
      }
      if (counter_ && first_answer) configurations = possible_starts(pending);
      first_answer = false;
      std::vector<Configuration> next = extend(configurations, pending, event.op);
      if (next.empty()) return failure(event, configurations);
      configurations = std::move(next);
      pending = without(std::move(pending), event.op);
    }
    return std::nullopt;
  }

 private:
  struct Item {
    uint64_t number = 0;
    const Operation* operation = nullptr;
    int twin = -1;  // unanswered: the one before of equal effect, to be used first
    const Command& command() const { return operation->command; }
    bool answered() const { return operation->answered.has_value(); }
  };
  struct Event {
    uint64_t position = 0;
    int op = 0;
    bool answer = false;
  };
  static constexpr int64_t kUnmentioned = -1;

  const Item& item(int op) const { return operations_[static_cast<size_t>(op)]; }

  // An unanswered operation that changes nothing is not an event.
  static bool idle(const Item& item) {
    return !item.answered() &&
           (item.command().kind == CommandKind::kRead ||
            (item.command().kind == CommandKind::kAdd && item.command().amount == 0));
  }

  void prepare() {
    std::set<std::string_view> mentioned;
    std::vector<int> unanswered;
    for (int op = 0; op < static_cast<int>(operations_.size()); ++op) {
      Item& of = operations_[static_cast<size_t>(op)];
      if (idle(of)) continue;
      events_.push_back({of.operation->invoked, op, false});
      if (of.command().kind == CommandKind::kCas) mentioned.insert(of.command().expected);
      if (of.answered()) {
        events_.push_back({*of.operation->answered, op, true});
        mentioned.insert(of.operation->response.value);
        continue;
      }
      for (auto it = unanswered.rbegin(); it != unanswered.rend() && of.twin < 0; ++it) {
        if (twins(item(*it).command(), of.command())) of.twin = *it;
      }
      unanswered.push_back(op);
    }
    mentioned_.assign(mentioned.begin(), mentioned.end());
    std::sort(events_.begin(), events_.end(),
              [](const Event& a, const Event& b) { return a.position < b.position; });
  }

  // The first answered addition saw the value that the counter started with, or one that the
  // additions at that time had made of it; an unanswered one before it would change nothing else.
  std::vector<Configuration> possible_starts(const OpSet& pending) const {
    ConfigurationSet starts;
    for (const int op : pending) {
      if (item(op).answered()) starts.insert({item(op).operation->response.counter, {}, {}});
    }
    return starts.all();
  }

  // All configurations in which `target` has taken effect; it is then forgotten.
  std::vector<Configuration> extend(const std::vector<Configuration>& from, const OpSet& pending,
                                    int target) {
    ConfigurationSet reached;
    ConfigurationSet seen;
    std::vector<Configuration> work;
    for (const Configuration& configuration : from) {
      if (contains(configuration.early, target)) {
        reached.insert(
            {configuration.state, without(configuration.early, target), configuration.used});
      } else if (seen.insert(configuration)) {
        work.push_back(configuration);
      }
    }
    // Breadth first, so that few used operations come before many.
    for (size_t i = 0; i < work.size(); ++i) {
      const Configuration at = work[i];
      for (const int op : pending) {
        const Item& of = item(op);
        if (contains(of.answered() ? at.early : at.used, op)) continue;
        if (of.twin >= 0 && !contains(at.used, of.twin)) continue;
        const std::optional<int64_t> state = step(of, at.state, item(target));
        if (!state) continue;
        if (op == target) {
          reached.insert({*state, at.early, at.used});
          continue;
        }
        Configuration next{*state, at.early, at.used};
        OpSet& set = of.answered() ? next.early : next.used;
        set = with(std::move(set), op);
        if (seen.insert(next)) work.push_back(std::move(next));
      }
    }
    return reached.all();
  }

  // The state after the operation, or nothing if it cannot, or need not, take effect here.
  std::optional<int64_t> step(const Item& of, int64_t state, const Item& target) {
    const Command& command = of.command();
    const Response& response = of.operation->response;
    if (of.answered() && response.status == ResponseStatus::kMismatch) {
      const bool right = command.kind == CommandKind::kCas && holds(state, response.value) &&
                         response.value != command.expected;
      return right ? std::optional(state) : std::nullopt;
    }
    std::optional<int64_t> next;
    switch (command.kind) {
      case CommandKind::kRead:
        return holds(state, response.value) ? std::optional(state) : std::nullopt;
      case CommandKind::kWrite:
        next = intern(command.value);
        break;
      case CommandKind::kCas:
        if (!holds(state, command.expected)) return std::nullopt;
        next = intern(command.value);
        break;
      case CommandKind::kAppend:
        next = state == kUnmentioned ? kUnmentioned : intern(value(state) + command.value);
        break;
      case CommandKind::kAdd:
        return step_add(of, state, target);
    }
    if (!of.answered() && *next == kUnmentioned) return std::nullopt;
    return next;
  }

  std::optional<int64_t> step_add(const Item& of, int64_t state, const Item& target) const {
    const int64_t amount = of.command().amount;
    if (of.answered() && of.operation->response.counter != state) return std::nullopt;
    const int64_t next =
        static_cast<int64_t>(static_cast<uint64_t>(state) + static_cast<uint64_t>(amount));
    // Where nothing is ever subtracted, what has passed the target's answer never comes back.
    if (!of.answered() && only_grows() && next > target.operation->response.counter) {
      return std::nullopt;
    }
    return next;
  }

  bool only_grows() const {
    if (!only_grows_) {
      only_grows_ = std::all_of(operations_.begin(), operations_.end(), [](const Item& of) {
        // Small enough that no sum of them overflows.
        return of.command().amount >= 0 && of.command().amount < (1ll << 40) &&
               (!of.answered() || (of.operation->response.counter > -(1ll << 60) &&
                                   of.operation->response.counter < (1ll << 60)));
      });
    }
    return *only_grows_;
  }

  // Values are numbered; all that are not a prefix of a mentioned value share one number.
  int64_t intern(const std::string& value) {
    const auto at = std::lower_bound(mentioned_.begin(), mentioned_.end(), value);
    if (at == mentioned_.end() || at->substr(0, value.size()) != value) return kUnmentioned;
    const auto [found, inserted] =
        numbers_.try_emplace(value, static_cast<int64_t>(values_.size()));
    if (inserted) values_.push_back(value);
    return found->second;
  }
  const std::string& value(int64_t state) const { return values_[static_cast<size_t>(state)]; }
  bool holds(int64_t state, std::string_view expected) const {
    return state != kUnmentioned && value(state) == expected;
  }

  Failure failure(const Event& event, const std::vector<Configuration>& before) const {
    std::set<int64_t> states;
    for (const Configuration& configuration : before) states.insert(configuration.state);
    std::string held;
    size_t shown = 0;
    for (const int64_t state : states) {
      if (shown++ == kShownValues) {
        held += ", ...";
        break;
      }
      if (shown > 1) held += " or ";
      held += counter_                ? cat(state)
              : state == kUnmentioned ? "a value that no answer mentions"
                                      : quote(value(state));
    }
    const Item& of = item(event.op);
    std::string expected = cat("an answer that some order of the operations explains; the ",
                               counter_ ? std::string("counter") : cat("key ", of.command().key),
                               " may have held ", held);
    if (const Item* last = last_change_before(of)) {
      expected += cat("; last change before it was invoked: ",
                      describe(last->command(), last->operation->response));
    }
    return {event.position, of.number, std::move(expected),
            describe(of.command(), of.operation->response)};
  }

  const Item* last_change_before(const Item& of) const {
    const Item* last = nullptr;
    for (const Item& other : operations_) {
      if (!other.answered() || *other.operation->answered > of.operation->invoked ||
          other.command().kind == CommandKind::kRead ||
          other.operation->response.status != ResponseStatus::kOk) {
        continue;
      }
      if (!last || *other.operation->answered > *last->operation->answered) last = &other;
    }
    return last;
  }

  bool counter_;
  std::vector<Item> operations_;
  std::vector<Event> events_;
  std::vector<std::string_view> mentioned_;
  std::vector<std::string> values_;
  std::map<std::string, int64_t, std::less<>> numbers_;
  mutable std::optional<bool> only_grows_;
};

void ClientHistory::invoked(uint64_t operation, const Command& command) {
  const bool inserted =
      operations_.try_emplace(operation, Operation{command, events_++, std::nullopt, {}}).second;
  QK_CHECK(inserted);
}

void ClientHistory::completed(uint64_t operation, const Response& response) {
  const auto found = operations_.find(operation);
  QK_CHECK(found != operations_.end() && !found->second.answered);
  if (response.status == ResponseStatus::kMalformed) {
    garbled(operation, absl::InvalidArgumentError("malformed"));
  }
  if (response.status == ResponseStatus::kMalformed || response.status == ResponseStatus::kStale) {
    return;
  }
  found->second.answered = events_++;
  ++answered_;
  found->second.response = response;
}

void ClientHistory::garbled(uint64_t operation, const absl::Status& why) const {
  sink_->report("ora.C1", kCluster, static_cast<int64_t>(operation),
                cat("an answer to ", describe(operations_.at(operation).command)),
                std::string(to_std(why.message())));
}

void ClientHistory::judge() const {
  std::map<std::string_view, KeyHistory> keys;
  KeyHistory counter(true);
  for (const auto& [number, operation] : operations_) {
    if (operation.command.kind == CommandKind::kAdd) {
      counter.add(number, operation);
    } else {
      keys.try_emplace(operation.command.key, false).first->second.add(number, operation);
    }
  }
  std::optional<KeyHistory::Failure> earliest = counter.judge();
  for (auto& [key, history] : keys) {
    auto failure = history.judge();
    if (failure && (!earliest || failure->position < earliest->position)) {
      earliest = std::move(failure);
    }
  }
  if (!earliest) return;
  sink_->report("ora.C1", kCluster, static_cast<int64_t>(earliest->operation),
                std::move(earliest->expected), std::move(earliest->actual));
}

}  // namespace qk::sim
