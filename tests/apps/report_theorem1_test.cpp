// The report's section on Theorem 1, of run folders written by hand.
#include "apps/report_theorem1.h"

#include "apps/report_html.h"
#include "tests/apps/run_folders.h"

namespace limbeck {
namespace {

kd::Results terms(const std::map<std::string, double>& values) {
  kd::Results results;
  for (const auto& [key, value] : values)
    results[key] = {value, "", kd::Better::neither, "theorem1"};
  return results;
}

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
                 {"right_side", right}})};
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
  EXPECT_EQ(t.rows[0][6].text, "0.5 ± 0.125");
  EXPECT_EQ(t.rows[0][8].text, "-") << "not measured";
  EXPECT_NE(t.note.find("The bound is vacuous for 1 of 2 students"), std::string::npos) << t.note;
  EXPECT_NE(report::html_page(g.runs, {}).find("Theorem 1"), std::string::npos);
  const report::Table fine = report::theorem1_table(group({stage("theorem1_a", "m2", 10, 0.5, 2)}));
  EXPECT_EQ(fine.note.find("vacuous"), std::string::npos) << fine.note;
  EXPECT_NE(fine.note.find("below the largest loss"), std::string::npos) << fine.note;
}

TEST_F(Theorem1Report, DrawsTheTermsOverFakesAndTeachers) {
  const auto charts = [&](double more, double teacher) {
    return report::theorem1_charts(group({stage("theorem1_a", "m2-n10", 10, 0.5, 9),
                                          stage("theorem1_b", "m2-by-x", more, teacher, 9)}));
  };
  EXPECT_EQ(charts(10, 0.5), "");
  EXPECT_NE(charts(20, 0.5).find("over the number of fakes"), std::string::npos);
  EXPECT_EQ(charts(20, 0.5).find("over the teacher"), std::string::npos);
  EXPECT_NE(charts(10, 0.7).find("over the teacher"), std::string::npos);
}

TEST_F(Theorem1Report, HasNoSectionWithoutResults) {
  const report::Group g = group({{"nokd", {{"role", "student"}}, terms({})}});
  EXPECT_TRUE(report::theorem1_table(g).rows.empty());
  EXPECT_EQ(report::theorem1_charts(g), "");
  EXPECT_EQ(report::html_page(g.runs, {}).find("Theorem 1"), std::string::npos);
}

}  // namespace
}  // namespace limbeck
