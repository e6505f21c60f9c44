#include "gan/self_attention.h"

#include "autograd/autocast.h"

namespace limbeck::gan {
namespace {

int64_t checked_channels(int64_t channels) {
  LIMBECK_CHECK(
      channels >= 8,
      "self-attention: needs at least 8 channels (an eighth of them are compared), found ",
      channels);
  return channels;
}

}  // namespace

Variable attend(const Variable& theta, const Variable& phi, const Variable& g) {
  const int64_t n = theta.size(0), height = theta.size(1), width = theta.size(2), d = theta.size(3),
                e = g.size(3);
  LIMBECK_CHECK(height % 2 == 0 && width % 2 == 0, "self-attention: needs even sizes, found ",
                theta.shape());
  const Variable query = reshape(theta, {n, height * width, d});
  const Variable key = reshape(max_pool2d(phi), {n, height * width / 4, d});
  const Variable value = reshape(max_pool2d(g), {n, height * width / 4, e});
  return reshape(attention(query, key, value), {n, height, width, e});
}

SelfAttention::SelfAttention(int64_t channels, double sn_eps)
    : gamma_(add_parameter("gamma", Shape{})),
      theta_(checked_channels(channels), channels / 8, 1, sn_eps, false),
      phi_(channels, channels / 8, 1, sn_eps, false),
      g_(channels, channels / 2, 1, sn_eps, false),
      o_(channels / 2, channels, 1, sn_eps, false) {
  add("theta", theta_);
  add("phi", phi_);
  add("g", g_);
  add("o", o_);
}

Variable SelfAttention::forward(const Variable& x) {
  const Variable attended = o_(attend(theta_(x), phi_(x), g_(x)));
  return x + cast(gamma_, attended.dtype()) * attended;
}

void SelfAttention::reset(Stream) { gamma_.data().fill(0); }

}  // namespace limbeck::gan
