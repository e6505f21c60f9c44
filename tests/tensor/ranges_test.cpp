// Ranges of settings, and fields without influence.
#include "tensor/ranges.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tensor/fields.h"

namespace limbeck {
namespace {

std::string said(const std::function<void()>& check) {
  try {
    check();
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(Ranges, SayKeyExpectedAndFound) {
  const double nan = std::nan(""), inf = std::numeric_limits<double>::infinity();
  for (const double bad : {0.0, -1.0, nan, inf})
    EXPECT_EQ(said([&] { expect_positive("a.b", bad); }),
              cat("a.b: expected a positive number, found ", bad));
  for (const double bad : {-1e-9, nan, inf})
    EXPECT_EQ(said([&] { expect_not_negative("a.b", bad); }),
              cat("a.b: expected 0 or more, found ", bad));
  for (const double bad : {-0.1, 1.0, nan, inf})
    EXPECT_EQ(said([&] { expect_share("a.b", bad); }),
              cat("a.b: expected 0 or more and below 1, found ", bad));
  EXPECT_EQ(said([] { expect_count("n", 2, 1); }), "n: expected at least 2, found 1");
  EXPECT_EQ(said([] { expect_count("n", 0, -1); }), "n: expected 0 or more, found -1");
  EXPECT_EQ(said([] { expect_count("n", 0, 9, 8); }), "n: expected at most 8, found 9");
  EXPECT_EQ(said([] {
              expect_positive("x", 1e-9), expect_not_negative("x", 0), expect_share("x", 0);
              expect_count("n", 2, 2), expect_count("n", 0, 8, 8);
            }),
            "");
}

TEST(Ranges, ProblemsAreToldTogetherAndOnce) {
  Problems problems;
  problems.throw_if_any();
  for (int i = 0; i < 2; ++i) problems.collect([] { fail("one"); });
  problems.collect([] {});
  problems.collect([] { fail("two"); });
  EXPECT_EQ(said([&] { problems.throw_if_any(); }), "one; two");
}

struct Inner {
  int64_t a = 1, b = 2;
  void fields(FieldVisitor& v) {
    v("a", a, "");
    v("b", b, "", Influence::none);
  }
};
struct Outer {
  Inner idle, on;
  bool wanted = false;
  double rate = 0.5;
  void fields(FieldVisitor& v) {
    v("idle", idle, "", Influence::none);
    v("on", on, "");
    v("wanted", wanted, "");
    v("rate", rate, "", influence_if(wanted));
  }
};

TEST(Fields, OnlyThoseWithInfluenceAreInTheText) {
  EXPECT_EQ(settings_text(Outer{}), "on.a = 1\nwanted = false\n");
  Outer s;
  s.wanted = true;
  EXPECT_EQ(settings_text(s), "on.a = 1\nwanted = true\nrate = 0.5\n");
}

}  // namespace
}  // namespace limbeck
