#!/usr/bin/env python3
"""Training steps of Limbeck and PyTorch side by side on this machine's CPU or GPU: throughput, peak memory and their ratios for every network.

  git clone https://github.com/UBCDingXin/cGAN-KD
  python3 bench/compare_pytorch.py --checkout cGAN-KD                      # the CIFAR-100 classifiers
  python3 bench/compare_pytorch.py --checkout cGAN-KD --group gan          # others: --help lists the groups; `all` for all of them
  python3 bench/compare_pytorch.py --checkout RepDistiller --group methods # training steps of distillation methods (bench/methods_pytorch.py)
  python3 bench/compare_pytorch.py --checkout cGAN-KD --device cuda --limbeck build/cuda/limbeck

--checkout is the original's repository; for classifiers it may also be any folder that holds networks as a package `models`, such as
RepDistiller. Its code runs as it is (bench/pytorch_steps.py). Networks that it lacks are left out by name.

Losses and optimisers are the original's, inputs are random, arithmetic is f32. PyTorch runs eagerly with contiguous and with channels-last
tensors; --settings adds torch.compile and, for information only, bf16 autocast (other arithmetic: it does not count as PyTorch's best). Every
network and setting runs in a process of its own. The sides take turns; a turn's number is the median of its steps, a side's number the best
of its turns, because other programs on the machine can only take time away. The ratio is Limbeck over the fastest f32 setting.

The group `methods` takes a checkout of HobbitLong/RepDistiller, or the copy in cGAN-KD; `data-free` takes one of zju-vipa/CMI.

Memory is the largest resident size of the process less what it held before the network was made: programs and libraries do not count.

With --device cuda Limbeck runs in f32, tf32 and bf16, each with its own kernels and with `--kernels tuned` (cuBLAS and cuDNN among the choices),
and PyTorch in the settings of bench/settings.py: eager, the eager step as one CUDA graph, torch.compile, and torch.compile with CUDA graphs;
optimisers are the fused ones, cuDNN measures its algorithms, TF32 is off for f32. Numbers are compared within a precision. A measurement
is many steps between two waits for the device. Memory is the most that tensors took at once, by each side's own allocator.
"""
import argparse
import contextlib
import ctypes
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, replace

import settings as all_settings
from comparison_tables import PRECISIONS, cpu_report, gpu_report, update

PR_SET_PDEATHSIG = 1  # of <sys/prctl.h>
# What RepDistiller has; the numbers of its losses are in methods_pytorch.py.
METHODS = "blkd fitnet at sp vid rkd pkt ab ft crd cc nst fsp kdsvd".split()
UNFINISHED = 3  # exit code: the time was up, run again with --resume
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
    width: int = 0  # of a GAN; 0: the original's
    method: str = ""  # of distillation, and who teaches
    teacher: str = ""

    @property
    def name(self):
        return self.method or self.model


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
    "ccgan": ("CcGAN at other widths and sizes", [
        Row("sagan", "regression", 32, 64, width=16), Row("sagan", "regression", 64, 32, width=16), Row("sagan", "regression", 32, 64),
        Row("sagan", "regression", 16, 32), Row("sngan", "regression", 32, 64, width=16)],
        ["contiguous", "channels_last", "contiguous compile", "channels_last compile"]),
    "methods": ("distillation methods, resnet32x4 > resnet8x4", [Row("resnet8x4", method=m, teacher="resnet32x4") for m in METHODS],
                ["contiguous", "channels_last", "contiguous compile", "channels_last compile"]),
    "data-free": ("rounds of data-free methods, wrn_40_2 > wrn_16_1", [Row("wrn_16_1", method=m, teacher="wrn_40_2") for m in ("dafl", "dfad", "cmi")], None),
    "settings": ("classifiers under every setting", [Row(m) for m in ("resnet20", "resnet8x4", "vgg8", "wrn_40_1")], ["all"]),
}


# --- PyTorch's side: a server that imports PyTorch once and forks a child for each network and setting --------------------------------
def resident_mib():
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * resource.getpagesize() / 2**20


