// C1 on histories that are known to be linearizable or not, on generated ones, and on generated
// ones that were broken afterwards.
#include "sim/check/linearizability.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "sim/check/test_support.h"
#include "sim/cluster/state_machine.h"
#include "sim/kernel/random.h"

namespace qk::sim {
namespace {

Command read(std::string key = "x") { return {.kind = CommandKind::kRead, .key = key}; }
Command write(std::string value, std::string key = "x") {
  return {.kind = CommandKind::kWrite, .key = key, .value = value};
}
Command append(std::string value) {
  return {.kind = CommandKind::kAppend, .key = "x", .value = value};
}
Command cas(std::string expected, std::string value) {
  return {.kind = CommandKind::kCas, .key = "x", .value = value, .expected = expected};
}
Command add(int64_t amount) { return {.kind = CommandKind::kAdd, .amount = amount}; }

const Response kDone;
Response value(std::string text) { return {.value = text}; }
Response mismatch(std::string held) { return {.status = ResponseStatus::kMismatch, .value = held}; }
Response counter(int64_t before) { return {.counter = before}; }

// Without the cluster whose commits ora.C2 asks for.
struct History {
  void invoke(uint64_t operation, const Command& command) { history.invoked(operation, command); }
  void answer(uint64_t operation, const Response& response) {
    history.completed(operation, response);
  }
  void run(const Command& command, const Response& response) {
    const uint64_t operation = 1000 + next++;
    invoke(operation, command);
    answer(operation, response);
  }
  bool linearizable() {
    history.judge();
    return findings.empty();
  }
  std::vector<Finding> findings;
  FindingSink sink{{"n1"}, [this](const Finding& finding) { findings.push_back(finding); }};
  ClientHistory history{&sink};
  uint64_t next = 0;
};

TEST_CASE("operations one after the other see each other") {
  History h;
  h.run(read(), value(""));
  h.run(write("1"), kDone);
  h.run(read(), value("1"));
  h.run(cas("2", "3"), mismatch("1"));
  h.run(cas("1", "3"), kDone);
  h.run(append("4"), kDone);
  h.run(read(), value("34"));
  h.run(read("y"), value(""));
  REQUIRE(h.linearizable());
}

TEST_CASE("a stale read is found, and named") {
  History h;
  h.run(write("1"), kDone);
  h.run(write("2"), kDone);
  h.run(read(), value("1"));
  h.run(write("3"), kDone);
  h.run(read(), value("9"));
  h.history.judge();
  REQUIRE(h.findings.size() == 1);
  REQUIRE(h.findings[0].oracle == "ora.C1");
  REQUIRE(h.findings[0].index == 1002);  // the earliest
  REQUIRE(h.findings[0].actual == "read(x) -> ok \"1\"");
  REQUIRE(h.findings[0].expected.find("write(x, \"2\") -> ok") != std::string::npos);
}

TEST_CASE("wrong answers of each kind are found") {
  const auto bad = [](const Command& command, const Response& response) {
    History h;
    h.run(write("1"), kDone);
    h.run(command, response);
    return !h.linearizable();
  };
  REQUIRE(bad(read(), value("")));
  REQUIRE(bad(read(), value("11")));
  REQUIRE(bad(cas("2", "3"), kDone));
  REQUIRE(bad(cas("1", "3"), mismatch("1")));
  REQUIRE(bad(cas("2", "3"), mismatch("2")));
  REQUIRE(bad(read(), mismatch("1")));
  REQUIRE_FALSE(bad(read(), value("1")));

  History lost_append;
  lost_append.run(append("1"), kDone);
  lost_append.run(append("2"), kDone);
  lost_append.run(read(), value("2"));
  REQUIRE_FALSE(lost_append.linearizable());

  History doubled;
  doubled.run(append("1"), kDone);
  doubled.run(read(), value("11"));
  REQUIRE_FALSE(doubled.linearizable());
}

TEST_CASE("concurrent writes may be seen in either order, but in one order by all") {
  for (const bool agree : {true, false}) {
    History h;
    h.invoke(1, write("a"));
    h.invoke(2, write("b"));
    h.answer(1, kDone);
    h.answer(2, kDone);
    h.run(read(), value("a"));
    h.run(read(), value(agree ? "a" : "b"));
    REQUIRE(h.linearizable() == agree);
  }
}

TEST_CASE("a read beside a write may see it or not, but not go back") {
  for (const bool back : {false, true}) {
    History h;
    h.run(write("old"), kDone);
    h.invoke(1, write("new"));
    h.run(read(), value("old"));
    h.run(read(), value("new"));
    h.run(read(), value(back ? "old" : "new"));
    h.answer(1, kDone);
    REQUIRE(h.linearizable() == !back);
  }
}

TEST_CASE("an unanswered operation takes effect at any later time, or never, but once") {
  SECTION("never") {
    History h;
    h.run(write("1"), kDone);
    h.invoke(1, write("2"));
    h.run(read(), value("1"));
    REQUIRE(h.linearizable());
  }
  SECTION("much later") {
    History h;
    h.invoke(1, write("2"));
    h.run(write("1"), kDone);
    h.run(read(), value("1"));
    h.run(read(), value("2"));
    REQUIRE(h.linearizable());
  }
  SECTION("not twice") {
    History h;
    h.invoke(1, write("2"));
    h.run(write("1"), kDone);
    h.run(read(), value("2"));
    h.run(write("3"), kDone);
    h.run(read(), value("2"));
    REQUIRE_FALSE(h.linearizable());
  }
  SECTION("not before it was invoked") {
    History h;
    h.run(read(), value("2"));
    h.invoke(1, write("2"));
    REQUIRE_FALSE(h.linearizable());
  }
  SECTION("a stale answer is refused") {
    History h;
    h.invoke(1, write("2"));
    h.answer(1, {.status = ResponseStatus::kStale});
    h.run(read(), value(""));
    h.run(read(), value("2"));
    REQUIRE(h.linearizable());
  }
  SECTION("a compare-and-swap through a value that was never read") {
    History h;
    h.invoke(1, write("hidden"));
    h.invoke(2, cas("hidden", "seen"));
    h.run(read(), value("seen"));
    REQUIRE(h.linearizable());
  }
  SECTION("appends in any order, each once") {
    for (const char* text : {"abc", "cab", "b", "bc"}) {
      History h;
      h.invoke(1, append("a"));
      h.invoke(2, append("b"));
      h.invoke(3, append("c"));
      h.run(read(), value(text));
      REQUIRE(h.linearizable());
    }
    History h;
    h.invoke(1, append("a"));
    h.invoke(2, append("b"));
    h.run(read(), value("aba"));
    REQUIRE_FALSE(h.linearizable());
  }
}

TEST_CASE("the counter starts somewhere, and every addition is counted once") {
  History h;
  h.run(add(5), counter(8633));
  h.invoke(1, add(1));
  h.invoke(2, add(10));
  h.answer(2, counter(8638));
  h.answer(1, counter(8648));
  h.run(add(0), counter(8649));
  REQUIRE(h.linearizable());
  h.run(add(1), counter(8648));
  REQUIRE_FALSE(h.linearizable());

  History first_concurrent;
  first_concurrent.invoke(1, add(1));
  first_concurrent.invoke(2, add(2));
  first_concurrent.answer(1, counter(12));
  first_concurrent.answer(2, counter(10));
  REQUIRE(first_concurrent.linearizable());

  History lost;
  lost.run(add(1), counter(10));
  lost.run(add(1), counter(10));
  REQUIRE_FALSE(lost.linearizable());

  History unanswered;
  unanswered.run(add(1), counter(0));
  for (uint64_t op = 0; op < 30; ++op) unanswered.invoke(op, add(1 + static_cast<int64_t>(op % 3)));
  unanswered.run(add(1), counter(1));
  unanswered.run(add(1), counter(9));
  REQUIRE(unanswered.linearizable());
  unanswered.run(add(1), counter(1000));
  REQUIRE_FALSE(unanswered.linearizable());

  History downwards;
  downwards.run(add(1), counter(0));
  downwards.invoke(1, add(-3));
  downwards.run(add(1), counter(-2));
  REQUIRE(downwards.linearizable());
}

TEST_CASE("a malformed answer is a finding of its own") {
  History h;
  h.invoke(1, write("2"));
  h.answer(1, {.status = ResponseStatus::kMalformed});
  REQUIRE(h.findings.size() == 1);
  REQUIRE(h.findings[0].oracle == "ora.C1");
}

// Clients of a real state machine: each operation takes effect at one instant between invocation
// and answer; some are never answered, and of those some never take effect.
struct Generated {
  struct Step {
    uint64_t operation = 0;
    std::optional<Response> answer;  // absent: the invocation
  };
  std::map<uint64_t, Command> commands;
  std::vector<Step> steps;

