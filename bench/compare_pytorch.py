#!/usr/bin/env python3
"""Training steps of Limbeck and PyTorch side by side on this machine's CPU: throughput, peak memory and their ratios for every network.

  git clone https://github.com/UBCDingXin/cGAN-KD
  python3 bench/compare_pytorch.py --checkout cGAN-KD/CIFAR-100/RepDistiller

--checkout is a folder that holds the original networks as a package `models` (RepDistiller's, or its copy in cGAN-KD, which adds DenseNet
and EfficientNet; ImageNet-100/RepDistiller there for --size 128). Its code runs as it is. Networks that it lacks are left out by name.

A step is forward, mean cross entropy, backward and SGD with momentum 0.9 and weight decay 5e-4 on random images, in f32. PyTorch runs
eagerly with contiguous and with channels-last tensors; --settings adds torch.compile and, for information only, bf16 autocast (other
arithmetic: it does not count as PyTorch's best). Every network and setting runs in a process of its own. The sides take turns, so that a
busy machine hurts all alike; a side's number is the median of its turns, each the median of its steps. The ratio is Limbeck over the
fastest f32 setting.

Memory is the largest resident size of the process less what it held before the network was made: programs and libraries do not count.
"""
import argparse
import datetime
import json
import os
import platform
import resource
import signal
import statistics
import subprocess
import sys
import time

SETTINGS = {  # name: (channels_last, compiled, bf16)
    "contiguous": (False, False, False),
    "channels_last": (True, False, False),
    "contiguous compile": (False, True, False),
    "channels_last compile": (True, True, False),
    "bf16 autocast": (True, False, True),
}
ALL = ("resnet8 resnet14 resnet20 resnet32 resnet44 resnet56 resnet110 resnet8x4 resnet32x4 ResNet18 ResNet34 ResNet50 wrn_16_1 wrn_16_2 "
       "wrn_40_1 wrn_40_2 vgg8 vgg11 vgg13 vgg16 vgg19 MobileNetV2 ShuffleV1 ShuffleV2 efficientnetb0 densenet121 densenet169 densenet201 "
       "densenet161").split()
SLOW = ["densenet169", "densenet201", "densenet161"]  # seconds per step: only when named, or with --models all


# --- PyTorch's side: a server that imports PyTorch once and forks a child for each network and setting --------------------------------
def resident_mib():
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * resource.getpagesize() / 2**20


def make_step(args, model, setting):
    """A function that runs one training step, one that runs one inference, and the network."""
    import contextlib

    import torch
    from models import model_dict  # the checkout's own package

    channels_last, compiled, bf16 = SETTINGS[setting]
    layout = torch.channels_last if channels_last else torch.contiguous_format
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    network = model_dict[model](num_classes=100).to(memory_format=layout)
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

    return train, infer, network


