# How a module, a program and a test of Postern are declared. One static library per module; a wrong-way
# include mostly fails to link, and the `tidy` test catches the rest.

set(POSTERN_OPTIONS "" CACHE STRING "Compiler options of the preset, also given to the linker")

add_library(postern_flags INTERFACE)
target_include_directories(postern_flags INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_definitions(postern_flags INTERFACE
  BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED
  BOOST_ASIO_DISABLE_BOOST_COROUTINE
  SPDLOG_COMPILED_LIB SPDLOG_FMT_EXTERNAL)
target_compile_options(postern_flags INTERFACE
  ${POSTERN_OPTIONS} -Wall -Wextra -Wconversion -Wno-sign-conversion -Wsuggest-override -Wshadow
  -Werror -Wno-error=deprecated-declarations -Wno-missing-field-initializers)
target_link_options(postern_flags INTERFACE ${POSTERN_OPTIONS})
# Everywhere, because a precompiled header is only shared between targets that agree on such flags.
target_link_libraries(postern_flags INTERFACE Threads::Threads Boost::headers fmt::fmt)

# postern_library(name SOURCES ... DEPS ...)
function(postern_library name)
  cmake_parse_arguments(A "" "" "SOURCES;DEPS" ${ARGN})
  add_library(${name} STATIC ${A_SOURCES})
  target_link_libraries(${name} PUBLIC postern_flags ${A_DEPS})
  if(NOT name STREQUAL "postern_pch")
    target_precompile_headers(${name} REUSE_FROM postern_pch)
  endif()
endfunction()

# postern_program(name SOURCES ... DEPS ...)
function(postern_program name)
  cmake_parse_arguments(A "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  target_link_libraries(${name} PRIVATE postern_flags ${A_DEPS})
  target_precompile_headers(${name} REUSE_FROM postern_pch)
  set_property(SOURCE main.cpp APPEND PROPERTY COMPILE_DEFINITIONS POSTERN_VERSION="${PROJECT_VERSION}")
  install(TARGETS ${name} RUNTIME DESTINATION bin COMPONENT ${name})
endfunction()

# postern_test(name SOURCES ... DEPS ...): one GoogleTest program; every test in it is a CTest test.
function(postern_test name)
  cmake_parse_arguments(A "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  target_link_libraries(${name} PRIVATE postern_flags ${A_DEPS} GTest::gmock GTest::gtest GTest::gtest_main)
  target_precompile_headers(${name} REUSE_FROM postern_test_pch)
  gtest_discover_tests(${name} NO_PRETTY_VALUES PROPERTIES LABELS unit TIMEOUT 120 DISCOVERY_TIMEOUT 60)
endfunction()