def settings_of(args):
    return all_settings.CUDA if args.device == "cuda" else all_settings.CPU


def turns_on_cpu(args, row, step, before):
    """Warms up; the function that measures a turn. `before`: resident MiB without the network."""
    def turn():
        seconds = []
        while not seconds or sum(seconds) < args.seconds:
            begin = time.perf_counter()
            step()
            seconds.append(time.perf_counter() - begin)
        return {"rate": row.batch / statistics.median(seconds), "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before}

    for _ in range(2):
        step()
    return turn


def turns_on_gpu(args, row, step, setting):
    """Measures 50 ms of steps between two waits. Compilation and cuDNN's measurements lie before; their memory does not count."""
    import torch

    from pytorch_steps import recorded

    on_gpu = args.torch_device != "cpu"
    wait = torch.cuda.synchronize if on_gpu else (lambda: None)

    def seconds_of(steps):
        wait()
        begin = time.perf_counter()
        for _ in range(steps):
            step()
        wait()
        return (time.perf_counter() - begin) / steps

    for _ in range(3):
        step()
    wait()
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    if setting.graph:
        step = recorded(step)
    for _ in range(5):
        step()
    steps = max(1, min(200, int(0.05 / seconds_of(2))))

    def turn():
        seconds = []
        while len(seconds) < 3 or sum(seconds) * steps < args.seconds:
            seconds.append(seconds_of(steps))
        return {"rate": row.batch / statistics.median(seconds), "memory": torch.cuda.max_memory_allocated() / 2**20 if on_gpu else 0}

    return turn


def serve_network(args, row, setting, requests, answers):
    """In the child: one JSON line for each request line."""
    import torch

    from pytorch_steps import build_case

    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    before = resident_mib()
    vars(args).update(vars(row))
    case = build_case(args, setting)
    step = case.train if row.kind == "train" else case.infer
    for module in case.modules:
        module.train(row.kind == "train")
    turn = turns_on_gpu(args, row, step, setting) if args.device == "cuda" else turns_on_cpu(args, row, step, before)
    answers.write("ready\n")
    answers.flush()
    for _ in requests:
        answers.write(json.dumps(turn()) + "\n")
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
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # what is compiling ends with a comparison that is cut off
            try:
                with open(os.path.join(folder, "requests")) as requests, open(os.path.join(folder, "answers"), "w") as answers:
                    serve_network(args, row, settings_of(args)[setting], requests, answers)
            except Exception as e:  # noqa: BLE001: the parent sees the pipe close and says which setting cannot run here
                print(f"{row.name}, {setting}: {type(e).__name__}: {str(e)[:1000]}", file=sys.stderr)
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
        try:
            self.requests.write("go\n")
            self.requests.flush()
        except BrokenPipeError:
            return None
        return json.loads(self.answers.readline() or "null")  # None: it died

    def close(self):
        with contextlib.suppress(BrokenPipeError):
            self.requests.close()
        self.answers.read()
        self.answers.close()


# --- Limbeck's side --------------------------------------------------------------------------------------------------------------------
def limbeck_turn(args, row, options, idle):
    """None when it failed, which it has said on stderr."""
    command = [args.limbeck, "bench", "train", "--model", row.model, "--task", row.task, "--batch", str(row.batch), "--size", str(row.size),
               "--width", str(row.width), *(["--method", row.method, "--teacher", row.teacher] if row.method else []),
               "--threads", str(args.threads), "--only", row.kind, "--json", "--seconds", str(args.seconds), *options]
    try:
        r = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=300).stdout)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired, json.JSONDecodeError) as e:
        print(f"{row.name}: {' '.join(command)}: {e}", file=sys.stderr)
        return None
    memory = r["peak_tensor_mib"] if args.device == "cuda" else r["peak_resident_mib"] - idle
    return {"rate": r[row.kind]["images_per_s"], "memory": memory, "gflops": r[row.kind]["gflop_per_s"],
            **{name: r[name] for name in ("device", "software") if name in r}}


