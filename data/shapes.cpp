// Rendering of the set `shapes`. Coordinates: the image is [-1, 1] x [-1, 1], x right, y down; a
// figure's own frame has y up. One image is made in these steps:
//   background texture -> small distractor figures, cut off by the border -> shadow -> the figure
//   (texture, dome-like light from its
//   distance field, random pose with shear and perspective) -> an occluding bar or disc -> 2x2
//   supersampling -> contrast, brightness, noise.
// Every choice comes from the image's own stream; the class enters through the figure's outline
// only.
#include "data/shapes.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "data/figures.h"
#include "data/source.h"

namespace limbeck::data {
namespace {

constexpr int64_t supersampling =
    2;  // samples per pixel and axis; the distance gives a smooth edge within a sample as well
constexpr float pi = 3.14159265f;

struct Colour {
  float r = 0, g = 0, b = 0;
};
Colour mix(Colour a, Colour b, float t) {
  return {a.r + (b.r - a.r) * t, a.g + (b.g - a.g) * t, a.b + (b.b - a.b) * t};
}
Colour scaled(Colour a, float s) { return {a.r * s, a.g * s, a.b * s}; }

float draw(Stream& s, double low, double high) { return static_cast<float>(s.uniform(low, high)); }
Colour random_colour(Stream& s) {
  return {draw(s, 0.05, 0.95), draw(s, 0.05, 0.95), draw(s, 0.05, 0.95)};
}

/// Integer hash to [0, 1) (Wellons, "prospector" lowbias32).
uint32_t hash(uint32_t x) {
  x ^= x >> 16;
  x *= 0x7feb352dU;
  x ^= x >> 15;
  x *= 0x846ca68bU;
  return x ^ x >> 16;
}
float lattice(int32_t x, int32_t y, uint32_t key) {
  return static_cast<float>(
             hash(static_cast<uint32_t>(x) * 0x9e3779b9U ^ hash(static_cast<uint32_t>(y) ^ key)) >>
             8) *
         0x1p-24f;
}

/// Value noise in [0, 1], smooth, lattice spacing 1.
float value_noise(float x, float y, uint32_t key) {
  const float fx = std::floor(x), fy = std::floor(y);
  const auto ix = static_cast<int32_t>(fx), iy = static_cast<int32_t>(fy);
  float u = x - fx, v = y - fy;
  u = u * u * (3 - 2 * u);
  v = v * v * (3 - 2 * v);
  const float top = lattice(ix, iy, key) * (1 - u) + lattice(ix + 1, iy, key) * u;
  const float bottom = lattice(ix, iy + 1, key) * (1 - u) + lattice(ix + 1, iy + 1, key) * u;
  return top * (1 - v) + bottom * v;
}

/// Two colours mixed by a pattern.
struct Texture {
  enum Kind { flat, gradient, stripes, checker, noise, kinds };
  int kind = flat;
  Colour a, b;
  float cx = 1, cy = 0, frequency = 1, phase = 0;
  uint32_t key = 0;

