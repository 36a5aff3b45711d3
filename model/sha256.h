// SHA-256 (FIPS 180-4), by OpenSSL's libcrypto, which uses the CPU's SHA instructions. Not thread-safe.
#ifndef OCTET_MODEL_SHA256_H_
#define OCTET_MODEL_SHA256_H_

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "absl/strings/string_view.h"

namespace octet::model {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void Update(std::span<const std::byte> bytes);
  void Update(absl::string_view text) { Update(std::as_bytes(std::span(text.data(), text.size()))); }
  // 64 lower-case hex digits. Call once, last.
  std::string FinishHex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Of bytes that are all there.
std::string Sha256Hex(absl::string_view bytes);

}  // namespace octet::model

#endif  // OCTET_MODEL_SHA256_H_
