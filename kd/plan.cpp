#include "kd/plan.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <set>
#include <sstream>

#include "data/table.h"
#include "kd/data_free/registry.h"
#include "kd/stored_logits.h"

namespace limbeck::kd {
namespace {

const std::vector<FakesUsed> all_fakes = {FakesUsed::none, FakesUsed::raw, FakesUsed::m1,
                                          FakesUsed::m2, FakesUsed::equal};

void check_model(const std::string& model, const std::string& where) {
  std::vector<std::string> names;
  for (const nn::ModelEntry& e : nn::all_models()) names.push_back(e.name);
  LIMBECK_CHECK(std::count(names.begin(), names.end(), model), where, ": unknown network '", model,
                "'", did_you_mean(model, names, "; `limbeck models` lists them"));
}

std::string title_of_method(const std::string& method) {
  if (const data_free::Entry* entry = data_free::find_entry(method)) return entry->title;
  return method == "none" ? "NOKD" : find_method(method, "plan.methods").title;
}

/// Of either registry, or none.
void check_method(const std::string& method, const std::string& where) {
  if (method == "none") return;
  std::vector<std::string> names;
  for (const MethodEntry& e : all_methods()) names.push_back(e.name);
  for (const data_free::Entry& e : data_free::all_entries()) names.push_back(e.name);
  LIMBECK_CHECK(std::count(names.begin(), names.end(), method), where, ": no distillation method '",
                method, "'", did_you_mean(method, names, "; `limbeck methods` lists them"));
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
  check_method(m, "distillation.method");
  std::vector<Student> students;
  const auto add = [&](const std::string& method, FakesUsed fakes) {
    const auto same = [&](const Student& other) {
      return other.method == method && other.fakes == fakes;  // the method may be none
    };
    if (std::none_of(students.begin(), students.end(), same))
      students.push_back({pair, method, fakes, s.seed});
  };
  add("none", FakesUsed::none), add("none", FakesUsed::equal), add(m, FakesUsed::none),
      add("none", FakesUsed::m2);
  if (!is_data_free(m)) add(m, FakesUsed::m2);
  if (s.ablation) {
    add("none", FakesUsed::raw), add("none", FakesUsed::m1);
    if (!is_data_free(m)) add(m, FakesUsed::equal);
  }
  return students;
}

std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> words;
  std::istringstream in(text);
  for (std::string word; std::getline(in, word, ',');) words.push_back(data::trimmed(word));
  return words;
}

/// plan.na as "METHOD: TEACHER > STUDENT" for each single cell.
std::set<std::string> left_out_of(const ExperimentSettings& s, const Plan& plan) {
  std::set<std::string> cells;
  for (const std::string& text : s.plan.na) {
    const size_t colon = text.find(':');
    LIMBECK_CHECK(colon != std::string::npos,
                  "plan.na: expected \"METHOD, ...: TEACHER > STUDENT\", found '", text, "'");
    const NetworkPair pair = parse_pair(text.substr(colon + 1), "plan.na");
    LIMBECK_CHECK(std::count(plan.pairs.begin(), plan.pairs.end(), pair), "plan.na: ", pair.text(),
                  " is not among plan.pairs");
    for (const std::string& method : words_of(text.substr(0, colon))) {
      LIMBECK_CHECK(std::count(s.plan.methods.begin(), s.plan.methods.end(), method), "plan.na: '",
                    method, "' is not among plan.methods");
      cells.insert(method + ": " + pair.text());
    }
  }
  return cells;
}

/// A second phase begins with the student that saw real images alone, so that one is always there.
std::vector<Student> product(const ExperimentSettings& s, const Plan& plan) {
  std::vector<FakesUsed> fakes;
  for (const std::string& f : s.plan.fakes) fakes.push_back(parse_fakes(f, "plan.fakes"));
  const bool second_phase =
      !plan.points.empty() ||
      std::any_of(fakes.begin(), fakes.end(), [](FakesUsed f) { return f != FakesUsed::none; });
  const std::set<std::string> left_out = left_out_of(s, plan);
  std::vector<Student> students;
  const auto add = [&](const Student& student) {
    const auto same = [&](const Student& other) {
      return stage_name(other, true) == stage_name(student, true);
    };
    if (std::none_of(students.begin(), students.end(), same)) students.push_back(student);
  };
  for (const NetworkPair& pair : plan.pairs)
    for (const int64_t seed : plan.seeds) {
      for (const std::string& method : s.plan.methods) {
        if (left_out.count(method + ": " + pair.text())) continue;
        if (is_data_free(method)) {  // no real image, no other fakes
          add({pair, method, FakesUsed::none, seed});
          continue;
        }
        const bool combined =
            s.plan.with_fakes.empty() ||
            std::count(s.plan.with_fakes.begin(), s.plan.with_fakes.end(), method);
        if (second_phase && combined) add({pair, begins_with(s, method), FakesUsed::none, seed});
        for (const FakesUsed f : fakes)
          if (combined || f == FakesUsed::none) add({pair, method, f, seed});
        for (const SweepPoint& p : plan.points)
          if (combined) add({pair, method, FakesUsed::m2, seed, p});
      }
    }
  return students;
}

std::vector<SweepPoint> points_of(const PlanSettings& s) {
  std::vector<SweepPoint> points;
  for (const double rho : s.rhos) {
    LIMBECK_CHECK(rho > 0 && rho <= 1, "plan.rhos: expected numbers in (0, 1], found ", rho);
    points.push_back({.rho = rho});
  }
  for (const int64_t count : s.counts) {
    LIMBECK_CHECK(count > 0, "plan.counts: expected positive numbers, found ", count);
    points.push_back({.count = count});
  }
  for (const std::string& judge : s.judges) {
    check_model(judge, "plan.judges");
    points.push_back({.judge = judge});
  }
  check_distinct(s.rhos, "plan.rhos");
  check_distinct(s.counts, "plan.counts");
  check_distinct(s.judges, "plan.judges");
  if (s.assigned_labels) points.push_back({.assigned = true});
  LIMBECK_CHECK(
      s.fake_data.empty() || std::none_of(points.begin(), points.end(),
                                          [](const SweepPoint& p) { return p.has_set(); }),
      "plan.rhos, plan.judges and plan.assigned_labels make sets of fakes; plan.fake_data "
      "is a finished one");
  return points;
}

/// "NETWORK: LR".
std::pair<std::string, double> parse_lr(const std::string& text) {
  const size_t colon = text.find(':');
  const std::string number =
      colon == std::string::npos ? "" : data::trimmed(text.substr(colon + 1));
  char* end = nullptr;
  const double lr = std::strtod(number.c_str(), &end);
  LIMBECK_CHECK(!number.empty() && *end == 0 && std::isfinite(lr) && lr > 0,
                "plan.lrs: expected \"NETWORK: LR\", found '", text, "'");
  const std::string model = data::trimmed(text.substr(0, colon));
  check_model(model, "plan.lrs");
  return {model, lr};
}

/// A data-free method in the place of the GAN.
void check_generator(const ExperimentSettings& s, const Plan& plan) {
  check_method(s.plan.generator, "plan.generator");
  LIMBECK_CHECK(is_data_free(s.plan.generator), "plan.generator: '", s.plan.generator,
                "' makes no images; expected a data-free method (`limbeck methods`)");
  LIMBECK_CHECK(data_free::settings_of(s.plan.generator, s.methods).synthesis.leaves_generator(),
                "plan.generator: ", s.plan.generator,
                " leaves images for its student and no generator");
  LIMBECK_CHECK(s.plan.fake_data.empty() && s.plan.logits.empty(),
                "plan.generator: stands in the place of plan.fake_data and plan.logits; give it "
                "alone");
  LIMBECK_CHECK(s.evaluation.network == "teacher",
                "evaluation.network: with plan.generator there is no other feature network; "
                "expected teacher, found ",
                s.evaluation.network);
  for (const Student& student : plan.students)
    LIMBECK_CHECK(student.fakes != FakesUsed::m1,
                  "plan.fakes: with plan.generator expected none, raw, m2 or equal, found m1");
}

/// What stored logits can teach.
void check_stored(const ExperimentSettings& s, const Plan& plan) {
  LIMBECK_CHECK(s.task == "classification", "plan.logits: a response has no logits");
  LIMBECK_CHECK(s.plan.teachers.empty() && s.plan.fake_data.empty(),
                "plan.logits: stands in the place of plan.teachers and plan.fake_data; give it "
                "alone");
  std::vector<std::string> others;
  for (const std::string& m : s.plan.methods)
    if (m != "none" &&
        (is_data_free(m) || !serves_with_stored_logits(find_method(m, "plan.methods"), s.methods)))
      others.push_back(m);
  LIMBECK_CHECK(others.empty(), "plan.logits: ", joined(others),
                " must see the teacher itself; stored logits are enough for none, ",
                methods_on_stored_logits(s.methods));
  for (const Student& student : plan.students) {
    LIMBECK_CHECK(student.pair.teacher == plan.pairs[0].teacher, "plan.logits: of one teacher, ",
                  plan.pairs[0].teacher, "; found also ", student.pair.teacher);
    LIMBECK_CHECK(student.fakes == FakesUsed::none,
                  "plan.fakes: with plan.logits expected none, found ", name_of(student.fakes));
  }
}

}  // namespace

