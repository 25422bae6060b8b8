// CMake compiles a precompiled header as a part of some target; this is its source.
