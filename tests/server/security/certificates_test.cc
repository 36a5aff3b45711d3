// Which certificates, keys and bundles may serve (reliability table C5), with what is said of those that may not.
#include "server/security/certificates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/time/clock.h"
#include "tests/server/security/test_certificates.h"

namespace octet::security {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class CertificatesTest : public testing::Test {
 protected:
  static absl::StatusOr<Certificates> Verify(const std::string& chain, const std::string& key,
                                             const std::string& client_ca = "") {
    return VerifyCertificates({.chain = chain, .key = key, .client_ca = client_ca}, absl::Now());
  }
  static std::string ErrorOf(const std::string& chain, const std::string& key, const std::string& client_ca = "") {
    return std::string(Verify(chain, key, client_ca).status().message());
  }

  TestAuthority authority_{"test authority"};
  const TestPair pair_ = authority_.Sign("server");
  const TestPair other_ = authority_.Sign("other");
};

TEST_F(CertificatesTest, TakesAPairWithItsChainAndABundle) {
  const TestAuthority second("second authority");
  const auto verified = Verify(pair_.certificate + authority_.certificate(), pair_.key,
                               "authorities of clients\n" + authority_.certificate() + second.certificate());
  ASSERT_TRUE(verified.ok()) << verified.status();
  EXPECT_EQ(verified->serial, "03E8");  // 1000
  EXPECT_GT(verified->not_after, absl::Now() + absl::Hours(23));
  EXPECT_LT(verified->not_after, absl::Now() + absl::Hours(25));
}

TEST_F(CertificatesTest, C5RefusesAKeyOfAnotherCertificate) {
  EXPECT_THAT(ErrorOf(pair_.certificate, other_.key),
              StartsWith("tls.key_file: is not the key of the first certificate in tls.certificate_file"));
  // The order matters: the authority's certificate is not the server's.
  EXPECT_THAT(ErrorOf(authority_.certificate() + pair_.certificate, pair_.key), StartsWith("tls.key_file: is not"));
}

TEST_F(CertificatesTest, C5RefusesWhatIsNoPem) {
  EXPECT_THAT(ErrorOf("garbage", pair_.key), StartsWith("tls.certificate_file: no certificate; want PEM"));
  EXPECT_THAT(ErrorOf("", pair_.key), StartsWith("tls.certificate_file: no certificate"));
  EXPECT_THAT(ErrorOf(pair_.certificate.substr(0, pair_.certificate.size() / 2), pair_.key),
              StartsWith("tls.certificate_file: certificate 1 does not parse"));
  EXPECT_THAT(ErrorOf(pair_.certificate + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", pair_.key),
              StartsWith("tls.certificate_file: certificate 2 does not parse"));
  EXPECT_THAT(ErrorOf(pair_.certificate, "garbage"), StartsWith("tls.key_file: no usable private key"));
  EXPECT_THAT(ErrorOf(pair_.certificate, pair_.certificate), StartsWith("tls.key_file: no usable private key"));
}

TEST_F(CertificatesTest, RefusesAKeyWithAPassphrase) {
  EXPECT_THAT(ErrorOf(pair_.certificate, Encrypted(pair_.key)), HasSubstr("want PEM without a passphrase"));
}

TEST_F(CertificatesTest, C5RefusesWhatIsNotValidNow) {
  const absl::Time now = absl::Now();
  const TestPair expired = authority_.Sign("old", {now - absl::Hours(48), now - absl::Hours(24)});
  EXPECT_THAT(ErrorOf(expired.certificate, expired.key), StartsWith("tls.certificate_file: expired at "));
  const TestPair early = authority_.Sign("new", {now + absl::Hours(1), now + absl::Hours(24)});
  EXPECT_THAT(ErrorOf(early.certificate, early.key), StartsWith("tls.certificate_file: not valid before "));
  EXPECT_TRUE(
      VerifyCertificates({.chain = early.certificate, .key = early.key, .client_ca = ""}, now + absl::Hours(2)).ok());
}

TEST_F(CertificatesTest, LaterCertificatesOfTheChainMayHaveExpired) {
  const absl::Time now = absl::Now();
  const TestPair expired = authority_.Sign("crossed", {now - absl::Hours(48), now - absl::Hours(24)});
  EXPECT_TRUE(Verify(pair_.certificate + expired.certificate, pair_.key).ok());
}

TEST_F(CertificatesTest, C5RefusesABundleWithoutCertificates) {
  EXPECT_THAT(ErrorOf(pair_.certificate, pair_.key, "# none yet"), StartsWith("tls.client_ca_file: no certificate"));
  EXPECT_THAT(ErrorOf(pair_.certificate, pair_.key, pair_.key), StartsWith("tls.client_ca_file: no certificate"));

  const std::string folder = testing::TempDir();
  WriteFile(folder + "/empty_ca.pem", "");
  WriteFile(folder + "/ca_test.pem", pair_.certificate);
  WriteFile(folder + "/ca_test.key", pair_.key);
  const auto loaded = LoadCertificates({.certificate_file = folder + "/ca_test.pem",
                                        .key_file = folder + "/ca_test.key",
                                        .client_ca_file = folder + "/empty_ca.pem"});
  EXPECT_THAT(std::string(loaded.status().message()), StartsWith("tls.client_ca_file: empty"));
}

TEST_F(CertificatesTest, NamesTheSettingOfAFileThatIsNotThere) {
  const auto loaded =
      LoadCertificates({.certificate_file = "/nowhere/tls.crt", .key_file = "/nowhere/tls.key", .client_ca_file = ""});
  EXPECT_EQ(loaded.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(loaded.status().message()), StartsWith("tls.certificate_file: cannot read the file"));
}

}  // namespace
}  // namespace octet::security
