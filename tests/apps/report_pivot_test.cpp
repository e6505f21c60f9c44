// The result of a report: methods x pairs, best marks, differences to the controls, published
// numbers. Expected numbers are worked out by hand.
#include <cmath>

#include "apps/report_csv.h"
#include "apps/report_data_free.h"
#include "apps/report_overview.h"
#include "apps/report_results.h"
#include "tests/apps/run_folders.h"

namespace limbeck {
namespace {

using report::Cell;
using report::Group;
using report::Mark;
using report::Pivot;
using report::Repeated;
using report::RunRecord;
using Row = std::vector<Cell>;

const std::string small = "resnet20 > resnet8", wide = "wrn_40_2 > wrn_40_1";

kd::Results accuracy(double value) {
  return {{"test_accuracy", {value, "share", kd::Better::higher, "test"}},
          {"train_accuracy", {1, "share", kd::Better::higher, "train"}}};
}

FolderStage student(const std::string& pair, const std::string& method, const std::string& fakes,
                    int seed, const kd::Results& results) {
  static int number = 0;
  return {cat("s", ++number),
          {{"role", "student"},
           {"pair", pair},
           {"method", method},
           {"fakes", fakes},
           {"seed", std::to_string(seed)}},
          results};
}

FolderStage teacher(const std::string& model, double value) {
  return {
      "teacher." + model, {{"role", "teacher"}, {"model", model}, {"seed", "0"}}, accuracy(value)};
}

void add(std::vector<FolderStage>& stages, const std::string& pair, const std::string& method,
         const std::string& fakes, const std::vector<double>& values, int seed = 0) {
  for (const double v : values) stages.push_back(student(pair, method, fakes, seed++, accuracy(v)));
}

/// A plan over two pairs; the second has fewer methods.
std::vector<FolderStage> plan() {
  std::vector<FolderStage> stages{teacher("resnet20", 0.8), teacher("wrn_40_2", 0.75)};
  add(stages, small, "none", "none", {0.50, 0.52, 0.54});
  add(stages, small, "blkd", "none", {0.55, 0.56, 0.60});
  add(stages, small, "none", "equal", {0.53, 0.53, 0.56});
  add(stages, small, "none", "m2", {0.60, 0.60, 0.63});
  add(stages, small, "blkd", "m2", {0.64, 0.65, 0.66});
  add(stages, small, "fitnet", "m2", {0.61, 0.63}, 3);
  add(stages, wide, "none", "none", {0.70, 0.72});
  add(stages, wide, "blkd", "m2", {0.71, 0.75});
  return stages;
}

class PivotTest : public RunFolderTest {
 protected:
  std::vector<Group> groups(const std::vector<RunRecord>& runs) const {
    return report::group_runs(runs);
  }
  Group plan_group() const {
    return groups({run("plan", "seed = 1\n\n[plan]\nseeds = [0, 1, 2]\n", plan())}).at(0);
  }
};

TEST(ReportStatistics, Summary) {
  const auto s = report::summarise(std::vector<double>{1, 2, std::nan(""), 4});
  EXPECT_EQ(s.n, 3);
  EXPECT_DOUBLE_EQ(s.mean, 7.0 / 3);
  EXPECT_NEAR(s.deviation, 1.5275252, 1e-6);  // sqrt((16 + 1 + 25) / 9 / 2)
  EXPECT_EQ(report::summarise(std::vector<double>{5}).deviation, 0);
  EXPECT_EQ(report::summarise(std::vector<double>{}).n, 0);
  EXPECT_EQ(report::summarise(std::vector<double>{12.3, 12.3, 12.3}).deviation, 0);
}

TEST(ReportStatistics, PairedDifference) {
  const Repeated ours{{{"1", "0"}, 5}, {{"1", "1"}, 7}, {{"1", "2"}, 6}},
      control{{{"1", "0"}, 1}, {{"1", "1"}, 2}, {{"1", "2"}, 3}};
  const auto d = report::difference(ours, control);  // 4, 5, 3: deviation 1
  ASSERT_TRUE(d);
  EXPECT_TRUE(d->paired);
  EXPECT_DOUBLE_EQ(d->mean, 4);
  EXPECT_DOUBLE_EQ(d->standard_error, 1 / std::sqrt(3));
  EXPECT_EQ(d->n, 3);
}

TEST(ReportStatistics, RepetitionsOfOneSideAloneAreLeftOutOfPairs) {
  const Repeated ours{{{"1", "0"}, 5}, {{"1", "1"}, 8}},
      control{{{"1", "0"}, 1}, {{"1", "1"}, 2}, {{"1", "2"}, 100}};
  const auto d = report::difference(ours, control);  // 4, 6: deviation sqrt(2)
  ASSERT_TRUE(d);
  EXPECT_DOUBLE_EQ(d->mean, 5);
  EXPECT_DOUBLE_EQ(d->standard_error, 1);
  EXPECT_EQ(d->n, 2);
}

TEST(ReportStatistics, UnpairedDifference) {
  // The same seed of another run is another repetition.
  const Repeated ours{{{"2", "0"}, 1}, {{"2", "1"}, 3}},
      control{{{"1", "0"}, 5}, {{"1", "1"}, 5}, {{"1", "2"}, 8}};
  const auto d = report::difference(ours, control);
  ASSERT_TRUE(d);
  EXPECT_FALSE(d->paired);
  EXPECT_DOUBLE_EQ(d->mean, -4);
  EXPECT_DOUBLE_EQ(d->standard_error, std::sqrt(2.0 / 2 + 3.0 / 3));
  EXPECT_EQ(d->n, 2);
  EXPECT_EQ(d->n_control, 3);
}

TEST(ReportStatistics, DifferenceOfSingleValues) {
  const auto paired = report::difference({{{"1", "0"}, 3}}, {{{"1", "0"}, 1}});
  ASSERT_TRUE(paired);
  EXPECT_TRUE(paired->paired);
  EXPECT_EQ(paired->mean, 2);
  EXPECT_TRUE(std::isnan(paired->standard_error));
  EXPECT_FALSE(report::difference({{{"1", "0"}, 3}}, {{{"1", "1"}, 1}})->paired);
  EXPECT_FALSE(report::difference({{{"1", "0"}, 3}}, {}));
  EXPECT_FALSE(report::difference({{{"1", "0"}, std::nan("")}}, {{{"1", "0"}, 1}}));
}

TEST_F(PivotTest, RowsAreMethodsColumnsPairs) {
  const Group group = plan_group();
  const auto pivots = report::pivots_of(group);
  ASSERT_EQ(pivots.size(), 1u) << "train_accuracy is not what students are compared by";
  const report::Table t = report::pivot_table(pivots[0], group, {});
  EXPECT_EQ(t.title, "Result: test_accuracy in %, higher is better");
  EXPECT_EQ(t.header, (std::vector<std::string>{"method", small, wide, "n"}));
  const std::vector<Row> expected{
      {"teacher", "80.00", "75.00", "1"},
      {"NOKD", "52.00 ± 2.00", {"71.00 ± 1.41", Mark::second}, "3, 2"},
      {"BLKD", "57.00 ± 2.65", "-", "3, 0"},
      {"NOKD, equal steps", "54.00 ± 1.73", "-", "3, 0"},
      {"cGAN-KD", "61.00 ± 1.73", "-", "3, 0"},
      {"cGAN-KD + BLKD", {"65.00 ± 1.00", Mark::best}, {"73.00 ± 2.83", Mark::best}, "3, 2"},
      {"cGAN-KD + FITNET", {"62.00 ± 1.41", Mark::second}, "-", "2, 0"}};
  EXPECT_EQ(t.rows, expected);
}

TEST_F(PivotTest, AStudentThatNobodyTaughtStandsInTheColumnOfEveryPairWithIt) {
  const auto alone = [](const std::string& model, double value) {
    return FolderStage{"nokd." + model,
                       {{"role", "student"},
                        {"model", model},
                        {"method", "none"},
                        {"fakes", "none"},
                        {"seed", "0"}},
                       accuracy(value)};
  };
  std::vector<FolderStage> stages{alone("resnet8", 0.5), alone("vgg8", 0.6)};
  add(stages, small, "blkd", "none", {0.55});
  add(stages, "resnet14 > resnet8", "blkd", "none", {0.45});
  const Group group = groups({run("shared", "seed = 1\n", stages)}).at(0);
  const report::Table t = report::pivot_table(report::pivots_of(group).at(0), group, {});
  EXPECT_EQ(t.header,
            (std::vector<std::string>{"method", small, "resnet14 > resnet8", "vgg8", "n"}));
  const std::vector<Row> expected{
      {"NOKD", {"50.00", Mark::second}, {"50.00", Mark::best}, "60.00", "1"},
      {"BLKD", {"55.00", Mark::best}, {"45.00", Mark::second}, "-", "1, 1, 0"}};
  EXPECT_EQ(t.rows, expected);
}

TEST_F(PivotTest, DifferencesToTheControls) {
  const Group group = plan_group();
  const report::Table t = report::gains_table(report::pivots_of(group).at(0), group);
  EXPECT_EQ(t.title, "Differences to the controls: test_accuracy in percentage points");
  EXPECT_EQ(t.header, (std::vector<std::string>{"method", "minus", small, wide, "how"}));
  const std::vector<Row> expected{
      {"BLKD", "NOKD", "+5.00 ± 0.58", "-", "paired, n 3; -"},                  // 5, 4, 6
      {"NOKD, equal steps", "NOKD", "+2.00 ± 0.58", "-", "paired, n 3; -"},     // 3, 1, 2
      {"cGAN-KD", "NOKD", "+9.00 ± 0.58", "-", "paired, n 3; -"},               // 10, 8, 9
      {"cGAN-KD", "NOKD, equal steps", "+7.00 ± 0.00", "-", "paired, n 3; -"},  // 7, 7, 7
      {"cGAN-KD + BLKD", "NOKD", "+13.00 ± 0.58", "+2.00 ± 1.00",
       "paired, n 3; paired, n 2"},  // 14, 13, 12; 1, 3
      {"cGAN-KD + BLKD", "NOKD, equal steps", "+11.00 ± 0.58", "-",
       "paired, n 3; -"},                                                 // 11, 12, 10
      {"cGAN-KD + BLKD", "BLKD", "+8.00 ± 1.00", "-", "paired, n 3; -"},  // 9, 9, 6
      {"cGAN-KD + FITNET", "NOKD", "+10.00 ± 1.53", "-",
       "unpaired, n 2 and 3; -"},  // sqrt(1.41^2 / 2 + 2^2 / 3)
      {"cGAN-KD + FITNET", "NOKD, equal steps", "+8.00 ± 1.41", "-",
       "unpaired, n 2 and 3; -"}};  // sqrt(1.41^2 / 2 + 1.73^2 / 3)
  EXPECT_EQ(t.rows, expected);
}

TEST_F(PivotTest, LowerIsBetterAndEqualMeansShareAMark) {
  const auto error = [](double v) {
    return kd::Results{{"test_mae", {v, "degrees", kd::Better::lower, "test"}},
                       {"test_bias", {v, "degrees", kd::Better::neither, "test"}}};
  };
  const auto all = groups({run("r", "seed = 1\n",
                               {student("a > b", "none", "none", 1, error(4)),
                                student("a > b", "blkd", "none", 1, error(2.5)),
                                student("a > b", "fitnet", "none", 1, error(2.5)),
                                student("a > b", "none", "m2", 1, error(3))})});
  const auto pivots = report::pivots_of(all[0]);
  ASSERT_EQ(pivots.size(), 2u);
  const report::Table bias = report::pivot_table(pivots[0], all[0], {}),
                      mae = report::pivot_table(pivots[1], all[0], {});
  EXPECT_EQ(bias.title, "Result: test_bias in degrees");
  EXPECT_EQ(bias.rows[1], (Row{"BLKD", "2.5", "1"})) << "no direction, no best";
  EXPECT_EQ(mae.title, "Result: test_mae in degrees, lower is better");
  EXPECT_EQ(mae.rows, (std::vector<Row>{{"NOKD", "4", "1"},
                                        {"BLKD", {"2.5", Mark::best}, "1"},
                                        {"FITNET", {"2.5", Mark::best}, "1"},
                                        {"cGAN-KD", {"3", Mark::second}, "1"}}));
  EXPECT_EQ(report::gains_table(pivots[1], all[0]).rows[0],
            (Row{"BLKD", "NOKD", "-1.5", "paired, n 1"}));
}

TEST_F(PivotTest, OneRunWithoutAPlanIsATableOfOneColumn) {
  const Group group = groups(
      {run("r", "seed = 7\n",
           {{"teacher", {{"role", "teacher"}, {"model", "resnet20"}, {"seed", "7"}}, accuracy(0.9)},
            student(small, "none", "none", 7, accuracy(0.5)),
            {"gan", {{"role", "gan"}}, {{"steps", {70, "steps"}}}}})})[0];
  const auto t = report::pivot_table(report::pivots_of(group).at(0), group, {});
  EXPECT_EQ(t.header, (std::vector<std::string>{"method", small, "n"}));
  EXPECT_EQ(t.rows, (std::vector<Row>{{"teacher", "90.00", "1"}, {"NOKD", "50.00", "1"}}))
      << "a single student is not the best of them";
}

TEST_F(PivotTest, SeveralFoldersAreSeveralSeeds) {
  const auto config = [](int seed) { return cat("seed = ", seed, "\n\n[gan]\nsteps = 7\n"); };
  const auto make = [&](const char* name, int seed, double nokd, double kd) {
    return run(name, config(seed),
               {student(small, "none", "none", seed, accuracy(nokd)),
                student(small, "none", "m2", seed, accuracy(kd))});
  };
  const auto all = groups({make("a", 1, 0.5, 0.6), make("b", 2, 0.6, 0.9)});
  ASSERT_EQ(all.size(), 1u);
  const auto pivots = report::pivots_of(all[0]);
  EXPECT_EQ(report::pivot_table(pivots[0], all[0], {}).rows[0],
            (Row{"NOKD", {"55.00 ± 7.07", Mark::second}, "2"}));
  EXPECT_EQ(report::gains_table(pivots[0], all[0]).rows[0],
            (Row{"cGAN-KD", "NOKD", "+20.00 ± 10.00", "paired, n 2"}));
}

TEST_F(PivotTest, RunsThatDifferInMoreThanSeedsAreNotAveraged) {
  const auto make = [&](const char* name, const char* config, double value) {
    return run(name, config, {student(small, "none", "none", 1, accuracy(value))});
  };
  const auto all =
      groups({make("a", "seed = 1\n\n[gan]\nsteps = 7\n\n[plan]\nseeds = [1]\n", 0.5),
              make("b", "seed = 1\n\n[gan]\nsteps = 8\n", 0.6),
              make("c", "seed = 2\n\n[gan]\nsteps = 7\n\n[plan]\nseeds = [2, 3]\n", 0.7)});
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].runs.size(), 2u);
  EXPECT_EQ(all[0].settings,
            (std::vector<std::pair<std::string, std::string>>{{"gan.steps", "7"}}));
  const auto first = report::pivot_table(report::pivots_of(all[0])[0], all[0], {}),
             second = report::pivot_table(report::pivots_of(all[1])[0], all[1], {});
  EXPECT_EQ(first.title, "Result of group 1: test_accuracy in %, higher is better");
  EXPECT_NE(first.note.find("Settings of group 1: gan.steps = 7. Runs: "), std::string::npos)
      << first.note;
  EXPECT_EQ(first.rows[0], (Row{"NOKD", "60.00 ± 14.14", "2"}));
  EXPECT_NE(second.note.find("Settings of group 2: gan.steps = 8."), std::string::npos)
      << second.note;
  EXPECT_EQ(second.rows[0], (Row{"NOKD", "60.00", "1"}));
}

