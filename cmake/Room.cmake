# A room is one static library: taskmint_room(sandbox SOURCES a.cc DEPENDS taskmint::proto USES Boost::headers).
# DEPENDS are other rooms (public), USES are third-party libraries (private: their headers stay in sources).
function(taskmint_room name)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "" "" "SOURCES;DEPENDS;USES")
  add_library(taskmint_${name} STATIC ${ARG_SOURCES})
  add_library(taskmint::${name} ALIAS taskmint_${name})
  target_include_directories(taskmint_${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(taskmint_${name} PUBLIC ${ARG_DEPENDS} PRIVATE ${ARG_USES} taskmint_warnings)
endfunction()

# Puts a file's bytes into a target: taskmint_embed(target symbol file [DEPENDS other_target]).
# The bytes are `extern "C" const unsigned char taskmint_SYMBOL_begin[], taskmint_SYMBOL_end[]`.
# FILE may be a generator expression; DEPENDS names the target or file that makes it.
function(taskmint_embed target symbol file)
  cmake_parse_arguments(PARSE_ARGV 3 ARG "" "" "DEPENDS")
  set(source ${CMAKE_CURRENT_BINARY_DIR}/embedded_${symbol}.S)
  file(GENERATE OUTPUT ${source} CONTENT
"    .section .rodata
    .global taskmint_${symbol}_begin
    .global taskmint_${symbol}_end
    .balign 16
taskmint_${symbol}_begin:
    .incbin \"${file}\"
taskmint_${symbol}_end:
    .byte 0
    .section .note.GNU-stack,\"\",%progbits
")
  set(object ${CMAKE_CURRENT_BINARY_DIR}/embedded_${symbol}.o)
  add_custom_command(OUTPUT ${object}
    COMMAND ${CMAKE_CXX_COMPILER} -x assembler -c ${source} -o ${object}
    DEPENDS ${source} ${file} ${ARG_DEPENDS} VERBATIM)
  target_sources(${target} PRIVATE ${object})
  set_source_files_properties(${object} PROPERTIES EXTERNAL_OBJECT TRUE GENERATED TRUE)
endfunction()

# The headers that most tests take, compiled once for all of them.
function(taskmint_test_headers)
  file(WRITE ${PROJECT_BINARY_DIR}/test_headers.cc "")
  add_library(taskmint_test_headers OBJECT ${PROJECT_BINARY_DIR}/test_headers.cc)
  target_link_libraries(taskmint_test_headers PRIVATE GTest::gmock GTest::gtest nlohmann_json::nlohmann_json)
  target_precompile_headers(taskmint_test_headers PRIVATE
    <gmock/gmock.h> <gtest/gtest.h> <nlohmann/json.hpp>
    <algorithm> <chrono> <filesystem> <fstream> <map> <set> <sstream> <stop_token> <thread>)
  target_compile_options(taskmint_test_headers PRIVATE ${taskmint_test_options} -fPIE)  # as in programs
  set_target_properties(taskmint_test_headers PROPERTIES POSITION_INDEPENDENT_CODE OFF)
endfunction()

# A test's own code runs once: optimizing it costs more than it gains.
set(taskmint_test_options -pthread $<$<CONFIG:RelWithDebInfo>:-O0;-g0>)

# A program of the tests: SOURCES, DEPENDS and USES as a room's.
function(taskmint_test_program name)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "" "" "SOURCES;DEPENDS;USES")
  add_executable(${name} ${ARG_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE ${ARG_DEPENDS} ${ARG_USES} GTest::gmock GTest::gtest GTest::gtest_main
    taskmint_warnings)
  target_compile_options(${name} PRIVATE ${taskmint_test_options})
  if(TASKMINT_QUICK)
    target_precompile_headers(${name} REUSE_FROM taskmint_test_headers)
  endif()
endfunction()

# A test executable: taskmint_test(name SOURCES a_test.cc DEPENDS taskmint::sandbox [TIMEOUT 120] [FIXTURE toy_store] [ALONE]).
# What may take long starts first. ALONE: nothing runs beside it, since it loads the machine. Every case becomes a CTest of its own, discovered when the tests run and never during the build.
function(taskmint_test name)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "ALONE" "TIMEOUT;FIXTURE" "SOURCES;DEPENDS;USES")
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 60)
  endif()
  if(TASKMINT_SANITIZE)
    math(EXPR ARG_TIMEOUT "5 * ${ARG_TIMEOUT}")  # instrumented code is that much slower
  endif()
  taskmint_test_program(${name} SOURCES ${ARG_SOURCES} DEPENDS ${ARG_DEPENDS} USES ${ARG_USES})
  target_compile_definitions(${name} PRIVATE
    TASKMINT_TEST_DATA="${PROJECT_SOURCE_DIR}/tests/data" TASKMINT_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST
    PROPERTIES TIMEOUT ${ARG_TIMEOUT} COST ${ARG_TIMEOUT} LABELS "${name}" RUN_SERIAL ${ARG_ALONE}
    FIXTURES_REQUIRED "${ARG_FIXTURE}")
endfunction()
