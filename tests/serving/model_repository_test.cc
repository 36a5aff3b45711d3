#include "serving/model_repository.h"

#include <gtest/gtest.h>

#include "serving/request.h"
#include "tests/serving/fakes.h"

namespace octet::serving {
namespace {

ServedModel Named(std::string name) { return {std::move(name), std::make_shared<FakeServable>(), {}}; }

TEST(ModelRepositoryTest, FindsByNameAndTheOnlyModelWithoutOne) {
  ModelRepository repository;
  ASSERT_TRUE(repository.Add(Named("a")).ok());
  EXPECT_EQ((*repository.Find("a"))->name, "a");
  EXPECT_EQ((*repository.Find(""))->name, "a");
}

TEST(ModelRepositoryTest, WithoutANameTheDefaultAnswers) {
  ModelRepository repository("b");
  ASSERT_TRUE(repository.Add(Named("a")).ok());
  ASSERT_TRUE(repository.Add(Named("b")).ok());
  EXPECT_EQ((*repository.Find(""))->name, "b");
  EXPECT_EQ(repository.LabelOf(""), "b");
}

TEST(ModelRepositoryTest, SaysHowManyModelsThereAreWhenThereIsNoDefault) {
  ModelRepository repository;
  ASSERT_TRUE(repository.Add(Named("a")).ok());
  ASSERT_TRUE(repository.Add(Named("b")).ok());
  const absl::Status status = repository.Find("").status();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_EQ(status.message(), "model: empty, and the server has 2 models and no default");
  EXPECT_EQ(repository.LabelOf(""), "unknown");
}

// R15: names from the wire are compared, never opened, never echoed.
TEST(ModelRepositoryTest, R15HostileNamesAreNotFoundAndNotEchoed) {
  ModelRepository repository;
  ASSERT_TRUE(repository.Add(Named("a")).ok());
  const std::string names[] = {
      std::string(10240, 'x'), "../a", std::string("a\0b", 3), "a\nb", "%2e%2e", "a\"} 1", "b"};
  for (const std::string& name : names) {
    const absl::Status status = repository.Find(name).status();
    EXPECT_TRUE(absl::IsNotFound(status));
    EXPECT_EQ(status.message(), "model: not found");
    EXPECT_EQ(ReasonOf(status), kReasonUnknownModel);
    EXPECT_EQ(repository.LabelOf(name), "unknown");
    if (name != "b") {
      EXPECT_TRUE(absl::IsInvalidArgument(repository.Add(Named(name))));
    }
  }
}

TEST(ModelRepositoryTest, RefusesBadAndTakenNames) {
  ModelRepository repository;
  EXPECT_TRUE(repository.Add(Named("org/model-v1.0_x")).ok());
  EXPECT_TRUE(absl::IsAlreadyExists(repository.Add(Named("org/model-v1.0_x"))));
  EXPECT_TRUE(absl::IsInvalidArgument(repository.Add(Named(""))));
  EXPECT_TRUE(absl::IsInvalidArgument(repository.Add(Named("-a"))));
  EXPECT_TRUE(repository.Add(Named(std::string(128, 'a'))).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(repository.Add(Named(std::string(129, 'a')))));
  EXPECT_TRUE(absl::IsInvalidArgument(repository.Add({"null", nullptr, {}})));
}

TEST(ModelRepositoryTest, ListsByName) {
  ModelRepository repository;
  for (const char* name : {"c", "a", "b"}) ASSERT_TRUE(repository.Add(Named(name)).ok());
  const auto list = repository.List();
  ASSERT_EQ(list.size(), 3u);
  EXPECT_EQ(list[0]->name + list[1]->name + list[2]->name, "abc");
}

TEST(RequestTest, PayloadsTravelWithTheStatus) {
  const absl::Status plain = absl::ResourceExhaustedError("queue: full");
  EXPECT_FALSE(RetryAfterOf(plain));
  EXPECT_EQ(ReasonOf(plain), "");
  const absl::Status status = WithReason(WithRetryAfter(plain, absl::Milliseconds(250)), kReasonQueueFull);
  EXPECT_EQ(RetryAfterOf(status), absl::Milliseconds(250));
  EXPECT_EQ(ReasonOf(status), "QUEUE_FULL");
  EXPECT_EQ(status.message(), "queue: full");
}

}  // namespace
}  // namespace octet::serving
