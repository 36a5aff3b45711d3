// The curve of a mixed model and its marked point.
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/cli/inspect/curve_svg.h"

namespace octet::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::vector<MixedCurvePoint> Curve() {
  return {{.num_float = 0, .cosine_mean = 0.9990, .cosine_min = 0.99, .relative_time = 1},
          {.num_float = 1, .cosine_mean = 0.9997, .cosine_min = 0.99, .relative_time = 1.2, .is_chosen = true},
          {.num_float = 2, .cosine_mean = 0.99981, .cosine_min = 0.99, .relative_time = 1.5},
          {.num_float = 3, .cosine_mean = 0.99979, .cosine_min = 0.99, .relative_time = 1.8},
          {.num_float = 4, .cosine_mean = 1, .cosine_min = 1, .relative_time = 2}};
}

TEST(CurveTest, FirstPointHasTheFewestFloatLayers) {
  EXPECT_EQ(FirstPointAt(Curve(), kMarkedCosine)->num_float, 2u);
  EXPECT_EQ(FirstPointAt(Curve(), 0.9)->num_float, 0u);
  EXPECT_FALSE(FirstPointAt(Curve(), 1.1).has_value());
  EXPECT_FALSE(FirstPointAt({}, 0).has_value());
}

TEST(CurveTest, DrawingMarksThePointAndTheChosenOne) {
  const std::string svg = CurveSvg(Curve());
  EXPECT_THAT(svg, HasSubstr("<title>2 layers in floats: cosine 0.99981, speed 0.67</title>"));
  EXPECT_THAT(svg, HasSubstr("0.9998: 2 layers in floats"));
  const size_t mark = svg.find("class=\"mark\""), chosen = svg.find("class=\"chosen\"");
  ASSERT_NE(mark, std::string::npos);
  ASSERT_NE(chosen, std::string::npos);
  EXPECT_LT(chosen, mark);  // in the order of the curve
  EXPECT_EQ(svg.find("class=\"mark\"", mark + 1), std::string::npos);
}

TEST(CurveTest, ACurveThatIsOnePointOrNeverReachesIsDrawn) {
  const std::string svg = CurveSvg({{.num_float = 0, .cosine_mean = 0.9, .cosine_min = 0.9, .relative_time = 1}});
  EXPECT_THAT(svg, HasSubstr("<circle"));
  EXPECT_THAT(svg, Not(HasSubstr("mark")));
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
}

}  // namespace
}  // namespace octet::cli
