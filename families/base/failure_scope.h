// FailureScope: the last words of a process that ends by a bug of its own.
//
// While a scope lives, a QK_CHECK that fails and a call of std::terminate (an exception that nobody
// catches, bad_alloc among them) call its handler, on the stack of the failure and before anything
// is unwound: whatever the program had in memory is still there to be written out. The handler may
// end the process. If it returns, the scope around it is asked, and without one the process aborts.
//
// Scopes nest. A failure inside a handler goes to the scope around it. They belong to the process,
// as both failures do; this is for the one thread that all of this project runs on.
#pragma once

#include <exception>
#include <functional>
#include <string>

namespace qk {

class FailureScope {
 public:
  // `what`: "sim/raft/log.cc:41: check failed: first <= last", or "uncaught exception:
  // std::bad_alloc".
  using Handler = std::function<void(const std::string& what)>;

  explicit FailureScope(Handler handler);
  ~FailureScope();
  FailureScope(const FailureScope&) = delete;
  FailureScope& operator=(const FailureScope&) = delete;

  // Calls the handlers, the innermost first. For base alone.
  static void failed(const std::string& what);

 private:
  const Handler handler_;
  FailureScope* const outer_;
  const std::terminate_handler outer_terminate_;
};

}  // namespace qk
