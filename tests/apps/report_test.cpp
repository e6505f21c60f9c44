// Reports of small run folders made by the executor.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>

#include "apps/executor.h"
#include "apps/report_html.h"
#include "apps/report_svg.h"
#include "apps/report_tables.h"

namespace limbeck {
namespace {

namespace fs = std::filesystem;
using report::RunRecord;

class ReportTest : public testing::Test {
 protected:
  void SetUp() override {
    const std::string place = access("/dev/shm", W_OK) == 0 ? "/dev/shm/" : testing::TempDir();
    root_ = place + "limbeck_report_" + std::to_string(getuid()) + "_" + testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(root_);
    fs::create_directories(root_);
  }
  void TearDown() override { fs::remove_all(root_); }

  std::string make_run(const std::string& name, double accuracy) {
    const std::vector<kd::Stage> stages{
        {"nokd", "NOKD: <plain> training", {}, "seed = 1\n", [accuracy](kd::StageContext& c) {
           for (int e = 1; e <= 3; ++e) c.monitor.metrics(e, {{"loss", 1.0 / e}, {"test_accuracy", accuracy * e / 3}, {"gap", std::nan("")}});
           c.results = {{"test_accuracy", {accuracy, "share", kd::Better::higher, "test"}}, {"steps", {30, "steps", kd::Better::neither, "cost"}}};
         }},
        {"fakes", "fake images", {}, "", [](kd::StageContext& c) {
           for (int k = 1; k <= 2; ++k) c.monitor.metrics(k, {{"candidates", 10}, {"candidates_consistent", 5}, {"kept", 8}, {"kept_consistent", 6}});
           for (const char* image : {"samples-000100", "samples-000200", "classes-000100"}) c.monitor.image(image, Tensor::full({4, 4, 3}, 9, DType::u8));
           c.results = {{"consistency_after", {0.75, "share", kd::Better::higher, "fakes"}}};
         }},
        {"later", "never runs", {}, "", [](kd::StageContext&) { fail("stop here"); }}};
    const std::string directory = root_ + "/" + name;
    RunFolder folder(directory, stages, cat("seed = ", name == "a" ? 1 : 2, "\n\n[gan]\nsteps = 7\n"));
    Console console(stdout, Console::Mode::quiet);
    EXPECT_THROW(run_stages(stages, folder, {}, console), Error);
    return directory;
  }

  std::string root_;
};

TEST_F(ReportTest, ReadsARunFolder) {
  const RunRecord run = report::read_run(make_run("a", 0.5));
  ASSERT_EQ(run.stages.size(), 3u);
  EXPECT_TRUE(run.find("nokd")->finished);
  EXPECT_FALSE(run.find("later")->finished);
  EXPECT_EQ(run.find("nokd")->results.at("steps"), 30);
  EXPECT_EQ(run.find("nokd")->metrics.at("loss").y, (std::vector<double>{1, 0.5, 1.0 / 3}));
  EXPECT_TRUE(run.find("nokd")->metrics.at("gap").y.empty());
  EXPECT_EQ(run.find("fakes")->images.size(), 3u);
  EXPECT_EQ(run.find("nokd")->sessions, 1);
}

TEST_F(ReportTest, RefusesOtherFoldersAndTornFiles) {
  EXPECT_THROW(report::read_run(root_), Error);
  const std::string run = make_run("a", 0.5);
  write_file_atomically(run + "/stages/nokd/metrics.jsonl", "{\"step\":1}\n{\"st");
  EXPECT_THROW(report::read_run(run), Error);  // the stage says that it is finished
  fs::remove(run + "/stages/nokd/done.json");
  EXPECT_NO_THROW(report::read_run(run));      // a running stage may be in the middle of a line
}

TEST_F(ReportTest, SeveralRunsGiveMeanAndDeviation) {
  const std::vector<RunRecord> runs{report::read_run(make_run("a", 0.5)), report::read_run(make_run("b", 0.6))};
  const report::Table table = report::main_table(runs);
  EXPECT_EQ(table.header, (std::vector<std::string>{"stage", "what", "test_accuracy", "steps", "n"}));
  ASSERT_EQ(table.rows.size(), 1u);
  EXPECT_EQ(table.rows[0], (std::vector<std::string>{"nokd", "NOKD: <plain> training", "55.00 ± 7.07 %", "30 ± 0", "2"}));
  const auto differing = report::differing_settings(runs);
  ASSERT_EQ(differing.size(), 1u);
  EXPECT_EQ(differing[0].first, "seed");
  EXPECT_EQ(differing[0].second, (std::vector<std::string>{"1", "2"}));
  EXPECT_NE(report::results_csv(runs).find("nokd,test_accuracy,2,0.55,0.07071067811865"), std::string::npos) << report::results_csv(runs);
}

TEST_F(ReportTest, PageIsSelfContained) {
  const std::string page = report::html_page({report::read_run(make_run("a", 0.5))});
  EXPECT_NE(page.find("50.00 %"), std::string::npos);
  EXPECT_NE(page.find("NOKD: &lt;plain&gt; training"), std::string::npos);
  EXPECT_NE(page.find("<polyline"), std::string::npos);
  EXPECT_NE(page.find("label consistency per class"), std::string::npos);
  EXPECT_NE(page.find("Not finished:</strong> later"), std::string::npos);
  EXPECT_NE(page.find("fakes: samples-000200"), std::string::npos);
  EXPECT_EQ(page.find("samples-000100"), std::string::npos);
  EXPECT_NE(page.find("data:image/png;base64,iVBORw0KGgo"), std::string::npos);
  EXPECT_EQ(page.find("http"), std::string::npos);
  EXPECT_EQ(page.find("nan"), std::string::npos);
}

TEST(Report, Summaries) {
  const auto s = report::summarise({1, 2, std::nan(""), 4});
  EXPECT_EQ(s.n, 3);
  EXPECT_DOUBLE_EQ(s.mean, 7.0 / 3);
  EXPECT_NEAR(s.deviation, 1.5275252, 1e-6);
  EXPECT_EQ(report::summarise({5}).deviation, 0);
  EXPECT_EQ(report::format_summary("fid", {1, 12.3456, 0}), "12.35");
  EXPECT_EQ(report::format_summary("test_accuracy", {0, 0, 0}), "-");
}

TEST(Report, Base64) {
  EXPECT_EQ(report::base64(""), "");
  EXPECT_EQ(report::base64("M"), "TQ==");
  EXPECT_EQ(report::base64("Ma"), "TWE=");
  EXPECT_EQ(report::base64("Man"), "TWFu");
  EXPECT_EQ(report::base64("\xff\xfe\xfd"), "//79");
}

TEST(Report, Ticks) {
  EXPECT_EQ(report::ticks(0, 1, 5), (std::vector<double>{0, 0.2, 0.4, 0.6000000000000001, 0.8, 1}));
  EXPECT_EQ(report::ticks(-3, 12, 5), (std::vector<double>{-2, 0, 2, 4, 6, 8, 10, 12}));
}

TEST(Report, Formats) {
  report::Table t{"Result", "", {"stage", "accuracy"}, {{"no_kd", "50.00 ± 1.00 %"}}, 1};
  EXPECT_EQ(report::to_markdown(t), "## Result\n\n| stage |       accuracy |\n| --- | ---: |\n| no_kd | 50.00 ± 1.00 % |\n\n");
  EXPECT_NE(report::to_latex(t).find("no\\_kd & 50.00 $\\pm$ 1.00 \\% \\\\"), std::string::npos) << report::to_latex(t);
}

}  // namespace
}  // namespace limbeck
