#include "kd/plan.h"

#include <algorithm>

namespace limbeck::kd {
namespace {

const std::vector<FakesUsed> all_fakes = {FakesUsed::none, FakesUsed::raw, FakesUsed::m1,
                                          FakesUsed::m2, FakesUsed::equal};

std::string trimmed(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t"), end = text.find_last_not_of(" \t");
  return begin == std::string::npos ? "" : text.substr(begin, end - begin + 1);
}

void check_model(const std::string& model, const std::string& where) {
  std::vector<std::string> names;
  for (const nn::ModelEntry& e : nn::all_models()) names.push_back(e.name);
  LIMBECK_CHECK(std::count(names.begin(), names.end(), model), where, ": unknown network '", model,
                "'", did_you_mean(model, names, "; `limbeck models` lists them"));
}

std::string title_of_method(const std::string& method) {
  return method == "none" ? "NOKD" : find_method(method, "plan.methods").title;
}

template <class T>
void check_distinct(const std::vector<T>& list, const char* key) {
  for (size_t i = 0; i < list.size(); ++i)
    LIMBECK_CHECK(std::count(list.begin(), list.end(), list[i]) == 1, key, ": '", list[i],
                  "' stands there more than once");
}

/// Today's students: NOKD, its control with equal steps, the method alone and cGAN-KD without and
/// with it.
std::vector<Student> without_plan(const ExperimentSettings& s) {
  const NetworkPair pair{s.teacher.model, s.student.model};
  const std::string& m = s.distillation.method;
  if (m != "none") find_method(m, "distillation.method");
  std::vector<Student> students;
  const auto add = [&](const std::string& method, FakesUsed fakes) {
    const auto same = [&](const Student& other) {
      return other.method == method && other.fakes == fakes;  // the method may be none
    };
    if (std::none_of(students.begin(), students.end(), same))
      students.push_back({pair, method, fakes, s.seed});
  };
  add("none", FakesUsed::none), add("none", FakesUsed::equal), add(m, FakesUsed::none),
      add("none", FakesUsed::m2), add(m, FakesUsed::m2);
  if (s.ablation) add("none", FakesUsed::raw), add("none", FakesUsed::m1), add(m, FakesUsed::equal);
  return students;
}

/// A second phase begins with the student that saw real images alone, so that one is always there.
std::vector<Student> product(const ExperimentSettings& s, const Plan& plan) {
  std::vector<FakesUsed> fakes;
  for (const std::string& f : s.plan.fakes) fakes.push_back(parse_fakes(f, "plan.fakes"));
  const bool second_phase =
      std::any_of(fakes.begin(), fakes.end(), [](FakesUsed f) { return f != FakesUsed::none; });
  std::vector<Student> students;
  const auto add = [&](const Student& student) {
    const auto same = [&](const Student& other) {
      return stage_name(other, true) == stage_name(student, true);
    };
    if (std::none_of(students.begin(), students.end(), same)) students.push_back(student);
  };
  for (const NetworkPair& pair : plan.pairs)
    for (const int64_t seed : plan.seeds) {
      if (second_phase)
        for (const std::string& method : s.plan.methods)
          add({pair, begins_with(s, method), FakesUsed::none, seed});
      for (const std::string& method : s.plan.methods)
        for (const FakesUsed f : fakes) add({pair, method, f, seed});
    }
  return students;
}

}  // namespace

NetworkPair parse_pair(const std::string& text, const std::string& where) {
  const size_t sign = text.find('>');
  LIMBECK_CHECK(sign != std::string::npos, where, ": expected \"TEACHER > STUDENT\", found '", text,
                "'");
  const NetworkPair pair{trimmed(text.substr(0, sign)), trimmed(text.substr(sign + 1))};
  check_model(pair.teacher, where);
  check_model(pair.student, where);
  return pair;
}

const char* name_of(FakesUsed fakes) {
  switch (fakes) {
    case FakesUsed::none: return "none";
    case FakesUsed::raw: return "raw";
    case FakesUsed::m1: return "m1";
    case FakesUsed::m2: return "m2";
    case FakesUsed::equal: return "equal";
  }
  return "";
}

FakesUsed parse_fakes(const std::string& text, const std::string& where) {
  std::vector<std::string> names;
  for (const FakesUsed f : all_fakes) {
    if (text == name_of(f)) return f;
    names.push_back(name_of(f));
  }
  fail(where, ": expected none, raw, m1, m2 or equal, found '", text, "'",
       did_you_mean(text, names));
}

std::vector<std::string> Plan::teachers() const {
  std::vector<std::string> models{judge};
  for (const NetworkPair& pair : pairs)
    if (!std::count(models.begin(), models.end(), pair.teacher)) models.push_back(pair.teacher);
  return models;
}

bool Plan::uses_fakes() const {
  return std::any_of(students.begin(), students.end(), [](const Student& s) {
    return s.fakes != FakesUsed::none && s.fakes != FakesUsed::equal;
  });
}

Plan plan_of(const ExperimentSettings& s) {
  Plan plan;
  plan.tabular = !s.plan.pairs.empty();
  LIMBECK_CHECK(plan.tabular || (s.plan.teachers.empty() && s.plan.fake_data.empty()),
                "plan.teachers and plan.fake_data need plan.pairs");
  if (!plan.tabular) {
    check_model(s.teacher.model, "teacher.model");
    check_model(s.student.model, "student.model");
    plan.pairs = {{s.teacher.model, s.student.model}};
    plan.seeds = {s.seed};
    plan.judge = s.teacher.model;
    plan.students = without_plan(s);
    return plan;
  }
  for (const std::string& text : s.plan.pairs) plan.pairs.push_back(parse_pair(text, "plan.pairs"));
  plan.seeds = s.plan.seeds.empty() ? std::vector<int64_t>{s.seed} : s.plan.seeds;
  LIMBECK_CHECK(!s.plan.methods.empty(), "plan.methods: expected at least one");
  LIMBECK_CHECK(!s.plan.fakes.empty(), "plan.fakes: expected at least one");
  for (const std::string& m : s.plan.methods)
    if (m != "none") find_method(m, "plan.methods");
  std::vector<std::string> pair_texts;
  for (const NetworkPair& pair : plan.pairs) pair_texts.push_back(pair.text());
  check_distinct(pair_texts, "plan.pairs");
  check_distinct(s.plan.methods, "plan.methods");
  check_distinct(s.plan.fakes, "plan.fakes");
  check_distinct(plan.seeds, "plan.seeds");
  plan.judge = s.plan.judge.empty() ? plan.pairs[0].teacher : s.plan.judge;
  check_model(plan.judge, "plan.judge");
  plan.students = product(s, plan);
  for (const Student& student : plan.students)
    LIMBECK_CHECK(s.plan.fake_data.empty() ||
                      (student.fakes != FakesUsed::raw && student.fakes != FakesUsed::m1),
                  "plan.fakes: with plan.fake_data expected none, m2 or equal, found ",
                  name_of(student.fakes));
  return plan;
}

std::string begins_with(const ExperimentSettings& s, const std::string& method) {
  if (method == "none") return method;
  return create_method(method, s.methods)->continues_own_student() ? method : "none";
}

std::string base_name(const Student& s) {
  const std::string method = s.method == "none" ? "" : s.method;
  switch (s.fakes) {
    case FakesUsed::none: return method.empty() ? "nokd" : method;
    case FakesUsed::equal: return (method.empty() ? "nokd" : method) + "_equal";
    case FakesUsed::m2: return method.empty() ? "cgankd" : "cgankd_" + method;
    default: return (method.empty() ? "cgankd_" : "cgankd_" + method + "_") + name_of(s.fakes);
  }
}

/// Without a method no teacher has a say, so pairs with the same student share that stage.
std::string stage_name(const Student& s, bool tabular) {
  if (!tabular) return base_name(s);
  const std::string networks =
      s.method == "none" ? s.pair.student : s.pair.teacher + "-" + s.pair.student;
  return cat(base_name(s), ".", networks, ".s", s.seed);
}

std::string title_of(const Student& s) {
  const std::string method = title_of_method(s.method);
  const std::string who =
      s.method == "none" ? s.pair.student : cat(s.pair.student, " taught by ", s.pair.teacher);
  switch (s.fakes) {
    case FakesUsed::none: return cat(method, ": ", who, " on real images");
    case FakesUsed::equal: return cat(method, " with as many steps as cGAN-KD: ", who);
    default: break;
  }
  const std::string name = s.method == "none" ? "cGAN-KD" : "cGAN-KD + " + method;
  const char* fakes = s.fakes == FakesUsed::raw  ? "raw fakes"
                      : s.fakes == FakesUsed::m1 ? "subsampled fakes"
                                                 : "fakes (M3)";
  return cat(name, ": ", who, " on real images and ", fakes);
}

Labels labels_of(const Student& s) {
  Labels labels{{"role", "student"},
                {"model", s.pair.student},
                {"method", s.method},
                {"fakes", name_of(s.fakes)},
                {"seed", std::to_string(s.seed)}};
  if (s.method != "none")
    labels["pair"] = s.pair.text(), labels["method_name"] = title_of_method(s.method);
  return labels;
}

}  // namespace limbeck::kd
