// Configurations, --set, and the files of a run folder.
#include "apps/config.h"
#include "apps/report_html.h"
#include "apps/report_published.h"
#include "kd/settings.h"
#include "tensor/safetensors.h"
#include "tests/apps/run_folders.h"
#include "tests/fuzz/target.h"

namespace limbeck::fuzz {
namespace {

std::string deep(const std::string& begin) {
  std::string text = begin;
  for (int i = 0; i < 100000; ++i) text += '[';
  return text;
}

const RegisterTarget config({
    .name = "config",
    .file = "input.toml",
    .seeds = {[](const std::string& f) {
                kd::ExperimentSettings s;
                write_file_atomically(f + "/input.toml", to_toml(list_settings(s)));
              },
              [](const std::string& f) {
                write_file_atomically(f + "/input.toml",
                                      "seed = 3 # three\n[gan]\nsteps = 1_000\narch = 'biggan'\n");
              }},
    .read =
        [](const std::string& f) {
          kd::ExperimentSettings s;
          read_toml(list_settings(s), f + "/input.toml");
        },
    .refused = {"[\n", "\xc3\xb8", deep("seed = "), "seed = 99999999999999999999",
                "seed = 1979-05-27", "a.b.c = {x = {y = [", "seed = \"\\U0010FFFFFF\""},
    .parts = true,
});

const RegisterTarget override_target({
    .name = "set",
    .seeds = {
        [](const std::string& f) { write_file_atomically(f + "/input", "gan.steps=300"); },
        [](const std::string& f) { write_file_atomically(f + "/input", "plan.rhos=0.2,0.5"); },
        [](const std::string& f) { write_file_atomically(f + "/input", "data.path=a b"); }},
    .read =
        [](const std::string& f) {
          kd::ExperimentSettings s;
          set_override(list_settings(s), read_file(f + "/input"));
        },
    .refused = {"", "=", "gan.steps=[", "gan.steps=[\n", deep("gan.steps="), "gan.steps=1\nseed=2"},
    .parts = true,
});

constexpr const char* published_toml =
    "[[published]]\npair = \"a > b\"\nmethod = \"none\"\nvalue = 70.5\nsource = \"a paper\"\n";
constexpr const char* published_csv =
    "pair,method,fakes,key,name,value,deviation,source\na > b,none,,,,70.5,0.25,a paper\n";

Target published(const std::string& name, const std::string& file, const std::string& text,
                 std::vector<std::string> refused) {
  return {.name = name,
          .file = file,
          .seeds = {[=](const std::string& f) { write_file_atomically(f + "/" + file, text); }},
          .read = [=](const std::string& f) { report::read_published(f + "/" + file); },
          .refused = std::move(refused),
          .parts = true};
}

const RegisterTarget published_as_toml(published("published_toml", "input.toml", published_toml,
                                                 {"", "[[published]]\nvalue = \"x\"\n",
                                                  "[[published\xef\xb8\xbf]"}));
const RegisterTarget published_as_csv(published("published_csv", "input.csv", published_csv,
                                                {"", "pair\na\n", "pair,method,value\na,b\n"}));

void write_small_run(const std::string& f) {
  write_run(f, "seed = 1\n",
            {{"teacher", {{"role", "teacher"}, {"model", "resnet20"}}, {{"test_accuracy", {0.5}}}},
             {"nokd", {{"role", "student"}, {"method", "none"}}, {{"test_accuracy", {0.25}}}}});
  write_file_atomically(f + "/stages/nokd/metrics.jsonl",
                        "{\"step\": 1, \"loss\": 2.5}\n{\"step\": 2, \"loss\": null}\n");
}

Target run_file(const std::string& name, const std::string& file, std::vector<std::string> refused,
                bool parts = false) {
  return {.name = name,
          .file = file,
          .seeds = {write_small_run},
          .read =
              [](const std::string& f) {
                const auto run = report::read_run(f);
                report::html_page({run}, {});
              },
          .refused = std::move(refused),
          .parts = parts};
}

const RegisterTarget run_json(run_file("run_json", "run.json",
                                       {"", "[]", "{\"format\": 2}", deep("{\"stages\": "),
                                        "{\"format\": 2, \"stages\": [{\"name\": \"../..\"}]}"}));
const RegisterTarget done_json(run_file("done_json", "stages/nokd/done.json",
                                        {"", "[]", "{}", deep("")}));
const RegisterTarget result_json(run_file("result_json", "stages/nokd/result.json",
                                          {"", "[]", "{\"a\": 1}", "{\"a\": {\"value\": \"x\"}}"}));
const RegisterTarget times_json(run_file("times_json", "stages/nokd/times.json",
                                         {"", "[]", "{\"seconds\": -1}", "{\"seconds\": 1e999}"}));
const RegisterTarget metrics(
    run_file("metrics", "stages/nokd/metrics.jsonl",
             {"{}\n", "[1]\n", "{\"step\": \"a\"}\n", "{\"step\": 1, \"a\": \"b\"}\n"}, true));

}  // namespace
}  // namespace limbeck::fuzz
