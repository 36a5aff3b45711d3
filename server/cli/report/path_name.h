// What reports call a file or folder: its own name, without the folders above it, which are the machine's own.
#ifndef OCTET_SERVER_CLI_REPORT_PATH_NAME_H_
#define OCTET_SERVER_CLI_REPORT_PATH_NAME_H_

#include <filesystem>
#include <string>
#include <system_error>

namespace octet::cli {

// "model" of "/data/model", "model/" and "./x/../model"; "" of "". Of "." the current folder's name.
inline std::string PathName(const std::string& path) {
  if (path.empty()) return "";
  std::error_code error;  // without a current folder the path stays as it is
  const std::filesystem::path absolute = std::filesystem::absolute(path, error);
  const std::filesystem::path normal = (error ? std::filesystem::path(path) : absolute).lexically_normal();
  return (normal.has_filename() ? normal : normal.parent_path()).filename().string();
}

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_REPORT_PATH_NAME_H_
