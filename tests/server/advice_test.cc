// The decision of `octet advise`, the speeds that it keeps for `octet serve`, and what that says of them.
#include "server/cli/advise/advice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "server/cli/advise/advice_cache.h"
#include "server/cli/advise/startup_advice.h"

namespace octet::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

VariantResult Measured(const std::string& name, double difference, uint64_t tokens_per_second,
                       const std::string& precision = "int8", double half_width = 0.001) {
  VariantResult result{.name = name, .not_run = "", .measurement = Measurement()};
  Measurement& measurement = *result.measurement;
  measurement.precision = precision;
  measurement.metrics = {{"spearman", 0.8 + difference}};
  measurement.num_tokens = tokens_per_second;
  measurement.seconds = 1;
  measurement.weight_bytes = precision == "int8" ? 30 : 90;
  if (name != "f32") {
    measurement.comparison.emplace();
    measurement.comparison->difference = difference;
    measurement.comparison->difference_interval = Interval{difference - half_width, difference + half_width};
  }
  return result;
}

VariantResult NotRun(const std::string& name, const std::string& why) {
  return {.name = name, .not_run = why, .measurement = std::nullopt};
}

constexpr AdviceInputs kAll = {.max_drop = 0.005, .has_labels = true, .has_calibration = true, .can_train = false};

TEST(ChooseVariantTest, TakesTheFastestWithinTheLimit) {
  const Advice advice = ChooseVariant({Measured("f32", 0, 1000, "f32"), NotRun("bf16", "needs avx512_bf16"),
                                       Measured("int8", -0.002, 1900), Measured("static", -0.02, 2600)},
                                      kAll);
  EXPECT_EQ(advice.variant, "int8");
  EXPECT_THAT(advice.reasons,
              ElementsAre("f32: spearman 80.00, what the others are compared with", "bf16: needs avx512_bf16",
                          "int8: spearman -0.20 points, 1.90 times the speed of f32, 0.33 of its memory",
                          "static: spearman -2.00 points, 2.60 times the speed of f32, 0.33 of its memory; more than "
                          "the 0.50 allowed"));
  EXPECT_THAT(advice.next, IsEmpty());
}

TEST(ChooseVariantTest, AmongEquallyFastTheClosest) {
  EXPECT_EQ(ChooseVariant({Measured("f32", 0, 1000, "f32"), Measured("int8", -0.003, 2000),
                           Measured("smooth", -0.001, 1950), Measured("mixed", 0, 1700)},
                          kAll)
                .variant,
            "smooth");
}

TEST(ChooseVariantTest, SaysWhenTheDataLeaveItOpen) {
  const Advice advice =
      ChooseVariant({Measured("f32", 0, 1000, "f32"), Measured("int8", -0.002, 1900, "int8", 0.01)}, kAll);
  EXPECT_EQ(advice.variant, "int8");
  EXPECT_THAT(advice.reasons[1], HasSubstr("these data leave open whether it is more than 0.50"));
}

TEST(ChooseVariantTest, FloatsWhereInt8LosesTooMuchOrIsNoFaster) {
  Advice advice = ChooseVariant({Measured("f32", 0, 1000, "f32"), Measured("int8", -0.02, 1900)}, kAll);
  EXPECT_EQ(advice.variant, "f32");
  EXPECT_THAT(advice.next, ElementsAre(HasSubstr("needs labelled training data")));
  AdviceInputs trainable = kAll;
  trainable.can_train = true;
  advice = ChooseVariant({Measured("f32", 0, 1000, "f32"), Measured("int8", -0.02, 1900)}, trainable);
  EXPECT_THAT(advice.next, ElementsAre(HasSubstr("train on with octet's arithmetic")));
  advice = ChooseVariant({Measured("f32", 0, 1000, "f32"), Measured("int8", -0.001, 700)}, kAll);
  EXPECT_EQ(advice.variant, "f32");
  EXPECT_THAT(advice.next, ElementsAre(HasSubstr("int8 is no faster here")));
}

TEST(ChooseVariantTest, NamesWhatWasNotTried) {
  const Advice advice = ChooseVariant({Measured("f32", 0, 1000, "f32"), Measured("int8", 0, 1900)}, {});
  EXPECT_THAT(advice.next, ElementsAre(StartsWith("with --calibration"), StartsWith("with --task and --data")));
}

