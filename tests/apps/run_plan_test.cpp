// The plan of a run: choosing stages by their labels, run.json and what is refused of it, failures
// and what they hold up.
#include "apps/run_plan.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "apps/run_files.h"
#include "tensor/error.h"
#include "tensor/safetensors.h"

namespace limbeck {
namespace {

namespace fs = std::filesystem;

std::vector<kd::Stage> students() {
  const auto nothing = [](kd::StageContext&) {};
  std::vector<kd::Stage> stages{{"gan", "GAN", {}, "", nothing, {{"role", "gan"}}},
                                {"fakes", "fakes", {"gan"}, "", nothing, {{"role", "fakes"}}}};
  for (const char* method : {"none", "blkd", "crd"})
    for (const char* seed : {"0", "3"})
      stages.push_back(
          {cat(method, ".s", seed),
           "student",
           {"fakes"},
           "",
           nothing,
           {{"role", "student"}, {"method", method}, {"seed", seed}, {"pair", "a > b"}}});
  return stages;
}

std::vector<std::string> names(const std::vector<PlannedStage>& plan) {
  std::vector<std::string> list;
  for (const auto& p : plan) list.push_back(p.stage->name);
  return list;
}

class RunPlanTest : public testing::Test {
 protected:
  void SetUp() override {
    root_ = cat(testing::TempDir(), "limbeck_run_plan_", getuid(), "_",
                testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(root_);
    fs::create_directories(root_);
  }
  void TearDown() override { fs::remove_all(root_); }

  std::vector<std::string> chosen(const std::vector<std::string>& only) {
    return names(plan_stages(students(), root_, {.only = only}));
  }
  std::string error(const std::string& only) {
    try {
      chosen({only});
    } catch (const Error& e) {
      return e.what();
    }
    return "no error";
  }
  std::string error_of(const std::string& run_json) {
    write_file_atomically(root_ + "/run.json", run_json);
    try {
      read_recorded_run(root_);
    } catch (const Error& e) {
      return e.what();
    }
    return "no error";
  }
  std::string root_;
};

TEST_F(RunPlanTest, LabelsChooseStagesAndTheirNeedsCome) {
  EXPECT_EQ(chosen({"method=crd,seed=3"}), (std::vector<std::string>{"gan", "fakes", "crd.s3"}));
  EXPECT_EQ(chosen({"seed=3"}),
            (std::vector<std::string>{"gan", "fakes", "none.s3", "blkd.s3", "crd.s3"}));
  EXPECT_EQ(chosen({"method=crd,seed=3", "stage=none.s0"}),
            (std::vector<std::string>{"gan", "fakes", "crd.s3", "none.s0"}));
  EXPECT_EQ(chosen({"stage=gan"}), (std::vector<std::string>{"gan"}));
  EXPECT_EQ(chosen({"pair=a > b,method=blkd"}).size(), 4u);
  EXPECT_EQ(chosen({}).size(), 8u);
}

TEST_F(RunPlanTest, UnknownLabelsAreRefused) {
  EXPECT_EQ(error("methd=crd"), "--only: no stage has a 'methd'; did you mean 'method'?");
  EXPECT_EQ(error("method=blkt"), "--only: no stage has method 'blkt'; did you mean 'blkd'?");
  EXPECT_EQ(error("seed=twelve"), "--only: no stage has seed 'twelve'; there are: 0, 3");
  EXPECT_EQ(error("stage=fkaes"), "--only: no stage has stage 'fkaes'; did you mean 'fakes'?");
  EXPECT_EQ(error("crd"), "--only: expected key=value, found 'crd'");
  EXPECT_EQ(error("role=gan,method=crd"),
            "--only 'role=gan,method=crd': no stage has all of these");
  EXPECT_EQ(error(""), "--only '': no stage has all of these");
}

TEST_F(RunPlanTest, RunJsonReadsBack) {
  const auto stages = students();
  const auto plan = plan_stages(stages, root_);
  write_file_atomically(root_ + "/run.json", overview_text(plan));
  const RecordedRun run = read_recorded_run(root_);
  ASSERT_EQ(run.plan.size(), plan.size());
  for (size_t i = 0; i < plan.size(); ++i) {
    EXPECT_EQ(run.plan[i].fingerprint, plan[i].fingerprint);
    EXPECT_EQ(run.plan[i].stage->labels, plan[i].stage->labels);
    EXPECT_EQ(run.plan[i].stage->needs, plan[i].stage->needs);
  }
}

TEST_F(RunPlanTest, EarlierVersionsAndMalformedFilesAreRefused) {
  const std::string path = root_ + "/run.json";
  EXPECT_EQ(error_of("{\"stages\": []}"), path +
                                              ": of an earlier version of limbeck (expected format "
                                              "3, found 1); use that version, or a new folder");
  EXPECT_EQ(error_of("{\"format\": 4, \"stages\": []}"),
            path +
                ": of another version of limbeck (expected format 3, found 4); use that version, "
                "or a new folder");
  EXPECT_EQ(error_of("{\"format\": 2, \"stages\": []}"), "no error") << "it can be read";
  try {
    check_run_format(root_, run_format);  // as `limbeck run` asks
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(std::string(e.what()),
              path +
                  ": of an earlier version of limbeck (expected format 3, found 2); use that "
                  "version, or a new folder; 'limbeck report' and 'status' read it");
  }
  EXPECT_EQ(error_of("{\"format\": 3, \"sta"),
            path + ": malformed; expected an object with \"format\" and \"stages\"");
  EXPECT_EQ(error_of("[]"),
            path + ": malformed; expected an object with \"format\" and \"stages\"");
  for (const char* stages : {"7", "[7]", "[{\"name\": 7}]",
                             "[{\"name\": \"a\", \"title\": \"\", \"needs\": [], \"labels\": {}}]",
                             "[{\"name\": \"a\", \"title\": \"\", \"needs\": [\"b\"], \"labels\": "
                             "{}, \"fingerprint\": \"0\"}]"})
    EXPECT_EQ(
        error_of(cat("{\"format\": 3, \"stages\": ", stages, "}")).rfind(path + ": malformed: ", 0),
        0u)
        << stages;
  fs::remove(path);
  EXPECT_THROW(read_recorded_run(root_), Error);
}

TEST_F(RunPlanTest, FailuresNameWhatTheyHoldUp) {
  const auto stages = students();
  auto plan = plan_stages(stages, root_, {.only = {"seed=3"}});
  EXPECT_EQ(failure_summary(plan), "");
  EXPECT_TRUE(is_runnable(plan[0], plan));
  EXPECT_FALSE(is_runnable(plan[1], plan));
  plan[0].state = StageState::finished;
  EXPECT_TRUE(is_runnable(plan[1], plan));
  plan[1].state = StageState::failed;
  plan[1].why = "no luck";
  EXPECT_EQ(failure_summary(plan),
            "stage failed: fakes (no luck); not run because of it: none.s3, blkd.s3, crd.s3");
  EXPECT_EQ(failed_needs(plan[2], plan), (std::vector<std::string>{"fakes"}));
  EXPECT_FALSE(is_runnable(plan[2], plan));
}

TEST_F(RunPlanTest, ChangedKeysKnowSections) {
  EXPECT_EQ(changed_keys("seed = 1\n\n[gan]\nsteps = 2\n", "seed = 1\n\n[gan]\nsteps = 3\n"),
            "gan.steps");
  EXPECT_EQ(changed_keys("[a]\nx = 1\n[b]\nx = 1\n", "[a]\nx = 2\n[b]\nx = 1\n"), "a.x");
  EXPECT_EQ(changed_keys("a = 1\nb = 1\nc = 1\nd = 1\n", ""), "a, b, c and 1 more");
}

}  // namespace
}  // namespace limbeck
