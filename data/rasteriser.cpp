#include "data/rasteriser.h"

#include <algorithm>

namespace limbeck::data {
namespace {

/// The world as the camera sees it: x right, y up, z away from the camera.
struct View {
  float sin_yaw, cos_yaw, sin_pitch, cos_pitch;
  explicit View(const Camera& c)
      : sin_yaw(std::sin(c.yaw)),
        cos_yaw(std::cos(c.yaw)),
        sin_pitch(std::sin(c.pitch)),
        cos_pitch(std::cos(c.pitch)) {}
  /// Turned about the vertical axis only: the axes of the light.
  Vec3 turned(Vec3 p) const {
    return {p.x * cos_yaw + p.z * sin_yaw, p.y, p.z * cos_yaw - p.x * sin_yaw};
  }
  Vec3 tilted(Vec3 p) const {
    return {p.x, p.y * cos_pitch - p.z * sin_pitch, -(p.y * sin_pitch + p.z * cos_pitch)};
  }
  Vec3 seen(Vec3 p, const Camera& c) const {
    const Vec3 q = tilted(turned(p - c.target));
    return {q.x, q.y, q.z + c.distance};
  }
};

/// On the canvas: x right, y down in samples; z holds 1 / distance, which is linear there.
Vec3 projected(Vec3 seen, float focal, float half) {
  const float w = 1 / seen.z;
  return {half + half * focal * seen.x * w, half - half * focal * seen.y * w, w};
}

float edge(Vec3 a, Vec3 b, float x, float y) {
  return (b.x - a.x) * (y - a.y) - (b.y - a.y) * (x - a.x);
}

}  // namespace

Canvas::Canvas(int64_t size, int64_t samples, Rgb top, Rgb bottom)
    : size_(size),
      samples_(samples),
      side_(size * samples),
      colour_(static_cast<size_t>(side_ * side_)),
      nearness_(static_cast<size_t>(side_ * side_), 0.f) {
  for (int64_t y = 0; y < side_; ++y) {
    const float t = (static_cast<float>(y) + 0.5f) / static_cast<float>(side_);
    const Rgb c{top.r + (bottom.r - top.r) * t, top.g + (bottom.g - top.g) * t,
                top.b + (bottom.b - top.b) * t};
    std::fill_n(colour_.begin() + y * side_, side_, c);
  }
}

template <class Paint>
void Canvas::scan(Vec3 a, Vec3 b, Vec3 c, const Camera& camera, Paint&& paint) const {
  const View view(camera);
  const Vec3 seen[] = {view.seen(a, camera), view.seen(b, camera), view.seen(c, camera)};
  constexpr float near = 0.05f;
  for (const Vec3& p : seen)
    if (p.z < near) return;
  const float half = 0.5f * static_cast<float>(side_);
  const Vec3 p = projected(seen[0], camera.focal, half), q = projected(seen[1], camera.focal, half),
             r = projected(seen[2], camera.focal, half);
  const float area = edge(p, q, r.x, r.y);
  if (area == 0) return;
  const auto bound = [&](float v) {
    return static_cast<int64_t>(std::clamp(v, 0.f, static_cast<float>(side_)));
  };
  const int64_t left = bound(std::min({p.x, q.x, r.x})),
                right = bound(std::max({p.x, q.x, r.x}) + 1);
  const int64_t top = bound(std::min({p.y, q.y, r.y})), foot = bound(std::max({p.y, q.y, r.y}) + 1);
  for (int64_t y = top; y < foot; ++y)
    for (int64_t x = left; x < right; ++x) {
      const float cx = static_cast<float>(x) + 0.5f, cy = static_cast<float>(y) + 0.5f;
      const float u = edge(q, r, cx, cy) / area, v = edge(r, p, cx, cy) / area,
                  w = edge(p, q, cx, cy) / area;
      if (u >= 0 && v >= 0 && w >= 0)
        paint(static_cast<size_t>(y * side_ + x), u * p.z + v * q.z + w * r.z);
    }
}

void Canvas::draw(const Mesh& mesh, const Camera& camera, const Light& light) {
  const View view(camera);
  const Vec3 towards = normalised(light.direction);
  for (const Triangle& t : mesh) {
    const Vec3 normal = view.turned(normalised(cross(t.b - t.a, t.c - t.a)));
    const Vec3 seen = view.seen(t.a, camera);
    if (dot(view.tilted(normal), seen) >= 0) continue;  // faces away
    const float shade = light.ambient + light.diffuse * std::max(0.f, dot(normal, towards));
    const Rgb colour{t.colour.r * shade, t.colour.g * shade, t.colour.b * shade};
    scan(t.a, t.b, t.c, camera, [&](size_t i, float nearness) {
      if (nearness <= nearness_[i]) return;
      nearness_[i] = nearness;
      colour_[i] = colour;
    });
  }
}

void Canvas::draw_shadow(const Mesh& mesh, const Camera& camera, const Light& light, float depth) {
  // The light is fixed to the camera: in the world it turns against the scene.
  const Vec3 l = normalised(light.direction);
  const float s = std::sin(camera.yaw), c = std::cos(camera.yaw);
  const Vec3 towards{l.x * c - l.z * s, l.y, l.z * c + l.x * s};
  const auto on_ground = [&](Vec3 p) { return p - towards * (p.y / towards.y); };
  std::vector<bool> dark(colour_.size(), false);
  for (const Triangle& t : mesh)
    scan(on_ground(t.a), on_ground(t.b), on_ground(t.c), camera,
         [&](size_t i, float) { dark[i] = true; });
  for (size_t i = 0; i < dark.size(); ++i)
    if (dark[i])
      colour_[i] = {colour_[i].r * (1 - depth), colour_[i].g * (1 - depth),
                    colour_[i].b * (1 - depth)};
}

void Canvas::resolve(uint8_t* out) const {
  const float scale = 255.f / static_cast<float>(samples_ * samples_);
  const auto byte = [&](float sum) {
    return static_cast<uint8_t>(std::clamp(sum * scale + 0.5f, 0.f, 255.f));
  };
  for (int64_t y = 0; y < size_; ++y)
    for (int64_t x = 0; x < size_; ++x, out += 3) {
      Rgb sum;
      for (int64_t k = 0; k < samples_ * samples_; ++k) {
        const Rgb& c = colour_[static_cast<size_t>((y * samples_ + k / samples_) * side_ +
                                                   x * samples_ + k % samples_)];
        sum = {sum.r + c.r, sum.g + c.g, sum.b + c.b};
      }
      out[0] = byte(sum.r);
      out[1] = byte(sum.g);
      out[2] = byte(sum.b);
    }
}

}  // namespace limbeck::data