NetworkSettings student_settings(const ExperimentSettings& settings, const std::string& model) {
  NetworkSettings s = settings.student;
  s.model = model;
  for (const std::string& text : settings.plan.lrs)
    if (const auto [network, lr] = parse_lr(text); network == model) s.lr = lr;
  return s;
}

NetworkPair parse_pair(const std::string& text, const std::string& where) {
  const size_t sign = text.find('>');
  LIMBECK_CHECK(sign != std::string::npos, where, ": expected \"TEACHER > STUDENT\", found '", text,
                "'");
  const NetworkPair pair{data::trimmed(text.substr(0, sign)), data::trimmed(text.substr(sign + 1))};
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
  if (stored_logits) return {};
  std::vector<std::string> models{judge};
  for (const SweepPoint& p : points)
    if (!p.judge.empty() && !std::count(models.begin(), models.end(), p.judge))
      models.push_back(p.judge);
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
  LIMBECK_CHECK(plan.tabular || (s.plan.teachers.empty() && s.plan.fake_data.empty() &&
                                 s.plan.logits.empty() && s.plan.generator.empty()),
                "plan.teachers, plan.fake_data, plan.logits and plan.generator need plan.pairs");
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
  for (const std::string& m : s.plan.methods) check_method(m, "plan.methods");
  for (const std::string& m : s.plan.with_fakes)
    LIMBECK_CHECK(std::count(s.plan.methods.begin(), s.plan.methods.end(), m), "plan.with_fakes: '",
                  m, "' is not among plan.methods");
  for (const std::string& m : s.plan.with_fakes)
    LIMBECK_CHECK(!is_data_free(m), "plan.with_fakes: '", m,
                  "' makes its own images and takes no others");
  for (const std::string& text : s.plan.lrs)
    LIMBECK_CHECK(parse_lr(text).second >= s.student.final_lr, "plan.lrs: expected at least ",
                  "student.final_lr (", s.student.final_lr, "), found '", text, "'");
  std::vector<std::string> pair_texts;
  for (const NetworkPair& pair : plan.pairs) pair_texts.push_back(pair.text());
  check_distinct(pair_texts, "plan.pairs");
  check_distinct(s.plan.methods, "plan.methods");
  check_distinct(s.plan.fakes, "plan.fakes");
  check_distinct(plan.seeds, "plan.seeds");
  plan.judge = s.plan.judge.empty() ? plan.pairs[0].teacher : s.plan.judge;
  check_model(plan.judge, "plan.judge");
  plan.points = points_of(s.plan);
  plan.students = product(s, plan);
  for (const Student& student : plan.students)
    LIMBECK_CHECK(s.plan.fake_data.empty() ||
                      (student.fakes != FakesUsed::raw && student.fakes != FakesUsed::m1),
                  "plan.fakes: with plan.fake_data expected none, m2 or equal, found ",
                  name_of(student.fakes));
  if (!s.plan.generator.empty()) check_generator(s, plan);
  if (plan.stored_logits = !s.plan.logits.empty(); plan.stored_logits) check_stored(s, plan);
  return plan;
}

