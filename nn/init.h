// Initialisers: each fills one parameter from its own stream. Weights are in memory layout ([out,
// kh, kw, in/groups], [out, in]). The networks' rules are "default" (PyTorch's), kaiming fan_out
// (He et al. 2015) and plain normals.
#pragma once
#include "nn/module.h"

namespace limbeck::nn::init {

/// Elements of one output unit's filter: the product of all dimensions but the first.
/// Throws for fewer than two dimensions.
int64_t fan_in(const Variable& weight);
/// Output units times kernel area; 4-d weights [out, kh, kw, in/groups] and 2-d weights [out, in].
/// Throws for fewer than two dimensions.
int64_t fan_out(const Variable& weight);

/// Weights of any shape, in place.
void constant(const Variable& v, double value);
/// N(mean, deviation^2).
/// Weights of any shape, in place.
void normal(const Variable& v, double mean, double deviation, Stream stream);
/// U(-bound, bound).
/// Weights of any shape, in place.
void uniform(const Variable& v, double bound, Stream stream);

/// PyTorch's default of convolutions and linear layers, weight and bias: U(-1/sqrt(fan_in),
/// 1/sqrt(fan_in)), that is kaiming_uniform with a = sqrt(5). The bias may be undefined.
/// weight [out, ..], bias [out].
void torch_default(const Variable& weight, const Variable& bias, int64_t fan_in,
                   const Stream& stream);

/// N(0, 2 / (kh * kw * out)): kaiming_normal with mode fan_out, the rule of the CIFAR networks.
/// `out` is not divided by groups.
/// Weights [out, ..].
void kaiming_normal_fan_out(const Variable& weight, Stream stream);

/// U(-b, b) with b = gain * sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010).
/// Weights [out, ..].
void xavier_uniform(const Variable& weight, double gain, Stream stream);

/// Orthonormal rows (or columns, when the matrix [dim 0, rest] has more rows than columns):
/// Gram-Schmidt of a normal matrix, PyTorch's orthogonal_ with gain 1 (Saxe et al. 2014).
void orthogonal(const Variable& weight, Stream stream);

/// kaiming_normal_fan_out for every Conv2d below `network`, each from the stream forked by the
/// weight's full name.
void kaiming_normal_convolutions(Module& network, const Stream& stream);

}  // namespace limbeck::nn::init
