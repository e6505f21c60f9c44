// The report's section on Theorem 1, of run folders written by hand.
#include "apps/report_theorem1.h"

#include "apps/report_html.h"
#include "apps/report_theorem1_sweeps.h"
#include "tests/apps/run_folders.h"

namespace limbeck {
namespace {

kd::Results terms(const std::map<std::string, double>& values) {
  kd::Results results;
  for (const auto& [key, value] : values)
    results[key] = {value, "", kd::Better::neither, "theorem1"};
  return results;
}

/// Losses 1, 0.75 (of the first phase) and `teacher`.
FolderStage stage(const std::string& name, const std::string& fakes, double count, double teacher,
                  double right) {
  return {name,
          {{"role", "theorem1"}, {"model", "resnet8"}, {"method", "none"}, {"fakes", fakes}},
          terms({{"real_images", 100},
                 {"fake_images", count},
                 {"theta", 100 / (100 + count)},
                 {"loss_bound", 2.5},
                 {"sample_term", 3 / (1 + count)},
                 {"teacher_loss", teacher},
                 {"teacher_loss_error", 0.125},
                 {"tv_classifier", 0.5},
                 {"tv_classifier_error", 0.0625},
                 {"gap_term", 0.75},
                 {"student_loss", 1},
                 {"student_loss_error", 0.25},
                 {"first_loss", 0.75},
                 {"right_side", right}})};
}

std::string cell(const report::Table& t, size_t row, const std::string& column) {
  for (size_t i = 0; i < t.header.size(); ++i)
    if (t.header[i] == column) return t.rows.at(row).at(i).text;
  return "no such column";
}

class Theorem1Report : public RunFolderTest {
 protected:
  report::Group group(const std::vector<FolderStage>& stages) const {
    write_run(root_ + "/run", "seed = 1\n", stages);
    return report::group_runs({report::read_run(root_ + "/run")})[0];
  }
};

TEST_F(Theorem1Report, SaysThatAVacuousBoundIsOne) {
  const report::Group g =
      group({stage("theorem1_a", "m2-n10", 10, 0.5, 9), stage("theorem1_b", "m2-n20", 20, 0.5, 2)});
  const report::Table t = report::theorem1_table(g);
  ASSERT_EQ(t.rows.size(), 2u);
  for (const auto& row : t.rows) EXPECT_EQ(row.size(), t.header.size());
  EXPECT_EQ(t.rows[0][0].text, "cGAN-KD (m2-n10) (resnet8)");
  EXPECT_EQ(cell(t, 0, "teacher's loss"), "0.5 ± 0.125");
  EXPECT_EQ(cell(t, 0, "capacity"), "0.25 to 0.75") << "the best student, the teacher below it";
  EXPECT_EQ(cell(t, 0, "left side"), "0.5 to 1");
  EXPECT_EQ(cell(t, 0, "TV by losses"), "no such column") << "not measured";
  EXPECT_NE(t.note.find("99.9 % quantile"), std::string::npos) << t.note;
  EXPECT_EQ(t.note.find("largest loss there is"), std::string::npos) << t.note;
  EXPECT_NE(t.note.find("The bound is vacuous for 1 of 2 students"), std::string::npos) << t.note;
  EXPECT_NE(report::html_page(g.runs, {}).find("Theorem 1"), std::string::npos);
  const report::Table fine = report::theorem1_table(group({stage("theorem1_a", "m2", 10, 0.5, 2)}));
  EXPECT_EQ(fine.note.find("vacuous"), std::string::npos) << fine.note;
  EXPECT_NE(fine.note.find("is below C_L"), std::string::npos) << fine.note;
  EXPECT_NE(fine.note.find("without complexity and capacity"), std::string::npos) << fine.note;
}

TEST_F(Theorem1Report, ShowsWhatIsOptional) {
  FolderStage a = stage("theorem1_a", "m2-n10", 10, 0.5, 9);
  for (const auto& [key, value] : {std::pair("complexity_term", 1.5),
                                   {"complexity_term_error", 0.5},
                                   {"tv_ratio", 0.25},
                                   {"tv_ratio_error", 0.125},
                                   {"gap_term_ratio", 2.0}})
    a.results[key] = {value, "", kd::Better::neither, "theorem1"};
  const report::Table t =
      report::theorem1_table(group({a, stage("theorem1_b", "m2-n20", 20, 0.5, 2)}));
  EXPECT_EQ(cell(t, 0, "complexity"), "1.5 ± 0.5");
  EXPECT_EQ(cell(t, 1, "complexity"), "-");
  EXPECT_EQ(cell(t, 0, "TV by ratio"), "0.25 ± 0.125");
  EXPECT_EQ(cell(t, 0, "gap by ratio"), "2");
  EXPECT_NE(t.note.find("complexity where it was measured"), std::string::npos) << t.note;
  EXPECT_NE(report::theorem1_table(group({a})).note.find("complexity, sampling and gap, without"),
            std::string::npos);
}

TEST_F(Theorem1Report, DrawsTheTermsOverFakesAndTeachers) {
  const auto charts = [&](const char* fakes, double more, double teacher) {
    return report::theorem1_charts({group({stage("theorem1_a", "m2-n10", 10, 0.5, 9),
                                           stage("theorem1_b", fakes, more, teacher, 9)})});
  };
  EXPECT_EQ(charts("m2", 10, 0.5), "");
  const std::string over_fakes = charts("m2-n20", 20, 0.5);
  for (const char* line : {"over the number of fakes", ">sampling<", ">gap<", ">capacity, at most<",
                           ">student&#39;s loss<"})
    EXPECT_NE(over_fakes.find(line), std::string::npos) << line;
  EXPECT_EQ(over_fakes.find("over the teacher"), std::string::npos);
  EXPECT_EQ(charts("m1-n20", 20, 0.5), "") << "other fakes are no point of the same curve";
  EXPECT_NE(charts("m2-by-x", 10, 0.7).find("over the teacher"), std::string::npos);
}

TEST_F(Theorem1Report, SaysWhatMoreFakesChange) {
  const auto several = [&](double count, double right, double loss) {
    FolderStage s = stage("theorem1_a", "m2", count, 0.5, right);
    s.results["student_loss"].value = loss, s.results["student_loss_error"].value = 0.03;
    return run(cat("run", count), cat("seed = 1\n[transfer]\nfakes = ", count, "\nlr = 0.5\n"),
               {s});
  };
  const auto table = [&](double loss) {
    return report::theorem1_fakes_table(
        report::group_runs({several(20, 2, loss), several(10, 9, 1), several(40, 3, loss)}));
  };
  const report::Table t = table(0.5);
  ASSERT_EQ(t.rows.size(), 2u) << "runs that differ in transfer.fakes";
  for (const auto& row : t.rows) EXPECT_EQ(row.size(), t.header.size());
  EXPECT_EQ(cell(t, 0, "fakes"), "10 to 20");
  EXPECT_EQ(cell(t, 0, "right side"), "-7");
  EXPECT_EQ(cell(t, 1, "right side"), "+1");
  EXPECT_EQ(cell(t, 0, "complexity"), "-");
  EXPECT_EQ(cell(t, 0, "student's loss"), "-0.5 ± 0.04243");
  for (const char* part : {"from 10 to 40 fakes: sampling falls by", "gap stays",
                           "the right side falls by 6.", "loss falls by 0.5", "as the bound says"})
    EXPECT_NE(t.note.find(part), std::string::npos) << part << ": " << t.note;
  EXPECT_NE(table(1.5).note.find("rises by 0.5 ± 0.04243, the other way than the bound"),
            std::string::npos);
  EXPECT_NE(table(1.01).note.find("decides nothing"), std::string::npos);
}

TEST_F(Theorem1Report, RunsThatDifferInMoreAreNotCompared) {
  const auto with = [&](const char* name, double count, const std::string& settings) {
    return run(name, settings, {stage("theorem1_a", "m2", count, 0.5, 9)});
  };
  const report::RunRecord a = with("a", 10, "seed = 1\n[transfer]\nfakes = 10\n");
  const auto rows = [&](const report::RunRecord& other) {
    return report::theorem1_fakes_table(report::group_runs({a, other})).rows.size();
  };
  EXPECT_EQ(rows(with("b", 20, "seed = 1\n[transfer]\nfakes = 20\n")), 1u);
  EXPECT_EQ(rows(with("c", 20, "seed = 2\n[transfer]\nfakes = 20\n")), 0u) << "other fakes";
  EXPECT_EQ(rows(with("d", 20, "seed = 1\n[transfer]\nfakes = 20\nlr = 0.5\n")), 0u);
}

TEST_F(Theorem1Report, PutsALineThroughFiveTeachers) {
  const auto table = [&](int teachers) {
    std::vector<report::RunRecord> runs;
    for (int i = 1; i <= teachers; ++i) {
      FolderStage s = stage("theorem1_a", "m2", 10, 0.25 * i, 9);
      s.results["tv_classifier"].value = 0.125 + 0.5 * 0.25 * i;
      runs.push_back(run(cat("run", i), cat("seed = 1\n[teacher]\nepochs = ", i, "\n"), {s}));
    }
    return report::theorem1_teachers_table(report::group_runs(runs));
  };
  const report::Table five = table(5);
  ASSERT_EQ(five.rows.size(), 1u);
  EXPECT_EQ(cell(five, 0, "teachers"), "5");
  EXPECT_EQ(cell(five, 0, "intercept (C_M1)").substr(0, 9), "0.125 ± ");
  EXPECT_EQ(cell(five, 0, "slope").substr(0, 7), "0.5 ± ");
  EXPECT_EQ(cell(five, 0, "R squared"), "1");
  EXPECT_EQ(five.note.find("No line"), std::string::npos) << five.note;
  const report::Table four = table(4);
  EXPECT_EQ(cell(four, 0, "slope"), "-");
  EXPECT_NE(four.note.find("No line is put through fewer than 5 teachers"), std::string::npos);
  EXPECT_TRUE(table(1).rows.empty());
}

TEST_F(Theorem1Report, HasNoSectionWithoutResults) {
  const report::Group g = group({{"nokd", {{"role", "student"}}, terms({})}});
  EXPECT_TRUE(report::theorem1_table(g).rows.empty());
  EXPECT_EQ(report::theorem1_charts({g}), "");
  EXPECT_TRUE(report::theorem1_fakes_table({g}).rows.empty());
  EXPECT_TRUE(report::theorem1_teachers_table({g}).rows.empty());
  EXPECT_EQ(report::html_page(g.runs, {}).find("Theorem 1"), std::string::npos);
}

}  // namespace
}  // namespace limbeck
