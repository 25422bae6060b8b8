# Fails when an include points up the house, when anybody but families/builtin.cc includes a family
# by name, or when bytes are written past families/fs. Run by the build, and by hand:
#   cmake -P cmake/check_includes.cmake
cmake_minimum_required(VERSION 3.25)
cmake_path(GET CMAKE_CURRENT_LIST_DIR PARENT_PATH root)
if(DEFINED ROOT)  # a test points it at a tree of its own
  set(root ${ROOT})
endif()

# Room -> what it may include besides itself. A room is the longest of these prefixes of a path.
set(allow_base "")
set(allow_families/fs base)
set(allow_families/contract base families/fs)
set(allow_families base families/fs families/contract)  # the engines and builtin.cc
set(allow_image ${allow_families})
set(allow_migration ${allow_families} image)
set(allow_raft base families/contract families/fs)
set(allow_sim/kernel base)
set(allow_sim ${allow_families} families image migration raft sim/kernel)
set(allow_scenarios ${allow_families} sim sim/kernel)
set(allow_viz base sim/kernel)
set(allow_cli ${allow_families} families image migration raft sim sim/kernel scenarios viz)
set(rooms base families/fs families/contract families image migration raft sim/kernel sim scenarios
    viz cli)
# A folder of families/ is a family's own, unless several share it.
file(GLOB engines RELATIVE ${root}/families LIST_DIRECTORIES true ${root}/families/*/)
list(FILTER engines EXCLUDE REGEX "\\.")
list(REMOVE_ITEM engines bench contract fs kv rows tree)

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
file(GLOB_RECURSE files RELATIVE ${root}
  ${root}/base/*.h ${root}/base/*.cc ${root}/families/*.h ${root}/families/*.cc
  ${root}/image/*.h ${root}/image/*.cc ${root}/migration/*.h ${root}/migration/*.cc
  ${root}/raft/*.h ${root}/raft/*.cc ${root}/sim/*.h ${root}/sim/*.cc
  ${root}/scenarios/*.h ${root}/scenarios/*.cc ${root}/viz/*.h ${root}/viz/*.cc
  ${root}/cli/*.h ${root}/cli/*.cc)
list(LENGTH files count)
if(count EQUAL 0)
  message(FATAL_ERROR "no source files below ${root}")
endif()

foreach(file ${files})
  room_of("${file}" room)
  engine_of("${file}" own_engine)
  # A test may look into any room, and write into a temporary directory; it ships nothing.
  if(file MATCHES "(_test|_bench)\\.cc$" OR file MATCHES "(^|/)test[^/]*\\.(cc|h)$")
    continue()
  endif()
  file(STRINGS ${root}/${file} includes REGEX "^[ \t]*#[ \t]*include[ \t]*\"")
  foreach(line ${includes})
    string(REGEX REPLACE "^[^\"]*\"([^\"]*)\".*" "\\1" target "${line}")
    room_of("${target}" target_room)
    if(target_room STREQUAL "")
      continue()  # a generated or external header
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
