# A precompiled header for libraries, one for tests and one for tests that are not optimized. A
# target that reuses one is compiled with the same options and definitions; another one would be
# refused by the compiler. The names in <> keep the path of the checkout out of it, so that checkouts
# share what ccache holds.
if(QKSIM_PRECOMPILE)
  add_library(qk_precompiled OBJECT ${CMAKE_SOURCE_DIR}/tools/cmake/precompiled.cc)
  target_link_libraries(qk_precompiled PRIVATE qk_options)
  target_precompile_headers(qk_precompiled PRIVATE <tools/cmake/precompiled.h>)
endif()
if(QKSIM_PRECOMPILE AND QKSIM_TESTS)
  foreach(name qk_precompiled_test qk_precompiled_fast_test)
    add_library(${name} OBJECT ${CMAKE_SOURCE_DIR}/tools/cmake/precompiled.cc)
    target_link_libraries(${name} PRIVATE qk_options Catch2::Catch2)
    target_precompile_headers(${name} PRIVATE <tools/cmake/precompiled_test.h>)
  endforeach()
  target_compile_options(qk_precompiled_fast_test PRIVATE -O0)
endif()

# qk_precompile(TARGET FROM): TARGET reuses the precompiled header of FROM.
function(qk_precompile target from)
  if(QKSIM_PRECOMPILE)
    target_precompile_headers(${target} REUSE_FROM ${from})
  endif()
endfunction()

# qk_fuzzed(TARGET): fuzzing TARGET's code follows what parts of it run. The counters are named, since
# -fsanitize=fuzzer-no-link would be refused beside a precompiled header of other targets; tests and
# rooms that no fuzz target reaches compile and run faster without.
function(qk_fuzzed target)
  if(QKSIM_FUZZ)
    target_compile_options(${target} PRIVATE
      -fsanitize-coverage=inline-8bit-counters,indirect-calls,trace-cmp,pc-table,stack-depth)
  endif()
endfunction()

# qk_library(NAME SOURCES... DEPS...): a static library of one room.
function(qk_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC qk_options ${ARG_DEPS})
  qk_precompile(${name} qk_precompiled)
  cmake_path(RELATIVE_PATH CMAKE_CURRENT_SOURCE_DIR BASE_DIRECTORY ${CMAKE_SOURCE_DIR}
             OUTPUT_VARIABLE room)
  if(NOT room MATCHES "^(conformance|viz|tools/qksim|sim/(check|cluster|net))(/|$)")
    qk_fuzzed(${name})
  endif()
endfunction()

# qk_proto(NAME FILES...): generated protobuf code, included as "room/file.pb.h"; generated sources
# are exempt from our warnings.
function(qk_proto name)
  set(generated)
  foreach(file ${ARGN})
    cmake_path(ABSOLUTE_PATH file OUTPUT_VARIABLE absolute)
    cmake_path(RELATIVE_PATH absolute BASE_DIRECTORY ${CMAKE_SOURCE_DIR} OUTPUT_VARIABLE relative)
    string(REGEX REPLACE "\\.proto$" "" stem ${CMAKE_BINARY_DIR}/${relative})
    add_custom_command(
      OUTPUT ${stem}.pb.cc ${stem}.pb.h
      COMMAND protobuf::protoc -I${CMAKE_SOURCE_DIR} --cpp_out=${CMAKE_BINARY_DIR} ${relative}
      DEPENDS ${absolute}
      VERBATIM)
    list(APPEND generated ${stem}.pb.cc)
  endforeach()
  add_library(${name} STATIC ${generated})
  set_target_properties(${name} PROPERTIES UNITY_BUILD OFF)  # each file repeats the same names
  target_link_libraries(${name} PUBLIC protobuf::libprotobuf)
  target_include_directories(${name} SYSTEM PUBLIC ${CMAKE_BINARY_DIR})
  qk_fuzzed(${name})
endfunction()

# Catch2's main takes long to compile, so it is compiled once, and not optimized.
if(QKSIM_TESTS)
  add_library(qk_test_main OBJECT ${CMAKE_SOURCE_DIR}/families/base/test_main.cc)
  target_link_libraries(qk_test_main PUBLIC Catch2::Catch2)
  target_compile_options(qk_test_main PRIVATE -O0)
endif()

# qk_test_needs(NAME TARGETS...): targets that test NAME runs or looks at, beyond those that its
# command names. qk_write_test_needs() writes "NAME TARGET" for each, for `./qk test NAME`.
function(qk_test_needs name)
  foreach(target ${ARGN})
    set_property(GLOBAL APPEND_STRING PROPERTY QK_TEST_NEEDS "${name} ${target}\n")
  endforeach()
