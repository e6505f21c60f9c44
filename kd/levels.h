// Levels: what a method compares of two networks, and how their sizes are made to agree. Taps are
// RepDistiller's feature lists f: maps [N, H, W, C], then the pooled vector [N, C]. Errors name the
// method and the network that has not enough of them. Stored in bf16, they come back as f32: what
// is compared is a difference of near things.
#pragma once
#include <string>
#include <vector>

#include "nn/models/registry.h"

namespace limbeck::kd {

struct Level {
  Variable student, teacher;
};

/// The maps f[first..-2] of one network; `whose` is student or teacher. Throws when there are none.
std::vector<Variable> maps_of(const std::string& method, const nn::Features& f, const char* whose,
                              size_t first = 1);
/// The last of them, in front of the pooling.
Variable last_map(const std::string& method, const nn::Features& f, const char* whose);

/// The maps f[first..-2] of both networks, paired from the front; the longer list's deepest maps
/// are left out, as in the official code. Throws when a network has none.
std::vector<Level> levels_of(const std::string& method, const nn::Features& student,
                             const nn::Features& teacher, size_t first = 1);
/// The same, refused when the lists have unequal lengths.
std::vector<Level> equal_levels_of(const std::string& method, const nn::Features& student,
                                   const nn::Features& teacher, size_t first = 1);
/// The last maps, f[-2].
Level last_maps(const std::string& method, const nn::Features& student,
                const nn::Features& teacher);
/// The pooled vectors, f[-1].
Level pooled_vectors(const std::string& method, const nn::Features& student,
                     const nn::Features& teacher);

/// A square map averaged to side x side, or as it is when it has that side.
/// x [N,H,W,C].
Variable pooled_to(const Variable& map, int64_t side);
/// The larger map of a pair averaged down to the size of the smaller one.
Level same_size(const Level& level);
/// [N, H, W, C] as [N, H W, C].
Variable pixels(const Variable& map);

}  // namespace limbeck::kd
