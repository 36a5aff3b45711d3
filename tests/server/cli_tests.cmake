# Tests of server/cli; included by this folder's CMakeLists.txt.
octet_test(cli_config_test SOURCES cli_config_test.cc DEPS octet_config yaml-cpp LABELS unit)
octet_test(cli_classification_settings_test SOURCES classification_settings_test.cc DEPS octet_cli LABELS unit)
octet_test(cli_quantization_settings_test SOURCES quantization_settings_test.cc DEPS octet_cli LABELS unit)
octet_test(cli_advice_test SOURCES advice_test.cc DEPS octet_cli LABELS unit)
octet_test(cli_io_test SOURCES cli_io_test.cc
  DEPS octet_cli spdlog::spdlog nlohmann_json::nlohmann_json LABELS unit)
if(TARGET octet AND EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/cli_process_test.cc)
  octet_test(cli_process_test SOURCES cli_process_test.cc
    DEPS octet_config nlohmann_json::nlohmann_json LABELS e2e)
  target_compile_definitions(cli_process_test PRIVATE OCTET_BINARY="$<TARGET_FILE:octet>")
endif()
octet_test(cli_tracing_test SOURCES call_log_test.cc tracing_settings_test.cc
  DEPS octet_cli spdlog::spdlog nlohmann_json::nlohmann_json LABELS unit)
