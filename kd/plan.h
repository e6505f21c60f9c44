// The students of an experiment: [plan] as the product it stands for, or the few of a configuration
// without a plan.
#pragma once
#include <string>
#include <vector>

#include "kd/settings.h"
#include "kd/stage.h"

namespace limbeck::kd {

struct NetworkPair {
  std::string teacher, student;
  std::string text() const { return teacher + " > " + student; }
  bool operator==(const NetworkPair&) const = default;
};
/// "wrn_40_2 > wrn_40_1"; throws naming `where` for anything else and for names that are no
/// networks.
NetworkPair parse_pair(const std::string& text, const std::string& where);

/// What a student trains on.
enum class FakesUsed { none, raw, m1, m2, equal };
const char* name_of(FakesUsed fakes);
/// Throws with the known names.
FakesUsed parse_fakes(const std::string& text, const std::string& where);

/// A point of a sweep; what is empty or 0 stays as the configuration has it.
struct SweepPoint {
  double rho = 0;
  int64_t count = 0;
  std::string judge;
  bool assigned = false;  ///< labels are not replaced
  bool operator==(const SweepPoint&) const = default;
  /// "rho0.5", "n10000", "by-wrn_40_2", "assigned"; empty: of no sweep.
  std::string text() const;
  /// Whether a set of fakes of its own is made for it.
  bool has_set() const { return rho > 0 || !judge.empty() || assigned; }
};

/// One student: a cell of the table.
struct Student {
  NetworkPair pair;
  std::string method = "none";
  FakesUsed fakes = FakesUsed::none;
  int64_t seed = 0;
  SweepPoint point = {};
};

struct Plan {
  bool tabular = false;  ///< from [plan]: names of stages say pair and seed
  std::vector<NetworkPair> pairs;
  std::vector<int64_t> seeds;
  std::vector<Student> students;
  std::string judge;  ///< network of M2
  std::vector<SweepPoint> points;
  bool stored_logits = false;  ///< in the place of the teachers
  /// Teachers and judge, each once, the judge first; those that are needed.
  std::vector<std::string> teachers() const;
  bool uses_fakes() const;
};

/// [student] for a network: with its own learning rate where plan.lrs has one.
NetworkSettings student_settings(const ExperimentSettings& settings, const std::string& model);

/// Throws naming the key for unknown networks, methods, words and for duplicates.
Plan plan_of(const ExperimentSettings& settings);

/// The method of the student of the first phase with which a second phase begins: its own
/// (Method::continues_own_student), or "none".
std::string begins_with(const ExperimentSettings& settings, const std::string& method);

/// Whether such a student sees no real image (kd/data_free/).
bool is_data_free(const std::string& method);

/// Stage names and titles follow from what a stage is. A student's base name ("cgankd_fitnet") also
/// names its random streams, so that pairs and seeds of a plan and a run without a plan agree.
std::string base_name(const Student& student);
/// The base name with the point of a sweep, "cgankd_n1000".
std::string swept_name(const Student& student);
/// The label of its images: "m2", "m2-rho0.5".
std::string fakes_label(FakesUsed fakes, const SweepPoint& point);
std::string stage_name(const Student& student, bool tabular);
std::string title_of(const Student& student);
Labels labels_of(const Student& student);

}  // namespace limbeck::kd
