# qk_library(NAME SOURCES... DEPS...): a static library of one room.
function(qk_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC qk_options ${ARG_DEPS})
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
  target_link_libraries(${name} PUBLIC protobuf::libprotobuf)
  target_include_directories(${name} SYSTEM PUBLIC ${CMAKE_BINARY_DIR})
endfunction()

# Catch2's main takes ten seconds to compile, so it is compiled once.
add_library(qk_test_main OBJECT ${CMAKE_SOURCE_DIR}/base/test_main.cc)
target_link_libraries(qk_test_main PUBLIC Catch2::Catch2)

# qk_test(NAME SOURCES... DEPS... [ARGS ...]): one Catch2 executable, one ctest test.
function(qk_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;ARGS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES} $<TARGET_OBJECTS:qk_test_main>)
  target_link_libraries(${name} PRIVATE qk_options Catch2::Catch2 ${ARG_DEPS})
  target_compile_definitions(${name} PRIVATE QK_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  add_test(NAME ${name} COMMAND ${name} ${ARG_ARGS})
endfunction()
