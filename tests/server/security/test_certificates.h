// Certificates for tests, made when they run: an authority and what it signs, in PEM.
#ifndef OCTET_TESTS_SERVER_SECURITY_TEST_CERTIFICATES_H_
#define OCTET_TESTS_SERVER_SECURITY_TEST_CERTIFICATES_H_

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <string>

#include "absl/time/time.h"

namespace octet::security {

struct TestPair {
  std::string certificate, key;  // PEM
};

struct TestDates {
  absl::Time not_before, not_after;
};

// An authority with an elliptic-curve key (they are fast to make). Not thread-safe.
class TestAuthority {
 public:
  explicit TestAuthority(const std::string& name);
  ~TestAuthority();

  const std::string& certificate() const { return pem_; }

  // For "localhost" and 127.0.0.1, good for a day from an hour ago, as server and as client.
  TestPair Sign(const std::string& name);
  TestPair Sign(const std::string& name, TestDates dates);

 private:
  X509* certificate_;
  EVP_PKEY* key_;
  std::string pem_;
  long next_serial_ = 1000;
};

// The key with the passphrase "secret".
std::string Encrypted(const std::string& key_pem);

// Replaces the file's content in one step.
void WriteFile(const std::string& path, const std::string& content);

}  // namespace octet::security

#endif  // OCTET_TESTS_SERVER_SECURITY_TEST_CERTIFICATES_H_
