// qk_bench_raw: the raw engines, served to qk_bench (raw_protocol.h).
#include <sys/socket.h>
#include <unistd.h>

#include "families/base/check.h"
#include "families/bench/entries.h"
#include "families/bench/raw_engine.h"
#include "families/bench/raw_protocol.h"

namespace qk::families::bench {
namespace {

std::unique_ptr<RawEngine> open_engine(RawEngineKind kind, const std::string& path) {
  switch (kind) {
    case RawEngineKind::kFlatFile:
      return open_flat_file(path);
    case RawEngineKind::kLeveldb:
      return open_leveldb(path);
    case RawEngineKind::kRocksdb:
      return open_rocksdb(path);
    case RawEngineKind::kSqlite:
      return open_sqlite(path);
  }
  QK_CHECK(false);
}

// Gives the entries that a request names to `take`, batch by batch.
template <typename Take>
void give(Stopwatch* watch, const RawRequest& request, const Take& take) {
  for (int64_t done = 0; done < request.index; done += request.batch) {
    std::vector<LogEntry> entries;
    watch->leave_out([&] {
      entries =
          make_entries(1 + done, std::min(request.batch, request.index - done), request.payload);
    });
    take(entries);
    watch->leave_out([&] { entries = {}; });
  }
}

Cost serve(RawEngine* engine, const RawRequest& request) {
  Stopwatch watch;
  switch (request.operation) {
    case RawRequest::Operation::kAppend:
      give(&watch, request, [&](std::span<const LogEntry> entries) { engine->append(entries); });
      break;
    case RawRequest::Operation::kLoad:
      engine->begin_load();
      give(&watch, request, [&](std::span<const LogEntry> entries) { engine->load(entries); });
      engine->end_load();
      break;
    case RawRequest::Operation::kScan:
      QK_CHECK(engine->scan(request.index) ==
               static_cast<uint64_t>(request.index) * request.payload);
      break;
    case RawRequest::Operation::kRead:
      for (const int64_t index : sample(request.index)) {
        QK_CHECK(engine->read(index) == request.payload);
      }
      break;
    case RawRequest::Operation::kDropBelow:
      engine->drop_below(request.index);
      break;
    case RawRequest::Operation::kDropAbove:
      engine->drop_above(request.index);
      break;
  }
  engine->settle();
  return watch.elapsed();
}

void answer(const Cost& cost) {
  QK_CHECK(::send(STDIN_FILENO, &cost, sizeof cost, MSG_NOSIGNAL) == sizeof cost);
}

int run(int argc, char** argv) {
  QK_CHECK(argc == 3);
  const auto kind = raw_engine_below(argv[1]);
  QK_CHECK(kind.has_value());
  const std::string path = argv[2];
  make_entries(1, 1, 1);  // whatever it prepares once is in no cost
  std::unique_ptr<RawEngine> engine;
  answer(measure([&] {
    engine = open_engine(*kind, path);
    engine->find_entries();
  }));
  for (RawRequest request; ::recv(STDIN_FILENO, &request, sizeof request, 0) == sizeof request;) {
    answer(serve(engine.get(), request));
  }
  return 0;
}

}  // namespace
}  // namespace qk::families::bench

int main(int argc, char** argv) { return qk::families::bench::run(argc, argv); }
