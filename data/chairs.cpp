// The set `chairs`. One image: a chair of prisms (its own stream: the model), turned by the angle,
// on light ground with its shadow, under a light that stays with the camera, so that the shading of
// its sides tells the angle too.
#include "data/chairs.h"

#include <algorithm>
#include <cmath>

#include "data/mesh.h"
#include "data/rasteriser.h"
#include "data/source.h"

namespace limbeck::data {
namespace {

constexpr double whole_range = 90, tenth = 0.1;
constexpr int64_t tenths = 899;  // 0.1 .. 89.9
constexpr int64_t samples_per_axis = 4;

float real_draw(Stream& s, double low, double high) {
  return static_cast<float>(s.uniform(low, high));
}
bool chance(Stream& s, double probability) { return s.uniform() < probability; }

/// Hue in turns, saturation and value in [0, 1].
Rgb from_hsv(float hue, float saturation, float value) {
  const auto channel = [&](float offset) {
    const float t = hue + offset, f = std::fabs((t - std::floor(t)) * 6 - 3) - 1;
    return value * (1 - saturation * (1 - std::clamp(f, 0.f, 1.f)));
  };
  return {channel(0), channel(2.f / 3), channel(1.f / 3)};
}

Rgb wood(Stream& s) {
  return from_hsv(real_draw(s, 0.05, 0.11), real_draw(s, 0.4, 0.75), real_draw(s, 0.4, 0.85));
}
Rgb paint(Stream& s) {
  return from_hsv(real_draw(s, 0, 1), real_draw(s, 0.35, 0.75), real_draw(s, 0.5, 0.95));
}

/// Proportions in units of about half a metre; the chair stands on y = 0 and faces +z.
struct Chair {
  float half_width, half_depth, seat_height, seat_thickness;
  float leg, taper, splay;
  float back_height, lean;
  int style;  ///< of the back: 0 panel, 1 upright bars, 2 cross bars
  int bars;
  bool arms, stretchers, cushion;
  Rgb frame, seat, back;
};

Chair random_chair(Stream s) {
  Chair c{};
  c.half_width = real_draw(s, 0.42, 0.58);
  c.half_depth = real_draw(s, 0.40, 0.54);
  c.seat_height = real_draw(s, 0.75, 1.0);
  c.seat_thickness = real_draw(s, 0.07, 0.13);
  c.leg = real_draw(s, 0.045, 0.075);
  c.taper = real_draw(s, 0.6, 1.0);
  c.splay = real_draw(s, 0.0, 0.12);
  c.back_height = real_draw(s, 0.75, 1.1);
  c.lean = real_draw(s, 0.02, 0.22);
  c.style = static_cast<int>(s.below(3));
  c.bars = 2 + static_cast<int>(s.below(3));
  c.arms = chance(s, 0.3);
  c.stretchers = chance(s, 0.4);
  c.cushion = chance(s, 0.5);
  c.frame = chance(s, 0.6) ? wood(s) : paint(s);
  const Rgb cloth = paint(s);
  c.seat = chance(s, 0.6) ? cloth : c.frame;
  c.back = chance(s, 0.6) ? c.seat : c.frame;
  return c;
}

void add_legs(Mesh& mesh, const Chair& c) {
  const float x = c.half_width - c.leg, z = c.half_depth - c.leg, foot = c.leg * c.taper;
  for (const float sx : {-1.f, 1.f})
    for (const float sz : {-1.f, 1.f})
      add_prism(mesh, {{sx * (x + c.splay), 0, sz * (z + c.splay)}, foot, foot},
                {{sx * x, c.seat_height, sz * z}, c.leg, c.leg}, c.frame);
  if (!c.stretchers) return;
  const float y = 0.4f * c.seat_height, out = 0.6f * c.splay, thin = 0.6f * c.leg;
  for (const float side : {-1.f, 1.f}) {
    add_box(mesh, {side * (x + out), y, 0}, {thin, thin, z + out}, c.frame);
    add_box(mesh, {0, y, side * (z + out)}, {x + out, thin, thin}, c.frame);
  }
}

void add_seat(Mesh& mesh, const Chair& c) {
  const float half = 0.5f * c.seat_thickness;
  add_box(mesh, {0, c.seat_height + half, 0}, {c.half_width, half, c.half_depth},
          c.cushion ? c.frame : c.seat);
  if (c.cushion)
    add_prism(
        mesh, {{0, c.seat_height + 2 * half, 0.04f}, 0.9f * c.half_width, 0.86f * c.half_depth},
        {{0, c.seat_height + 4 * half, 0.04f}, 0.82f * c.half_width, 0.78f * c.half_depth}, c.seat);
}

/// Where the leaning back is at height t in [0, 1] above the seat.
Vec3 on_back(const Chair& c, float x, float t) {
  return {x, c.seat_height + c.seat_thickness + t * c.back_height,
          -c.half_depth + c.leg - t * c.lean};
}

void add_back(Mesh& mesh, const Chair& c) {
  const float post = c.half_width - c.leg, thin = 0.55f * c.leg;
  const auto part = [&](float x, float half_x, float half_z, float low, float high, Rgb colour) {
    add_prism(mesh, {on_back(c, x, low), half_x, half_z}, {on_back(c, x, high), half_x, half_z},
              colour);
  };
  if (c.style == 0) return part(0, c.half_width, 0.8f * c.leg, 0, 1, c.back);
  for (const float side : {-1.f, 1.f}) part(side * post, c.leg, c.leg, 0, 1, c.frame);
  part(0, c.half_width, 0.9f * c.leg, 0.84f, 1, c.back);
  for (int i = 0; i < c.bars; ++i) {
    const auto n = static_cast<float>(c.bars), at = (static_cast<float>(i) + 0.5f) / n;
    if (c.style == 1)
      part(post * (2 * at - 1), 0.25f * post / n + 0.03f, thin, 0, 0.84f, c.back);
    else
      part(0, post, thin, 0.8f * at - 0.05f, 0.8f * at + 0.05f, c.back);
  }
}

void add_arms(Mesh& mesh, const Chair& c) {
  const float top = c.seat_height + c.seat_thickness + 0.33f * c.back_height,
              x = c.half_width + 0.5f * c.leg;
  for (const float side : {-1.f, 1.f}) {
    add_box(mesh, {side * x, top, 0}, {c.leg, 0.5f * c.leg, c.half_depth}, c.frame);
    add_prism(mesh, {{side * x, c.seat_height, 0.7f * c.half_depth}, 0.7f * c.leg, 0.7f * c.leg},
              {{side * x, top, 0.7f * c.half_depth}, 0.7f * c.leg, 0.7f * c.leg}, c.frame);
  }
}

Mesh mesh_of(const Chair& c) {
  Mesh mesh;
  add_legs(mesh, c);
  add_seat(mesh, c);
  add_back(mesh, c);
  if (c.arms) add_arms(mesh, c);
  return mesh;
}

/// The chair at an angle in degrees; what is not the chair comes from the image's stream.
void render_chair(const Chair& chair, double angle, Stream s, int64_t size, uint8_t* out) {
  const Mesh mesh = mesh_of(chair);
  Camera camera{.target = {0, 0.92f, 0}, .yaw = static_cast<float>(angle * M_PI / 180)};
  camera.pitch = real_draw(s, 0.33, 0.41);
  camera.distance = 5.5f;
  camera.focal = real_draw(s, 3.95, 4.3);
  Light light{.direction = {real_draw(s, -0.8, -0.6), 1, real_draw(s, 0.35, 0.5)}};
  light.ambient = 0.5f;
  light.diffuse = real_draw(s, 0.55, 0.65);
  const float hue = real_draw(s, 0, 1), tint = real_draw(s, 0.0, 0.12),
              value = real_draw(s, 0.82, 0.96);
  Canvas canvas(size, samples_per_axis, from_hsv(hue, tint, value),
                from_hsv(hue, tint, value - 0.1f));
  canvas.draw_shadow(mesh, camera, light, 0.28f);
  canvas.draw(mesh, camera, light);
  canvas.resolve(out);
}

void check_chairs(const ChairsSettings& s, int64_t size) {
  LIMBECK_CHECK(size >= 16 && size <= 4096,
                "data.image_size: source chairs expects 16..4096, found ", size);
  LIMBECK_CHECK(s.train > 0 || s.per_angle > 0, "data.chairs.train: expected at least 1, found ",
                s.train);
  LIMBECK_CHECK(s.test >= 0, "data.chairs.test: expected 0 or more, found ", s.test);
  LIMBECK_CHECK(s.per_angle >= 0, "data.chairs.per_angle: expected 0 or more, found ", s.per_angle);
  LIMBECK_CHECK(s.models >= 0, "data.chairs.models: expected 0 or more, found ", s.models);
  LIMBECK_CHECK(s.label == "angle" || s.label == "model",
                "data.chairs.label: expected angle or model, found '", s.label, "'");
  LIMBECK_CHECK(s.label == "angle" || s.models > 1,
                "data.chairs.label: classes are the chairs of data.chairs.models, expected at "
                "least 2 of them, found ",
                s.models);
  LIMBECK_CHECK(s.step == 0 || (s.step >= 0.001 && s.step < whole_range),
                "data.chairs.step: expected 0 or 0.001..90 degrees, found ", s.step);
  LIMBECK_CHECK(s.step > 0 || s.per_angle == 0,
                "data.chairs.per_angle: expected 0 with data.chairs.step = 0, found ", s.per_angle);
  LIMBECK_CHECK(s.missing_low >= 0 && s.missing_low <= s.missing_high &&
                    s.missing_high <= whole_range && s.missing_high - s.missing_low < whole_range,
                "data.chairs.missing_low and missing_high: expected a part of 0..90, found ",
                s.missing_low, " and ", s.missing_high);
  LIMBECK_CHECK(s.noise >= 0 && s.noise <= whole_range / 2,
                "data.chairs.noise: expected 0..45 degrees, found ", s.noise);
}

/// Angle of image i. `listed`: the training angles, empty for real numbers.
double angle_of(const ChairsSettings& s, ChairsPart part, const std::vector<double>& listed,
                int64_t i, Stream stream) {
  if (part == ChairsPart::test) return tenth * static_cast<double>(1 + stream.below(tenths));
  const auto n = static_cast<int64_t>(listed.size());
  if (s.per_angle > 0) return listed[static_cast<size_t>(i / s.per_angle % n)];
  if (n > 0) return listed[static_cast<size_t>(stream.below(n))];
  const double gap = s.missing_high - s.missing_low, angle = stream.uniform(0, whole_range - gap);
  return angle < s.missing_low ? angle : angle + gap;
}

/// What somebody who misjudges angles writes down.
double misjudged(double angle, double deviation, Stream stream) {
  if (deviation == 0) return angle;
  // Reflected, so that no response stands at the ends more often than elsewhere.
  const double wrong = std::abs(std::fmod(angle + deviation * stream.normal(), 2 * whole_range));
  return wrong > whole_range ? 2 * whole_range - wrong : wrong;
}

}  // namespace

std::vector<double> chair_angles(const ChairsSettings& s) {
  std::vector<double> angles;
  if (s.step <= 0) return angles;
  for (int64_t k = 0;; ++k) {
    // In units of 1e-4 degrees, so that 0.1 + 0.2 k is the decimal number that it looks like.
    const double angle = std::round((tenth + s.step * static_cast<double>(k)) * 1e4) / 1e4;
    if (angle >= whole_range) break;
    if (angle < s.missing_low || angle >= s.missing_high) angles.push_back(angle);
  }
  LIMBECK_CHECK(!angles.empty(), "data.chairs.missing_low and missing_high: ", s.missing_low,
                " and ", s.missing_high, " leave no training angle of step ", s.step);
  return angles;
}

Dataset chairs(const ChairsSettings& s, ChairsPart part, int64_t count, int64_t size, uint64_t seed,
               int64_t first) {
  check_chairs(s, size);
  LIMBECK_CHECK(count >= 0 && first >= 0, "chairs: images ", first, " to ", first + count,
                ": expected 0 or more");
  const std::vector<double> listed = chair_angles(s);
  Dataset d;
  d.images = Tensor::empty({count, size, size, 3}, DType::u8);
  Tensor angles = Tensor::empty({count}), models = Tensor::zeros({count}, DType::i64);
  const Stream root = Stream(seed).fork(part == ChairsPart::train ? "chairs/train" : "chairs/test");
  const Stream of_models = Stream(seed).fork("chairs/models");
  uint8_t* images = d.images.data<uint8_t>();
#pragma omp parallel for schedule(dynamic, 16)
  for (int64_t i = 0; i < count; ++i) {
    const Stream own = root.fork("chair", static_cast<uint64_t>(first + i));
    const double angle = angle_of(s, part, listed, first + i, own.fork("angle"));
    Stream model = own.fork("model");
    if (s.models > 0) {
      const auto which = own.fork("which").below(s.models);
      models.data<int64_t>()[i] = static_cast<int64_t>(which);
      model = of_models.fork("model", static_cast<uint64_t>(which));
    }
    const double error = part == ChairsPart::train ? s.noise : 0;
    angles.data<float>()[i] = static_cast<float>(misjudged(angle, error, own.fork("noise")));
    render_chair(random_chair(model), angle, own.fork("scene"), size, images + i * size * size * 3);
  }
  if (s.label == "model") {
    d.labels = models;
    d.classes = s.models;
  } else {
    d.targets = angles;
    d.scale = {0, whole_range, "degrees"};
  }
  return d;
}

Split load_chairs(const ChairsSettings& s, int64_t size, uint64_t seed) {
  check_chairs(s, size);
  const int64_t train =
      s.per_angle > 0 ? s.per_angle * static_cast<int64_t>(chair_angles(s).size()) : s.train;
  return {chairs(s, ChairsPart::train, train, size, seed),
          chairs(s, ChairsPart::test, s.test, size, seed)};
}

namespace {

const RegisterSource source_of_chairs(
    {.name = "chairs",
     .help = "procedural images of chairs; the response is their yaw angle, 0 to 90 degrees",
     .settings = ChairsSettings{},
     .check =
         [](const AnySettings& own, const DataSettings& common) {
           check_chairs(own.as<ChairsSettings>(), common.image_size);
           chair_angles(own.as<ChairsSettings>());
         },
     .load =
         [](const AnySettings& own, const DataSettings& common) {
           return load_chairs(own.as<ChairsSettings>(), common.image_size,
                              static_cast<uint64_t>(common.seed));
         }});

}  // namespace

}  // namespace limbeck::data