def serve_network(args, model, setting, requests, answers):
    """In the child: one JSON line for each request line."""
    before = resident_mib()
    train, infer, network = make_step(args, model, setting)

    def turn(step, mode):
        network.train(mode)
        step()
        seconds = []
        while len(seconds) < 2 or sum(seconds) < args.seconds:
            begin = time.perf_counter()
            step()
            seconds.append(time.perf_counter() - begin)
        return args.batch / statistics.median(seconds)

    train()
    answers.write("ready\n")
    answers.flush()
    for _ in requests:
        answer = {"train": turn(train, True)}
        answer["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before
        if args.inference:
            answer["inference"] = turn(infer, False)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def server(args):
    """Reads `network<TAB>setting<TAB>folder` from stdin; the child talks over two named pipes in that folder."""
    import torch

    sys.path.insert(0, args.checkout)
    from models import model_dict

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children
    print(json.dumps({"torch": torch.__version__, "models": sorted(model_dict)}), flush=True)
    for line in sys.stdin:
        model, setting, folder = line.rstrip("\n").split("\t")
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch.compile waits for its own
            try:
                with open(os.path.join(folder, "requests")) as requests, open(os.path.join(folder, "answers"), "w") as answers:
                    serve_network(args, model, setting, requests, answers)
            except Exception as e:  # noqa: BLE001: the parent sees the pipe close and says which setting cannot run here
                print(f"{model}, {setting}: {type(e).__name__}: {e}", file=sys.stderr)
                os._exit(1)
            os._exit(0)


class Worker:
    """One network and setting on PyTorch's side."""

    def __init__(self, process, folder, model, setting):
        os.makedirs(folder)
        for name in ("requests", "answers"):
            os.mkfifo(os.path.join(folder, name))
        process.stdin.write(f"{model}\t{setting}\t{folder}\n")
        process.stdin.flush()
        self.requests = open(os.path.join(folder, "requests"), "w")
        self.answers = open(os.path.join(folder, "answers"))
        self.alive = self.answers.readline() == "ready\n"

    def turn(self):
        self.requests.write("go\n")
        self.requests.flush()
        return json.loads(self.answers.readline())

    def close(self):
        self.requests.close()
        self.answers.read()
        self.answers.close()


# --- Limbeck's side --------------------------------------------------------------------------------------------------------------------
def limbeck_turn(args, model, idle):
    command = [args.limbeck, "bench", "train", "--model", model, "--json", "--warmup", "2", "--seconds", str(args.seconds)]
    for name in ("batch", "size", "threads"):
        command += [f"--{name}", str(getattr(args, name))]
    if not args.inference:
        command += ["--only", "train"]
    r = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    rates = {kind: r[kind]["images_per_s"] for kind in ("train", "inference") if kind in r}
    return {**rates, "memory": r["peak_resident_mib"] - idle, "macs": r["macs_per_image"]}


def idle_limbeck(args):
    """Resident size of the program without a network, in MiB."""
    process = subprocess.Popen([args.limbeck, "--version"], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{args.limbeck} --version: exit code {process.returncode}")
    return usage.ru_maxrss / 1024


# --- the comparison ---------------------------------------------------------------------------------------------------------------------
def compare(args, model, process, folder, idle):
    """{side: {"train": rate, "memory": MiB, ...}} of one network; the sides take turns."""
    workers = {}
    for setting in args.settings:
        worker = Worker(process, os.path.join(folder, f"{model} {setting}"), model, setting)
        if worker.alive:
            workers[setting] = worker
        else:
            worker.close()
            print(f"{model}: PyTorch cannot run '{setting}' here; left out", file=sys.stderr)
    turns = {side: [] for side in ["Limbeck", *workers]}
    begin = time.perf_counter()
    while len(turns["Limbeck"]) < 2 or (len(turns["Limbeck"]) < args.turns and time.perf_counter() - begin < args.patience):
        turns["Limbeck"].append(limbeck_turn(args, model, idle))
        for setting, worker in workers.items():
            turns[setting].append(worker.turn())
    for worker in workers.values():
        worker.close()
    result = {}
    for side, answers in turns.items():
        result[side] = {kind: statistics.median(a[kind] for a in answers) for kind in ("train", "inference") if kind in answers[0]}
        result[side]["memory"] = max(a["memory"] for a in answers)
    result["Limbeck"]["macs"] = turns["Limbeck"][0]["macs"]
    best = max((result[s]["train"] for s in workers if not SETTINGS[s][2]), default=float("nan"))
    print(f"{model}: Limbeck {result['Limbeck']['train']:.0f}, PyTorch {best:.0f} images/s, {len(turns['Limbeck'])} turns, "
          f"{time.perf_counter() - begin:.0f} s", file=sys.stderr)
    return result


def processor():
    try:
        with open("/proc/cpuinfo") as f:
            return next(line.split(":", 1)[1].strip() for line in f if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def number(x):
    return f"{x:.1f}" if x < 100 else f"{x:.0f}"


def table(args, results, kind):
    header = ["network", "Limbeck", *args.settings, "Limbeck / best f32", "GFLOP/s"] + (["MiB Limbeck", "MiB PyTorch"] if kind == "train" else [])
    lines = ["| " + " | ".join(header) + " |", "|---" * len(header) + "|"]
    for model, result in results.items():
        ours, sides = result["Limbeck"], {s: r for s, r in result.items() if s in args.settings}
        cells = [model, number(ours[kind])] + [number(sides[s][kind]) if s in sides else "-" for s in args.settings]
        counted = {s: r for s, r in sides.items() if not SETTINGS[s][2]}
        cells.append(f"**{ours[kind] / max(r[kind] for r in counted.values()):.2f}**" if counted else "-")
        cells.append(f"{(6 if kind == 'train' else 2) * ours[kind] * ours['macs'] / 1e9:.0f}")
        if kind == "train":  # PyTorch's least memory need, whatever the setting
            cells += [f"{ours['memory']:.0f}", f"{min(r['memory'] for r in counted.values()):.0f}" if counted else "-"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def report(args, results, version, load):
    lines = [
        f"Images per second, batch {args.batch}, {args.size}x{args.size}, f32, {args.threads} threads, {processor()}, PyTorch {version};",
        f"{datetime.date.today()}, commit {args.commit}, load average {load:.1f} before the run; median of up to {args.turns} turns of {args.seconds} s.",
        "",
        "Training step (forward, backward, SGD with momentum); GFLOP/s are Limbeck's, memory is the least of PyTorch's f32 settings:",
        "",
        table(args, results, "train"),
    ]
    if args.inference:
        lines += ["", "Inference:", "", table(args, results, "inference")]
    return "\n".join(lines)


def update(path, text):
    """Replaces what lies between the two marker lines of a Markdown file."""
    begin, end = "<!-- compare_pytorch: begin -->", "<!-- compare_pytorch: end -->"
    with open(path) as f:
        page = f.read()
    if page.count(begin) != 1 or page.count(end) != 1:
        raise SystemExit(f"{path}: expected one line '{begin}' and one line '{end}'")
    page = page[: page.index(begin)] + begin + "\n" + text + "\n" + page[page.index(end):]
    with open(path, "w") as f:
        f.write(page)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkout", required=True, help="folder of the original networks (holds models/__init__.py)")
    parser.add_argument("--limbeck", default="build/limbeck", help="the program")
    parser.add_argument("--models", nargs="+", default=[m for m in ALL if m not in SLOW], help="networks; `all` adds " + ", ".join(SLOW))
    parser.add_argument("--settings", nargs="+", default=["contiguous", "channels_last"], choices=list(SETTINGS), help="of PyTorch")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--turns", type=int, default=4, help="turns of each side")
    parser.add_argument("--seconds", type=float, default=0.8, help="measured in each turn, and at least two steps")
    parser.add_argument("--patience", type=float, default=16, help="seconds after which a network begins no third turn")
    parser.add_argument("--inference", action="store_true", help="also compare a forward pass in eval mode")
    parser.add_argument("--json", help="also write all numbers to this file")
    parser.add_argument("--update", metavar="PAGE.md", help="also put the tables between the markers of this page")
    parser.add_argument("--server", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.models == ["all"]:
        args.models = ALL
    if not os.path.isfile(os.path.join(args.checkout, "models", "__init__.py")):
        raise SystemExit(f"{args.checkout}: no models/__init__.py there; expected a checkout of the original networks")
    return args


def start_server(args):
    command = [sys.executable, os.path.abspath(__file__), "--server", "--checkout", args.checkout]
    for name in ("batch", "size", "threads", "seconds"):
        command += [f"--{name}", str(getattr(args, name))]
    command += ["--inference"] if args.inference else []
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                               env=dict(os.environ, OMP_NUM_THREADS=str(args.threads)))
    line = process.stdout.readline()
    if not line.startswith("{"):
        raise SystemExit("the PyTorch process did not start; its message is above")
    return process, json.loads(line)


def main():
    import tempfile

    args = parse()
    if args.server:
        return server(args)
    load = os.getloadavg()[0]
    if load > 0.3 * (os.cpu_count() or 1):
        print(f"warning: the load average is {load:.1f}; publish only what was measured on an idle machine", file=sys.stderr)
    git = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=os.path.dirname(os.path.abspath(__file__)), capture_output=True, text=True)
    args.commit = git.stdout.strip() or "unknown"
    idle = idle_limbeck(args)
    process, about = start_server(args)
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for model in args.models:
            if model not in about["models"]:
                print(f"{model}: not in the checkout; left out", file=sys.stderr)
                continue
            results[model] = compare(args, model, process, folder, idle)
        process.stdin.close()
        process.wait()
    text = report(args, results, about["torch"], load)
    print(text)
    if args.update:
        update(args.update, text)
    if args.json:
        with open(args.json, "w") as f:
            json.dump(results, f, indent=1)


if __name__ == "__main__":
    main()
