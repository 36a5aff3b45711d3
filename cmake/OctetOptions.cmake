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

if(OCTET_SANITIZE)
  add_compile_options(-fsanitize=${OCTET_SANITIZE} -g1)
  add_link_options(-fsanitize=${OCTET_SANITIZE})
  if(OCTET_SANITIZE MATCHES "undefined")
    add_compile_options(-fno-sanitize-recover=undefined)
  endif()
endif()

# Keep build paths out of the binary.
add_compile_options(-ffile-prefix-map=${CMAKE_SOURCE_DIR}=.)

# For our own targets only: generated code is not held to them.
set(OCTET_WARNINGS -Wall -Wextra -Wshadow -Wno-unused-parameter -Werror=unused-result -Werror=return-type)
