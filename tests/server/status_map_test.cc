#include "server/rpc/status_map.h"

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "gtest/gtest.h"
#include "serving/request.h"

namespace octet::rpc {
namespace {

TEST(StatusMapTest, RefusalCarriesReasonAndWaitRoundedUp) {
  const absl::Status status = serving::WithReason(
      serving::WithRetryAfter(absl::ResourceExhaustedError("queue: full"), absl::Microseconds(1500100)),
      serving::kReasonQueueFull);
  const grpc::Status mapped = ToGrpcStatus(status);
  EXPECT_EQ(mapped.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  google::rpc::Status details;
  ASSERT_TRUE(details.ParseFromString(mapped.error_details()));
  ASSERT_EQ(details.details_size(), 2);
  google::rpc::ErrorInfo info;
  ASSERT_TRUE(details.details(0).UnpackTo(&info));
  EXPECT_EQ(info.reason(), "QUEUE_FULL");
  google::rpc::RetryInfo retry;
  ASSERT_TRUE(details.details(1).UnpackTo(&retry));
  EXPECT_EQ(retry.retry_delay().seconds(), 1);
  EXPECT_EQ(retry.retry_delay().nanos(), 501'000'000);
  EXPECT_EQ(RetryPushback(status), "1501");
  EXPECT_EQ(ToStreamError(status).retry_after_ms(), 1501u);
  EXPECT_EQ(RetryPushback(absl::InternalError("x")), std::nullopt);
}

TEST(StatusMapTest, InvalidArgumentNamesTheField) {
  const grpc::Status mapped = ToGrpcStatus(absl::InvalidArgumentError("texts[3]: 9 bytes, limit 8"));
  google::rpc::Status details;
  ASSERT_TRUE(details.ParseFromString(mapped.error_details()));
  google::rpc::BadRequest bad_request;
  ASSERT_EQ(details.details_size(), 1);
  ASSERT_TRUE(details.details(0).UnpackTo(&bad_request));
  EXPECT_EQ(bad_request.field_violations(0).field(), "texts[3]");
  EXPECT_EQ(bad_request.field_violations(0).description(), "9 bytes, limit 8");
}

TEST(StatusMapTest, LongMessageIsCutBetweenCharacters) {
  // 255 ASCII bytes, then a character of two bytes across the limit.
  const std::string message = std::string(255, 'a') + "\xc3\xa9" + "tail";
  EXPECT_EQ(ToGrpcStatus(absl::InternalError(message)).error_message(), std::string(255, 'a'));
}

TEST(StatusMapTest, CodesKeepTheirNames) {
  EXPECT_EQ(CodeName(grpc::StatusCode::OK), "OK");
  EXPECT_EQ(CodeName(grpc::StatusCode::RESOURCE_EXHAUSTED), "RESOURCE_EXHAUSTED");
  EXPECT_EQ(CodeName(grpc::StatusCode::UNAUTHENTICATED), "UNAUTHENTICATED");
  EXPECT_EQ(CodeName(static_cast<grpc::StatusCode>(99)), "UNKNOWN");
  EXPECT_TRUE(ToGrpcStatus(absl::OkStatus()).ok());
}

}  // namespace
}  // namespace octet::rpc
