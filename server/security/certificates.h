// Whether a certificate chain, its key and an authority bundle can serve, as OpenSSL sees them: decided before gRPC gets
// them, which (in 1.51) fails every handshake with a pair that does not match. Thread-safe functions.
#ifndef OCTET_SERVER_SECURITY_CERTIFICATES_H_
#define OCTET_SERVER_SECURITY_CERTIFICATES_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/security/verified_files.h"

namespace octet::security {

// PEM texts.
struct CertificatePem {
  std::string chain;      // the server's certificate, then those between it and its authority
  std::string key;        // of the first certificate; without a passphrase
  std::string client_ca;  // authorities of clients; "" asks clients for no certificate
};

struct Certificates {
  CertificatePem pem;
  absl::Time not_after;  // of the server's certificate
  std::string serial;    // likewise, hexadecimal: what an operator compares
};

// InvalidArgument or FailedPrecondition "SETTING: what, remedy": text that is not PEM, a key with a passphrase or of
// another certificate, a certificate that OpenSSL's security level refuses, one that is not valid at `now`, a bundle
// without certificates. Later certificates of the chain must parse but may have expired: cross-signed ones often have.
// The same texts get the same words at any time.
absl::StatusOr<Certificates> VerifyCertificates(CertificatePem pem, absl::Time now);

struct CertificateFiles {
  std::string certificate_file, key_file;
  std::string client_ca_file;  // "" = none
};

using CertificateStore = VerifiedFiles<Certificates>;

// Errors of VerifyCertificates (at the wall clock's time) and of reading.
absl::StatusOr<std::unique_ptr<CertificateStore>> LoadCertificates(const CertificateFiles& files);

}  // namespace octet::security

#endif  // OCTET_SERVER_SECURITY_CERTIFICATES_H_
