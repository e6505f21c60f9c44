// What the comparisons say of two numbers: the functions of ops/select.cpp and of its CPU kernels.
#pragma once

namespace limbeck::comparison {

struct Equal {
  static constexpr const char* name = "equal";
  template <class T>
  static bool value(T a, T b) {
    return a == b;
  }
};
struct NotEqual {
  static constexpr const char* name = "not_equal";
  template <class T>
  static bool value(T a, T b) {
    return a != b;
  }
};
struct Less {
  static constexpr const char* name = "less";
  template <class T>
  static bool value(T a, T b) {
    return a < b;
  }
};
struct LessEqual {
  static constexpr const char* name = "less_equal";
  template <class T>
  static bool value(T a, T b) {
    return a <= b;
  }
};
struct Greater {
  static constexpr const char* name = "greater";
  template <class T>
  static bool value(T a, T b) {
    return a > b;
  }
};
struct GreaterEqual {
  static constexpr const char* name = "greater_equal";
  template <class T>
  static bool value(T a, T b) {
    return a >= b;
  }
};

}  // namespace limbeck::comparison