TEST_F(PivotTest, TheSameSeedInTwoFoldersCountsOnce) {
  auto unfinished = student(small, "none", "none", 1, accuracy(0.5)),
       again = student(small, "none", "none", 2, accuracy(0.6));
  unfinished.finished = false;
  const auto a =
      run("a", "seed = 1\n", {unfinished, student(small, "none", "none", 2, accuracy(0.6))});
  const auto b = run("b", "seed = 1\n", {student(small, "none", "none", 1, accuracy(0.5)), again});
  const auto all = groups({a, b});
  EXPECT_EQ(report::pivot_table(report::pivots_of(all[0])[0], all[0], {}).rows[0],
            (Row{"NOKD", "55.00 ± 7.07", "2"}));
}

TEST_F(PivotTest, StagesWithTheSameLabelsAreRefused) {
  const auto all = groups({run("r", "",
                               {student(small, "blkd", "m2", 1, accuracy(0.5)),
                                student(small, "blkd", "m2", 1, accuracy(0.6))})});
  const std::string error = error_of([&] { report::pivots_of(all[0]); });
  EXPECT_NE(error.find("/r/run.json: stages s"), std::string::npos) << error;
  EXPECT_NE(error.find("have the same labels"), std::string::npos) << error;
}

TEST_F(PivotTest, ADivergedStudentIsNoNumber) {
  const auto all = groups({run("r", "",
                               {student(small, "none", "none", 1, accuracy(std::nan(""))),
                                student(small, "none", "none", 2, accuracy(0.5)),
                                student(small, "blkd", "none", 1, accuracy(std::nan("")))})});
  const auto pivots = report::pivots_of(all[0]);
  EXPECT_EQ(report::pivot_table(pivots[0], all[0], {}).rows,
            (std::vector<Row>{{"NOKD", "50.00", "1"}, {"BLKD", "-", "0"}}));
  EXPECT_TRUE(report::gains_table(pivots[0], all[0]).rows.empty());
}

