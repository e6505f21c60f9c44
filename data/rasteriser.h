// A small software rasteriser: triangle meshes through a perspective camera onto a canvas with
// z-buffer, flat Lambert shading, and the shadow that a mesh throws on the ground.
#pragma once
#include <cstdint>
#include <vector>

#include "data/mesh.h"

namespace limbeck::data {

/// A camera on a circle around `target`. At yaw 0 it looks along -z; a growing yaw turns the scene
/// counter-clockwise as seen from above, and what faces the camera to its right. Angles in radians.
struct Camera {
  Vec3 target;
  float yaw = 0, pitch = 0, distance = 4;
  float focal = 2;  ///< what is 1 wide at distance `focal` fills half of the canvas
};

/// Light from far away.
struct Light {
  Vec3 direction{0, 1, 0};  ///< towards the light, in the camera's axes (turned by no yaw)
  float ambient = 0.5f, diffuse = 0.5f;
};

/// A square picture with `samples` x `samples` sub-pixels each, all of which have a depth.
class Canvas {
 public:
  Canvas(int64_t size, int64_t samples, Rgb top, Rgb bottom);

  /// The triangles that face the camera; nearer ones cover farther ones in any order. Those that
  /// reach behind the camera are left out.
  void draw(const Mesh& mesh, const Camera& camera, const Light& light);
  /// Darkens what lies behind the mesh's shadow on the ground (y = 0) by `depth` in [0, 1]; before
  /// anything stands on it. The light has to come from above.
  void draw_shadow(const Mesh& mesh, const Camera& camera, const Light& light, float depth);
  /// u8 [size, size, 3]: the mean of each pixel's samples, rounded.
  void resolve(uint8_t* out) const;

 private:
  /// Calls paint(index, 1 / distance) for every sample inside of the projected triangle.
  template <class Paint>
  void scan(Vec3 a, Vec3 b, Vec3 c, const Camera& camera, Paint&& paint) const;

  int64_t size_, samples_, side_;
  std::vector<Rgb> colour_;
  std::vector<float> nearness_;  ///< 1 / distance along the view, 0: nothing yet
};

}  // namespace limbeck::data
