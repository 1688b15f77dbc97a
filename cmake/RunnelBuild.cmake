# Compiler settings and the three helpers every folder uses:
#   runnel_library(NAME DEPS ...)  a static library of all *.cc in the folder
#   runnel_test(NAME GROUP g DEPS ...)  one test program of all *_test.cc in the folder
#   runnel_program(NAME SOURCES ... DEPS ...)
include(GNUInstallDirs)
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

option(RUNNEL_TESTS "Build the tests" ON)
option(RUNNEL_PCH "Use a precompiled header of standard headers" ON)
set(RUNNEL_SANITIZE "" CACHE STRING "empty, asan (with ubsan) or tsan")

set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1")
find_program(RUNNEL_CCACHE ccache)
if(RUNNEL_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${RUNNEL_CCACHE}")
endif()
find_program(RUNNEL_MOLD mold)
if(RUNNEL_MOLD)
  add_link_options(-fuse-ld=mold)
endif()

# Not CMAKE_POSITION_INDEPENDENT_CODE: programs would be compiled with -fPIE and libraries with -fPIC,
# and one precompiled header could not serve both.
add_compile_options(-fPIC)
add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual
                    -Wimplicit-fallthrough -Wundef -Werror -fstack-protector-strong)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  add_compile_options(-Wthread-safety -Wno-gnu-zero-variadic-macro-arguments)
else()
  # GCC 12 reports these inside libstdc++ and header-only libraries where they do not hold.
  add_compile_options(-Wno-maybe-uninitialized -Wno-restrict -Wno-stringop-overflow
                      -Wno-array-bounds -Wno-dangling-pointer -Wno-stringop-overread)
endif()
if(RUNNEL_SANITIZE STREQUAL "asan")
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=undefined
                      -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
elseif(RUNNEL_SANITIZE STREQUAL "tsan")
  add_compile_options(-fsanitize=thread -fno-omit-frame-pointer -Wno-tsan)
  add_link_options(-fsanitize=thread)
else()
  add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -D_GLIBCXX_ASSERTIONS)
  add_link_options(-pie -Wl,-z,relro,-z,now)
endif()

include_directories("${CMAKE_SOURCE_DIR}" "${CMAKE_BINARY_DIR}/generated")
file(MAKE_DIRECTORY "${CMAKE_BINARY_DIR}/generated")

# pkg-config modules as imported targets: PkgConfig::<NAME>
function(runnel_pkg name module)
  pkg_check_modules(${name} REQUIRED IMPORTED_TARGET GLOBAL ${module})
endfunction()
runnel_pkg(ZSTD libzstd)
runnel_pkg(LZ4 liblz4)
runnel_pkg(ZLIB zlib)
runnel_pkg(XXHASH libxxhash)
runnel_pkg(URING liburing)
runnel_pkg(SQLITE sqlite3)
runnel_pkg(XLSXWRITER xlsxwriter)
runnel_pkg(CRYPTO libcrypto)
runnel_pkg(SSL libssl)
find_library(SNAPPY_LIBRARY snappy REQUIRED)
find_library(ROCKSDB_LIBRARY rocksdb REQUIRED)
find_library(JEMALLOC_LIBRARY jemalloc REQUIRED)

# One precompiled header of standard headers, shared by all targets.
file(WRITE "${CMAKE_BINARY_DIR}/pch_anchor.cc.in" "\n")
configure_file("${CMAKE_BINARY_DIR}/pch_anchor.cc.in" "${CMAKE_BINARY_DIR}/pch_anchor.cc" COPYONLY)
if(RUNNEL_PCH)
add_library(runnel_pch OBJECT "${CMAKE_BINARY_DIR}/pch_anchor.cc")
target_precompile_headers(runnel_pch PRIVATE
  <algorithm> <array> <atomic> <chrono> <compare> <condition_variable> <cstddef> <cstdint>
  <cstring> <deque> <functional> <map> <memory> <mutex> <optional> <span> <string> <string_view>
  <thread> <tuple> <unordered_map> <utility> <variant> <vector> <tl/expected.hpp>)
endif()
function(runnel_use_pch name)
  if(RUNNEL_PCH)
    target_precompile_headers(${name} REUSE_FROM runnel_pch)
  endif()
endfunction()

function(runnel_library name)
  cmake_parse_arguments(ARG "" "" "DEPS;SOURCES" ${ARGN})
  if(NOT ARG_SOURCES)
    file(GLOB ARG_SOURCES CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*.cc")
  endif()
  if(NOT ARG_SOURCES)
    return()
  endif()
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC ${ARG_DEPS})
  runnel_use_pch(${name})
endfunction()

function(runnel_program name)
  cmake_parse_arguments(ARG "" "" "DEPS;SOURCES" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} Threads::Threads)
  if(NOT RUNNEL_SANITIZE)
    target_link_libraries(${name} PRIVATE ${JEMALLOC_LIBRARY})
  endif()
  runnel_use_pch(${name})
  runnel_suppressions(${name})
endfunction()

# What a sanitizer has to know about libraries that are not built with it.
function(runnel_suppressions name)
  if(RUNNEL_SANITIZE STREQUAL "tsan")
    target_sources(${name} PRIVATE "${CMAKE_SOURCE_DIR}/cmake/tsan_suppressions.cc")
  endif()
endfunction()

function(runnel_test name)
  cmake_parse_arguments(ARG "" "GROUP;TIMEOUT" "DEPS;SOURCES" ${ARGN})
  if(NOT ARG_SOURCES)
    file(GLOB ARG_SOURCES CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*_test.cc")
  endif()
  if(NOT ARG_SOURCES)
    return()
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} GTest::gmock GTest::gtest GTest::gtest_main
                                        Threads::Threads)
  runnel_use_pch(${name})
  runnel_suppressions(${name})
  target_compile_definitions(${name} PRIVATE RUNNEL_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
                                             RUNNEL_BINARY="${CMAKE_BINARY_DIR}/runnel")
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS "${ARG_GROUP}" TIMEOUT ${ARG_TIMEOUT})
endfunction()
