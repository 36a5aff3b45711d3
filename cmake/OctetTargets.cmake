# Every library, for builds that only compile (the clang analysis); the tests labelled unit, for the
# sanitizer builds.
add_custom_target(libraries)
add_custom_target(unit-tests)

# octet_library(NAME SOURCES ... DEPS ...): one static library per folder, `octet_<name>`.
function(octet_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_compile_options(${name} PRIVATE ${OCTET_WARNINGS})
  target_link_libraries(${name} PUBLIC ${ARG_DEPS} PRIVATE ${ARG_PRIVATE_DEPS})
  add_dependencies(libraries ${name})
endfunction()

# Values of OCTET_ISA.
set(OCTET_LEVELS scalar avx2 avx512 avx512_vnni avx512_bf16 avx512_amx)

# octet_test(NAME SOURCES ... DEPS ... LABELS ... [TIMEOUT seconds] [EVERY_LEVEL]): a GoogleTest executable
# registered as one ctest test; with EVERY_LEVEL as one for each instruction-set level, NAME.<level>, since
# oneDNN's level is fixed for a process. Levels that the machine lacks are skipped aloud.
function(octet_test name)
  cmake_parse_arguments(ARG "EVERY_LEVEL" "TIMEOUT" "SOURCES;DEPS;LABELS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  set_target_properties(${name} PROPERTIES UNITY_BUILD OFF)  # local names of tests may be the same
  target_compile_options(${name} PRIVATE ${OCTET_WARNINGS})
  target_compile_definitions(${name} PRIVATE OCTET_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
                                             OCTET_DEFAULT_MODEL="${OCTET_DEFAULT_MODEL}")
  target_link_libraries(${name} PRIVATE ${ARG_DEPS} GTest::gmock_main)
  if(NOT ARG_LABELS)
    set(ARG_LABELS unit)
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 1200)  # a hang must not hold the whole run; no test measures time with it
  endif()
  set(tests ${name})
  if(ARG_EVERY_LEVEL)
    list(TRANSFORM OCTET_LEVELS PREPEND ${name}. OUTPUT_VARIABLE tests)
  endif()
  foreach(test ${tests})
    string(REPLACE ${name}. "" level ${test})  # the name itself without EVERY_LEVEL
    set(environment ${OCTET_TEST_ENVIRONMENT})
    if(ARG_EVERY_LEVEL)
      list(APPEND environment OCTET_ISA=${level})
    endif()
    add_test(NAME ${test} COMMAND ${name})
    set_tests_properties(${test} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT}
                                           ENVIRONMENT "${environment}")
  endforeach()
  if("unit" IN_LIST ARG_LABELS)
    add_dependencies(unit-tests ${name})
  endif()
endfunction()
