// What needs no Slurm: how stages become jobs, how options become words, how threads are shared.
// The rest is tests/e2e/slurm.sh.
#include "apps/slurm.h"

#include <gtest/gtest.h>

#include "apps/process.h"
#include "apps/workers.h"
#include "tensor/error.h"

namespace limbeck {
namespace {

using Groups = std::vector<std::vector<std::string>>;

const std::vector<kd::Stage>& small_graph() {
  const auto nothing = [](kd::StageContext&) {};
  static const std::vector<kd::Stage> stages{
      {"gan", "", {}, "", nothing, {{"role", "gan"}}},
      {"fakes_raw", "", {"gan"}, "", nothing, {{"role", "fakes"}}},
      {"student", "", {"fakes_raw"}, "", nothing, {{"role", "student"}}},
      {"fakes", "", {"gan"}, "", nothing, {{"role", "fakes"}}},
      {"judged", "", {"student"}, "", nothing, {{"role", "evaluation"}}}};
  return stages;
}

Groups groups_of(const std::vector<std::string>& groups, const std::string& finished = "") {
  auto plan = plan_stages(small_graph(), "/nowhere");
  for (auto& p : plan)
    if (p.stage->name == finished) p.state = StageState::finished;
  return slurm_groups(small_graph(), plan, groups);
}

std::string error_of(const std::vector<std::string>& groups) {
  try {
    groups_of(groups);
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

TEST(Slurm, OneJobAStageOrAGroup) {
  EXPECT_EQ(groups_of({}), (Groups{{"gan"}, {"fakes_raw"}, {"student"}, {"fakes"}, {"judged"}}));
  EXPECT_EQ(groups_of({"role=fakes"}),
            (Groups{{"gan"}, {"fakes_raw", "fakes"}, {"student"}, {"judged"}}));
  EXPECT_EQ(groups_of({}, "gan"), (Groups{{"fakes_raw"}, {"student"}, {"fakes"}, {"judged"}}));
}

TEST(Slurm, AGroupComesAfterAllThatItNeeds) {
  auto stages = small_graph();
  stages[3].needs = {
      "student"};  // now a job of both sets of fakes would wait for the student, which waits for it
  const auto plan = plan_stages(stages, "/nowhere");
  try {
    slurm_groups(stages, plan, {"role=fakes"});
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(std::string(e.what()).rfind("--slurm-group: the job of ", 0), 0u) << e.what();
  }
  EXPECT_EQ(error_of({"role=fakse"}),
            "--slurm-group: no stage has role 'fakse'; did you mean 'fakes'?");
  EXPECT_EQ(error_of({"role=fakes", "stage=fakes"}),
            "--slurm-group 'stage=fakes': stage fakes is in another group already");
}

TEST(Process, WordsAsInAShell) {
  EXPECT_EQ(split_words("  --time=60 --comment='two words' --x=\"it's\" ''", "--o"),
            (std::vector<std::string>{"--time=60", "--comment=two words", "--x=it's", ""}));
  EXPECT_TRUE(split_words("", "--o").empty());
  EXPECT_THROW(split_words("'open", "--o"), Error);
  EXPECT_EQ(shell_quoted("it's"), "'it'\\''s'");
}

TEST(Process, OutputAndStatus) {
  const ProcessOutput p =
      run_process({"sh", "-c", "echo out; echo first >&2; echo second >&2; exit 5"});
  EXPECT_EQ(p.status, 5);
  EXPECT_EQ(p.out, "out\n");
  EXPECT_EQ(p.error, "first");
  EXPECT_EQ(run_process({"limbeck-no-such-program"}).status, 127);
  EXPECT_EQ(run_process({"sh", "-c", "kill -9 $$"}).status, 128 + 9);
}

TEST(Process, ThreadsAreDivided) {
  EXPECT_EQ(divide_threads(8, 3), (std::vector<int>{3, 3, 2}));
  EXPECT_EQ(divide_threads(2, 3), (std::vector<int>{1, 1, 1}));
}

}  // namespace
}  // namespace limbeck