  Colour at(Point p) const {
    const float u = p.x * cx + p.y * cy, v = p.y * cx - p.x * cy;
    switch (kind) {
      case gradient: return mix(a, b, std::clamp(0.5f + 0.5f * u, 0.f, 1.f));
      case stripes:
        return mix(a, b, std::clamp(0.5f + 3.f * triangle_wave(u * frequency + phase), 0.f, 1.f));
      case checker:
        return mix(a, b,
                   std::clamp(0.5f + 18.f * triangle_wave(u * frequency + phase) *
                                         triangle_wave(v * frequency + phase),
                              0.f, 1.f));
      case noise:
        return mix(a, b,
                   value_noise(2.5f * u * frequency + 40.f, 2.5f * v * frequency + 40.f, key));
      default: return a;
    }
  }
  /// Period 1, in [-1/4, 1/4], zero at 0: stripes with soft borders.
  static float triangle_wave(float t) {
    const float f = t - std::floor(t);
    return std::fabs(f - 0.5f) - 0.25f;
  }
};

/// `strength` bounds how far the second colour is from the first.
Texture random_texture(Stream& s, Colour base, double strength) {
  Texture t;
  t.kind = static_cast<int>(s.below(Texture::kinds));
  t.a = base;
  t.b = mix(base, random_colour(s), draw(s, 0.3, 1.0) * static_cast<float>(strength));
  const float angle = draw(s, 0, 2 * pi);
  t.cx = std::cos(angle);
  t.cy = std::sin(angle);
  t.frequency = draw(s, 0.9, 2.6);
  t.phase = draw(s, 0, 1);
  t.key = s.bits();
  return t;
}

/// A figure in the image: q = inverse(p) puts the image's point into the figure's frame.
struct Pose {
  Point centre;
  float a = 1, b = 0, c = 0,
        d = 1;           ///< q = [a b; c d] (p - centre) with y up, divided by the perspective
  float gx = 0, gy = 0;  ///< perspective: q / (1 + g . q)
  float size = 1;  ///< of the figure: distances of the frame times this are distances in the image