TEST_F(PivotTest, StudentsAreNamedByTheirLabels) {
  const auto name = [](const std::string& method, const std::string& fakes,
                       const std::string& called = {}) {
    report::StageRecord s;
    s.labels = {{"method", method}, {"fakes", fakes}};
    if (!called.empty()) s.labels["method_name"] = called;
    return report::student_name(s);
  };
  EXPECT_EQ(name("none", "none"), "NOKD");
  EXPECT_EQ(name("none", "equal"), "NOKD, equal steps");
  EXPECT_EQ(name("blkd", "equal"), "BLKD, equal steps");
  EXPECT_EQ(name("none", "raw"), "cGAN-KD (raw)");
  EXPECT_EQ(name("fitnet", "m2", "FitNet"), "cGAN-KD + FitNet");
  EXPECT_EQ(name("crd", "m1"), "cGAN-KD (m1) + CRD");
}

TEST_F(PivotTest, PublishedNumbersStandBesideOurs) {
  const std::string path = root_ + "/published.toml";
  write_file_atomically(path, R"([[published]]
pair = "wrn_40_2 > wrn_40_1"
method = "none"
value = 71.98
source = "Tian 2020"

[[published]]
pair = "wrn_40_2 > wrn_40_1"
method = "crd"
name = "CRD"
value = 74
deviation = 0.5
source = "Ding 2023"

[[published]]
pair = "wrn_40_2 > wrn_40_1"
method = "teacher"
value = 75.61
source = "Tian 2020"

[[published]]
pair = "vgg13 > vgg8"
method = "none"
value = 70
source = "Tian 2020"
)");
  const auto published = report::read_published(path);
  const Group group = plan_group();
  const auto pivots = report::pivots_of(group);
  const report::Table t = report::pivot_table(pivots[0], group, published);
  EXPECT_EQ(t.header, (std::vector<std::string>{"method", small, wide, "published", "n"}));
  EXPECT_EQ(t.rows[0], (Row{"teacher", "80.00", "75.00", "75.61 [1]", "1"}));
  EXPECT_EQ(t.rows[1],
            (Row{"NOKD", "52.00 ± 2.00", {"71.00 ± 1.41", Mark::second}, "71.98 [1]", "3, 2"}));
  EXPECT_EQ(t.rows[2], (Row{"BLKD", "57.00 ± 2.65", "-", "-", "3, 0"}));
  EXPECT_EQ(t.rows.back(), (Row{"CRD", "-", "-", "74.00 ± 0.50 [2]", "-"}));
  EXPECT_NE(t.note.find("Published: [1] Tian 2020; [2] Ding 2023."), std::string::npos) << t.note;
  const auto left = report::without_column(published, pivots);
  ASSERT_EQ(left.size(), 1u);
  EXPECT_EQ(left[0].pair, "vgg13 > vgg8");
}

