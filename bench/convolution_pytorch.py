#!/usr/bin/env python3
"""Limbeck's convolutions beside PyTorch's on a GPU, forward and backward (of input and weight), in f32, tf32 and bf16.

  python3 bench/convolution_pytorch.py --limbeck build/cuda/limbeck

PyTorch's column is what cuDNN can do: its graph interface with all its engines, measured (cudnn.benchmark), the better of NCHW and NHWC. The column of
cuDNN's legacy interface is Limbeck's kernel `cudnn`, restricted to deterministic algorithms (docs/cuda-libraries.md). In bf16 PyTorch's weights are bf16
already; Limbeck reads f32 weights and gives f32 gradients of them, and rounds within the time. Both sides are timed as graphs on data that is not in the
cache: bench/operator_comparison.py.
"""
import sys

from operator_comparison import Operator, bytes_of, main


def pair(value):
    return list(value) if isinstance(value, list) else [value, value]


class Convolution(Operator):
    name = "conv2d"
    libraries = {"cudnn": "cuDNN legacy"}
    variants = ("contiguous_format", "channels_last")
    tiny = {"inputs": {"x": [2, 5, 6, 4], "w": [6, 3, 3, 2]}, "attrs": {"padding": 1, "stride": [2, 1], "groups": 2}}

    def build(self, torch, case, dtype, device, variant):
        (n, h, w, c), (o, kh, kw, per_group), attrs = case["inputs"]["x"], case["inputs"]["w"], case["attrs"]
        layout = getattr(torch, variant)
        stride, padding, dilation = pair(attrs.get("stride", 1)), pair(attrs.get("padding", 0)), pair(attrs.get("dilation", 1))
        groups = attrs.get("groups", 1)
        x = torch.randn(n, c, h, w, device=device, dtype=dtype).contiguous(memory_format=layout)
        weight = torch.randn(o, per_group, kh, kw, device=device, dtype=dtype).contiguous(memory_format=layout)

        def forward():
            return torch.nn.functional.conv2d(x, weight, None, stride, padding, dilation, groups)

        y = forward()
        dy = torch.randn_like(y)

        def backward():
            return torch.ops.aten.convolution_backward(dy, x, weight, None, stride, padding, dilation, False, [0, 0], groups, [True, True, False])

        return {"forward": (forward, bytes_of(x, weight, y)), "backward": (backward, bytes_of(dy) + 2 * bytes_of(x, weight))}


if __name__ == "__main__":
    sys.exit(main(Convolution(), __doc__))