  Point inverse(Point p) const {
    const float x = p.x - centre.x, y = centre.y - p.y;  // y up
    const float u = a * x + b * y, v = c * x + d * y, w = std::max(1 + gx * u + gy * v, 0.3f);
    return {u / w, v / w};
  }
};

/// A pose rotated by at most `turns` radians and distorted along a random axis.
Pose random_pose(Stream& s, float size, Point centre, double distortion, double turns) {
  Pose pose;
  pose.centre = centre;
  pose.size = size;
  const float rotation = draw(s, -turns, turns),
              stretch = std::exp(draw(s, -0.25, 0.25) * static_cast<float>(distortion));
  const float shear = draw(s, -0.25, 0.25) * static_cast<float>(distortion),
              turn = draw(s, 0, 2 * pi);
  // frame <- rotation by (rotation + turn) . shear and stretch . rotation by -turn . image, over
  // the size
  const float angle = rotation + turn, co = std::cos(angle), si = std::sin(angle),
              ct = std::cos(turn), st = std::sin(turn);
  const float m00 = ct * stretch, m01 = st * stretch, m10 = (-st + shear * ct) / stretch,
              m11 = (ct + shear * st) / stretch;
  pose.a = (co * m00 - si * m10) / size;
  pose.b = (co * m01 - si * m11) / size;
  pose.c = (si * m00 + co * m10) / size;
  pose.d = (si * m01 + co * m11) / size;
  pose.gx = draw(s, -0.2, 0.2) * static_cast<float>(distortion);
  pose.gy = draw(s, -0.2, 0.2) * static_cast<float>(distortion);
  return pose;
}

struct Distractor {
  int figure = 0;
  Pose pose;
  Texture texture;
};

struct Scene {
  int figure = 0;
  Texture background, skin;
  Pose pose;
  std::vector<Distractor> distractors;
  Point light, shadow;
  float diffuse = 0, shadow_depth = 0;
  bool occluded = false, occluder_is_disc = false;
  Distractor occluder;
  float contrast = 1, brightness = 0, noise = 0;
  uint32_t noise_key = 0;
};

float distance(Colour a, Colour b) {
  return std::sqrt((a.r - b.r) * (a.r - b.r) + (a.g - b.g) * (a.g - b.g) +
                   (a.b - b.b) * (a.b - b.b));
}

/// A colour at least `gap` from another one; the last of eight tries at worst.
Colour colour_apart_from(Stream& s, Colour other, float gap) {
  Colour c = random_colour(s);
  for (int i = 0; i < 7 && distance(c, other) < gap; ++i) c = random_colour(s);
  return c;
}

/// Pulls the colours towards light figures on dark ground, the size, light and contrast towards
/// fixed values.
void simplify(Scene& scene, float t) {
  for (Colour* c : {&scene.background.a, &scene.background.b})
    *c = mix({0.12f, 0.12f, 0.12f}, *c, t);
  for (Colour* c : {&scene.skin.a, &scene.skin.b}) *c = mix({0.85f, 0.85f, 0.85f}, *c, t);
  scene.diffuse *= t;
  scene.shadow_depth *= t;
  scene.contrast = 1 + (scene.contrast - 1) * t;
  scene.brightness *= t;
  scene.noise *= t;
}

/// `difficulty` scales everything that hides the outline; the draws are the same for every value.
Scene random_scene(Stream& s, int figure, double difficulty) {
  const auto t = static_cast<float>(difficulty);
  Scene scene;
  scene.figure = figure;
  const Colour ground = random_colour(s);
  scene.background = random_texture(s, ground, 0.4);
  scene.skin = random_texture(
      s, colour_apart_from(s, mix(scene.background.a, scene.background.b, 0.5f), 0.5f), 0.35);
  const float size = draw(s, 0.5, 0.8), room = std::min(0.95f - size, 0.3f);
  scene.pose = random_pose(s, size, {t * draw(s, -room, room), t * draw(s, -room, room)},
                           difficulty, 0.45 * difficulty);

  scene.distractors.resize(static_cast<size_t>(s.below(3)));
  for (Distractor& d : scene.distractors) {
    d.figure = static_cast<int>(s.below(shape_classes));
    const float angle = draw(s, 0, 2 * pi), far = draw(s, 0.9, 1.2);
    d.pose = random_pose(s, draw(s, 0.15, 0.28), {far * std::cos(angle), far * std::sin(angle)},
                         1.0, pi);
    d.texture = random_texture(s, random_colour(s), 0.5);
  }
  scene.distractors.resize(
      static_cast<size_t>(std::lround(t * static_cast<float>(scene.distractors.size()))));
  const float angle = draw(s, 0, 2 * pi);
  scene.light = {std::cos(angle), std::sin(angle)};
  scene.diffuse = draw(s, 0.0, 0.45);
  scene.shadow = {-scene.light.x * 0.12f, -scene.light.y * 0.12f};
  scene.shadow_depth = draw(s, 0.0, 0.5);

  scene.occluded = s.uniform() < 0.3 * difficulty;
  scene.occluder_is_disc = s.uniform() < 0.5;
  const float side = draw(s, 0, 2 * pi), off = draw(s, 0.55, 0.95) * size;
  scene.occluder.pose = random_pose(
      s, draw(s, 0.14, 0.26),
      {scene.pose.centre.x + off * std::cos(side), scene.pose.centre.y + off * std::sin(side)}, 0.5,
      pi);
  scene.occluder.texture = random_texture(s, random_colour(s), 0.5);

  scene.contrast = draw(s, 0.55, 1.0);
  scene.brightness = draw(s, -0.1, 0.1);
  scene.noise = draw(s, 0.0, 0.05);
  scene.noise_key = s.bits();
  if (difficulty < 1) simplify(scene, t);
  return scene;
}

/// Share of a sample of width `step` (image units) that lies inside an outline at this signed
/// distance.
float coverage(float d, float step) { return std::clamp(0.5f - d / step, 0.f, 1.f); }

/// The figure's distances at all samples, in image units: rendered once, used for outline, light
/// and shadow.
struct Field {
  int64_t side;
  float step;
  std::vector<float> d;

