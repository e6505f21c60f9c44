// Signed distance functions of the ten figures of the set `shapes`: negative inside, in units where
// a figure's radius is about 1. Sources: I. Quilez, "2D distance functions"
// (iquilezles.org/articles/distfunctions2d), for most of the formulas.
#pragma once
#include <string>
#include <vector>

namespace limbeck::data {

struct Point {
  float x = 0, y = 0;
};

/// Names by class: circle, square, triangle, star, cross, ring, heart, hexagon, arrow, crescent.
const std::vector<std::string>& figure_names();

/// Signed distance of p to the outline of a figure (class 0..9). Exact near the outline, a bound
/// far from it (arrow).
float figure_distance(int figure, Point p);

}  // namespace limbeck::data