TEST_F(PivotTest, TheTableOfTimesHasTheMostMemoryOfAnyRepetition) {
  const auto make = [&](const char* name, int seed, const char* peaks) {
    run(name, cat("seed = ", seed, "\n"),
        {{"gan", {{"role", "gan"}, {"seed", std::to_string(seed)}}, {}}});
    write_file_atomically(cat(root_, "/", name, "/stages/gan/times.json"),
                          cat("{\"seconds\": 1, \"sessions\": 1, ", peaks, "}"));
    return report::read_run(cat(root_, "/", name));
  };
  const auto all =
      groups({make("a", 1, "\"peak_bytes\": 104857600, \"device_peak_bytes\": 0"),
              make("b", 2, "\"peak_bytes\": 5242880, \"device_peak_bytes\": 2147483648")});
  const report::Table t = report::times_table(all[0]);
  EXPECT_EQ(t.header, (std::vector<std::string>{"what", "time", "seconds", "memory",
                                                "on the device", "n", "sessions"}));
  EXPECT_EQ(t.rows[0], (Row{"gan", "1.0 s", "1", "100 MiB", "2.0 GiB", "2", "2"}));
}

TEST_F(PivotTest, PublishedNumbersMayBeATable) {
  const std::string path = root_ + "/published.csv";
  const std::string head = "# said to people\npair,method,fakes,key,name,value,deviation,source\n";
  write_file_atomically(path, head +
                                  "a > b,crd,m2,,CRD,74,0.5,Ding 2023\n\n"
                                  "a > b,teacher,,test_mae,,1.30,,Ding 2023\n");
  const auto list = report::read_published(path);
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0].pair, "a > b");
  EXPECT_EQ(list[0].fakes, "m2");
  EXPECT_EQ(list[0].key, "test_accuracy");
  EXPECT_EQ(list[0].value, 74);
  EXPECT_EQ(list[0].deviation, 0.5);
  EXPECT_EQ(list[1].fakes, "none");
  EXPECT_EQ(list[1].key, "test_mae");
  EXPECT_TRUE(std::isnan(list[1].deviation));
  const auto error = [&](const std::string& text) {
    write_file_atomically(path, text);
    const std::string what = error_of([&] { report::read_published(path); });
    return what.substr(std::min(what.size(), root_.size() + 1));
  };
  EXPECT_EQ(error(head + "a > b,crd,m2,,CRD,74,x,Ding\n"),
            "published.csv:3: expected a number, found 'x'");
  EXPECT_EQ(error(head + "a > b,crd\n"), "published.csv:3: expected 8 cells, found 2");
  EXPECT_EQ(error("pair,method\n"),
            "published.csv:1: expected pair,method,fakes,key,name,value,deviation,source, found "
            "pair,method");
  EXPECT_EQ(error(head + ",crd,,,,1,,x\n"), "published.csv:3: 'pair' is missing");
}

