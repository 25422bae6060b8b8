# qk_embed(OUT FILES...): writes the source file OUT that holds FILES' bytes and defines
# qk::scenarios::embedded_files(). The assembler reads the files, so megabytes cost nothing.
function(qk_embed out)
  set(files ${ARGN})
  list(SORT files)
  set(assembly "")
  set(declarations "")
  set(rows "")
  set(n 0)
  foreach(file ${files})
    cmake_path(GET file FILENAME name)
    string(APPEND assembly
      "__asm__(\n"
      "    \".section .rodata\\n\"\n"
      "    \"qk_embedded_${n}: .incbin \\\"${file}\\\"\\n\"\n"
      "    \"qk_embedded_${n}_end: .byte 0\\n\"\n"
      "    \".previous\\n\");\n")
    string(APPEND declarations
      "extern \"C\" const char qk_embedded_${n}[];\n"
      "extern \"C\" const char qk_embedded_${n}_end[];\n")
    string(APPEND rows
      "      {\"${name}\", {qk_embedded_${n}, "
      "static_cast<size_t>(qk_embedded_${n}_end - qk_embedded_${n})}},\n")
    math(EXPR n "${n} + 1")
  endforeach()
  file(CONFIGURE OUTPUT ${out} CONTENT [[// Made by scenarios/embed.cmake.
#include <cstddef>

#include "scenarios/embedded.h"

@assembly@
@declarations@
namespace qk::scenarios {

std::span<const EmbeddedFile> embedded_files() {
  static const EmbeddedFile kFiles[] = {
@rows@  };
  return kFiles;
}

}  // namespace qk::scenarios
]] @ONLY)
  # In a group of sources the dependency would be lost, and an edited file would not be built in.
  set_source_files_properties(${out} PROPERTIES OBJECT_DEPENDS "${files}"
                              SKIP_UNITY_BUILD_INCLUSION ON)
endfunction()
