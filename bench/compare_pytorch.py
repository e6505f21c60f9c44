#!/usr/bin/env python3
"""Training steps of Limbeck and PyTorch side by side on this machine's CPU: throughput, peak memory and their ratios for every network.

  git clone https://github.com/UBCDingXin/cGAN-KD
  python3 bench/compare_pytorch.py --checkout cGAN-KD                      # the CIFAR-100 classifiers
  python3 bench/compare_pytorch.py --checkout cGAN-KD --group gan          # others: --help lists the groups; `all` for all of them

--checkout is the original's repository; for classifiers it may also be any folder that holds networks as a package `models`, such as
RepDistiller. Its code runs as it is (bench/pytorch_steps.py). Networks that it lacks are left out by name.

Losses and optimisers are the original's, inputs are random, arithmetic is f32. PyTorch runs eagerly with contiguous and with channels-last
tensors; --settings adds torch.compile and, for information only, bf16 autocast (other arithmetic: it does not count as PyTorch's best). Every
network and setting runs in a process of its own. The sides take turns; a turn's number is the median of its steps, a side's number the best
of its turns, because other programs on the machine can only take time away. The ratio is Limbeck over the fastest f32 setting.

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
from dataclasses import asdict, dataclass, replace

SETTINGS = {  # name: (channels_last, compiled, bf16)
    "contiguous": (False, False, False),
    "channels_last": (True, False, False),
    "contiguous compile": (False, True, False),
    "channels_last compile": (True, True, False),
    "bf16 autocast": (True, False, True),
}
CIFAR = ("resnet8 resnet14 resnet20 resnet32 resnet44 resnet56 resnet110 resnet8x4 resnet32x4 ResNet18 ResNet34 ResNet50 wrn_16_1 wrn_16_2 "
         "wrn_40_1 wrn_40_2 vgg8 vgg11 vgg13 vgg16 vgg19 MobileNetV2 ShuffleV1 ShuffleV2 efficientnetb0 densenet121").split()
SLOW = ["densenet169", "densenet201", "densenet161"]  # seconds per step
REGRESSORS = [m for m in CIFAR if m not in ("resnet8", "resnet14", "resnet32", "resnet44")] + ["ResNet18_embed", "ResNet34_embed"]


@dataclass(frozen=True)
class Row:
    """One network as both sides know it."""

    model: str
    task: str = "classification"
    batch: int = 64
    size: int = 32
    kind: str = "train"  # or "inference"


GROUPS = {  # name: (what, rows, settings or None for eager f32)
    "cifar": ("classifiers", [Row(m) for m in CIFAR], None),
    "densenet": ("the slowest networks", [Row(m, task, batch, size) for task, batch, size in (
        ("classification", 32, 32), ("classification", 16, 128), ("regression", 32, 64)) for m in SLOW], None),
    "imagenet": ("classifiers of large images", [Row(m, batch=16, size=128) for m in CIFAR], None),
    "regression": ("regressors", [Row(m, "regression", 32, 64) for m in REGRESSORS], None),
    "gan": ("GANs (a step of D and one of G) and the networks around them", [
        Row("biggan", batch=32), Row("biggan-deep", batch=4, size=128), Row("sagan", "regression", 8, 64), Row("sngan", "regression", 8, 64),
        Row("InceptionV3", batch=8, size=299, kind="inference"), Row("ResNet34_extract"), Row("ratio_MLP5", batch=256),
        Row("ratio_MLP5", "regression", 256, 64), Row("sparse_autoencoder", "regression", 32, 64), Row("y2h", "regression", 128, 0)], None),
    "settings": ("classifiers under every setting", [Row(m) for m in ("resnet20", "resnet8x4", "vgg8", "wrn_40_1")], list(SETTINGS)),
}


# --- PyTorch's side: a server that imports PyTorch once and forks a child for each network and setting --------------------------------
def resident_mib():
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * resource.getpagesize() / 2**20


def serve_network(args, row, setting, requests, answers):
    """In the child: one JSON line for each request line."""
    import torch

    from pytorch_steps import build_case

    before = resident_mib()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    vars(args).update(vars(row))
    case = build_case(args, *SETTINGS[setting])
    step = case.train if row.kind == "train" else case.infer
    for module in case.modules:
        module.train(row.kind == "train")

    def turn():
        seconds = []
        while not seconds or sum(seconds) < args.seconds:
            begin = time.perf_counter()
            step()
            seconds.append(time.perf_counter() - begin)
        return row.batch / statistics.median(seconds)

    for _ in range(2):
        step()
    answers.write("ready\n")
    answers.flush()
    for _ in requests:
        rate = turn()
        answers.write(json.dumps({"rate": rate, "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before}) + "\n")
        answers.flush()


def server(args):
    """Reads `row<TAB>setting<TAB>folder` from stdin, the row in JSON; the child talks over two named pipes in that folder."""
    import torch

    import pytorch_steps  # noqa: F401: imported before the children fork

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children
    print(json.dumps({"torch": torch.__version__}), flush=True)
    for line in sys.stdin:
        row, setting, folder = line.rstrip("\n").split("\t")
        row = Row(**json.loads(row))
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch.compile waits for its own
            try:
                with open(os.path.join(folder, "requests")) as requests, open(os.path.join(folder, "answers"), "w") as answers:
                    serve_network(args, row, setting, requests, answers)
            except Exception as e:  # noqa: BLE001: the parent sees the pipe close and says which setting cannot run here
                print(f"{row.model}, {setting}: {type(e).__name__}: {e}", file=sys.stderr)
                os._exit(1)
            os._exit(0)


class Worker:
    """One network and setting on PyTorch's side."""

    def __init__(self, process, folder, row, setting):
        os.makedirs(folder)
        for name in ("requests", "answers"):
            os.mkfifo(os.path.join(folder, name))
        process.stdin.write(f"{json.dumps(asdict(row))}\t{setting}\t{folder}\n")
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
def limbeck_turn(args, row, idle):
    command = [args.limbeck, "bench", "train", "--model", row.model, "--task", row.task, "--batch", str(row.batch), "--size", str(row.size),
               "--threads", str(args.threads), "--only", row.kind, "--json", "--warmup", "1", "--seconds", str(args.seconds)]
    r = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return {"rate": r[row.kind]["images_per_s"], "memory": r["peak_resident_mib"] - idle, "gflops": r[row.kind]["gflop_per_s"]}