def limbeck_sides(args):
    """{side: options of the program}"""
    if args.device != "cuda":
        return {"Limbeck": ["--warmup", "1"]}
    return {f"{kernels} {p}": ["--warmup", "8", "--device", "cuda", "--precision", p, "--kernels", kernels]
            for p in args.precisions for kernels in args.kernels}


def idle_limbeck(args):
    """Resident size of the program without a network, in MiB."""
    process = subprocess.Popen([args.limbeck, "--version"], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{args.limbeck} --version: exit code {process.returncode}")
    return usage.ru_maxrss / 1024


# --- the comparison ---------------------------------------------------------------------------------------------------------------------
def best_of(answers):
    return {**max(answers, key=lambda a: a["rate"]), "memory": max(a["memory"] for a in answers)}


def start_workers(args, row, settings, process, folder):
    workers = {}
    for setting in settings:
        worker = Worker(process, os.path.join(folder, setting), row, setting)
        if worker.alive:
            workers[setting] = worker
        else:
            worker.close()
            print(f"{row.name}: PyTorch cannot run '{setting}' here; left out", file=sys.stderr)
    return workers


def compare(args, row, settings, process, folder, idle):
    """{side: {"rate": images/s, "memory": MiB, ...}} of one network; the sides take turns, and one that fails is left out. None when PyTorch
    has no such network."""
    begin = time.perf_counter()
    workers = start_workers(args, row, settings, process, folder)
    if not workers:
        return None
    ours = limbeck_sides(args)
    turns = {side: [] for side in [*ours, *workers]}
    done, started = 0, time.perf_counter()
    while done < min(2, args.turns) or (done < args.turns and time.perf_counter() - started < args.patience):
        for side, options in ours.items():
            if done == 0 or turns[side]:  # not again what failed
                turns[side].append(limbeck_turn(args, row, options, idle))
        for setting, worker in workers.items():
            if worker.alive:
                turns[setting].append(worker.turn())
                worker.alive = turns[setting][-1] is not None
        for side in turns:
            turns[side] = [a for a in turns[side] if a]
        done += 1
    for worker in workers.values():
        worker.close()
    result = {side: best_of(answers) for side, answers in turns.items() if answers}
    if args.device != "cuda" and "Limbeck" not in result:
        raise SystemExit(f"{row.name}: Limbeck failed, see above")
    print(f"{row.name}, batch {row.batch}: " + ", ".join(f"{side} {r['rate']:.1f}" for side, r in result.items())
          + f" images/s, {done} turns, {time.perf_counter() - begin:.0f} s", file=sys.stderr)
    return result


def turns_of_pytorch(args, row, setting, process, folder):
    worker, answers = Worker(process, folder, row, setting), []
    if not worker.alive:
        print(f"{row.name}: PyTorch cannot run '{setting}' here; left out", file=sys.stderr)
    while worker.alive and len(answers) < args.turns:
        answers.append(worker.turn())
        worker.alive = answers[-1] is not None
    worker.close()
    return [a for a in answers if a]


def compare_by_side(args, row, settings, process, folder, idle, sides, keep, end):
    """One side after the other, on a machine that nobody shares: `sides` gets each, None for one that failed, and keep() saves it before the next
    begins. False when the time is up."""
    measure = {side: lambda options=options: [a for a in (limbeck_turn(args, row, options, idle) for _ in range(args.turns)) if a]
               for side, options in limbeck_sides(args).items()}
    measure |= {s: lambda s=s: turns_of_pytorch(args, row, s, process, os.path.join(folder, s)) for s in settings}
    for side, turns in measure.items():
        if side in sides:
            continue
        if time.monotonic() >= end:
            return False
        begin, answers = time.perf_counter(), turns()
        sides[side] = best_of(answers) if answers else None
        keep()
        print(f"{row.name}, batch {row.batch}, {side}: " + (f"{sides[side]['rate']:.1f} images/s" if answers else "failed")
              + f", {time.perf_counter() - begin:.0f} s", file=sys.stderr)
    return True


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkout", required=True, help="the original's repository; for classifiers also a folder that holds models/__init__.py")
    parser.add_argument("--limbeck", default="build/limbeck", help="the program")
    parser.add_argument("--group", nargs="+", default=["cifar"], choices=[*GROUPS, "all"], metavar="GROUP",
                        help="; ".join(f"{name}: {what} ({len(rows)})" for name, (what, rows, _) in GROUPS.items()))
    parser.add_argument("--models", nargs="+", help="only these of the groups, methods by their names; `all` with the group cifar adds " + ", ".join(SLOW))
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--settings", nargs="+", metavar="SETTING", help="of PyTorch: `all`, or some of: " + ", ".join(all_settings.CPU)
                        + " (default: contiguous channels_last; group settings: all); --device cuda: " + ", ".join(all_settings.CUDA)
                        + " (default: all but f32 graphs, tf32 graphs, bf16 max-autotune)")
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=list(PRECISIONS), help="--device cuda: Limbeck's, and of PyTorch the settings of these")
    parser.add_argument("--kernels", nargs="+", choices=("own", "tuned"), default=["own", "tuned"], help="--device cuda: Limbeck's")
    parser.add_argument("--batch", type=int, nargs="+", help="instead of the group's (--device cuda, group cifar: 64 128 256)")
    parser.add_argument("--size", type=int, help="instead of the group's; classifiers of 96 pixels and more are the ImageNet ones")
    parser.add_argument("--inference", action="store_true", help="compare a forward pass in eval mode instead")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--turns", type=int, default=4, help="turns of each side")
    parser.add_argument("--seconds", type=float, default=0.8, help="measured in each turn (Limbeck: at least two steps)")
    parser.add_argument("--patience", type=float, default=16, help="seconds after which a network begins no third turn")
    parser.add_argument("--json", help="also write all numbers to this file, after every network")
    parser.add_argument("--resume", action="store_true", help="what the file of --json has already is not measured again; with --device cuda the file gets each side of a network when it is measured")
    parser.add_argument("--deadline", type=float, metavar="SECONDS", help=f"begin no network (with --device cuda --resume no side of one) after this time; exit code {UNFINISHED} when some are left")
    parser.add_argument("--update", metavar="PAGE.md", help="also put the tables between the markers of this page")
    parser.add_argument("--server", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--torch-device", help=argparse.SUPPRESS)  # where PyTorch's tensors are: a test without a GPU says cpu
    args = parser.parse_args()
    if "all" in args.group:
        args.group = list(GROUPS)
    args.torch_device = args.torch_device or args.device
    unknown = [s for s in args.settings or [] if s != "all" and s not in settings_of(args)]
    if unknown:
        parser.error(f"--settings: unknown for --device {args.device}: {', '.join(unknown)}; known: all, {', '.join(settings_of(args))}")
    if args.resume and not args.json:
        parser.error("--resume needs --json FILE")
    if not any(os.path.exists(os.path.join(args.checkout, place)) for place in ("CIFAR-100", "models/__init__.py", "datafree")):
        raise SystemExit(f"{args.checkout}: neither CIFAR-100 nor models/__init__.py nor datafree there; expected a checkout of the original networks")
    return args


def rows_of(args, group):
    rows = GROUPS[group][1]
    if args.models == ["all"] and group == "cifar":
        rows = [Row(m) for m in CIFAR + SLOW]
    elif args.models:
        rows = [r for r in rows if r.name in args.models]
    changes = {"size": args.size} if args.size else {}
    if args.inference:
        changes["kind"] = "inference"
    batches = args.batch or ((64, 128, 256) if args.device == "cuda" and group == "cifar" else (None,))
    return [replace(r, batch=batch or r.batch, **changes) for batch in batches for r in rows]


def chosen_settings(args, group):
    names = args.settings or GROUPS[group][2] or (all_settings.CUDA_DEFAULT if args.device == "cuda" else ["contiguous", "channels_last"])
    every = settings_of(args)
    chosen = list(every) if "all" in names else names
    return {s: every[s] for s in chosen if args.device == "cpu" or every[s].precision in args.precisions}


def start_server(args):
    command = [sys.executable, os.path.abspath(__file__), "--server", "--checkout", args.checkout]
    for name in ("threads", "seconds", "device", "torch_device"):
        command += [f"--{name.replace('_', '-')}", str(getattr(args, name))]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                               env=dict(os.environ, OMP_NUM_THREADS=str(args.threads)))
    line = process.stdout.readline()
    if not line.startswith("{"):
        raise SystemExit("the PyTorch process did not start; its message is above")
    return process, json.loads(line)


