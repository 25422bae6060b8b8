# Every dependency is a Debian 12 package; `./qk` installs what is missing.
find_package(Threads REQUIRED)
find_package(absl REQUIRED)       # errors as values (Status, StatusOr)
find_package(Protobuf REQUIRED)   # wire messages, image headers, scenarios
find_package(OpenSSL REQUIRED)    # SHA-256
find_package(CLI11 REQUIRED)      # command line
find_package(nlohmann_json REQUIRED)  # evidence of conformance runs, expected states of directories

find_package(PkgConfig REQUIRED)
pkg_check_modules(ISAL REQUIRED IMPORTED_TARGET libisal)     # CRC-32C
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash) # trace chain, page hashes
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3)
pkg_check_modules(ARCHIVE REQUIRED IMPORTED_TARGET libarchive) # unpacks initial directories

find_library(LEVELDB_LIBRARY leveldb REQUIRED)
find_library(MURMURHASH_LIBRARY murmurhash REQUIRED)          # braft's older entry checksum
# The shared library only: families/rocksdb replaces some of its functions.
find_library(ROCKSDB_LIBRARY NAMES librocksdb.so REQUIRED)

if(QKSIM_TESTS)
  find_package(Catch2 REQUIRED)
  find_package(benchmark REQUIRED)
  pkg_check_modules(EXPAT REQUIRED IMPORTED_TARGET expat)  # tests parse the SVG
endif()
