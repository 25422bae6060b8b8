# Fails when code, tests, help texts, scenarios or a page cite what the pages of docs/ do not have.
# Run by the build, and by hand:
#   cmake -P tools/cmake/check_citations.cmake
#
# Ids are defined by tables in docs/*.md whose first column is headed "id", "group" or "level", each
# id once. A citation is
#
#   SB-35, CI-X1, A-6, SC-12, KB-77, SB-10..12   requirements, decisions, scenarios, known bugs
#   ora.L10, "ora.L1, L2 and L5", mig.I7         oracles and invariants
#   T4, RB1, DT1, P2, P2x                        transitions and crash levels: in comments and pages
#   CRASH/write_torn                             a conformance check, by a group of contract.md
#   migration.md 3, braft-local-format.md 2.2    a page of the tree, and a numbered section of it
#   FORMAT.md, "Digests"                         a section by its heading
#   [text](page.md)                              a link of a page: the file is there
#   sim/raft/lanes.h, contract/family.h          a source file, from the top or from where it is cited
#
# An oracle or invariant in brackets without its prefix, as in "(R13", is an error, too: nobody can
# tell which list it means. The number 99 is never defined: tests need ids that do not exist.
#
# Not checked: whether what a section says supports the line that cites it; a section number that
# stands on the next line; RS and other words that are ids without a digit; bare L1, M9 elsewhere.
cmake_minimum_required(VERSION 3.25)
cmake_path(SET root NORMALIZE ${CMAKE_CURRENT_LIST_DIR}/../..)
if(DEFINED ROOT)  # a test points it at a tree of its own
  set(root ${ROOT})
endif()

set(id_regex "(SB|CI|EV|RM|WC|BC|SC|KB|A)-X?[0-9]+")
set(bare_regex "(T|RB|DT)[0-9]+|P[0-9]x?")
set(number "[0-9]+(\\.[0-9]+)*")