endfunction()
function(qk_write_test_needs)
  get_property(needs GLOBAL PROPERTY QK_TEST_NEEDS)
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/test_targets.txt CONTENT "${needs}")
endfunction()

# qk_add_test(NAME LABEL COMMAND...): a ctest test. `fast` ones take seconds; `crash` ones explore
# crashes and failing calls; `e2e` ones run whole scenarios or the built program; `fuzz` ones replay
# fuzz inputs. The limits end a test that hangs, under sanitizers and on a busy machine too.
set(QK_LIMIT_fast 900)
set(QK_LIMIT_crash 1800)
set(QK_LIMIT_e2e 1800)
set(QK_LIMIT_fuzz 300)
# The long ones first, so that none of them runs alone at the end.
set(QK_COST_crash 100)
set(QK_COST_e2e 50)
set(QK_COST_fast 10)
set(QK_COST_fuzz 1)
function(qk_add_test name label)
  if(NOT DEFINED QK_LIMIT_${label})
    message(FATAL_ERROR "${name}: label ${label}, expected fast, crash, e2e or fuzz")
  endif()
  add_test(NAME ${name} COMMAND ${ARGN})
  set(needs ${ARGN})
  list(TRANSFORM needs REPLACE "^\\$<TARGET_(FILE|OBJECTS):(.*)>$" "\\2")
  foreach(word ${needs})
    if(TARGET "${word}")
      qk_test_needs(${name} ${word})
    endif()
  endforeach()
  set_tests_properties(${name} PROPERTIES LABELS ${label} TIMEOUT ${QK_LIMIT_${label}}
                       COST ${QK_COST_${label}})
  # Thousands of syncs: a directory of a file system in memory is as real, and does not wait.
  if(IS_DIRECTORY /dev/shm)
    set_property(TEST ${name} APPEND PROPERTY ENVIRONMENT TMPDIR=/dev/shm)
  endif()
endfunction()

# Where a test and what it tests instantiate the same template, the linker takes the test's. So tests
# that run long are as optimized as libraries (with -O1 in tests alone, seeds take twice the time);
# those that take seconds, most of what a build compiles, are not, which is a third of the time.
#
# qk_test(NAME SOURCES... DEPS... [ARGS ...] [LABEL ...]): one Catch2 executable, in test/ of the
# build directory, and one ctest test.
function(qk_test name)
  if(NOT QKSIM_TESTS)
    return()
  endif()
  cmake_parse_arguments(ARG "" "LABEL" "SOURCES;DEPS;ARGS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES} $<TARGET_OBJECTS:qk_test_main>)
  target_link_libraries(${name} PRIVATE qk_options Catch2::Catch2 ${ARG_DEPS})
  target_compile_definitions(${name} PRIVATE QK_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/test)
  if(NOT ARG_LABEL)
    set(ARG_LABEL fast)
  endif()
  if(ARG_LABEL STREQUAL "fast")
    target_compile_options(${name} PRIVATE -O0)
    qk_precompile(${name} qk_precompiled_fast_test)
  else()
    qk_precompile(${name} qk_precompiled_test)
  endif()
  qk_add_test(${name} ${ARG_LABEL} ${name} ${ARG_ARGS})
endfunction()

# qk_fuzz(NAME SOURCE DEPS...): one fuzz target, beside the parser that it fuzzes. Every
# build replays it as a test; with QKSIM_FUZZ it is also linked with libFuzzer, as fuzz_NAME.
if(QKSIM_FUZZ)
  add_custom_target(fuzz)
endif()
function(qk_fuzz name source)
  if(NOT QKSIM_TESTS)
    return()
  endif()
  set(harness ${CMAKE_SOURCE_DIR}/tools/fuzz)
  add_library(qk_fuzz_${name} OBJECT ${source})
  target_link_libraries(qk_fuzz_${name} PUBLIC qk_fuzz_support ${ARGN})
  target_compile_definitions(qk_fuzz_${name} PRIVATE QK_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  qk_fuzzed(qk_fuzz_${name})
  add_executable(fuzz_${name}_replay ${harness}/replay_main.cc)
  target_link_libraries(fuzz_${name}_replay PRIVATE qk_fuzz_${name})
  set_target_properties(fuzz_${name}_replay PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
  qk_add_test(fuzz_${name}_replay fuzz fuzz_${name}_replay ${harness}/inputs/${name})
  if(QKSIM_FUZZ)
    add_executable(fuzz_${name} ${harness}/libfuzzer_main.cc)
    target_link_libraries(fuzz_${name} PRIVATE qk_fuzz_${name})
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    set_target_properties(fuzz_${name} PROPERTIES
      RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fuzz)
    add_dependencies(fuzz fuzz_${name} fuzz_${name}_replay)
  endif()
endfunction()
