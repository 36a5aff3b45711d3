#include "tests/server/security/test_certificates.h"

#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <fstream>

#include "absl/time/clock.h"

namespace octet::security {
namespace {

template <typename Write>
std::string ToPem(const Write& write) {
  BIO* const bio = BIO_new(BIO_s_mem());
  EXPECT_EQ(write(bio), 1);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string pem(data, static_cast<size_t>(size));
  BIO_free(bio);
  return pem;
}

std::string PemOf(X509* certificate) {
  return ToPem([&](BIO* bio) { return PEM_write_bio_X509(bio, certificate); });
}
std::string PemOf(EVP_PKEY* key) {
  return ToPem([&](BIO* bio) { return PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr); });
}

void AddExtension(X509* certificate, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
  ASSERT_NE(extension, nullptr) << value;
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

// Unsigned and without extensions.
X509* NewCertificate(const std::string& name, const TestDates& dates, long serial, EVP_PKEY* key) {
  X509* const certificate = X509_new();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial);
  ASN1_TIME_set(X509_getm_notBefore(certificate), absl::ToTimeT(dates.not_before));
  ASN1_TIME_set(X509_getm_notAfter(certificate), absl::ToTimeT(dates.not_after));
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  X509_set_pubkey(certificate, key);
  return certificate;
}

TestDates FromAnHourAgo(absl::Duration length) {
  const absl::Time now = absl::Now();
  return {now - absl::Hours(1), now + length};
}

}  // namespace

TestAuthority::TestAuthority(const std::string& name) : key_(EVP_EC_gen("P-256")) {
  certificate_ = NewCertificate(name, FromAnHourAgo(absl::Hours(48)), 1, key_);
  X509_set_issuer_name(certificate_, X509_get_subject_name(certificate_));
  AddExtension(certificate_, certificate_, NID_basic_constraints, "critical,CA:TRUE");
  AddExtension(certificate_, certificate_, NID_subject_key_identifier, "hash");
  X509_sign(certificate_, key_, EVP_sha256());
  pem_ = PemOf(certificate_);
}

TestAuthority::~TestAuthority() {
  X509_free(certificate_);
  EVP_PKEY_free(key_);
}

TestPair TestAuthority::Sign(const std::string& name) { return Sign(name, FromAnHourAgo(absl::Hours(24))); }

TestPair TestAuthority::Sign(const std::string& name, TestDates dates) {
  EVP_PKEY* const key = EVP_EC_gen("P-256");
  X509* const certificate = NewCertificate(name, dates, next_serial_++, key);
  X509_set_issuer_name(certificate, X509_get_subject_name(certificate_));
  AddExtension(certificate, certificate_, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
  AddExtension(certificate, certificate_, NID_ext_key_usage, "serverAuth,clientAuth");
  AddExtension(certificate, certificate_, NID_authority_key_identifier, "keyid");
  X509_sign(certificate, key_, EVP_sha256());
  const TestPair pair = {PemOf(certificate), PemOf(key)};
  X509_free(certificate);
  EVP_PKEY_free(key);
  return pair;
}

std::string Encrypted(const std::string& key_pem) {
  BIO* const bio = BIO_new_mem_buf(key_pem.data(), static_cast<int>(key_pem.size()));
  EVP_PKEY* const key = PEM_read_bio_PrivateKey(bio, nullptr, nullptr, nullptr);
  BIO_free(bio);
  unsigned char passphrase[] = "secret";
  const std::string encrypted = ToPem([&](BIO* out) {
    return PEM_write_bio_PrivateKey(out, key, EVP_aes_256_cbc(), passphrase, sizeof(passphrase) - 1, nullptr, nullptr);
  });
  EVP_PKEY_free(key);
  return encrypted;
}

void WriteFile(const std::string& path, const std::string& content) {
  std::ofstream(path + ".new", std::ios::binary) << content;
  ASSERT_EQ(std::rename((path + ".new").c_str(), path.c_str()), 0);
}

}  // namespace octet::security
