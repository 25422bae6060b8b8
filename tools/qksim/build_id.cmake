# Writes OUT, a header that says which commit a build comes from, if that has changed.
#   cmake -DOUT=FILE -DSOURCE=DIR -DVERSION=X.Y.Z -P build_id.cmake
execute_process(COMMAND git describe --always --dirty --abbrev=8 --exclude=*
  WORKING_DIRECTORY ${SOURCE} OUTPUT_VARIABLE id OUTPUT_STRIP_TRAILING_WHITESPACE
  RESULT_VARIABLE result ERROR_QUIET)
if(NOT result EQUAL 0)
  set(id unknown)  # a source archive without history
endif()
set(text "#pragma once\n#define QKSIM_VERSION \"${VERSION}\"\n#define QKSIM_BUILD_ID \"${id}\"\n")
set(old "")
if(EXISTS ${OUT})
  file(READ ${OUT} old)
endif()
if(NOT text STREQUAL old)
  file(WRITE ${OUT} "${text}")
endif()
