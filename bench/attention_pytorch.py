#!/usr/bin/env python3
"""Limbeck's attention kernels beside PyTorch's scaled_dot_product_attention on a GPU, forward and backward, in f32, tf32 and bf16.

  python3 bench/attention_pytorch.py --limbeck build/cuda/limbeck

Shapes: those of SAGAN and BigGAN-deep, whose keys are pooled by two, and square ones, as in a transformer. Both sides are timed as graphs on data that
is not in the cache: bench/operator_comparison.py.
"""
import sys

from operator_comparison import Operator, bytes_of, main


class Attention(Operator):
    name = "attention"
    tiny = {"inputs": {"q": [1, 8, 4], "k": [1, 4, 4], "v": [1, 4, 8]}, "attrs": {"scale": 1.0}}

    def build(self, torch, case, dtype, device, variant):
        from torch.nn.functional import scaled_dot_product_attention

        scale = case["attrs"].get("scale", 1.0)
        q, k, v = (torch.randn(n, 1, *rest, device=device, dtype=dtype, requires_grad=True) for n, *rest in (case["inputs"][i] for i in "qkv"))
        y = scaled_dot_product_attention(q, k, v, scale=scale)
        dy = torch.randn_like(y)

        def forward():
            with torch.no_grad():
                return scaled_dot_product_attention(q, k, v, scale=scale)

        def backward():
            return torch.autograd.grad(y, (q, k, v), dy, retain_graph=True)

        return {"forward": (forward, bytes_of(q, k, v, y)), "backward": (backward, 2 * bytes_of(q, k, v, y))}


if __name__ == "__main__":
    sys.exit(main(Attention(), __doc__))
