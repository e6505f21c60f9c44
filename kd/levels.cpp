#include "kd/levels.h"

#include "autograd/autocast.h"

namespace limbeck::kd {
namespace {

std::vector<Level> paired(const std::vector<Variable>& student,
                          const std::vector<Variable>& teacher) {
  std::vector<Level> levels;
  for (size_t i = 0; i < std::min(student.size(), teacher.size()); ++i)
    levels.push_back({student[i], teacher[i]});
  return levels;
}

Variable vector_of(const std::string& method, const nn::Features& f, const char* whose) {
  LIMBECK_CHECK(!f.taps.empty() && f.taps.back().rank() == 2, method, ": the ", whose,
                " has no pooled vector as its last tap; it has ", f.taps.size(), " taps");
  return from_activation(f.taps.back());
}

}  // namespace

std::vector<Variable> maps_of(const std::string& method, const nn::Features& f, const char* whose,
                              size_t first) {
  std::vector<Variable> maps;
  for (size_t i = first; i + 1 < f.taps.size(); ++i) maps.push_back(from_activation(f.taps[i]));
  LIMBECK_CHECK(!maps.empty(), method, ": the ", whose, " has no map to compare; it has ",
                f.taps.size(), " taps");
  for (const Variable& map : maps)
    LIMBECK_CHECK(map.rank() == 4, method, ": expected maps [N, H, W, C] from the ", whose,
                  ", found ", map.shape());
  return maps;
}

Variable last_map(const std::string& method, const nn::Features& f, const char* whose) {
  return maps_of(method, f, whose, 0).back();
}

std::vector<Level> levels_of(const std::string& method, const nn::Features& student,
                             const nn::Features& teacher, size_t first) {
  return paired(maps_of(method, student, "student", first),
                maps_of(method, teacher, "teacher", first));
}

std::vector<Level> equal_levels_of(const std::string& method, const nn::Features& student,
                                   const nn::Features& teacher, size_t first) {
  const auto s = maps_of(method, student, "student", first),
             t = maps_of(method, teacher, "teacher", first);
  LIMBECK_CHECK(s.size() == t.size(), method, ": expected as many levels of student and teacher, ",
                "found ", s.size(), " and ", t.size());
  return paired(s, t);
}

Level last_maps(const std::string& method, const nn::Features& student,
                const nn::Features& teacher) {
  return {last_map(method, student, "student"), last_map(method, teacher, "teacher")};
}

Level pooled_vectors(const std::string& method, const nn::Features& student,
                     const nn::Features& teacher) {
  return {vector_of(method, student, "student"), vector_of(method, teacher, "teacher")};
}

Variable pooled_to(const Variable& map, int64_t side) {
  return map.size(1) == side ? map : adaptive_avg_pool2d(map, side, side);
}

Level same_size(const Level& level) {
  const auto& [s, t] = level;
  const int64_t side = std::min(s.size(1), t.size(1));
  return {pooled_to(s, side), pooled_to(t, side)};
}

Variable attention_map(const Variable& map) {
  return l2_normalize(flatten(mean(square(map), {3})));
}

Variable pixels(const Variable& map) {
  return reshape(map, {map.size(0), map.size(1) * map.size(2), map.size(3)});
}

}  // namespace limbeck::kd