  Field(const Scene& scene, int64_t samples)
      : side(samples),
        step(2.f / static_cast<float>(samples)),
        d(static_cast<size_t>(samples * samples)) {
    for (int64_t y = 0; y < side; ++y)
      for (int64_t x = 0; x < side; ++x)
        d[static_cast<size_t>(y * side + x)] =
            scene.pose.size * figure_distance(scene.figure, scene.pose.inverse(point(x, y)));
  }
  Point point(int64_t x, int64_t y) const {
    return {(static_cast<float>(x) + 0.5f) * step - 1, (static_cast<float>(y) + 0.5f) * step - 1};
  }
  float at(int64_t x, int64_t y) const {
    return d[static_cast<size_t>(std::clamp<int64_t>(y, 0, side - 1) * side +
                                 std::clamp<int64_t>(x, 0, side - 1))];
  }
};

/// Brightness from a directional light on a surface that bends down towards the outline.
float shading(const Scene& scene, const Field& f, int64_t x, int64_t y, float d) {
  const float gx = f.at(x + 1, y) - f.at(x - 1, y), gy = f.at(x, y + 1) - f.at(x, y - 1);
  const float length = std::sqrt(gx * gx + gy * gy) + 1e-6f,
              edge = std::exp(d / (0.3f * scene.pose.size));
  return 1 + scene.diffuse * edge * (gx * scene.light.x + gy * scene.light.y) / length;
}

Colour sample(const Scene& scene, const Field& f, int64_t x, int64_t y) {
  const Point p = f.point(x, y);
  Colour colour = scene.background.at(p);
  for (const Distractor& o : scene.distractors) {
    const float ox = p.x - o.pose.centre.x, oy = p.y - o.pose.centre.y, reach = 2 * o.pose.size;
    if (ox * ox + oy * oy > reach * reach) continue;
    const float inside =
        coverage(o.pose.size * figure_distance(o.figure, o.pose.inverse(p)), f.step);
    if (inside > 0) colour = mix(colour, o.texture.at(p), inside);
  }
  const auto shift = [&](float v) { return static_cast<int64_t>(std::lround(v / f.step)); };
  const float shade = std::clamp(
      0.5f - f.at(x - shift(scene.shadow.x), y - shift(scene.shadow.y)) / 0.15f, 0.f, 1.f);
  colour = scaled(colour, 1 - scene.shadow_depth * shade);

  const float d = f.at(x, y), inside = coverage(d, f.step);
  if (inside > 0)
    colour = mix(colour, scaled(scene.skin.at(p), shading(scene, f, x, y, d)), inside);

  if (scene.occluded) {
    const Point q = scene.occluder.pose.inverse(p);
    const float outline =
        scene.occluder_is_disc ? std::sqrt(q.x * q.x + q.y * q.y) - 1 : std::fabs(q.x) - 0.5f;
    const float covered = coverage(scene.occluder.pose.size * outline, f.step);
    if (covered > 0) colour = mix(colour, scene.occluder.texture.at(p), covered);
  }
  return colour;
}

/// Near-normal number of deviation 1 from the four bytes of a hash (variance of a byte: (256^2 - 1)
/// / 12).
float noise_of(uint32_t h) {
  const auto sum = static_cast<float>((h & 255) + (h >> 8 & 255) + (h >> 16 & 255) + (h >> 24));
  return (sum - 510.f) / 147.8f;
}

void render(const Scene& scene, int64_t size, uint8_t* out) {
  const Field field(scene, size * supersampling);
  for (int64_t y = 0; y < size; ++y)
    for (int64_t x = 0; x < size; ++x, out += 3) {
      Colour sum;
      for (int64_t k = 0; k < supersampling * supersampling; ++k) {
        const Colour c = sample(scene, field, x * supersampling + k % supersampling,
                                y * supersampling + k / supersampling);
        sum = {sum.r + c.r, sum.g + c.g, sum.b + c.b};
      }
      const std::array<float, 3> pixel = {sum.r, sum.g, sum.b};
      for (uint32_t c = 0; c < 3; ++c) {
        const float grain =
            noise_of(hash(static_cast<uint32_t>((y * size + x) * 3) + c + scene.noise_key));
        const float value = 0.5f +
                            scene.contrast * (pixel[c] / (supersampling * supersampling) - 0.5f) +
                            scene.brightness + scene.noise * grain;
        out[c] = static_cast<uint8_t>(std::clamp(value, 0.f, 1.f) * 255.f + 0.5f);
      }
    }
}

}  // namespace

Dataset shapes(int64_t count, int64_t size, uint64_t seed, int64_t first, double difficulty) {
  LIMBECK_CHECK(count >= 0 && first >= 0, "shapes: images ", first, " to ", first + count,
                ": expected 0 or more");
  LIMBECK_CHECK(size >= 8 && size <= 4096, "shapes: image size ", size, ", expected 8..4096");
  LIMBECK_CHECK(difficulty >= 0 && difficulty <= 1, "shapes: difficulty ", difficulty,
                ", expected 0..1");
  Dataset d;
  d.images = Tensor::empty({count, size, size, 3}, DType::u8);
  d.labels = Tensor::empty({count}, DType::i64);
  d.classes = shape_classes;
  d.class_names = figure_names();
  const Stream root(seed);
  uint8_t* images = d.images.data<uint8_t>();
  int64_t* labels = d.labels.data<int64_t>();
#pragma omp parallel for schedule(dynamic, 16)
  for (int64_t i = 0; i < count; ++i) {
    Stream stream = root.fork("shapes", static_cast<uint64_t>(first + i));
    labels[i] = (first + i) % shape_classes;
    render(random_scene(stream, static_cast<int>(labels[i]), difficulty), size,
           images + i * size * size * 3);
  }
  return d;
}

namespace {

/// As somebody labels who takes one image of so many for another of the nine classes.
void mislabel(const Tensor& labels, double share, const Stream& stream) {
  for (int64_t i = 0; i < labels.numel(); ++i) {
    Stream own = stream.fork("wrong", static_cast<uint64_t>(i));
    if (own.uniform() >= share) continue;
    int64_t& label = labels.data<int64_t>()[i];
    label = (label + 1 + own.below(shape_classes - 1)) % shape_classes;
  }
}

}  // namespace

Split load_shapes(const ShapesSettings& s, int64_t size, uint64_t seed) {
  const Stream stream(seed);
  Split split{shapes(s.train, size, stream.fork("shapes/train").key(), 0, s.difficulty),
              shapes(s.test, size, stream.fork("shapes/test").key(), 0, s.difficulty)};
  mislabel(split.train.labels, s.wrong_labels, stream.fork("shapes/labels"));
  return split;
}

namespace {

void check_shapes(const ShapesSettings& s, int64_t size) {
  LIMBECK_CHECK(s.train > 0, "data.shapes.train: expected at least 1, found ", s.train);
  LIMBECK_CHECK(s.test > 0, "data.shapes.test: expected at least 1, found ", s.test);
  LIMBECK_CHECK(s.difficulty >= 0 && s.difficulty <= 1,
                "data.shapes.difficulty: expected 0..1, found ", s.difficulty);
  LIMBECK_CHECK(s.wrong_labels >= 0 && s.wrong_labels <= 1,
                "data.shapes.wrong_labels: expected 0..1, found ", s.wrong_labels);
  LIMBECK_CHECK(size >= 8, "data.image_size: source shapes expects at least 8, found ", size);
}

const RegisterSource source_of_shapes({.name = "shapes",
                                       .help = "procedural images of ten figures",
                                       .settings = ShapesSettings{},
                                       .check =
                                           [](const AnySettings& own, const DataSettings& common) {
                                             check_shapes(own.as<ShapesSettings>(),
                                                          common.image_size);
                                           },
                                       .load =
                                           [](const AnySettings& own, const DataSettings& common) {
                                             return load_shapes(own.as<ShapesSettings>(),
                                                                common.image_size,
                                                                static_cast<uint64_t>(common.seed));
                                           },
                                       .declares_classes = true});

}  // namespace

}  // namespace limbeck::data