# --- The tree: every text file but what git ignores and this check with its test.
file(GLOB tops LIST_DIRECTORIES true RELATIVE ${root} ${root}/*)
set(files "")
foreach(top ${tops})
  if(NOT IS_DIRECTORY ${root}/${top})
    list(APPEND files ${top})
  elseif(NOT top STREQUAL "build")
    file(GLOB_RECURSE below RELATIVE ${root} ${root}/${top}/*)
    list(APPEND files ${below})
  endif()
endforeach()
list(FILTER files INCLUDE REGEX
  "\\.(h|cc|proto|cmake|txt|txtpb|expected|sh|md)$|^qk$")
list(FILTER files EXCLUDE REGEX "check_citations\\.cmake$|check_[a-z]*_test\\.cmake$")
set(pages ${files})
list(FILTER pages INCLUDE REGEX "\\.md$")
list(LENGTH files count)
if(count EQUAL 0 OR NOT EXISTS ${root}/docs)
  message(FATAL_ERROR "no sources or no docs/ below ${root}")
endif()

set(errors "")
macro(error_at file text)
  string(APPEND errors "${file}: ${text}\n")
endmacro()

# The lines of a file that match, as one text without the characters that lists are made of.
function(matching file regex out)
  file(STRINGS ${root}/${file} text REGEX "${regex}")
  string(REPLACE ";" "\n" text "${text}")
  string(REGEX REPLACE "[][]" " " text "${text}")
  set(${out} "${text}" PARENT_SCOPE)
endfunction()

# --- What the pages define. Ids: defined_ID is the page. Sections: sections_NAME, headings_NAME.
set(ids "")
set(groups "")
foreach(page ${pages})
  cmake_path(GET page FILENAME name)
  file(STRINGS ${root}/${page} heads REGEX "^(#+ |\\*\\*[^*]+\\*\\*)")
  foreach(head IN LISTS heads)
    if(head MATCHES "^[#*]+ ?(${number})")
      list(APPEND sections_${name} ${CMAKE_MATCH_1})
    endif()
    string(REGEX REPLACE "^(#+ (${number}\\.? )?|\\*\\*)|\\.?\\*\\*.*$" "" head "${head}")
    list(APPEND headings_${name} "${head}")
  endforeach()
  if(NOT page MATCHES "^docs/")
    continue()
  endif()
  file(STRINGS ${root}/${page} rows REGEX "^\\|")
  string(REPLACE "[" "(" rows "${rows}")
  string(REPLACE "]" ")" rows "${rows}")
  set(head "")
  set(previous "")
  foreach(row IN LISTS rows)
    if(row MATCHES "^\\|---")
      set(head "${previous}")
    elseif(head MATCHES "^\\| (id|group|level) \\|" AND row MATCHES "^\\| ([A-Za-z0-9.-]+) \\|")
      set(id ${CMAKE_MATCH_1})
      if(id MATCHES "^(${id_regex}|${bare_regex}|(ora|mig)\\.[A-Z][0-9]+)$")
        if(DEFINED defined_${id})
          error_at(${page} "${id} is defined here and in ${defined_${id}}")
        elseif(id MATCHES "[^0-9]99$")
          error_at(${page} "${id}: 99 is for tests that need an id that does not exist")
        endif()
        set(defined_${id} ${page})
      elseif(head MATCHES "^\\| group ")
        list(APPEND groups ${id})
      endif()
    endif()
    set(previous "${row}")
  endforeach()
endforeach()
list(JOIN groups "|" group_regex)
if(group_regex STREQUAL "")
  set(group_regex "no_groups")
endif()

# Names of conformance checks: every literal of the files that make them.
set(check_files ${files})
list(FILTER check_files INCLUDE REGEX "_checks\\.cc$")
foreach(file ${check_files})
  matching(${file} "\"[A-Za-z0-9_]+\"" text)
  string(REGEX MATCHALL "\"[A-Za-z0-9_]+\"" literals "${text}")
  foreach(literal ${literals})
    string(REPLACE "\"" "" literal ${literal})
    set(check_${literal} TRUE)
  endforeach()
endforeach()

# Names of pages that are cited without ".md" by mistake; a plain word ("migration") is no name.
set(hyphened "")
foreach(page ${pages})
  cmake_path(GET page STEM stem)
  if(page MATCHES "^docs/" AND stem MATCHES "-")
    list(APPEND hyphened ${stem})
  endif()
endforeach()
list(JOIN hyphened "|" hyphened_regex)
if(hyphened_regex STREQUAL "")
  set(hyphened_regex "no_pages")
endif()

# --- What is cited.
function(check_id file id)
  if(NOT DEFINED defined_${id} AND NOT id MATCHES "[^0-9]99$")
    error_at(${file} "cites ${id}, which no table of docs/ defines")
    set(errors "${errors}" PARENT_SCOPE)
  endif()
endfunction()

# Each number in `text` must be a section of the page, which the tree must have.
function(check_page file page text)
  cmake_path(GET page FILENAME name)
  cmake_path(GET file PARENT_PATH directory)
  set(known FALSE)
  foreach(candidate ${pages})
    cmake_path(GET candidate FILENAME candidate_name)
    if(candidate STREQUAL page OR "${directory}/${page}" STREQUAL candidate
       OR (page STREQUAL name AND candidate_name STREQUAL name))
      set(known TRUE)
    endif()
  endforeach()
  if(NOT known AND page MATCHES "/" AND EXISTS ${root}/${directory}/${page})
    set(known TRUE)
  endif()
  if(NOT known)
    error_at(${file} "cites ${page}, and there is no such page")
  else()
    string(REGEX MATCHALL "${number}" cited "${text}")
    foreach(section ${cited})
      if(NOT section IN_LIST sections_${name})
        error_at(${file} "cites ${page} ${section}, and the page has no section of that number")
      endif()
    endforeach()
  endif()
  set(errors "${errors}" PARENT_SCOPE)
endfunction()

# A cheap look first: what cannot hold any of the forms above is most of the tree.
set(any "[A-Z]-?X?[0-9]|\\.md|[A-Z]/[A-Za-z]|[a-z]-[a-z]+ [0-9]|[a-z]\\.(h|cc|sh|proto|cmake)")
foreach(file ${files})
  matching(${file} "${any}" text)
  if(NOT text STREQUAL "")
    string(REGEX MATCHALL "(^|[^A-Za-z0-9_.-])${id_regex}(\\.\\.[0-9]+)?" hits "${text}")
    foreach(hit ${hits})
      string(REGEX MATCH "(${id_regex})(\\.\\.([0-9]+))?$" id "${hit}")
      set(first ${CMAKE_MATCH_1})
      set(family ${CMAKE_MATCH_2})
      check_id(${file} ${first})
      if(NOT "${CMAKE_MATCH_4}" STREQUAL "")
        check_id(${file} ${family}-${CMAKE_MATCH_4})
      endif()
    endforeach()

    string(REGEX MATCHALL "(ora|mig)\\.[A-Z][0-9]+((,| and| to|,? or)? [A-Z][0-9]+)*" hits "${text}")
    foreach(hit ${hits})
      string(SUBSTRING ${hit} 0 3 list)
      string(REGEX MATCHALL "[A-Z][0-9]+" each ${hit})
      foreach(id ${each})
        check_id(${file} ${list}.${id})
      endforeach()
    endforeach()
    string(REGEX MATCHALL "\\([IR][0-9]+" hits "${text}")
    foreach(hit ${hits})
      string(SUBSTRING ${hit} 1 -1 id)
      error_at(${file} "cites ${id}, expected ora.${id} or mig.${id}")
    endforeach()

    string(REGEX MATCHALL "(^|[^A-Za-z0-9_])(${group_regex})/[A-Za-z0-9_]+" hits "${text}")
    foreach(hit ${hits})
      string(REGEX MATCH "([A-Z]+)/([A-Za-z0-9_]+)$" check "${hit}")
      if(NOT DEFINED check_${CMAKE_MATCH_2})
        error_at(${file} "cites ${check}, and no *_checks.cc has a check of that name")
      endif()
    endforeach()

    string(REGEX MATCHALL
      "[A-Za-z0-9_./-]*[A-Za-z0-9_-]+\\.md( section)?( ${number}((,| and|,? to) ${number})*)?"
      hits "${text}")
    foreach(hit ${hits})
      string(REGEX MATCH "^/?(.*\\.md)(.*)$" whole "${hit}")
      check_page(${file} "${CMAKE_MATCH_1}" "${CMAKE_MATCH_2}")
    endforeach()
    string(REGEX MATCHALL "[A-Za-z0-9_-]+\\.md`?, \"[^\"]+\"" hits "${text}")
    foreach(hit ${hits})
      string(REGEX MATCH "^(.*\\.md)`?, \"(.*)\"$" whole "${hit}")
      if(NOT CMAKE_MATCH_2 IN_LIST headings_${CMAKE_MATCH_1})
        error_at(${file} "cites ${CMAKE_MATCH_1}, \"${CMAKE_MATCH_2}\", and the page has no such section")
      endif()
    endforeach()
    string(REGEX MATCHALL "(${hyphened_regex}) [0-9]+" hits "${text}")
    foreach(hit ${hits})
      string(REPLACE " " ".md " better "${hit}")
      error_at(${file} "cites ${hit}, expected ${better}")
    endforeach()
  endif()

  # Short ids and paths mean something in words only.
  if(file MATCHES "\\.(h|cc|proto)$")
    string(REGEX MATCHALL "//[^\n]*" text "${text}")
  elseif(NOT file MATCHES "\\.md$")
    string(REGEX MATCHALL "#[^\n]*" text "${text}")
  endif()
  string(REGEX MATCHALL "(^|[^A-Za-z0-9_])(${bare_regex})([^A-Za-z0-9_]|$)" hits "${text}")
  foreach(hit ${hits})
    string(REGEX MATCH "${bare_regex}" id "${hit}")
    check_id(${file} ${id})
  endforeach()

  # Files by their path, from the top or from where the file lies.
  string(REGEX MATCHALL "[A-Za-z0-9_./-]*[a-z_]+/[A-Za-z0-9_]+\\.(h|cc|proto|cmake|sh)" hits "${text}")
  cmake_path(GET file PARENT_PATH directory)
  foreach(hit ${hits})
    if(NOT EXISTS ${root}/${hit} AND NOT EXISTS ${root}/${directory}/${hit}
       AND NOT hit MATCHES "NAME")
      error_at(${file} "cites ${hit}, and there is no such file")
    endif()
  endforeach()

  if(file MATCHES "\\.md$")
    file(STRINGS ${root}/${file} text REGEX "\\]\\(")
    string(REGEX REPLACE "[[;]" " " text "${text}")
    string(REGEX MATCHALL "\\]\\([^):# ]+" hits "${text}")
    string(REPLACE "](" "" hits "${hits}")
    cmake_path(GET file PARENT_PATH directory)
    foreach(hit ${hits})
      if(NOT EXISTS ${root}/${directory}/${hit})
        error_at(${file} "links to ${hit}, and there is no such file")
      endif()
    endforeach()
  endif()
endforeach()

if(NOT errors STREQUAL "")
  string(REPLACE "\n" ";" lines "${errors}")
  list(REMOVE_DUPLICATES lines)
  list(JOIN lines "\n" errors)
  message(FATAL_ERROR "citations:\n${errors}")
endif()
message(STATUS "citations: ${count} files, each leads somewhere")
