# What every target is built with: ccache and mold when they are there, warnings as an interface
# target, and the sanitizers of the asan, tsan and fuzz presets.
find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
  if(TASKMINT_QUICK)  # what ccache asks for before it handles precompiled headers
    set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE_PROGRAM})
    add_compile_options($<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess>)
  endif()
endif()

if(TASKMINT_QUICK)
  set(CMAKE_UNITY_BUILD ON)
  set(CMAKE_UNITY_BUILD_BATCH_SIZE 8)
endif()

find_program(MOLD_PROGRAM mold)
if(MOLD_PROGRAM AND NOT TASKMINT_SANITIZE AND NOT TASKMINT_FUZZ)
  add_link_options(-fuse-ld=mold)
endif()

# Paths of the build machine stay out of binaries, logs and the compiler cache's keys.
add_compile_options(-ffile-prefix-map=${PROJECT_SOURCE_DIR}/=)

add_library(taskmint_warnings INTERFACE)
target_compile_options(taskmint_warnings INTERFACE
  -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Wold-style-cast -Woverloaded-virtual
  # An update of a library may deprecate what its earlier releases offer nothing else for.
  $<$<BOOL:${TASKMINT_WARNINGS_FATAL}>:-Werror;-Wno-error=deprecated-declarations>)

if(TASKMINT_SANITIZE)
  add_compile_options(-fsanitize=${TASKMINT_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${TASKMINT_SANITIZE})
  if(TASKMINT_SANITIZE MATCHES "thread" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-Wno-tsan)  # Boost.Asio's atomic_thread_fence
  endif()
endif()
if(TASKMINT_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
endif()