TEST_F(PivotTest, PublishedNumbersThatCannotBeRead) {
  const std::string path = root_ + "/p.toml";
  const auto error = [&](const std::string& text) {
    write_file_atomically(path, text);
    const std::string what = error_of([&] { report::read_published(path); });
    return what.substr(std::min(what.size(), root_.size() + 1));
  };
  const std::string good =
      "[[published]]\npair = \"a > b\"\nmethod = \"crd\"\nsource = \"x\"\nvalue = 1\n";
  EXPECT_EQ(error(good), "");
  EXPECT_EQ(error(good + good),
            "p.toml:6: a second number for crd (fakes none) of 'a > b', test_accuracy");
  EXPECT_EQ(error(""), "p.toml: expected [[published]], found nothing");
  EXPECT_EQ(error("pair = 1\n"), "p.toml:1: expected [[published]], found 'pair'");
  EXPECT_EQ(error("[published]\npair = \"a\"\n"),
            "p.toml:1: expected [[published]], found 'published'");
  EXPECT_EQ(error("[[published]]\nmethod = \"crd\"\nsource = \"x\"\nvalue = 1\n"),
            "p.toml:1: 'pair' is missing");
  EXPECT_EQ(error("[[published]]\npair = \"a\"\nmethod = \"crd\"\nsource = \"x\"\n"),
            "p.toml:1: 'value': expected a finite number, found none");
  EXPECT_EQ(error(good + "deviation = -1\n"),
            "p.toml:1: 'deviation': expected 0 or more, found -1");
  EXPECT_EQ(error(good + "values = 1\n"), "p.toml:6: unknown key 'values'; did you mean 'value'?");
  EXPECT_EQ(error(good + "temperature = 1\n"),
            "p.toml:6: unknown key 'temperature'; expected pair, method, fakes, key, name, value, "
            "deviation, source");
  EXPECT_EQ(error("[[published]]\npair = 3\n"),
            "p.toml:2: 'pair': expected a string, found an integer");
}

