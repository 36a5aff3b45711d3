# Compiler settings for every target.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")
# Products must not depend on contraction: kernels ask for FMA by name, everything else rounds twice.
add_compile_options(-ffp-contract=off -fno-math-errno -fno-omit-frame-pointer)
add_compile_options(-fstack-protector-strong -fcf-protection)
add_link_options(-Wl,-z,relro,-z,now -Wl,--as-needed)

# g++ takes the file of a batch (CMAKE_UNITY_BUILD) for a header's user: unnamed namespaces would be another type for each.
if(CMAKE_UNITY_BUILD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  add_compile_options(-Wno-subobject-linkage)
endif()

# A cached object serves every checkout: paths below the source folder count as relative.
find_program(OCTET_CCACHE ccache)
if(OCTET_CCACHE AND NOT DEFINED CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR}
      CCACHE_NOHASHDIR=1 ${OCTET_CCACHE})
endif()

# How the sanitizers report, for every test.
set(OCTET_TEST_ENVIRONMENT "")
if(OCTET_SANITIZE)
  # -O1, which compiles in two thirds of the time; the kernels keep their own level (kernels/CMakeLists.txt).
  add_compile_options(-fsanitize=${OCTET_SANITIZE} -g1 -O1)
  add_link_options(-fsanitize=${OCTET_SANITIZE})
  if(OCTET_SANITIZE MATCHES "undefined")
    add_compile_options(-fno-sanitize-recover=undefined)
    # Not detect_stack_use_after_return: the frames that g++ 12 and 13 put on its fake stack are aligned for
    # 32 bytes, and 64-byte vectors in them fault (GCC bug 110027).
    list(APPEND OCTET_TEST_ENVIRONMENT "UBSAN_OPTIONS=print_stacktrace=1"
         "ASAN_OPTIONS=strict_string_checks=1")
  endif()
  if(OCTET_SANITIZE MATCHES "thread")
    # What Debian's libraries copy inside is not looked at, only what octet does: looking up the suppressions
    # below for every such copy took minutes.
    list(APPEND OCTET_TEST_ENVIRONMENT
         "TSAN_OPTIONS=second_deadlock_stack=1:ignore_noninstrumented_modules=1:suppressions=${CMAKE_SOURCE_DIR}/cmake/tsan.supp")
  endif()
endif()

# Keep build paths out of the binary.
add_compile_options(-ffile-prefix-map=${CMAKE_SOURCE_DIR}=.)

# For our own targets only: generated code is not held to them.
set(OCTET_WARNINGS -Wall -Wextra -Wshadow -Wno-unused-parameter -Werror=unused-result -Werror=return-type)
