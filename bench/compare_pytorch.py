#!/usr/bin/env python3
"""Whole training steps of Limbeck and PyTorch side by side on this machine's CPU.

  python3 bench/compare_pytorch.py --checkout RepDistiller --limbeck build/limbeck

--checkout is a checkout of the original networks (RepDistiller: github.com/HobbitLong/RepDistiller, or the copy in cGAN-KD);
its folder models/ is imported as it is. PyTorch runs in f32 with {contiguous, channels_last} x {eager, torch.compile}, and with
bf16 autocast for information (it is not compared: other arithmetic). A step is forward, mean cross entropy, backward and SGD with
momentum 0.9 and weight decay 5e-4 on random images; inference is a forward pass in eval mode.

Every setting lives in a process of its own that warms up once; then the settings take turns for several rounds, so that a busy
machine hurts all alike. Each number is the median of the rounds' medians. The ratio is Limbeck over the fastest f32 setting.
"""
import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time

SETTINGS = {  # name: (channels_last, compiled, bf16)
    "contiguous eager": (False, False, False),
    "channels_last eager": (True, False, False),
    "contiguous compile": (False, True, False),
    "channels_last compile": (True, True, False),
    "bf16 autocast": (True, False, True),
}


def worker(args):
    """Answers each line on stdin with one JSON line: {"train": images/s, "inference": images/s}."""
    import contextlib

    import torch

    sys.path.insert(0, args.checkout)
    from models import model_dict  # the checkout's own package

    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    channels_last, compiled, bf16 = SETTINGS[args.worker]
    layout = torch.channels_last if channels_last else torch.contiguous_format
    network = model_dict[args.models[0]](num_classes=100).to(memory_format=layout)
    images = torch.randn(args.batch, 3, args.size, args.size).contiguous(memory_format=layout)
    labels = torch.randint(0, 100, (args.batch,))
    optimiser = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    criterion = torch.nn.CrossEntropyLoss()
    forward = torch.compile(network) if compiled else network

    def autocast():
        return torch.autocast("cpu", torch.bfloat16) if bf16 else contextlib.nullcontext()

    def train():
        optimiser.zero_grad(set_to_none=True)
        with autocast():
            loss = criterion(forward(images), labels)
        loss.backward()
        optimiser.step()

    def infer():
        with torch.no_grad(), autocast():
            forward(images)

    def rate(step, mode, warmup):
        network.train(mode)
        for _ in range(warmup):
            step()
        seconds = []
        for _ in range(args.steps):
            begin = time.perf_counter()
            step()
            seconds.append(time.perf_counter() - begin)
        return args.batch / statistics.median(seconds)

    def measure(warmup):
        return {"train": rate(train, True, warmup), "inference": rate(infer, False, warmup)}

    measure(3)
    print(json.dumps({"torch": torch.__version__}), flush=True)
    for _ in sys.stdin:
        print(json.dumps(measure(1)), flush=True)


def start_worker(args, model, setting):
    command = [sys.executable, os.path.abspath(__file__), "--worker", setting, "--checkout", args.checkout, "--models", model]
    for name in ("batch", "size", "threads", "steps"):
        command += [f"--{name}", str(getattr(args, name))]
    env = dict(os.environ, OMP_NUM_THREADS=str(args.threads))
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
    line = process.stdout.readline()
    if not line.startswith("{"):
        process.kill()
        return None, None
    return process, json.loads(line)["torch"]


def ask(process):
    process.stdin.write("go\n")
    process.stdin.flush()
    line = process.stdout.readline()
    if not line:
        raise SystemExit(f"a PyTorch process died with exit code {process.wait()}")
    return json.loads(line)


def run_limbeck(args, model):
    command = [args.limbeck, "bench", "train", "--model", model, "--json", "--warmup", "3"]
    for name in ("batch", "size", "threads", "steps"):
        command += [f"--{name}", str(getattr(args, name))]
    result = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return {"train": result["train"]["images_per_s"], "inference": result["inference"]["images_per_s"]}


def compare(args, model):
    """Median images/s of every setting: {"train": {name: rate}, "inference": {...}}, and PyTorch's version."""
    workers, version = {}, None
    for setting in SETTINGS:
        if setting in args.skip:
            continue
        process, found = start_worker(args, model, setting)
        if process is None:
            print(f"{model}: PyTorch cannot run '{setting}' here; left out", file=sys.stderr)
            continue
        workers[setting], version = process, found
    rounds = {name: [] for name in ["Limbeck", *workers]}
    for i in range(args.rounds):
        rounds["Limbeck"].append(run_limbeck(args, model))
        for setting, process in workers.items():
            rounds[setting].append(ask(process))
        print(f"{model}: round {i + 1} of {args.rounds}", file=sys.stderr)
    for process in workers.values():
        process.stdin.close()
        process.wait()
    return {kind: {name: statistics.median(r[kind] for r in list_) for name, list_ in rounds.items()} for kind in ("train", "inference")}, version


def processor():
    try:
        with open("/proc/cpuinfo") as f:
            return next(line.split(":", 1)[1].strip() for line in f if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def table(results, kind):
    settings = [s for s in SETTINGS if any(s in r[kind] for r in results.values())]
    lines = ["| network | Limbeck | " + " | ".join(settings) + " | Limbeck / best f32 |", "|---" * (len(settings) + 3) + "|"]
    for model, result in results.items():
        rates = result[kind]
        best = max(rates[s] for s in settings if s in rates and not SETTINGS[s][2])
        cells = [f"{rates[s]:.0f}" if s in rates else "-" for s in settings]
        lines.append(f"| {model} | {rates['Limbeck']:.0f} | " + " | ".join(cells) + f" | **{rates['Limbeck'] / best:.2f}** |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkout", required=True, help="checkout of the original networks (holds models/__init__.py)")
    parser.add_argument("--limbeck", default="build/limbeck", help="the program")
    parser.add_argument("--models", nargs="+", default=["resnet20", "resnet8x4", "vgg8", "wrn_40_1"])
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=8, help="measured steps per round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--skip", nargs="*", default=[], choices=list(SETTINGS), help="PyTorch settings to leave out")
    parser.add_argument("--json", help="also write all medians to this file")
    parser.add_argument("--worker", choices=list(SETTINGS), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if not os.path.isfile(os.path.join(args.checkout, "models", "__init__.py")):
        raise SystemExit(f"{args.checkout}: no models/__init__.py there; expected a checkout of RepDistiller")
    if args.worker:
        return worker(args)
    results, version = {}, None
    for model in args.models:
        results[model], version = compare(args, model)
    print(f"Images per second, batch {args.batch}, {args.size}x{args.size}, f32, {args.threads} threads, PyTorch {version}, {processor()};")
    print(f"median of {args.rounds} interleaved rounds of {args.steps} steps.\n")
    print("Training step (forward, backward, SGD with momentum):\n\n" + table(results, "train"))
    print("\nInference:\n\n" + table(results, "inference"))
    if args.json:
        with open(args.json, "w") as f:
            json.dump(results, f, indent=1)


if __name__ == "__main__":
    main()