def earlier_results(args):
    """{group: {Row: sides}} of the file of --json."""
    if not (args.resume and os.path.exists(args.json)):
        return {}
    with open(args.json) as f:
        groups = json.load(f)
    fields = Row.__dataclass_fields__
    return {group: {Row(**{name: r[name] for name in fields if name in r}): r["results"] for r in rows} for group, rows in groups.items()}


def write_results(path, everything):
    groups = {group: [{**asdict(row), "results": result} for row, result in results.items()] for group, results in everything.items()}
    with open(path + ".tmp", "w") as f:
        json.dump(groups, f, indent=1)
    os.replace(path + ".tmp", path)


def measure_group(args, group, process, folder, idle, everything, end):
    """Adds the rows of a group that are not there yet; how many are left when the time is up."""
    results, rows = everything.setdefault(group, {}), rows_of(args, group)
    for i, row in enumerate(rows):
        pipes = os.path.join(folder, group, str(i))
        if args.resume and args.device == "cuda":
            if not compare_by_side(args, row, chosen_settings(args, group), process, pipes, idle, results.setdefault(row, {}),
                                   lambda: write_results(args.json, everything), end):
                return len(rows) - i
            continue
        if row in results:
            continue
        if time.monotonic() >= end:
            return sum(r not in results for r in rows)
        result = compare(args, row, chosen_settings(args, group), process, pipes, idle)
        if result:
            results[row] = result
            if args.json:
                write_results(args.json, everything)
    return 0