TEST(ChooseBySpeedTest, Int8UnlessAnotherPrecisionIsFaster) {
  EXPECT_EQ(ChooseBySpeed({.model_version = "", .tokens_per_second = {{"f32", 100}, {"int8", 180}}}, kAll).variant,
            "int8");
  EXPECT_EQ(ChooseBySpeed({.model_version = "", .tokens_per_second = {{"f32", 100}, {"int8", 97}}}, kAll).variant,
            "int8");
  const PrecisionSpeeds slow{.model_version = "", .tokens_per_second = {{"bf16", 150}, {"f32", 100}, {"int8", 120}}};
  EXPECT_EQ(ChooseBySpeed(slow, kAll).variant, "bf16");
  EXPECT_EQ(ChooseBySpeed(slow, kAll).reasons.back(), "int8: 1.20 times the speed of f32; not known how close");
}

TEST(StartupAdviceTest, WarnsOnlyWhenAnotherPrecisionIsFaster) {
  const PrecisionSpeeds speeds{.model_version = "", .tokens_per_second = {{"f32", 1000}, {"int8", 2000}}};
  const StartupAdvice good = AdviceOf(speeds, "int8");
  EXPECT_FALSE(good.is_warning);
  EXPECT_EQ(good.line, "f32 1000, int8 2000 tokens/s; int8 pays: 2.00 times the next");
  const StartupAdvice bad = AdviceOf(speeds, "f32");
  EXPECT_TRUE(bad.is_warning);
  EXPECT_THAT(bad.line, HasSubstr("f32 has 0.50 times the speed of int8 here: set engine.precision: int8"));
  EXPECT_FALSE(AdviceOf({.model_version = "", .tokens_per_second = {{"int8", 2000}}}, "int8").is_warning);
  EXPECT_THAT(AdviceOf(speeds, "bf16").line, HasSubstr("bf16 was not measured"));
}

class AdviceCacheTest : public ::testing::Test {
 protected:
  AdviceCacheTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "advice-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
    path_ = folder_ / "advice.json";
  }
  ~AdviceCacheTest() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path folder_;
  std::string path_;
  const MachineKey machine_{.cpu = "a cpu", .octet_version = "1", .isa = Isa::kAvx2, .num_threads = 2};
  const PrecisionSpeeds speeds_{.model_version = "0123456789ab", .tokens_per_second = {{"f32", 100}, {"int8", 200}}};
};

TEST_F(AdviceCacheTest, AnEntryIsOfOneModelOnOneMachine) {
  ASSERT_TRUE(WriteAdvice(path_, machine_, speeds_).ok());
  const auto read = ReadAdvice(path_, machine_, speeds_.model_version);
  ASSERT_TRUE(read.ok() && read->has_value()) << read.status();
  EXPECT_EQ((*read)->tokens_per_second, speeds_.tokens_per_second);
  EXPECT_FALSE(ReadAdvice(path_, machine_, "ba9876543210")->has_value());
  MachineKey other = machine_;
  other.num_threads = 4;
  EXPECT_FALSE(ReadAdvice(path_, other, speeds_.model_version)->has_value());
  ASSERT_TRUE(
      WriteAdvice(path_, other, {.model_version = speeds_.model_version, .tokens_per_second = {{"f32", 7}}}).ok());
  ASSERT_TRUE(
      WriteAdvice(path_, machine_, {.model_version = speeds_.model_version, .tokens_per_second = {{"f32", 9}}}).ok());
  EXPECT_EQ((*ReadAdvice(path_, other, speeds_.model_version))->tokens_per_second.at("f32"), 7);
  EXPECT_EQ((*ReadAdvice(path_, machine_, speeds_.model_version))->tokens_per_second.at("f32"), 9);
}

TEST_F(AdviceCacheTest, OtherFilesAreRefusedAndLeftAlone) {
  EXPECT_TRUE(absl::IsNotFound(ReadAdvice(path_, machine_, "").status()));
  for (const char* text : {"", "{}", "[1]", "{\"schema\": \"octet.advice/1\"}",
                           "{\"schema\": \"octet.advice/1\", \"entries\": [{\"cpu\": 1}]}"}) {
    std::ofstream(path_) << text;
    EXPECT_TRUE(absl::IsInvalidArgument(ReadAdvice(path_, machine_, "").status())) << text;
    EXPECT_TRUE(absl::IsInvalidArgument(WriteAdvice(path_, machine_, speeds_))) << text;
    std::ifstream file(path_);
    EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), text);
  }
}

}  // namespace
}  // namespace octet::cli
