// Triangle meshes in space, built of prisms: what procedural sets draw.
#pragma once
#include <cmath>
#include <vector>

namespace limbeck::data {

/// x to the right, y up, z towards the viewer.
struct Vec3 {
  float x = 0, y = 0, z = 0;
};
/// Of vectors of three.
inline Vec3 operator+(Vec3 a, Vec3 b) { return {a.x + b.x, a.y + b.y, a.z + b.z}; }
inline Vec3 operator-(Vec3 a, Vec3 b) { return {a.x - b.x, a.y - b.y, a.z - b.z}; }
inline Vec3 operator*(Vec3 a, float s) { return {a.x * s, a.y * s, a.z * s}; }
inline float dot(Vec3 a, Vec3 b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
inline Vec3 cross(Vec3 a, Vec3 b) {
  return {a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
}
/// Length 1; a zero vector stays what it is.
inline Vec3 normalised(Vec3 a) {
  const float length = std::sqrt(dot(a, a));
  return length > 0 ? a * (1 / length) : a;
}

/// Channels in [0, 1].
struct Rgb {
  float r = 0, g = 0, b = 0;
};

/// Corners counter-clockwise as seen from outside.
struct Triangle {
  Vec3 a, b, c;
  Rgb colour;
};
using Mesh = std::vector<Triangle>;

/// A rectangle parallel to the ground: the end of a prism.
struct Plate {
  Vec3 centre;
  float half_x = 0, half_z = 0;
};

/// The closed prism between two plates, `bottom` below `top`: a box when they lie above each other
/// and are equal, else a leaning or tapered one. 12 triangles.
void add_prism(Mesh& mesh, const Plate& bottom, const Plate& top, Rgb colour);

/// The box around a centre.
void add_box(Mesh& mesh, Vec3 centre, Vec3 half_sizes, Rgb colour);

}  // namespace limbeck::data
