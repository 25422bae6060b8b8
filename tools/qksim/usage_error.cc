#include "tools/qksim/usage_error.h"

#include "families/base/strings.h"
#include "families/base/suggest.h"

namespace qk::cli {

UsageError usage_error(std::string_view message, std::string_view hint) {
  return {cat("error: ", message, "\n", hint.empty() ? std::string() : cat("hint: ", hint, "\n"))};
}

std::string hint_of_allowed(std::string_view word, std::string_view label,
                            const std::vector<std::string>& allowed) {
  const std::string_view near = nearest(word, allowed);
  return cat(near.empty() ? std::string() : cat("did you mean ", in_quotes(near), "? "), label,
             ": ", join(allowed));
}

UsageError unknown_word(std::string_view what, std::string_view word, std::string_view label,
                        const std::vector<std::string>& allowed) {
  return usage_error(cat("there is no ", what, " ", in_quotes(word)),
                     hint_of_allowed(word, label, allowed));
}

}  // namespace qk::cli