TEST_F(PivotTest, Csv) {
  const Group group = plan_group();
  const std::string tidy = report::results_csv(group.runs);
  EXPECT_EQ(tidy.substr(0, tidy.find('\n')),
            "run,stage,role,task,pair,model,method,fakes,seed,key,value,unit,better,kind");
  EXPECT_NE(
      tidy.find(",teacher.wrn_40_2,teacher,,,wrn_40_2,,,0,test_accuracy,0.75,share,higher,test\n"),
      std::string::npos)
      << tidy;
  EXPECT_NE(tidy.find(",student,," + small + ",,blkd,m2,2,test_accuracy,0.66,share,higher,test\n"),
            std::string::npos)
      << tidy;

  const std::string table = report::pivots_csv({group}, {{.pair = wide,
                                                          .method = "blkd",
                                                          .fakes = "m2",
                                                          .source = "a, b",
                                                          .value = 76,
                                                          .deviation = 1}});
  EXPECT_EQ(table.substr(0, 69),
            "group,key,unit,better,row,method,fakes,pair,n,mean,deviation,rank,min")
      << table;
  // Of the wide pair: 2 values, mean 0.73; minus no method 0.02 with standard error 0.01.
  const size_t at =
      table.find(",test_accuracy,share,higher,cGAN-KD + BLKD,blkd,m2," + wide + ",2,0.73");
  ASSERT_NE(at, std::string::npos) << table;
  const std::string line = table.substr(at, table.find('\n', at) - at);
  EXPECT_NE(line.find(",1,0.02"), std::string::npos) << "rank 1 and the difference: " << line;
  EXPECT_NE(line.find(",yes,,,,,,,,,,0.76,0.01,\"a, b\""), std::string::npos) << line;
}

