"""One operator of Limbeck beside PyTorch's on a GPU: what attention_pytorch.py and convolution_pytorch.py share.

Both sides are timed alike, and as a training step runs them: the calls are recorded as one CUDA graph, so that the host's time to queue them does not
count, and each call has tensors of its own, together more than the L2 cache holds. The shapes are Limbeck's (`limbeck ops support --json`).
"""
import argparse
import json
import math
import subprocess
import sys
import time

PRECISIONS = ("f32", "tf32", "bf16")
DIRECTIONS = ("forward", "backward")
COLD_BYTES, MOST_COPIES = 256 << 20, 256  # as in apps/bench_calls.cpp


class Operator:
    """What differs between operators; see the two scripts."""

    name = ""  # Limbeck's
    libraries = {}  # Limbeck's kernel: the column's title
    variants = ("",)  # of PyTorch's side: the fastest counts
    tiny = {}  # a case for tests

    def build(self, torch, case, dtype, device, variant):
        """Tensors of one call: {"forward": (call, bytes), "backward": (call, bytes)}. A call returns what it made."""
        raise NotImplementedError


def bytes_of(*tensors):
    return sum(t.numel() * t.element_size() for t in tensors)


# --- Limbeck ----------------------------------------------------------------------------------------------------------------------------
def cases(args, operator):
    if args.tiny:
        return [operator.tiny]
    output = subprocess.run([args.limbeck, "ops", "support", "-o", operator.name, "--json"], check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(output)[operator.name]["bench_cases"]


def limbeck_times(args, operator, case, precision):
    """{"own" or a library's kernel: {"forward": seconds, "backward": seconds}}; own is the kernel that serves by rule."""
    command = [args.limbeck, "ops", "bench", "--device", "cuda", "--json", "-o", operator.name, "--precision", precision, "--seconds", str(args.seconds),
               "--attrs", json.dumps(case["attrs"])]
    for name, shape in case["inputs"].items():
        command += ["--shape", f"{name}={'x'.join(map(str, shape))}"]
    if not operator.libraries:
        command += ["--kernels", "own"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        rows = json.loads(done.stdout)["results"]
    except ValueError:
        raise RuntimeError(f"status {done.returncode}: {done.stderr[-300:].strip()}") from None
    if done.returncode != 0:  # a kernel failed; the others were timed
        args.complain(f"Limbeck, {text_of(case)}, {precision}: {done.stderr[-300:].strip()}")
    suffix = " bf16" if precision == "bf16" else ""  # stored so, as PyTorch's
    by_kernel = {r["kernel"]: {d: r[d]["seconds"] for d in DIRECTIONS} for r in rows}
    times = {library: by_kernel[library + suffix] for library in operator.libraries if library + suffix in by_kernel}
    own = [k for k in ("cuda" + suffix, "cuda-naive" + suffix, "cuda", "cuda-naive") if k in by_kernel]
    if not own:
        raise RuntimeError(f"no kernel of Limbeck was timed: {done.stderr[-300:].strip()}")
    times["own"] = by_kernel[own[0]]
    return times


# --- PyTorch ----------------------------------------------------------------------------------------------------------------------------
def median_seconds(run, wait):
    def of(times):
        wait()
        begin = time.perf_counter()
        for _ in range(times):
            run()
        wait()
        return (time.perf_counter() - begin) / times

    of(2)
    times = max(1, min(200, int(0.005 / of(1))))
    return sorted(of(times) for _ in range(7))[3]


def recorded(torch, calls, stream):
    """(replay of all the calls as one graph, what they make). What a call makes is kept, so that none gets the memory of the one before."""
    for _ in range(3):  # cuDNN measures its algorithms
        calls[0]()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        kept = [call() for call in calls]
    graph.replay()
    for call, made in ((calls[0], kept[0]), (calls[-1], kept[-1])):
        check_same(made, call())
    return graph.replay, kept


def check_same(replayed, eager):
    """Up to rounding: cuDNN may add in another order each time."""
    for a, b in zip(*([made] if hasattr(made, "norm") else [t for t in made if t is not None] for made in (replayed, eager))):
        if not (a.float() - b.float()).norm() <= 0.02 * b.float().norm():
            raise RuntimeError("the recorded call does not give what the eager one gives")


def seconds_of(args, operator, case, dtype, variant, direction):
    """Of one call."""
    import torch

    def build():
        return operator.build(torch, case, dtype, args.torch_device, variant)[direction]

    first, size = build()
    if args.torch_device != "cuda":  # a check of this script
        return median_seconds(first, lambda: None)
    count = max(1, min(MOST_COPIES, math.ceil(COLD_BYTES / size)))
    calls = [first] + [build()[0] for _ in range(count - 1)]
    replay, kept = recorded(torch, calls, torch.cuda.current_stream())
    seconds = median_seconds(replay, torch.cuda.synchronize) / count
    del kept
    return seconds


def pytorch_times(args, operator, case, precision):
    """{"forward": seconds, "backward": seconds} of the fastest variant."""
    import torch

    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision != "f32"
    torch.backends.cudnn.benchmark = True
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32

    def fastest(direction):
        return min(seconds_of(args, operator, case, dtype, variant, direction) for variant in operator.variants)

    if args.torch_device != "cuda":
        return {d: fastest(d) for d in DIRECTIONS}
    with torch.cuda.stream(torch.cuda.Stream()):  # a backward runs on the stream of its forward, which must be the recorded one
        return {d: fastest(d) for d in DIRECTIONS}


# --- both -------------------------------------------------------------------------------------------------------------------------------
def text_of(case):
    sizes = " * ".join("x".join(map(str, shape)) for shape in case["inputs"].values())
    return " ".join([sizes] + [f"{k}={v}" for k, v in case["attrs"].items()])


def row(operator, case, precision, direction, ours, theirs):
    own, pytorch = ours.get("own", {}).get(direction), theirs.get(direction)
    times = [own] + [ours.get(library, {}).get(direction) for library in operator.libraries] + [pytorch]
    cells = [f"{t * 1e6:.1f}" if t else "-" for t in times] + [f"{pytorch / own:.2f}" if own and pytorch else "-"]
    return f"| {text_of(case)} | {precision} | {direction} | " + " | ".join(cells) + " |"


def main(operator, description):
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limbeck", default="build/cuda/limbeck")
    parser.add_argument("--seconds", type=float, default=0.05, help="of each of Limbeck's measurements")
    parser.add_argument("--torch-device", default="cuda", help=argparse.SUPPRESS)
    parser.add_argument("--tiny", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    complaints = []

    def complain(text):
        complaints.append(text)
        print(text, file=sys.stderr)

    args.complain = complain
    titles = ["shape", "precision", "direction", "Limbeck us", *(f"{title} us" for title in operator.libraries.values()), "PyTorch us", "PyTorch / Limbeck"]
    print("| " + " | ".join(titles) + " |\n" + "|---" * len(titles) + "|")
    for case in cases(args, operator):
        for precision in PRECISIONS:
            sides = {}
            for side, measure in (("Limbeck", limbeck_times), ("PyTorch", pytorch_times)):
                try:
                    sides[side] = measure(args, operator, case, precision)
                except Exception as e:  # noqa: BLE001: the other side still counts
                    complain(f"{side}, {text_of(case)}, {precision}: {type(e).__name__}: {str(e)[:300]}")
            for direction in DIRECTIONS:
                print(row(operator, case, precision, direction, sides.get("Limbeck", {}), sides.get("PyTorch", {})), flush=True)
    return 1 if complaints else 0
