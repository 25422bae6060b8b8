// "Did you mean": the nearest of a list of allowed words.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace qk {

// Levenshtein distance in bytes.
size_t edit_distance(std::string_view a, std::string_view b);

// The candidate nearest to `word`, or "" if none is near enough to be a slip of the keyboard (two
// edits, and fewer than the word has letters). The first of several equally near ones wins.
std::string_view nearest(std::string_view word, const std::vector<std::string>& candidates);

// The word with a double quote on each side, as messages name what they found.
std::string in_quotes(std::string_view word);

// "a, b, c"
std::string join(const std::vector<std::string>& words, std::string_view separator = ", ");

}  // namespace qk
