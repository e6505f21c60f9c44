// Reading run folders, and the formats of a report.
#include <unistd.h>

#include <cmath>
#include <filesystem>

#include "apps/executor.h"
#include "apps/report_csv.h"
#include "apps/report_html.h"
#include "apps/report_overview.h"
#include "apps/report_results.h"
#include "apps/report_svg.h"
#include "apps/report_text.h"
#include "apps/run_files.h"
#include "tests/apps/run_folders.h"

namespace limbeck {
namespace {

namespace fs = std::filesystem;
using report::Mark;
using report::RunRecord;

class ReportTest : public RunFolderTest {
 protected:
  /// A run by the executor whose last stage fails.
  std::string make_run(const std::string& name, double accuracy) {
    const std::vector<kd::Stage> stages{
        {"nokd",
         "NOKD: <plain> training",
         {},
         "seed = 1\n",
         [accuracy](kd::StageContext& c) {
           for (int e = 1; e <= 3; ++e)
             c.monitor.metrics(e, {{"loss", 1.0 / e},
                                   {"test_accuracy", accuracy * e / 3},
                                   {"train_accuracy", 1},
                                   {"gap", std::nan("")}});
           c.results = {{"test_accuracy", {accuracy, "share", kd::Better::higher, "test"}},
                        {"train_accuracy", {1, "share", kd::Better::higher, "train"}},
                        {"steps", {30, "steps", kd::Better::neither, "cost"}}};
         },
         {{"role", "student"}, {"pair", "resnet20 > resnet8"}, {"method", "none"}, {"seed", "1"}}},
        {"fakes",
         "fake images",
         {},
         "",
         [](kd::StageContext& c) {
           for (int k = 1; k <= 2; ++k)
             c.monitor.metrics(k, {{"candidates", 10},
                                   {"candidates_consistent", 5},
                                   {"kept", 8},
                                   {"kept_consistent", 6}});
           for (const char* image : {"samples-000100", "samples-000200", "classes-000100"})
             c.monitor.image(image, Tensor::full({4, 4, 3}, 9, DType::u8));
           c.results = {{"consistency_after", {0.75, "share", kd::Better::higher, "fakes"}}};
         },
         {{"role", "fakes"}, {"fakes", "m2"}}},
        {"later", "never runs", {}, "", [](kd::StageContext&) { fail("stop here"); }}};
    const std::string directory = root_ + "/" + name;
    RunFolder folder(directory, stages,
                     cat("seed = ", name == "a" ? 1 : 2, "\n\n[gan]\nsteps = 7\n"));
    Console console(stdout, Console::Mode::quiet);
    EXPECT_THROW(run_stages(stages, folder, {}, console), Error);
    return directory;
  }
};

TEST_F(ReportTest, ReadsARunFolder) {
  const std::string directory = make_run("a", 0.5);
  write_file_atomically(directory + "/stages/nokd/times.json",
                        "{\"seconds\": 3.25, \"sessions\": 2}");
  const RunRecord run = report::read_run(directory);
  ASSERT_EQ(run.stages.size(), 3u);
  EXPECT_TRUE(run.find("nokd")->finished);
  EXPECT_FALSE(run.find("later")->finished);
  EXPECT_EQ(run.find("nokd")->results.at("steps"),
            (kd::Result{30, "steps", kd::Better::neither, "cost"}));
  EXPECT_EQ(run.find("nokd")->label("pair"), "resnet20 > resnet8");
  EXPECT_EQ(run.find("nokd")->label("fakes", "none"), "none");
  EXPECT_EQ(run.find("nokd")->metrics.at("loss").y, (std::vector<double>{1, 0.5, 1.0 / 3}));
  EXPECT_TRUE(run.find("nokd")->metrics.at("gap").y.empty());
  EXPECT_EQ(run.find("fakes")->images.size(), 3u);
  EXPECT_EQ(run.find("nokd")->seconds, 3.25);
  EXPECT_EQ(run.find("nokd")->sessions, 2);
  EXPECT_EQ(run.settings, (std::map<std::string, std::string>{{"seed", "1"}, {"gan.steps", "7"}}));
}

TEST_F(ReportTest, RefusesOtherFoldersAndTornFiles) {
  EXPECT_THROW(report::read_run(root_), Error);
  const std::string run = make_run("a", 0.5);
  write_file_atomically(run + "/stages/nokd/metrics.jsonl", "{\"step\":1}\n{\"st");
  EXPECT_THROW(report::read_run(run), Error);  // the stage says that it is finished
  fs::remove(run + "/stages/nokd/done.json");
  EXPECT_NO_THROW(report::read_run(run));  // a running stage may be in the middle of a line
}

TEST_F(ReportTest, RefusesOtherFormats) {
  const auto error_with = [&](const std::string& overview) {
    write_file_atomically(root_ + "/run.json", overview);
    return error_of([&] { report::read_run(root_); });
  };
  EXPECT_EQ(error_with(R"({"stages": []})"),
            root_ +
                "/run.json: of an earlier version of limbeck (expected format 3, found 1); use "
                "that version, or a new folder");
  EXPECT_EQ(error_with(R"({"format": 4, "stages": []})"),
            root_ +
                "/run.json: of another version of limbeck (expected format 3, found 4); use that "
                "version, or a new folder");
  EXPECT_EQ(error_with(R"({"format": null, "stages": []})"),
            root_ +
                "/run.json: of another version of limbeck (expected format 3, found null); use "
                "that version, or a new folder");
  EXPECT_EQ(error_with(R"({"format": 2, "stages": []})"), "") << "the last one can be read";
  EXPECT_NE(format_note(root_).find("run.json: of an earlier version (format 2)"),
            std::string::npos);
  EXPECT_EQ(error_with(R"({"format": 3, "stages": []})"), "");
  EXPECT_EQ(format_note(root_), "");
}

TEST_F(ReportTest, StageNamesStayInTheFolder) {
  for (const std::string name :
       {"../../secret", "..", ".", "", "/etc", "=cmd|'/c calc'!A1", "a\tb"}) {
    write_file_atomically(root_ + "/run.json",
                          cat("{\"format\": 2, \"stages\": [{\"name\": ", json_string(name),
                              ", \"title\": \"t\", \"fingerprint\": \"x\"}]}"));
    EXPECT_EQ(error_of([&] { report::read_run(root_); }),
              cat(root_, "/run.json: \"name\": expected letters, digits and . _ - +, found '",
                  report::printable(name), "'"));
  }
}

TEST_F(ReportTest, ImagesThatAreLinksAreNotRead) {
  const std::string run = make_run("a", 0.5);
  write_file_atomically(root_ + "/secret", "secret");
  fs::create_symlink(root_ + "/secret", run + "/stages/fakes/images/z.png");
  EXPECT_EQ(report::read_run(run).find("fakes")->images.size(), 3u);
}

/// As an earlier version leaves a stage, so that its files can be changed by hand.
void forget_checksums(const std::string& stage_folder) {
  const std::string done = stage_folder + "/done.json";
  const std::string fingerprint = json_text(done, "fingerprint");
  write_file_atomically(done, "{\"fingerprint\": " + json_string(fingerprint) + "}\n");
}

TEST_F(ReportTest, WrongTypesAreNamed) {
  const std::string made = make_run("made", 0.5);
  const auto error_with = [&](const std::string& file, const std::string& text) {
    const std::string run = root_ + "/copy";
    fs::remove_all(run);
    fs::copy(made, run, fs::copy_options::recursive);
    forget_checksums(run + "/stages/nokd");
    write_file_atomically(run + "/" + file, text);
    const std::string what = error_of([&] { report::html_page({report::read_run(run)}); });
    return what.substr(std::min(what.size(), run.size() + 1));
  };
  const auto with_stage = [](const std::string& stage) {
    return R"({"format": 2, "stages": [)" + stage + "]}";
  };
  EXPECT_EQ(error_with("run.json", "[]"),
            "run.json: malformed; expected an object with \"format\" and \"stages\"");
  EXPECT_EQ(error_with("run.json", "{"),
            "run.json: malformed; expected an object with \"format\" and \"stages\"");
  EXPECT_EQ(error_with("run.json", R"({"format": 2})"),
            "run.json: malformed; expected an object with \"format\" and \"stages\"");
  EXPECT_EQ(error_with("run.json", R"({"format": 2, "stages": null})"),
            "run.json: \"stages\": expected array, found null");
  EXPECT_EQ(error_with("run.json", with_stage("1")),
            "run.json: expected an object with \"name\", found number");
  EXPECT_EQ(error_with("run.json", with_stage(R"({"name": null})")),
            "run.json: \"name\": expected string, found null");
  EXPECT_EQ(error_with("run.json", with_stage(R"({"name": "a"})")),
            "run.json: \"title\" is missing");
  EXPECT_EQ(error_with("run.json", with_stage(R"({"name": "a", "title": "t", "labels": []})")),
            "run.json: \"labels\": expected object, found array");
  EXPECT_EQ(
      error_with("run.json", with_stage(R"({"name": "a", "title": "t", "labels": {"seed": 1}})")),
      "run.json: \"seed\": expected string, found number");
  EXPECT_EQ(error_with("stages/nokd/done.json", "null"),
            "stages/nokd/done.json: expected an object with \"fingerprint\", found null");
  EXPECT_EQ(error_with("stages/nokd/done.json", R"({"fingerprint": 1})"),
            "stages/nokd/done.json: \"fingerprint\": expected string, found number");
  EXPECT_EQ(error_with("stages/nokd/result.json", "[1]"),
            "stages/nokd/result.json: missing or not JSON");
  EXPECT_EQ(error_with("stages/nokd/result.json", R"({"steps": 3})"),
            "stages/nokd/result.json: 'steps': expected an object with a value, found 3");
  EXPECT_EQ(error_with("stages/nokd/result.json", R"({"steps": {"value": "x"}})"),
            "stages/nokd/result.json: 'steps': expected a number, found string");
  EXPECT_EQ(
      error_with("stages/nokd/result.json", R"({"steps": {"value": 1, "better": "up"}})"),
      "stages/nokd/result.json: 'steps': better: expected neither, higher or lower, found 'up'");
  EXPECT_EQ(
      error_with("stages/nokd/result.json",
                 R"({"steps": {"value": null, "unit": "", "better": "higher", "kind": "test"}})"),
      "");
  EXPECT_EQ(error_with("stages/nokd/metrics.jsonl", "{\"step\":null}\n"),
            "stages/nokd/metrics.jsonl:1: expected an object with \"step\"");
  EXPECT_EQ(error_with("stages/nokd/metrics.jsonl", "{\"step\":1,\"loss\":\"x\"}\n"),
            "stages/nokd/metrics.jsonl:1: \"loss\": expected a number or null, found string");
  EXPECT_EQ(error_with("stages/nokd/metrics.jsonl",
                       "{\"step\":1e308,\"loss\":1e308}\n{\"step\":-1e308,\"loss\":-1e308}\n"),
            "");
  EXPECT_EQ(error_with("stages/nokd/metrics.jsonl", "{\"step\":1e18,\"loss\":1e299}\n"), "");
  EXPECT_EQ(error_with("stages/nokd/times.json", "null"),
            "stages/nokd/times.json: expected an object with \"seconds\", found null");
  EXPECT_EQ(error_with("stages/nokd/times.json", R"({"seconds": null})"),
            "stages/nokd/times.json: \"seconds\": expected a number in [0, 1e9], found null");
  EXPECT_EQ(error_with("stages/nokd/times.json", R"({"sessions": 1e300})"),
            "stages/nokd/times.json: \"sessions\": expected a number in [0, 1e9], found 1e+300");
}

TEST_F(ReportTest, MissingNumbersHaveNoBar) {
  const std::string run = make_run("a", 0.5);
  const std::string path = run + "/stages/fakes/metrics.jsonl";
  forget_checksums(run + "/stages/fakes");
  write_file_atomically(path,
                        "{\"step\":1,\"candidates\":1,\"candidates_consistent\":null,\"kept\":1,"
                        "\"kept_consistent\":null}\n");
  EXPECT_EQ(report::html_page({report::read_run(run)}).find("label consistency per class"),
            std::string::npos);
  // The second class's numbers are not taken for the first one's.
  write_file_atomically(path,
                        "{\"step\":1,\"candidates\":4,\"candidates_consistent\":null,\"kept\":0,"
                        "\"kept_consistent\":0}\n"
                        "{\"step\":2,\"candidates\":4,\"candidates_consistent\":1,\"kept\":null,"
                        "\"kept_consistent\":2}\n");
  const std::string page = report::html_page({report::read_run(run)});
  const std::string chart = page.substr(page.find("aria-label=\"fakes: label consistency"), 4000);
  const std::string bars = chart.substr(0, chart.find("before filtering"));
  size_t count = 0;
  for (size_t at = bars.find("fill=\"#0072b2\""); at != std::string::npos;
       at = bars.find("fill=\"#0072b2\"", at + 1))
    ++count;
  EXPECT_EQ(count, 2u) << "one bar and the legend's square: " << bars;
  EXPECT_EQ(page.find("nan"), std::string::npos);
}

TEST_F(ReportTest, PageIsSelfContained) {
  const std::string page = report::html_page({report::read_run(make_run("a", 0.5))});
  EXPECT_NE(page.find("<td>50.00</td>"), std::string::npos);
  EXPECT_NE(page.find("NOKD (resnet20 &gt; resnet8): NOKD: &lt;plain&gt; training"),
            std::string::npos);
  EXPECT_NE(page.find("<polyline"), std::string::npos);
  EXPECT_NE(page.find("aria-label=\"NOKD (resnet20 &gt; resnet8): test_accuracy, train_accuracy\""),
            std::string::npos)
      << "results of one unit share a chart";
  EXPECT_NE(page.find("aria-label=\"test_accuracy, resnet20 &gt; resnet8\""), std::string::npos);
  EXPECT_NE(page.find("label consistency per class"), std::string::npos);
  EXPECT_NE(page.find("Not finished:</strong> later"), std::string::npos);
  EXPECT_NE(page.find("fakes: samples-000200"), std::string::npos);
  EXPECT_EQ(page.find("samples-000100"), std::string::npos);
  EXPECT_NE(page.find("data:image/png;base64,iVBORw0KGgo"), std::string::npos);
  EXPECT_NE(page.find("prefers-color-scheme: dark"), std::string::npos);
  EXPECT_EQ(page.find("http"), std::string::npos);
  EXPECT_EQ(page.find("nan"), std::string::npos);
}

TEST_F(ReportTest, NamesFromFilesAreTexts) {
  const std::string evil = "<script>alert(1)</script>|`x` [a](b)\\input{/etc/passwd}\x1b]0;pwn\x07";
  const auto evil_student = [&](const std::string& method, double value) {
    return FolderStage{"s-" + method,
                       {{"role", "student"},
                        {"pair", "=" + evil},
                        {"method", method},
                        {"method_name", evil},
                        {"x" + evil, evil}},
                       {{"@" + evil, {value, evil, kd::Better::higher, "test"}},
                        {evil, {1, "share", kd::Better::lower, "fakes"}}},
                       evil};
  };
  const auto runs = std::vector<RunRecord>{
      run("r", cat("seed = \"", evil, "\"\n"), {evil_student("none", 1), evil_student("blkd", 2)}),
      run("q", "seed = 2\n\n[gan]\nsteps = 3\n", {evil_student("none", 1)})};
  const auto published = std::vector<report::Published>{
      {.pair = "=" + evil, .method = "none", .key = "@" + evil, .source = evil, .value = 3}};
  std::vector<report::Table> tables{report::settings_table(runs)};
  const auto groups = report::group_runs(runs);
  for (const auto& group : groups) {
    for (const auto& pivot : report::pivots_of(group))
      tables.insert(tables.end(), {report::pivot_table(pivot, group, published),
                                   report::gains_table(pivot, group)});
    tables.insert(tables.end(), {report::fakes_table(group), report::full_table(group),
                                 report::times_table(group)});
  }
  const auto has_no = [](const std::string& text, std::initializer_list<const char*> parts) {
    for (const char* part : parts)
      EXPECT_EQ(text.find(part), std::string::npos) << part << " in\n" << text;
    for (const char c : text)
      EXPECT_TRUE(static_cast<unsigned char>(c) >= 0x20 || c == '\n') << "a control character in\n"
                                                                      << text;
  };
  for (const auto& t : tables) {
    has_no(report::to_text(t), {});
    has_no(report::to_markdown(t), {"<script", "|`", "\n`", " [a](b)"});
    has_no(report::to_latex(t), {"\\input", "etc/passwd}\\?", "|"});
    has_no(report::to_html(t), {"<script"});
  }
  has_no(report::html_page(runs, published), {"<script"});
  for (const std::string& csv : {report::results_csv(runs), report::pivots_csv(groups, published)})
    has_no(csv, {"\n=", ",=", ",@", "\"=", "\"@"});
}

TEST(ReportText, Printable) {
  EXPECT_EQ(report::printable("a\x1b[31m\x7f\x01z"), "a?[31m??z");
  EXPECT_EQ(report::printable("line\nnext\ttab"), "line next tab");
  EXPECT_EQ(report::printable("é ± 漢 😀"), "é ± 漢 😀");
  EXPECT_EQ(report::printable("\xc2\x9b"
                              "2J"),
            "?2J")
      << "the one-character CSI";
  EXPECT_EQ(report::printable("\xff\xc0\xaf\xe2\x82"), "?????") << "not UTF-8";
  EXPECT_EQ(report::printable("\xed\xa0\x80"), "???") << "a surrogate";
  EXPECT_EQ(report::printable("a\xe2\x80\xae"
                              "b"),
            "a?b")
      << "text from right to left";
}

TEST(ReportText, Escapes) {
  EXPECT_EQ(report::html_escaped("<a href='x'>&\"</a>"),
            "&lt;a href=&#39;x&#39;&gt;&amp;&quot;&lt;/a&gt;");
  EXPECT_EQ(report::markdown_escaped("wrn_40_2 _x_ | `c` [a](b) *b* <i> & $m$ \\"),
            "wrn_40_2 \\_x\\_ \\| \\`c\\` \\[a\\](b) \\*b\\* &lt;i> &amp; \\$m\\$ \\\\");
  EXPECT_EQ(report::latex_escaped("a_b 5% #1 $x$ {y} \\z ^ ~ < > | & 1 ± 2"),
            "a\\_b 5\\% \\#1 \\$x\\$ \\{y\\} \\textbackslash{}z \\textasciicircum{} "
            "\\textasciitilde{} \\textless{} \\textgreater{} \\textbar{} \\& 1 $\\pm$ 2");
  EXPECT_EQ(report::latex_escaped("-1.5"), "$-$1.5");
  EXPECT_EQ(report::csv_text("plain"), "plain");
  EXPECT_EQ(report::csv_text("a,\"b\""), "\"a,\"\"b\"\"\"");
  for (const char* formula : {"=1+1", "+1", "-1", "@x"})
    EXPECT_EQ(report::csv_text(formula), cat("\"'", formula, "\""));
  EXPECT_EQ(report::csv_text("\t=1"), " =1");
  EXPECT_EQ(report::csv_number(-0.1), "-0.1");
  EXPECT_EQ(report::csv_number(std::nan("")), "");
}

TEST(ReportText, Numbers) {
  EXPECT_EQ(report::format_with_unit({1, 12.3456, 0}, ""), "12.35");
  EXPECT_EQ(report::format_with_unit({1, 12.3456, 0}, "degrees"), "12.35 degrees");
  EXPECT_EQ(report::format_with_unit({3, 0.7125, 0.004}, "share"), "71.25 ± 0.40 %");
  EXPECT_EQ(report::format_with_unit({0, 0, 0}, "share"), "-");
  EXPECT_EQ(report::format_plain({-0.02, 0.005, true, 3, 3}, "share"), "-2.00 ± 0.50");
  EXPECT_EQ(report::format_plain(1e308, "share"), "-") << "overflows in percent";
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
  const report::Table t{
      "Result",
      "A note.",
      {"method", "a > b"},
      {{"no_kd", {"50.00 ± 1.00", Mark::best}}, {"x", {"9.00", Mark::second}}, {"y", "1.00"}},
      1};
  EXPECT_EQ(report::to_text(t),
            "Result\nA note. * best, + second best.\n"
            "method          a > b\n"
            "---------------------\n"
            "no_kd   50.00 ± 1.00*\n"
            "x               9.00+\n"
            "y               1.00 \n");
  EXPECT_EQ(report::to_markdown(t),
            "## Result\n\nA note.\n\n"
            "| method |            a > b |\n| --- | ---: |\n"
            "| no_kd  | **50.00 ± 1.00** |\n"
            "| x      |      <u>9.00</u> |\n"
            "| y      |             1.00 |\n\n");
  EXPECT_EQ(report::to_latex(t),
            "% needs the package booktabs\n\\begin{table}\n\\centering\n\\caption{Result. A "
            "note.}\n\\begin{tabular}{lr}\n\\toprule\n"
            "method & a \\textgreater{} b \\\\\n\\midrule\n"
            "no\\_kd & \\textbf{50.00 $\\pm$ 1.00} \\\\\n"
            "x & \\underline{9.00} \\\\\n"
            "y & 1.00 \\\\\n\\bottomrule\n\\end{tabular}\n\\end{table}\n\n");
  EXPECT_NE(report::to_html(t).find(
                "<tr><td class=\"t\">no_kd</td><td><strong>50.00 ± "
                "1.00</strong></td></tr>\n<tr><td class=\"t\">x</td><td><u>9.00</u></td></tr>"),
            std::string::npos)
      << report::to_html(t);
}

}  // namespace
}  // namespace limbeck
