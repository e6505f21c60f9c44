// Which runs and stages are repetitions of each other: runs that differ in nothing but seeds form a
// group; in a group, stages with the same labels but for the seed are one subject, whose numbers
// are averaged. Numbers of different groups never are.
#pragma once
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "apps/report_data.h"
#include "apps/report_statistics.h"

namespace limbeck::report {

/// "key" -> its value in each of the runs ("-" where a run has none), for those keys in which they
/// differ.
using SettingsByRun = std::vector<std::pair<std::string, std::vector<std::string>>>;
SettingsByRun differing_settings(const std::vector<RunRecord>& runs);

struct Group {
  std::string name;  ///< "group 1", ...; empty for a single group
  std::vector<RunRecord> runs;
  std::vector<std::pair<std::string, std::string>>
      settings;  ///< in which the groups differ, with this group's values; empty for a single group
};
/// By all settings but `seed` and `plan.seeds`, in order of first appearance.
std::vector<Group> group_runs(const std::vector<RunRecord>& runs);
/// " of group 1", to go behind a title; empty for a single group.
std::string in_group(const Group& group);
/// "gan.steps = 700, ..." of `group.settings`, cut after a dozen.
std::string describe_settings(const Group& group);

/// What is repeated. Students are told apart by pair, method and fakes, teachers and judges by
/// model, other stages by their name.
struct Subject {
  std::string
      name;  ///< for people: "cGAN-KD + BLKD (resnet20 > resnet8)", "teacher resnet20", "gan"
  std::string title;  ///< of its first stage
  std::string role;
  std::string model;  ///< of a teacher
  /// of a student, or of what was measured of one: labels (a student that nobody taught has its
  /// model for a pair); method and fakes are "none" where absent
  std::string pair, method, fakes;
  std::string row;  ///< of a student: "cGAN-KD + BLKD"
  bool is_of_student() const { return role == "student" || role == "theorem1"; }
  std::map<Repetition, const StageRecord*> stages;
  /// The values of a result by repetition; `like` says unit and direction too: others of that name
  /// are left out.
  Repeated values(const std::string& key, const kd::Result& like) const;
};
/// In order of first appearance; they point into the group. A repetition that stands in several
/// folders counts once (the finished one, or the first). Throws Error naming the folder when two
/// stages of one run have the same labels, seed included.
std::vector<Subject> subjects_of(const Group& group);

/// "T" and "S" of the pair "T > S".
std::string teacher_of(const std::string& pair);
std::string student_of(const std::string& pair);

/// What a student is called: "NOKD", "BLKD", "BLKD, equal steps", "cGAN-KD", "cGAN-KD (raw) +
/// BLKD". The method is called by the label `method_name` where there is one, else by `method` in
/// capitals.
std::string student_name(const StageRecord& stage);

/// The results with a kind ("": any), each once, in order of first appearance: key, and what it is
/// (without a value).
struct Measure {
  std::string key;
  kd::Result what;
  bool operator==(const Measure&) const = default;
};
std::vector<Measure> measures_of(const Subject& subject, const std::string& kind);

}  // namespace limbeck::report
