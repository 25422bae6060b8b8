# Fails when an include points up the house, when anybody but families/builtin.cc includes a family
# by name, or when bytes are written past families/fs. Run by the build, and by hand:
#   cmake -P tools/cmake/check_includes.cmake
cmake_minimum_required(VERSION 3.25)
cmake_path(SET root NORMALIZE ${CMAKE_CURRENT_LIST_DIR}/../..)
if(DEFINED ROOT)  # a test points it at a tree of its own
  set(root ${ROOT})
endif()

# Room -> what it may include besides itself. A room is the longest of these prefixes of a path.
set(below families/base families/fs families/contract)
set(allow_families/base "")
set(allow_families/fs families/base)
set(allow_families/contract families/base families/fs)
set(allow_families/engine ${below})
set(allow_families ${below} families/engine)  # the families and builtin.cc
set(allow_image ${below} families)
set(allow_migration ${below} families image)
set(allow_sim/kernel families/base)
set(allow_sim/raft ${below})
set(allow_sim ${below} families image migration sim/kernel sim/raft)
set(allow_sim/explore ${allow_sim} sim sim/disk)
set(allow_conformance ${below} families image migration sim/disk sim/kernel sim/raft)
set(allow_scenarios ${below} sim sim/kernel)
set(allow_viz families/base sim/kernel)
set(allow_tools/qksim ${below} families image migration conformance sim sim/disk sim/kernel sim/raft
    sim/explore scenarios viz)
# The rest of sim may look into sim/disk, which is a room for the suite's sake.
list(APPEND allow_sim sim/disk)
set(allow_sim/disk ${below} sim/kernel)
set(rooms ${below} families/engine families image migration sim/kernel sim/raft sim/disk sim/explore sim
    conformance scenarios viz tools/qksim)
# A folder of families/ is a family's own, unless several share it.
file(GLOB engines RELATIVE ${root}/families LIST_DIRECTORIES true ${root}/families/*/)
list(FILTER engines EXCLUDE REGEX "\\.")
list(REMOVE_ITEM engines base bench contract engine fs testing)

function(room_of path out)
  set(best "")
  foreach(room ${rooms})
    string(FIND "${path}" "${room}/" at)
    string(LENGTH "${room}" length)
    string(LENGTH "${best}" best_length)
    if(at EQUAL 0 AND length GREATER best_length)
      set(best ${room})
    endif()
  endforeach()
  set(${out} "${best}" PARENT_SCOPE)
endfunction()

# "local" for a path below families/local.
function(engine_of path out)
  set(${out} "" PARENT_SCOPE)
  foreach(engine ${engines})
    if(path MATCHES "^families/${engine}/")
      set(${out} ${engine} PARENT_SCOPE)
    endif()
  endforeach()
endfunction()

set(errors "")
set(patterns)
foreach(top families image migration sim conformance scenarios viz tools/qksim)
  list(APPEND patterns ${root}/${top}/*.h ${root}/${top}/*.cc)
endforeach()
file(GLOB_RECURSE files RELATIVE ${root} ${patterns})
list(LENGTH files count)
if(count EQUAL 0)
  message(FATAL_ERROR "no source files below ${root}")
endif()

foreach(file ${files})
  room_of("${file}" room)
  engine_of("${file}" own_engine)
  # A test may look into any room, and write into a temporary directory; it ships nothing.
  if(file MATCHES "(_test|_bench|_fuzz)\\.cc$" OR file MATCHES "(^|/)test[^/]*\\.(cc|h)$")
    continue()
  endif()
  file(STRINGS ${root}/${file} includes REGEX "^[ \t]*#[ \t]*include[ \t]*\"")
  foreach(line ${includes})
    string(REGEX REPLACE "^[^\"]*\"([^\"]*)\".*" "\\1" target "${line}")
    room_of("${target}" target_room)
    if(target_room STREQUAL "")
      continue()  # a generated or external header
    endif()
    if(target MATCHES "^families/testing/" AND NOT file MATCHES "^families/testing/")
      string(APPEND errors "${file}: includes \"${target}\"; families/testing is for tests alone\n")
    endif()
    engine_of("${target}" engine)
    if(NOT engine STREQUAL "" AND NOT engine STREQUAL own_engine
       AND NOT file STREQUAL "families/builtin.cc")
      string(APPEND errors
        "${file}: includes \"${target}\"; families are named by families/builtin.cc alone\n")
    elseif(NOT target_room STREQUAL room AND NOT target_room IN_LIST allow_${room})
      string(APPEND errors
        "${file}: includes \"${target}\"; ${room} may include: ${room} ${allow_${room}}\n")
    endif()
  endforeach()
  if(NOT room STREQUAL "families/fs")
    file(STRINGS ${root}/${file} writes REGEX
      "(^|[^A-Za-z0-9_])(fopen|ofstream|fstream|freopen|creat)[ \t]*[(> ;]|std::ofstream|filesystem::(rename|remove|remove_all|create_director|copy|resize_file)")
    foreach(line ${writes})
      if(line MATCHES "^[ \t]*//" OR line MATCHES "#include")
        continue()
      endif()
      string(STRIP "${line}" line)
      string(APPEND errors "${file}: writes past families/fs: ${line}\n")
    endforeach()
  endif()
endforeach()

if(NOT errors STREQUAL "")
  message(FATAL_ERROR "include directions:\n${errors}")
endif()
message(STATUS "include directions: ${count} files, all arrows point down")
