// SSKD's terms; formulas and sources in sskd.cpp.
#pragma once
#include "kd/method.h"

namespace limbeck::kd::sskd {

struct SskdSettings : EarlyDropWeights {
  double turned_weight = 2.7, turned_temperature = 4, turned_ratio = 1;
  double similarity_weight = 10, similarity_temperature = 0.5, similarity_ratio = 0.75;
  bool flip_each = true;
  int64_t head_epochs = 60, head_batch = 64;
  double head_lr = 0.05;
  std::vector<double> head_milestones = {30, 45};
  std::string second_phase = "own";
  double transfer_weight_decay = 1e-4;
  SskdSettings() { hard_weight = 0.1, soft_weight = 0.9; }
  void fields(FieldVisitor& v);
};

/// Of a network on 4 B views, rows 4i to 4i + 3 of image i: logits [4 B, K] and heads [4 B, d].
struct Seen {
  Variable logits, heads;
};

/// Similarities of the turned views to the images as they came, [3 B, B]: cosines of heads. The
/// right column of row i is i / 3.
Variable similarities(const Variable& heads);

/// How many scores of a row are above that of the truth: scores [B, 3, C], truth one-hot [B, 1, C]
/// -> [3 B].
Variable ranks(const Variable& scores, const Variable& truth);
/// 1 for rows of rank 0 and for the share `ratio` of the others (rounded down) with the smallest
/// ranks, the earlier row first; 0 for the rest. `iota`: 0, 1, 2, .. for at least as many rows.
Variable kept_rows(const Variable& ranks, double ratio, const Tensor& iota);

struct Terms {
  Variable normal, turned, similarity;  ///< L_kd, L_tf, L_ss, without weights
};
/// one_hot [K, K] and unit [n, n] with n >= B: identities; iota [n] with n >= 3 B.
Terms terms(const Seen& student, const Seen& teacher, const Tensor& labels,
            const SskdSettings& settings, const Tensor& one_hot, const Tensor& unit,
            const Tensor& iota);

}  // namespace limbeck::kd::sskd