  Generated(uint64_t seed, uint64_t operations, uint64_t clients, uint64_t keys) {
    RandomStream random(seed, "history");
    StateMachine machine;
    struct Client {
      uint64_t operation = 0;
      int stage = 0;  // 0 idle, 1 invoked, 2 took effect
      Response response;
    };
    std::vector<Client> all(clients);
    std::vector<uint64_t> lost;  // unanswered, may still take effect
    std::vector<std::string> held(keys);
    const auto apply = [&](uint64_t operation) {
      const Command& command = commands.at(operation);
      return *decode_response(
          machine.apply({1, 1, families::EntryType::kData, encode_command(command)}));
    };
    for (uint64_t issued = 0; issued < operations;) {
      Client& client = all[random.below(clients)];
      if (!lost.empty() && random.chance_ppm(20'000)) {
        const size_t which = random.below(lost.size());
        apply(lost[which]);
        lost.erase(lost.begin() + static_cast<int64_t>(which));
      }
      if (client.stage == 0) {
        client.operation = issued++;
        const std::string key = cat("k", random.below(keys));
        Command command{.kind = static_cast<CommandKind>(random.between(1, 4)), .key = key};
        if (random.chance_ppm(50'000)) command.kind = CommandKind::kAdd;
        command.value = cat("v", issued, ";");
        command.amount = random.between(0, 3);
        const auto found = machine.values().find(key);
        if (found != machine.values().end() && random.chance_ppm(700'000)) {
          command.expected = found->second;
        }
        commands[client.operation] = command;
        steps.push_back({client.operation, std::nullopt});
        client.stage = 1;
      } else if (random.chance_ppm(5'000)) {
        if (client.stage == 1) lost.push_back(client.operation);
        client.stage = 0;
      } else if (client.stage == 1) {
        client.response = apply(client.operation);
        client.stage = 2;
      } else {
        steps.push_back({client.operation, client.response});
        client.stage = 0;
      }
    }
  }

  bool linearizable() const {
    History h;
    for (const Step& step : steps) {
      if (step.answer) {
        h.answer(step.operation, *step.answer);
      } else {
        h.invoke(step.operation, commands.at(step.operation));
      }
    }
    return h.linearizable();
  }
};

TEST_CASE("histories of a correct store are linearizable") {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    INFO("seed " << seed);
    REQUIRE(Generated(seed, 300, 2 + seed % 7, 1 + seed % 3).linearizable());
  }
}

TEST_CASE("histories in which one answer was falsified are not") {
  int broken = 0;
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    INFO("seed " << seed);
    Generated history(seed, 200, 4, 2);
    RandomStream random(seed, "falsify");
    auto& step = history.steps[random.below(history.steps.size())];
    if (!step.answer) continue;
    const Command& command = history.commands.at(step.operation);
    if (command.kind == CommandKind::kAdd) {
      step.answer->counter += 1000;
    } else if (command.kind == CommandKind::kRead ||
               step.answer->status == ResponseStatus::kMismatch) {
      step.answer->value += "never written";
    } else {
      continue;
    }
    ++broken;
    REQUIRE_FALSE(history.linearizable());
  }
  REQUIRE(broken >= 10);
}

TEST_CASE("a run's worth of operations is judged", "[size]") {
  REQUIRE(Generated(7, 6000, 8, 64).linearizable());
}

}  // namespace
}  // namespace qk::sim
