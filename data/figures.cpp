#include "data/figures.h"

#include <algorithm>
#include <cmath>

namespace limbeck::data {
namespace {

float dot(Point a, Point b) { return a.x * b.x + a.y * b.y; }
float norm(Point a) { return std::sqrt(dot(a, a)); }
Point minus(Point a, Point b) { return {a.x - b.x, a.y - b.y}; }
Point times(Point a, float s) { return {a.x * s, a.y * s}; }
float sign(float v) { return v < 0 ? -1.f : 1.f; }

float box(Point p, float half_x, float half_y) {
  const Point d{std::fabs(p.x) - half_x, std::fabs(p.y) - half_y};
  return norm({std::max(d.x, 0.f), std::max(d.y, 0.f)}) + std::min(std::max(d.x, d.y), 0.f);
}

/// Equilateral, apex at +y, half a side r.
float triangle(Point p, float r) {
  const float k = std::sqrt(3.f);
  p.x = std::fabs(p.x) - r;
  p.y += r / k;
  if (p.x + k * p.y > 0) p = {(p.x - k * p.y) / 2, (-k * p.x - p.y) / 2};
  p.x -= std::clamp(p.x, -2 * r, 0.f);
  return -norm(p) * sign(p.y);
}

/// Five points, circumradius r, inner radius fraction f.
float star(Point p, float r, float f) {
  const Point k1{0.809016994f, -0.587785252f}, k2{-k1.x, k1.y};
  p.x = std::fabs(p.x);
  p = minus(p, times(k1, 2 * std::max(dot(k1, p), 0.f)));
  p = minus(p, times(k2, 2 * std::max(dot(k2, p), 0.f)));
  p = {std::fabs(p.x), p.y - r};
  const Point side{-k1.y * f, k1.x * f - 1};
  const float h = std::clamp(dot(p, side) / dot(side, side), 0.f, r);
  return norm(minus(p, times(side, h))) * sign(p.y * side.x - p.x * side.y);
}

/// Two bars of half length `length` and half width `width`.
float cross(Point p, float length, float width) {
  p = {std::fabs(p.x), std::fabs(p.y)};
  if (p.y > p.x) std::swap(p.x, p.y);
  const Point q = minus(p, {length, width});
  const float k = std::max(q.y, q.x);
  const Point w = k > 0 ? q : Point{width - p.x, -k};
  return sign(k) * norm({std::max(w.x, 0.f), std::max(w.y, 0.f)});
}

/// Tip at the origin, height about 1.1 upwards.
float heart(Point p) {
  p.x = std::fabs(p.x);
  if (p.x + p.y > 1) return norm(minus(p, {0.25f, 0.75f})) - std::sqrt(2.f) / 4;
  const Point a = minus(p, {0, 1}), b = minus(p, times({1, 1}, 0.5f * std::max(p.x + p.y, 0.f)));
  return std::sqrt(std::min(dot(a, a), dot(b, b))) * sign(p.x - p.y);
}

/// Inner radius r.
float hexagon(Point p, float r) {
  const Point k{-0.866025404f, 0.5f};
  p = {std::fabs(p.x), std::fabs(p.y)};
  p = minus(p, times(k, 2 * std::min(dot(k, p), 0.f)));
  p = minus(p, {std::clamp(p.x, -0.577350269f * r, 0.577350269f * r), r});
  return norm(p) * sign(p.y);
}

float arrow(Point p) {
  const float head = triangle({p.x, p.y - 0.32f}, 0.8f),
              shaft = box({p.x, p.y + 0.5f}, 0.27f, 0.5f);
  return std::min(head, shaft);
}

/// Disc of radius ra less a disc of radius rb whose centre is d to the right.
float crescent(Point p, float d, float ra, float rb) {
  p.y = std::fabs(p.y);
  const float a = (ra * ra - rb * rb + d * d) / (2 * d),
              b = std::sqrt(std::max(ra * ra - a * a, 0.f));
  if (d * (p.x * b - p.y * a) > d * d * std::max(b - p.y, 0.f)) return norm(minus(p, {a, b}));
  return std::max(norm(p) - ra, -(norm(minus(p, {d, 0})) - rb));
}

}  // namespace

const std::vector<std::string>& figure_names() {
  static const std::vector<std::string> names = {"circle", "square",  "triangle", "star",
                                                 "cross",  "ring",    "heart",    "hexagon",
                                                 "arrow",  "crescent"};
  return names;
}

float figure_distance(int figure, Point p) {
  switch (figure) {
    case 0: return norm(p) - 0.85f;
    case 1: return box(p, 0.76f, 0.76f);
    case 2: return triangle({p.x, p.y + 0.1f}, 0.95f);
    case 3: return star(p, 1.1f, 0.48f);
    case 4: return cross(p, 0.98f, 0.34f);
    case 5: return std::fabs(norm(p) - 0.66f) - 0.22f;
    case 6: return 1.6f * heart({p.x / 1.6f, p.y / 1.6f + 0.55f});
    case 7: return hexagon(p, 0.8f);
    case 8: return arrow(p);
    default: return crescent({p.x + 0.15f, p.y}, 0.45f, 0.95f, 0.78f);
  }
}

}  // namespace limbeck::data