def idle_limbeck(args):
    """Resident size of the program without a network, in MiB."""
    process = subprocess.Popen([args.limbeck, "--version"], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{args.limbeck} --version: exit code {process.returncode}")
    return usage.ru_maxrss / 1024


# --- the comparison ---------------------------------------------------------------------------------------------------------------------
def compare(args, row, settings, process, folder, idle):
    """{side: {"rate": images/s, "memory": MiB, ...}} of one network; the sides take turns. None when PyTorch has no such network."""
    workers = {}
    for setting in settings:
        worker = Worker(process, os.path.join(folder, setting), row, setting)
        if worker.alive:
            workers[setting] = worker
        else:
            worker.close()
            print(f"{row.model}: PyTorch cannot run '{setting}' here; left out", file=sys.stderr)
    if not workers:
        return None
    turns = {side: [] for side in ["Limbeck", *workers]}
    begin = time.perf_counter()
    while len(turns["Limbeck"]) < min(2, args.turns) or (len(turns["Limbeck"]) < args.turns and time.perf_counter() - begin < args.patience):
        turns["Limbeck"].append(limbeck_turn(args, row, idle))
        for setting, worker in workers.items():
            turns[setting].append(worker.turn())
    for worker in workers.values():
        worker.close()
    result = {side: {**max(answers, key=lambda a: a["rate"]), "memory": max(a["memory"] for a in answers)} for side, answers in turns.items()}
    best = max((result[s]["rate"] for s in workers if not SETTINGS[s][2]), default=float("nan"))
    print(f"{row.model}: Limbeck {result['Limbeck']['rate']:.1f}, PyTorch {best:.1f} images/s, {len(turns['Limbeck'])} turns, "
          f"{time.perf_counter() - begin:.0f} s", file=sys.stderr)
    return result


def processor():
    try:
        with open("/proc/cpuinfo") as f:
            return next(line.split(":", 1)[1].strip() for line in f if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def number(x):
    return f"{x:.2f}" if x < 10 else f"{x:.1f}" if x < 100 else f"{x:.0f}"


def label(row, rows):
    """The network's name, and what sets it apart from the others of its table."""
    notes = [row.task] if any(r.model == row.model and r.task != row.task for r in rows) else []
    if any((r.batch, r.size) != (row.batch, row.size) for r in rows):
        notes.append(f"{row.batch} x {row.size}x{row.size}" if row.size else f"{row.batch}")
    if row.kind != "train":
        notes.append(row.kind)
    return row.model + (f" ({', '.join(notes)})" if notes else "")


def table(settings, results):
    header = ["network", "Limbeck", *settings, "Limbeck / best f32", "GFLOP/s", "MiB Limbeck", "MiB PyTorch"]
    other = [s for s in settings if SETTINGS[s][2]]
    header[-3:-3] = [f"Limbeck f32 / {s}" for s in other]
    lines = ["| " + " | ".join(header) + " |", "|---" * len(header) + "|"]
    for row, result in results.items():
        ours, sides = result["Limbeck"], {s: r for s, r in result.items() if s in settings}
        cells = [label(row, results), number(ours["rate"])] + [number(sides[s]["rate"]) if s in sides else "-" for s in settings]
        counted = {s: r for s, r in sides.items() if not SETTINGS[s][2]}
        cells.append(f"**{ours['rate'] / max(r['rate'] for r in counted.values()):.2f}**" if counted else "-")
        cells += [f"{ours['rate'] / sides[s]['rate']:.2f}" if s in sides else "-" for s in other]
        cells += [f"{ours['gflops']:.0f}", f"{ours['memory']:.0f}", f"{min(r['memory'] for r in counted.values()):.0f}" if counted else "-"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def report(args, group, settings, results, version, load):
    shapes = {(r.batch, r.size) for r in results}
    shape = "batch %d, %dx%d" % (*next(iter(shapes)), next(iter(shapes))[1]) if len(shapes) == 1 else "batch and image size in brackets"
    policy = os.environ.get("OMP_WAIT_POLICY")
    return "\n".join([
        f"Images per second of a training step, {GROUPS[group][0]}, {shape}, f32, {args.threads} threads{f' (OMP_WAIT_POLICY={policy})' if policy else ''}, {processor()}, PyTorch {version};",
        f"{datetime.date.today()}, commit {args.commit}, load average {load:.1f} before the run, priority {os.getpriority(os.PRIO_PROCESS, 0)}; best of up to {args.turns} turns of {args.seconds} s.",
        "GFLOP/s are Limbeck's, PyTorch's memory is the least of its f32 settings:",
        "",
        table(settings, results),
    ])


def update(path, group, text):
    """Replaces what lies between the group's two marker lines of a Markdown file."""
    begin, end = f"<!-- compare_pytorch {group}: begin -->", f"<!-- compare_pytorch {group}: end -->"
    with open(path) as f:
        page = f.read()
    if page.count(begin) != 1 or page.count(end) != 1:
        raise SystemExit(f"{path}: expected one line '{begin}' and one line '{end}'")
    page = page[: page.index(begin)] + begin + "\n" + text + "\n" + page[page.index(end):]
    with open(path, "w") as f:
        f.write(page)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkout", required=True, help="the original's repository; for classifiers also a folder that holds models/__init__.py")
    parser.add_argument("--limbeck", default="build/limbeck", help="the program")
    parser.add_argument("--group", nargs="+", default=["cifar"], choices=[*GROUPS, "all"], metavar="GROUP",
                        help="; ".join(f"{name}: {what} ({len(rows)})" for name, (what, rows, _) in GROUPS.items()))
    parser.add_argument("--models", nargs="+", help="only these of the groups; `all` with the group cifar adds " + ", ".join(SLOW))
    parser.add_argument("--settings", nargs="+", choices=list(SETTINGS), help="of PyTorch (contiguous channels_last; group settings: all)")
    parser.add_argument("--batch", type=int, help="instead of the group's")
    parser.add_argument("--size", type=int, help="instead of the group's; classifiers of 96 pixels and more are the ImageNet ones")
    parser.add_argument("--inference", action="store_true", help="compare a forward pass in eval mode instead")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--turns", type=int, default=4, help="turns of each side")
    parser.add_argument("--seconds", type=float, default=0.8, help="measured in each turn (Limbeck: at least two steps)")
    parser.add_argument("--patience", type=float, default=16, help="seconds after which a network begins no third turn")
    parser.add_argument("--json", help="also write all numbers to this file")
    parser.add_argument("--update", metavar="PAGE.md", help="also put the tables between the markers of this page")
    parser.add_argument("--server", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if "all" in args.group:
        args.group = list(GROUPS)
    if not os.path.isdir(os.path.join(args.checkout, "CIFAR-100")) and not os.path.isfile(os.path.join(args.checkout, "models", "__init__.py")):
        raise SystemExit(f"{args.checkout}: neither CIFAR-100 nor models/__init__.py there; expected a checkout of the original networks")
    return args


def rows_of(args, group):
    rows = GROUPS[group][1]
    if args.models == ["all"] and group == "cifar":
        rows = [Row(m) for m in CIFAR + SLOW]
    elif args.models:
        rows = [r for r in rows if r.model in args.models]
    changes = {name: value for name, value in (("batch", args.batch), ("size", args.size)) if value}
    if args.inference:
        changes["kind"] = "inference"
    return [replace(r, **changes) for r in rows]


def start_server(args):
    command = [sys.executable, os.path.abspath(__file__), "--server", "--checkout", args.checkout]
    for name in ("threads", "seconds"):
        command += [f"--{name}", str(getattr(args, name))]
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
    everything = {}
    for group in args.group:
        settings, results = args.settings or GROUPS[group][2] or ["contiguous", "channels_last"], {}
        with tempfile.TemporaryDirectory() as folder:
            for i, row in enumerate(rows_of(args, group)):
                result = compare(args, row, settings, process, os.path.join(folder, str(i)), idle)
                if result:
                    results[row] = result
        if not results:
            raise SystemExit(f"group {group}: nothing could be compared; the messages are above")
        text = report(args, group, settings, results, about["torch"], load)
        print(text, flush=True)
        everything[group] = [{**asdict(row), "results": result} for row, result in results.items()]
        if args.update:
            update(args.update, group, text)
        if args.json:
            with open(args.json, "w") as f:
                json.dump(everything, f, indent=1)
    process.stdin.close()
    process.wait()


if __name__ == "__main__":
    main()
