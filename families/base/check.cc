#include "families/base/check.h"

#include <cstdio>
#include <cstdlib>

#include "families/base/failure_scope.h"
#include "families/base/strings.h"

namespace qk {
namespace {

// The innermost scope that is not handling a failure already.
FailureScope* innermost = nullptr;

// The path below the top of the sources, so that it is the same wherever they lie: it becomes part
// of a run's trace.
std::string_view below_sources(std::string_view file) {
  constexpr std::string_view kThis = "families/base/check.cc";
  const std::string_view self = __FILE__;
  const std::string_view top = self.substr(0, self.size() - kThis.size());
  return file.starts_with(top) ? file.substr(top.size()) : file;
}

[[noreturn]] void terminated() {
  std::string what = "terminated without an exception";
  if (const std::exception_ptr error = std::current_exception()) {
    try {
      std::rethrow_exception(error);
    } catch (const std::exception& exception) {
      what = cat("uncaught exception: ", exception.what());
    } catch (...) {
      what = "uncaught exception of an unknown type";
    }
  }
  std::fprintf(stderr, "internal error: %s\n", what.c_str());
  FailureScope::failed(what);
  std::abort();
}

}  // namespace

FailureScope::FailureScope(Handler handler)
    : handler_(std::move(handler)),
      outer_(innermost),
      outer_terminate_(std::set_terminate(terminated)) {
  innermost = this;
}

FailureScope::~FailureScope() {
  innermost = outer_;
  std::set_terminate(outer_terminate_);
}

void FailureScope::failed(const std::string& what) {
  while (FailureScope* const scope = innermost) {
    innermost = scope->outer_;
    scope->handler_(what);
  }
}

void check_failed(const char* condition, const char* file, int line) {
  const std::string_view place = below_sources(file);
  std::fprintf(stderr, "%.*s:%d: internal error: check failed: %s\n",
               static_cast<int>(place.size()), place.data(), line, condition);
  FailureScope::failed(cat(place, ":", line, ": check failed: ", condition));
  std::abort();
}

}  // namespace qk
