// The watcher of certificate and token files: what it counts and exports, and when a certificate is near its end.
#include "server/cli/serve_credentials.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/server/security/test_certificates.h"

namespace octet::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;
using Result = security::Reload::Result;

constexpr char kToken[] = "a-token-of-some-length\n";

class ServeCredentialsTest : public testing::Test {
 protected:
  ServeCredentialsTest() : folder_(fs::path(testing::TempDir()) / absl::StrCat("credentials_", getpid())) {
    fs::create_directories(folder_);
    config_.mutable_tls()->set_certificate_file((folder_ / "tls.crt").string());
    config_.mutable_tls()->set_key_file((folder_ / "tls.key").string());
    config_.mutable_tls()->set_refresh_ms(86400000);  // the test looks by itself
    config_.mutable_auth()->set_token_file((folder_ / "tokens").string());
    config_.mutable_auth()->set_refresh_ms(86400000);
    Write(authority_.Sign("server"));
    security::WriteFile(folder_ / "tokens", kToken);
  }
  ~ServeCredentialsTest() override { fs::remove_all(folder_); }

  void Write(const security::TestPair& pair) {
    security::WriteFile(folder_ / "tls.crt", pair.certificate);
    security::WriteFile(folder_ / "tls.key", pair.key);
  }

  Credentials Load() {
    auto loaded = LoadCredentials(config_);
    EXPECT_TRUE(loaded.ok()) << loaded.status();
    return loaded.ok() ? *std::move(loaded) : Credentials();
  }

  const fs::path folder_;
  security::TestAuthority authority_{"test authority"};
  Config config_;
  serving::Metrics metrics_{serving::MetricsOptions()};
};

TEST_F(ServeCredentialsTest, CountsWhatEachLookHasCome) {
  Credentials credentials = Load();
  CredentialWatcher watcher(config_, &credentials, &metrics_);
  EXPECT_THAT(metrics_.Render(), AllOf(HasSubstr("octet_tls_reloads_total{result=\"accepted\"} 0\n"),
                                       HasSubstr("octet_tls_reloads_total{result=\"rejected\"} 0\n"),
                                       HasSubstr("octet_tls_reload_failed 0\n"),
                                       HasSubstr("octet_token_reload_failed{listener=\"grpc\"} 0\n")));

  security::WriteFile(folder_ / "tls.crt", authority_.Sign("half a pair").certificate);
  security::WriteFile(folder_ / "tokens", absl::StrCat(kToken, "another-one-of-them\n"));
  for (int look = 0; look < 3; ++look) {  // counted once, told each time to who asks
    const auto looks = watcher.LookNow();
    ASSERT_THAT(looks, SizeIs(2));
    EXPECT_EQ(looks[0].what, "tls");
    EXPECT_EQ(looks[0].reload.result, Result::kRejected);
    EXPECT_EQ(looks[1].what, "auth");
    EXPECT_EQ(looks[1].reload.result, look == 0 ? Result::kReloaded : Result::kUnchanged);
  }
  EXPECT_THAT(
      metrics_.Render(),
      AllOf(HasSubstr("octet_tls_reloads_total{result=\"rejected\"} 1\n"), HasSubstr("octet_tls_reload_failed 1\n"),
            HasSubstr("octet_token_reloads_total{listener=\"grpc\",result=\"accepted\"} 1\n")));

  Write(authority_.Sign("a whole pair"));
  EXPECT_EQ(watcher.LookNow()[0].reload.result, Result::kReloaded);
  EXPECT_THAT(metrics_.Render(), AllOf(HasSubstr("octet_tls_reloads_total{result=\"accepted\"} 1\n"),
                                       HasSubstr("octet_tls_reload_failed 0\n")));
}

TEST_F(ServeCredentialsTest, ExportsTheExpiryOfWhatIsInUse) {
  Credentials credentials = Load();
  const CredentialWatcher watcher(config_, &credentials, &metrics_);
  const auto families = metrics_.Collect();
  const auto family = std::find_if(families.begin(), families.end(), [](const auto& f) {
    return f.name == "octet_tls_certificate_expiry_timestamp_seconds";
  });
  ASSERT_NE(family, families.end());
  ASSERT_THAT(family->metric, SizeIs(1));
  EXPECT_EQ(family->metric[0].gauge.value,
            static_cast<double>(absl::ToUnixSeconds(credentials.certificates->Current()->value.not_after)));
}

TEST_F(ServeCredentialsTest, AServerWithoutFilesHasNoSeries) {
  Credentials none;
  CredentialWatcher watcher(Config(), &none, &metrics_);
  EXPECT_THAT(watcher.LookNow(), SizeIs(0));
  EXPECT_THAT(metrics_.Render(), AllOf(Not(HasSubstr("octet_tls_")), Not(HasSubstr("octet_token_"))));
}

TEST_F(ServeCredentialsTest, NamesTheSettingThatIsWrong) {
  config_.mutable_management()->set_token_file((folder_ / "missing").string());
  EXPECT_THAT(std::string(LoadCredentials(config_).status().message()),
              HasSubstr("management.token_file: cannot read the file"));
  config_.mutable_auth()->set_token_file((folder_ / "tls.key").string());
  EXPECT_THAT(std::string(LoadCredentials(config_).status().message()), HasSubstr("auth.token_file: line 1"));
}

TEST(CertificateAgeTest, WarnsBeforeTheEnd) {
  const absl::Time end = absl::FromUnixSeconds(1'000'000);
  EXPECT_EQ(AgeOf(end, end - absl::Hours(2), absl::Hours(1)), CertificateAge::kFine);
  EXPECT_EQ(AgeOf(end, end - absl::Minutes(59), absl::Hours(1)), CertificateAge::kExpiresSoon);
  EXPECT_EQ(AgeOf(end, end, absl::ZeroDuration()), CertificateAge::kFine);
  EXPECT_EQ(AgeOf(end, end + absl::Seconds(1), absl::Hours(1)), CertificateAge::kExpired);
}

}  // namespace
}  // namespace octet::cli
