// Distillation criteria beside numbers of the original modules; and that the comparison notices
// what is wrong.
#include "kd/parity_kd.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "nn/parity.h"
#include "tensor/safetensors.h"
#include "tests/data/temporary.h"

namespace limbeck::kd {
namespace {

using nlohmann::json;

const std::string fixture = "tests/data/fixtures/kd/criteria.json";
/// Of another salt, batch and shapes, by RepDistiller's modules
/// (tests/oracle/criteria_fixtures.py).
const std::string odd_shapes = "tests/data/fixtures/kd/odd_shapes.json";

std::string failures(const nn::ParityReport& report) {
  std::string text;
  for (const nn::ParityLine& l : report.lines)
    if (!l.ok()) text += report.name + ": " + l.group + ": " + l.quantity + ": " + l.detail + "\n";
  return text;
}

/// Cases whose names begin with one of `families`.
std::vector<nn::ParityReport> reports_of(const std::vector<std::string>& families, DType dtype) {
  std::vector<nn::ParityReport> chosen;
  for (const std::string& path : {fixture, odd_shapes})
    for (nn::ParityReport& r : nn::run_parity(path, dtype))
      for (const std::string& family : families)
        if (r.name == family || r.name.rfind(family + "_", 0) == 0) chosen.push_back(std::move(r));
  return chosen;
}

class KdParity : public testing::TestWithParam<const char*> {};
TEST_P(KdParity, MatchesTheOriginal) {
  for (const DType dtype : {DType::f64, DType::f32}) {
    const auto reports = reports_of({GetParam()}, dtype);
    EXPECT_FALSE(reports.empty());
    for (const nn::ParityReport& report : reports) {
      EXPECT_TRUE(report.ok()) << failures(report);
      EXPECT_GT(report.lines.size(), 3u) << report.name;
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Criteria, KdParity,
                         testing::Values("KD", "FitNet", "AT", "PKT", "RKD", "SP", "VID", "AB",
                                         "FT", "NST", "FSP", "CC", "CRD"));

/// The fixture with something changed, in a file of its own.
class ChangedFixture : public testing::Test {
 protected:
  std::vector<nn::ParityReport> run(const json& j) {
    return nn::run_parity(folder_.write("criteria.json", j.dump()), DType::f64);
  }
  static json only(const std::string& name) {
    const json all = json::parse(read_file(fixture));
    return {{"salt", ""}, {"cases", {{name, all.at("cases").at(name)}}}};
  }
  const test::TemporaryFolder folder_;
};

TEST_F(ChangedFixture, WrongNumbersAreNoticed) {
  EXPECT_TRUE(run(only("FT"))[0].ok());
  const auto spoil = [&](const std::function<void(json&)>& change) {
    json j = only("FT");
    change(j["cases"]["FT"]);
    return run(j)[0].ok();
  };
  EXPECT_FALSE(spoil([](json& c) { c["loss"] = c["loss"].get<double>() * 1.00001; }));
  EXPECT_FALSE(spoil([](json& c) { c["grads"]["feat_s"]["l2"] = 1; }));
  EXPECT_FALSE(spoil([](json& c) { c["param_grads"].erase("translator.encoder.0.weight"); }));
  EXPECT_FALSE(spoil([](json& c) {
    c["param_grads"]["unknown.weight"] = c["param_grads"]["translator.encoder.0.weight"];
  }));
  json salted = only("FT");
  salted["salt"] = "other/";
  EXPECT_FALSE(run(salted)[0].ok()) << "other inputs";
}

/// Of two samples all distances are equal: the loss is zero, and a fixture has rounding there.
TEST_F(ChangedFixture, ZeroIsZeroWhateverItsRounding) {
  json j = only("RKD");
  json& c = j["cases"]["RKD"];
  for (auto& [input, shape] : c["inputs"].items()) shape[0] = 2;
  c["loss"] = 3e-31;
  c["grads"]["vec_s"] = {{"n", 32}, {"sum", 1e-33}, {"l2", 3e-32}, {"first", {0, 0, 0, 0}}};
  const nn::ParityReport report = run(j)[0];
  EXPECT_TRUE(report.ok()) << failures(report);
  c["loss"] = 1e-6;
  EXPECT_FALSE(run(j)[0].ok());
}

TEST_F(ChangedFixture, CasesOfNoMethodFail) {
  json j = only("FT");
  j["cases"]["Nobody_knows"] = j["cases"]["FT"];
  const auto reports = run(j);
  ASSERT_EQ(reports.size(), 2u);
  EXPECT_TRUE(reports[0].ok());
  EXPECT_NE(failures(reports[1]).find("no distillation method serves this case"),
            std::string::npos);
}

}  // namespace
}  // namespace limbeck::kd