def report_group(args, group, results, version, load):
    what, settings = GROUPS[group][0], chosen_settings(args, group)
    results = {row: {side: r for side, r in sides.items() if r} for row, sides in results.items()}
    if args.device == "cpu":
        return cpu_report(args, what, settings, results, version, load)
    about = next((side for sides in results.values() for side in sides.values() if "device" in side), {})
    return gpu_report(args, what, settings, results, version, about)


def commit():
    """Of this checkout; a machine without git, or a copy without its history, is no failure."""
    try:
        git = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=os.path.dirname(os.path.abspath(__file__)), capture_output=True, text=True)
    except OSError:
        return "unknown"
    return git.stdout.strip() or "unknown"


def main():
    import tempfile

    args = parse()
    if args.server:
        return server(args)
    end = time.monotonic() + (args.deadline or float("inf"))
    load = os.getloadavg()[0]
    if load > 0.3 * (os.cpu_count() or 1):
        print(f"warning: the load average is {load:.1f}; publish only what was measured on an idle machine", file=sys.stderr)
    args.commit = commit()
    idle = idle_limbeck(args)
    process, about = start_server(args)
    everything, left = earlier_results(args), 0
    for group in args.group:
        with tempfile.TemporaryDirectory() as folder:
            left += measure_group(args, group, process, folder, idle, everything, end)
        if not any(r for sides in everything[group].values() for r in sides.values()):
            if left:
                continue
            raise SystemExit(f"group {group}: nothing could be compared; the messages are above")
        text = report_group(args, group, everything[group], about["torch"], load)
        print(text, flush=True)
        if args.update:
            update(args.update, group if args.device == "cpu" else f"{group} cuda", text)
    process.stdin.close()
    process.wait()
    if left:
        print(f"the time is up: {left} networks are left; run again with --resume", file=sys.stderr)
        return UNFINISHED
    return 0


if __name__ == "__main__":
    sys.exit(main())
