#include "apps/console.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace limbeck {
namespace {

/// What a console writes into a file (not a terminal).
template <class F>
std::string written(Console::Mode mode, F&& f) {
  char* text = nullptr;
  size_t size = 0;
  std::FILE* out = open_memstream(&text, &size);
  Console console(out, mode);
  f(console);
  std::fclose(out);
  std::string result(text, size);
  std::free(text);
  return result;
}

void hundred_steps(Console& c) {
  c.begin(1, 3, "teacher", "trains the teacher");
  for (int i = 1; i <= 100; ++i) c.progress(i, 100, 64, {{"loss", 0.5}});
  c.end("done");
}

TEST(Console, PlainOutputIsSparse) {
  const std::string text = written(Console::Mode::plain, hundred_steps);
  EXPECT_EQ(text, "[1/3] teacher: trains the teacher\n[1/3] teacher: done\n");
}

TEST(Console, LiveOutputRewritesOneLine) {
  const std::string text = written(Console::Mode::live, hundred_steps);
  EXPECT_NE(text.find("\r[1/3] teacher  100/100 (100%)"), std::string::npos) << text;
  EXPECT_NE(text.find("loss 0.5"), std::string::npos);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
}

TEST(Console, QuietKeepsNotes) {
  const std::string text = written(Console::Mode::quiet, [](Console& c) {
    hundred_steps(c);
    c.begin(2, 3, "gan", "trains the GAN");
    c.note("one class only");
  });
  EXPECT_EQ(text, "gan: one class only\n");
}

TEST(Console, Durations) {
  EXPECT_EQ(format_duration(0.04), "0.0 s");
  EXPECT_EQ(format_duration(42.4), "42 s");
  EXPECT_EQ(format_duration(185), "3 min 05 s");
  EXPECT_EQ(format_duration(7620), "2 h 07 min");
}

TEST(Console, Numbers) {
  EXPECT_EQ(format_number(93), "93");
  EXPECT_EQ(format_number(93.2549), "93.25");
  EXPECT_EQ(format_number(1.2e-7), "1.2e-07");
}

}  // namespace
}  // namespace limbeck