/// By hand: gaps to a teacher of 0.8; shares of it, and of students with data by seed.
TEST_F(PivotTest, StudentsWithoutData) {
  const auto without_data = [](double value) {
    kd::Results r = accuracy(value);
    r["gap_to_teacher"] = {0.8 - value, "share", kd::Better::lower, "detail"};
    r["relative_to_teacher"] = {value / 0.8, "share", kd::Better::higher, "detail"};
    return r;
  };
  std::vector<FolderStage> stages{teacher("resnet20", 0.8)};
  for (const auto& [seed, value] : {std::pair{1, 0.5}, {2, 0.4}})
    stages.push_back({cat("nokd.s", seed),
                      {{"role", "student"}, {"model", "resnet8"}, {"seed", std::to_string(seed)}},
                      accuracy(value)});
  stages.push_back(student(small, "cgdd", "none", 1, without_data(0.4)));
  stages.push_back(student(small, "cgdd", "none", 2, without_data(0.6)));
  stages.push_back(student(small, "dafl", "none", 3, without_data(0.2)));
  stages.push_back(student(small, "blkd", "none", 1, accuracy(0.7)));
  const auto all = groups({run("a", "seed = 1\n", stages)});
  EXPECT_EQ(report::data_free_table(all[0]).rows,
            (std::vector<Row>{{"CGDD (" + small + ")", "50.00 ± 14.14 %", "30.00 ± 14.14 %",
                               "62.50 ± 17.68 %", "115.00 ± 49.50 %", "2"},
                              {"DAFL (" + small + ")", "20.00 %", "60.00 %", "25.00 %", "-", "1"}}))
      << "80 % and 150 % of the students with data; that of seed 3 is not there";
}

TEST_F(PivotTest, FakesAndTimes) {
  const kd::Results fakes{{"consistency_after", {0.75, "share", kd::Better::higher, "fakes"}},
                          {"fake_images", {80, "images"}},
                          {"fid", {12.3456, "", kd::Better::lower, "fakes"}}};
  const auto make = [&](const char* name, int seed) {
    return run(name, cat("seed = ", seed, "\n"),
               {{"fakes", {{"role", "fakes"}, {"seed", std::to_string(seed)}}, fakes}});
  };
  const auto all = groups({make("a", 1), make("b", 2)});
  EXPECT_EQ(report::fakes_table(all[0]).rows,
            (std::vector<Row>{{"fakes", "consistency_after", "75.00 ± 0.00 %", "2"},
                              {"fakes", "fid", "12.35 ± 0", "2"}}));
  EXPECT_EQ(report::full_table(all[0]).rows[1],
            (Row{"fakes", "detail", "fake_images", "80 ± 0 images", "2"}));
  EXPECT_EQ(report::times_table(all[0]).rows,
            (std::vector<Row>{{"fakes", "2.5 s", "2.5", "-", "2", "2"},
                              {"sum, largest", "5.0 s", "5", "-", "2", "2"}}));
  const auto settings = report::settings_table(all[0].runs);
  EXPECT_EQ(settings.rows, (std::vector<Row>{{"seed", "1", "2"}}));
}

}  // namespace
}  // namespace limbeck
