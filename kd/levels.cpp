#include "kd/levels.h"

#include "autograd/autocast.h"

namespace limbeck::kd {
namespace {

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
  return {maps_of(method, student, "student", 0).back(),
          maps_of(method, teacher, "teacher", 0).back()};
}

Level pooled_vectors(const std::string& method, const nn::Features& student,
                     const nn::Features& teacher) {
  return {vector_of(method, student, "student"), vector_of(method, teacher, "teacher")};
}

Level same_size(const Level& level) {
  const auto& [s, t] = level;
  if (s.size(1) > t.size(1)) return {adaptive_avg_pool2d(s, t.size(1), t.size(2)), t};
  if (s.size(1) < t.size(1)) return {s, adaptive_avg_pool2d(t, s.size(1), s.size(2))};
  return level;
}

Variable pixels(const Variable& map) {
  return reshape(map, {map.size(0), map.size(1) * map.size(2), map.size(3)});
}

}  // namespace limbeck::kd