std::string begins_with(const ExperimentSettings& s, const std::string& method) {
  if (method == "none") return method;
  return create_method(method, s.methods)->continues_own_student() ? method : "none";
}

bool is_data_free(const std::string& method) { return data_free::find_entry(method) != nullptr; }

std::string base_name(const Student& s) {
  const std::string method = s.method == "none" ? "" : s.method;
  switch (s.fakes) {
    case FakesUsed::none: return method.empty() ? "nokd" : method;
    case FakesUsed::equal: return (method.empty() ? "nokd" : method) + "_equal";
    case FakesUsed::m2: return method.empty() ? "cgankd" : "cgankd_" + method;
    default: return (method.empty() ? "cgankd_" : "cgankd_" + method + "_") + name_of(s.fakes);
  }
}

std::string SweepPoint::text() const {
  if (rho > 0) return cat("rho", rho);
  if (count > 0) return cat("n", count);
  if (assigned) return "assigned";
  return judge.empty() ? "" : "by-" + judge;
}

std::string swept_name(const Student& s) {
  const std::string point = s.point.text();
  return point.empty() ? base_name(s) : base_name(s) + "_" + point;
}

std::string fakes_label(FakesUsed fakes, const SweepPoint& point) {
  const std::string text = point.text();
  return text.empty() ? name_of(fakes) : cat(name_of(fakes), "-", text);
}

/// Without a method no teacher has a say, so pairs with the same student share that stage.
std::string stage_name(const Student& s, bool tabular) {
  if (!tabular) return swept_name(s);
  const std::string networks =
      s.method == "none" ? s.pair.student : s.pair.teacher + "-" + s.pair.student;
  return cat(swept_name(s), ".", networks, ".s", s.seed);
}

std::string title_of(const Student& s) {
  const std::string method = title_of_method(s.method);
  if (is_data_free(s.method))
    return cat(method, ": ", s.pair.student, " taught by ", s.pair.teacher, " without data");
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
  const std::string point = s.point.text();
  return cat(name, ": ", who, " on real images and ", fakes, point.empty() ? "" : ", " + point);
}

Labels labels_of(const Student& s) {
  Labels labels{{"role", "student"},
                {"model", s.pair.student},
                {"method", s.method},
                {"fakes", fakes_label(s.fakes, s.point)},
                {"seed", std::to_string(s.seed)}};
  if (s.method != "none")
    labels["pair"] = s.pair.text(), labels["method_name"] = title_of_method(s.method);
  return labels;
}

}  // namespace limbeck::kd
