// The timeline as DOT text in which every coordinate is ours: `dot -Kneato -n2` only draws it. Same
// timeline, same bytes.
//
// Lanes are as high as their content asks. Aggregation: a bar is at least 2 points wide and its
// text is the full name, the code, or nothing; crashes and restarts within 14 points are one mark
// with xN; leaderships below 3 points merge; labels above a bar have two rows, and what does not
// fit is dropped, except failures. No label crosses the line of the first violation.
//
// Light theme only; one page; all lanes, however many.
#pragma once

#include <string>

#include "viz/timeline_model.h"

namespace qk::viz {

std::string timeline_dot(const Timeline& timeline);

}  // namespace qk::viz
