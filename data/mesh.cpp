#include "data/mesh.h"

#include <array>

namespace limbeck::data {
namespace {

/// Counter-clockwise as seen from above, beginning at the far left.
std::array<Vec3, 4> corners_of(const Plate& p) {
  const float x = p.half_x, z = p.half_z;
  return {p.centre + Vec3{-x, 0, -z}, p.centre + Vec3{-x, 0, z}, p.centre + Vec3{x, 0, z},
          p.centre + Vec3{x, 0, -z}};
}

void add_quad(Mesh& mesh, Vec3 a, Vec3 b, Vec3 c, Vec3 d, Rgb colour) {
  mesh.push_back({a, b, c, colour});
  mesh.push_back({a, c, d, colour});
}

}  // namespace

void add_prism(Mesh& mesh, const Plate& bottom, const Plate& top, Rgb colour) {
  const auto low = corners_of(bottom), high = corners_of(top);
  add_quad(mesh, high[0], high[1], high[2], high[3], colour);
  add_quad(mesh, low[3], low[2], low[1], low[0], colour);
  for (size_t i = 0; i < 4; ++i) {
    const size_t next = (i + 1) % 4;
    add_quad(mesh, low[i], low[next], high[next], high[i], colour);
  }
}

void add_box(Mesh& mesh, Vec3 centre, Vec3 half_sizes, Rgb colour) {
  const Vec3 up{0, half_sizes.y, 0};
  add_prism(mesh, {centre - up, half_sizes.x, half_sizes.z},
            {centre + up, half_sizes.x, half_sizes.z}, colour);
}

}  // namespace limbeck::data
