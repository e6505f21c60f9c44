// Where the relative paths of a configuration begin.
#include "apps/run_settings.h"

#include "apps/config.h"
#include "tests/data/temporary.h"

namespace limbeck {
namespace {

namespace fs = std::filesystem;
using test::TemporaryFolder;

std::string here(const std::string& name) {
  return fs::weakly_canonical(fs::current_path() / name).string();
}

TEST(RunSettings, PathsOfAFileBeginWhereItLies) {
  const TemporaryFolder folder;
  fs::create_directories(folder.file("configs"));
  const std::string config =
      folder.write("configs/a.toml",
                   "[data]\npath = \"../faces/\"\n[plan]\nteachers = \"/saved/t.safetensors\"\n");
  const std::string root = fs::canonical(folder.path()).string();
  EXPECT_EQ(read_run_settings(config, {}).data.path, root + "/faces");
  EXPECT_EQ(read_run_settings(config, {}).plan.teachers, "/saved/t.safetensors");
  EXPECT_EQ(read_run_settings(config, {}).plan.logits, "") << "nothing stays nothing";
  const auto overridden = read_run_settings(config, {"data.path=faces", "plan.fake_data=f/x"});
  EXPECT_EQ(overridden.data.path, here("faces")) << "--set: in the working folder";
  EXPECT_EQ(overridden.plan.fake_data, here("f/x"));
}

TEST(RunSettings, WhatIsStoredMeansTheSameFromAnywhere) {
  const TemporaryFolder folder;
  const std::string first = folder.write("a.toml", "[data]\npath = \"faces\"\n");
  kd::ExperimentSettings settings = read_run_settings(first, {"plan.logits=l"});
  fs::create_directories(folder.file("run"));
  const std::string stored = folder.write("run/config.toml", to_toml(list_settings(settings)));
  const auto again = read_run_settings(stored, {});
  EXPECT_EQ(again.data.path, settings.data.path);
  EXPECT_EQ(again.plan.logits, settings.plan.logits);
}

TEST(RunSettings, LinksAreFollowedBeforeDotsAre) {
  const TemporaryFolder folder;
  fs::create_directories(folder.file("disk/configs"));
  folder.write("disk/configs/a.toml", "[data]\npath = \"../faces\"\n");
  fs::create_directory_symlink(folder.file("disk/configs"), folder.file("linked"));
  EXPECT_EQ(read_run_settings(folder.file("linked/a.toml"), {}).data.path,
            fs::canonical(folder.file("disk")).string() + "/faces");
}

}  // namespace
}  // namespace limbeck
