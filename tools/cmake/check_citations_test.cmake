# check_citations.cmake accepts a good tree and names each kind of dangling citation in a bad one.
#   cmake -DWORK=DIR -P tools/cmake/check_citations_test.cmake
cmake_minimum_required(VERSION 3.25)
set(check ${CMAKE_CURRENT_LIST_DIR}/check_citations.cmake)
file(REMOVE_RECURSE ${WORK})

function(run_check expect_failure)
  execute_process(COMMAND ${CMAKE_COMMAND} -DROOT=${WORK} -P ${check}
    RESULT_VARIABLE result ERROR_VARIABLE output OUTPUT_QUIET)
  if(expect_failure AND result EQUAL 0)
    message(FATAL_ERROR "accepted: ${ARGN}")
  elseif(NOT expect_failure AND NOT result EQUAL 0)
    message(FATAL_ERROR "refused a good tree:\n${output}")
  endif()
  # CMake wraps long messages.
  string(REGEX REPLACE "[ \n]+" " " output "${output}")
  foreach(part ${ARGN})
    string(FIND "${output}" "${part}" at)
    if(at EQUAL -1)
      message(FATAL_ERROR "not named: ${part}\n${output}")
    endif()
  endforeach()
endfunction()

file(WRITE ${WORK}/docs/contract.md
"# Contract

[the way](migration.md)

## 1. Requirements

| id | level | requirement |
|---|---|---|
| SB-1 | M | One; two [three] |
| SB-2 | M | Another |
| CI-X1 | own | Of our own |
| A-6 | | decided |
| SC-01 | | situation |
| KB-77 | | a bug |

| requirement | where it stands |
|---|---|
| SB-1 | repeated, not defined |

## 2. Suite

| group | what |
|---|---|
| BASIC | append |
")
file(WRITE ${WORK}/docs/migration.md
"# Way

## 3. Phases

| id | what |
|---|---|
| T1 | first |
| RB1 | back |
| mig.I7 | equal |

**3.4** A point.
")
file(WRITE ${WORK}/docs/disk-model.md
"## 1. Levels

| level | what |
|---|---|
| P0 | process |
| P2x | torn |

| id | oracle |
|---|---|
| ora.L1 | kept |
| ora.L2 | prefix |
")
file(WRITE ${WORK}/families/FORMAT.md "## Canonical form\n\n**Names.** As listed.\n")
file(WRITE ${WORK}/sim/basic_checks.cc "add(\"append_one\", {\"SB-1\"}, append_one);\n")
file(WRITE ${WORK}/families/good.h
"// SB-1, (A-6), SB-1..2, CI-X1 and KB-77; SC-01. ora.L1 and L2; mig.I7 [T1; (RB1), P0, P2x.
// migration.md 3, migration.md section 3.4, disk-model.md 1; BASIC/append_one/local
// families/FORMAT.md, \"Canonical form\"; FORMAT.md, \"Names\"; SHA-256, CRC-32C, C1, ora.X, SB-n
// sim/basic_checks.cc from the top, or good.h and ../sim/basic_checks.cc from here; NAME/NAME.h
#include <absl/none.h>
const int T7 = 1;
Contains(\"there is no SB-99\", \"ora.D99\");
")
run_check(FALSE)

function(run_bad path line)
  file(WRITE ${WORK}/${path} "${line}\n")
  run_check(TRUE "${path}" ${ARGN})
  file(REMOVE ${WORK}/${path})
endfunction()
run_bad(raft/a.h "// a vote (SB-35)" "cites SB-35, which no table of docs/ defines")
run_bad(raft/a.cc "  error(\"needs both bounds (A-7)\");" "cites A-7")
run_bad(raft/a.cc "// SB-1..9" "cites SB-9")
run_bad(raft/a.cc "// CI-X2" "cites CI-X2")
run_bad(scenarios/a.txtpb "# SC-02" "cites SC-02")
run_bad(raft/a.cc "// after all (KB-1)" "cites KB-1")
run_bad(sim/a.cc "report(\"ora.M3\");" "cites ora.M3")
run_bad(sim/a.cc "// ora.L1 and L3" "cites ora.L3")
run_bad(migration/a.h "// (mig.I8)" "cites mig.I8")
run_bad(migration/a.h "// no message before (R13)" "cites R13, expected ora.R13 or mig.R13")
run_bad(migration/a.h "step();  // T2" "cites T2")
run_bad(migration/a.h "// (DT1)" "cites DT1")
run_bad(sim/a.sh "# at P1" "cites P1")
run_bad(sim/a.cc "// BASIC/append_two shows it" "cites BASIC/append_two")
run_bad(raft/a.h "// decisions.md says so" "cites decisions.md, and there is no such page")
run_bad(raft/a.h "// families/local/FORMAT.md" "cites families/local/FORMAT.md")
run_bad(raft/a.h "// (migration.md 4)" "cites migration.md 4, and the page has no section")
run_bad(raft/a.h "// migration.md 3 and 10" "cites migration.md 10")
run_bad(raft/a.h "// migration.md 3.5" "cites migration.md 3.5")
run_bad(raft/a.h "// FORMAT.md, \"Trailer\"" "FORMAT.md, \"Trailer\"")
run_bad(raft/a.h "// disk-model 1" "cites disk-model 1, expected disk-model.md 1")
run_bad(raft/a.h "// as sim/other_checks.cc does" "cites sim/other_checks.cc, and there is no such file")
run_bad(docs/more.md "`families/bad.h`" "cites families/bad.h")
run_bad(README.md "see [it](docs/none.md)" "links to docs/none.md")
run_bad(CONTRIBUTING.md "as A-99 is free, so A-9" "cites A-9")
run_bad(docs/more.md "| id | what |\n|---|---|\n| SB-1 | again |" "SB-1 is defined here and in docs/contract.md")
run_bad(docs/more.md "| id | what |\n|---|---|\n| SB-99 | never |" "99 is for tests")
