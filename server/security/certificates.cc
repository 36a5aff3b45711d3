#include "server/security/certificates.h"

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <ctime>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"

namespace octet::security {
namespace {

constexpr char kCertificateSetting[] = "tls.certificate_file";
constexpr char kKeySetting[] = "tls.key_file";
constexpr char kClientCaSetting[] = "tls.client_ca_file";

template <auto kFree>
struct Deleter {
  template <typename T>
  void operator()(T* object) const {
    kFree(object);
  }
};
using BioPtr = std::unique_ptr<BIO, Deleter<BIO_free>>;
using X509Ptr = std::unique_ptr<X509, Deleter<X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using ContextPtr = std::unique_ptr<SSL_CTX, Deleter<SSL_CTX_free>>;

BioPtr OpenPem(const std::string& text) { return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }

// The library's latest complaint, such as "ee key too small"; empties its queue.
std::string LibraryReason() {
  const char* const reason = ERR_reason_error_string(ERR_peek_last_error());
  std::string text = reason == nullptr ? "no reason given" : reason;
  ERR_clear_error();
  return text;
}

absl::StatusOr<std::vector<X509Ptr>> ParseAll(absl::string_view setting, const std::string& text) {
  const BioPtr bio = OpenPem(text);
  std::vector<X509Ptr> certificates;
  while (X509* certificate = PEM_read_bio_X509_AUX(bio.get(), nullptr, nullptr, nullptr)) {
    certificates.emplace_back(certificate);
  }
  // The end of the text is an error too, of its own.
  const unsigned long error = ERR_peek_last_error();
  const bool is_end = ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
  if (!is_end) {
    return absl::InvalidArgumentError(absl::StrCat(setting, ": certificate ", certificates.size() + 1,
                                                   " does not parse (", LibraryReason(), "); want PEM"));
  }
  ERR_clear_error();
  if (certificates.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(setting, ": no certificate; want PEM that begins with -----BEGIN CERTIFICATE-----"));
  }
  return certificates;
}

absl::StatusOr<KeyPtr> ParseKey(const std::string& text) {
  const BioPtr bio = OpenPem(text);
  // Without a callback OpenSSL would ask the terminal for the passphrase; gRPC reads keys with an empty one, too.
  KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, const_cast<char*>("")));
  if (key == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat(kKeySetting, ": no usable private key (", LibraryReason(), "); want PEM without a passphrase"));
  }
  return key;
}

absl::StatusOr<absl::Time> ToTime(const ASN1_TIME* time) {
  std::tm parts;
  if (ASN1_TIME_to_tm(time, &parts) != 1) {
    ERR_clear_error();
    return absl::InvalidArgumentError(absl::StrCat(kCertificateSetting, ": a date that cannot be read"));
  }
  return absl::FromTM(parts, absl::UTCTimeZone());
}

std::string SerialOf(const X509* certificate) {
  BIGNUM* const number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nullptr);
  char* const digits = BN_bn2hex(number);
  std::string serial = digits == nullptr ? "" : digits;
  OPENSSL_free(digits);
  BN_free(number);
  return serial;
}

absl::Status CheckDates(const X509* certificate, absl::Time now, absl::Time* not_after) {
  ASSIGN_OR_RETURN(const absl::Time not_before, ToTime(X509_get0_notBefore(certificate)));
  ASSIGN_OR_RETURN(*not_after, ToTime(X509_get0_notAfter(certificate)));
  const auto text = [](absl::Time time) { return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone()); };
  if (now > *not_after) {
    return absl::FailedPreconditionError(
        absl::StrCat(kCertificateSetting, ": expired at ", text(*not_after), "; renew it"));
  }
  if (now < not_before) {
    return absl::FailedPreconditionError(
        absl::StrCat(kCertificateSetting, ": not valid before ", text(not_before), "; wait, or set the clock right"));
  }
  return absl::OkStatus();
}

// What a handshake would do with them, short of a peer.
absl::Status CheckPair(const std::vector<X509Ptr>& chain, EVP_PKEY* key) {
  const ContextPtr context(SSL_CTX_new(TLS_server_method()));
  if (context == nullptr) return absl::InternalError(absl::StrCat("tls: OpenSSL: ", LibraryReason()));
  if (SSL_CTX_use_certificate(context.get(), chain[0].get()) != 1) {
    return absl::InvalidArgumentError(absl::StrCat(kCertificateSetting, ": refused by OpenSSL: ", LibraryReason()));
  }
  for (size_t i = 1; i < chain.size(); ++i) {
    if (SSL_CTX_add1_chain_cert(context.get(), chain[i].get()) == 1) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(kCertificateSetting, ": certificate ", i + 1, " refused by OpenSSL: ", LibraryReason()));
  }
  if (X509_check_private_key(chain[0].get(), key) != 1) {
    ERR_clear_error();
    return absl::InvalidArgumentError(absl::StrCat(kKeySetting, ": is not the key of the first certificate in ",
                                                   kCertificateSetting, "; replace both together"));
  }
  if (SSL_CTX_use_PrivateKey(context.get(), key) != 1) {
    return absl::InvalidArgumentError(absl::StrCat(kKeySetting, ": refused by OpenSSL: ", LibraryReason()));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Certificates> VerifyCertificates(CertificatePem pem, absl::Time now) {
  ERR_clear_error();
  ASSIGN_OR_RETURN(const std::vector<X509Ptr> chain, ParseAll(kCertificateSetting, pem.chain));
  ASSIGN_OR_RETURN(const KeyPtr key, ParseKey(pem.key));
  RETURN_IF_ERROR(CheckPair(chain, key.get()));
  Certificates verified;
  RETURN_IF_ERROR(CheckDates(chain[0].get(), now, &verified.not_after));
  if (!pem.client_ca.empty()) RETURN_IF_ERROR(ParseAll(kClientCaSetting, pem.client_ca).status());
  verified.serial = SerialOf(chain[0].get());
  verified.pem = std::move(pem);
  return verified;
}

absl::StatusOr<std::unique_ptr<CertificateStore>> LoadCertificates(const CertificateFiles& files) {
  std::vector<NamedFile> named = {{kCertificateSetting, files.certificate_file}, {kKeySetting, files.key_file}};
  const bool has_client_ca = !files.client_ca_file.empty();
  if (has_client_ca) named.push_back({kClientCaSetting, files.client_ca_file});
  return CertificateStore::Load(
      std::move(named), [has_client_ca](const std::vector<std::string>& contents) -> absl::StatusOr<Certificates> {
        if (has_client_ca && contents[2].empty()) {
          return absl::InvalidArgumentError(absl::StrCat(kClientCaSetting, ": empty, so no client could be verified"));
        }
        return VerifyCertificates(
            {.chain = contents[0], .key = contents[1], .client_ca = has_client_ca ? contents[2] : ""}, absl::Now());
      });
}

}  // namespace octet::security
