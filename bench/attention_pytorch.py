#!/usr/bin/env python3
"""Limbeck's attention kernels beside PyTorch's scaled_dot_product_attention on a GPU, forward and backward, in f32, tf32 and bf16.

  python3 bench/attention_pytorch.py --limbeck build/cuda/limbeck

Shapes: batch, queries, keys, size of a query, size of a value. The first are the self-attention of SAGAN (64x64 images) and of BigGAN-deep
(128x128 images, at 64x64), whose keys are pooled by two; the last ones are square, as in a transformer. Times are of the GPU with a full queue.
"""
import argparse
import json
import subprocess
import sys
import time

SHAPES = [(16, 1024, 256, 32, 128), (64, 1024, 256, 32, 128), (16, 4096, 1024, 32, 128), (64, 256, 256, 64, 64), (64, 1024, 1024, 64, 64)]
TINY = [(1, 8, 4, 4, 8)]


def limbeck_times(args, shape, precision):
    """{"forward": seconds, "backward": seconds} of the kernel that serves by rule."""
    n, queries, keys, size, value = shape
    command = [args.limbeck, "ops", "bench", "--device", "cuda", "--json", "--kernels", "own", "-o", "attention", "--precision", precision, "--seconds", str(args.seconds),
               "--shape", f"q={n}x{queries}x{size}", "--shape", f"k={n}x{keys}x{size}", "--shape", f"v={n}x{keys}x{value}"]
    rows = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)["results"]
    tuned = [r for r in rows if r["kernel"].startswith("cuda") and "naive" not in r["kernel"]]
    if precision == "bf16":  # stored so, as PyTorch's
        tuned = [r for r in tuned if r["kernel"].endswith("bf16")] or tuned
    fastest = min(tuned or rows, key=lambda r: r["forward"]["seconds"])
    return {direction: fastest[direction]["seconds"] for direction in ("forward", "backward")}


def pytorch_times(args, shape, precision):
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    n, queries, keys, size, value = shape
    torch.backends.cuda.matmul.allow_tf32 = precision != "f32"
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    q, k, v = (torch.randn(n, 1, *s, device=args.torch_device, dtype=dtype, requires_grad=True) for s in ((queries, size), (keys, size), (keys, value)))
    wait = torch.cuda.synchronize if args.torch_device == "cuda" else (lambda: None)

    def seconds(call):
        def of(calls):
            wait()
            begin = time.perf_counter()
            for _ in range(calls):
                call()
            wait()
            return (time.perf_counter() - begin) / calls

        of(3)
        calls = max(1, min(200, int(0.005 / of(2))))
        return sorted(of(calls) for _ in range(7))[3]

    def forward():
        with torch.no_grad():
            scaled_dot_product_attention(q, k, v, scale=1.0)

    y = scaled_dot_product_attention(q, k, v, scale=1.0)
    dy = torch.randn_like(y)
    return {"forward": seconds(forward), "backward": seconds(lambda: torch.autograd.grad(y, (q, k, v), dy, retain_graph=True))}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limbeck", default="build/cuda/limbeck")
    parser.add_argument("--seconds", type=float, default=0.05)
    parser.add_argument("--torch-device", default="cuda", help=argparse.SUPPRESS)
    parser.add_argument("--tiny", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    failed = 0
    print("| shape | precision | direction | Limbeck us | PyTorch us | PyTorch / Limbeck |\n|---|---|---|---|---|---|")
    for shape in TINY if args.tiny else SHAPES:
        for precision in ("f32", "tf32", "bf16"):
            times = {}
            for side, measure in (("Limbeck", limbeck_times), ("PyTorch", pytorch_times)):
                try:
                    times[side] = measure(args, shape, precision)
                except Exception as e:  # noqa: BLE001: the other side still counts
                    print(f"{side}, {shape}, {precision}: {type(e).__name__}: {str(e)[:300]}", file=sys.stderr)
                    failed = 1
            for direction in ("forward", "backward"):
                ours, theirs = (times[side][direction] if side in times else None for side in ("Limbeck", "PyTorch"))
                cells = [f"{t * 1e6:.1f}" if t else "-" for t in (ours, theirs)] + [f"{theirs / ours:.2f}" if ours and theirs else "-"]
                print(f"| {' x '.join(map(str, shape))} | {precision} | {direction} | " + " | ".join(cells) + " |", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
