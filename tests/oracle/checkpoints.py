"""Checkpoints as people save them, through tools/pth.py and `limbeck convert`.

    python tests/oracle/checkpoints.py build/limbeck PLAIN.safetensors WORK_DIR

PLAIN holds the weights of a resnet8 with PyTorch's keys. Each file is made by torch.save; what can be read has to give PLAIN's bits, what cannot has
to end in one line that says why, and nothing in a file may run. Prints ok, FAIL or skip lines.
"""
import argparse
import os
import subprocess
import sys

try:
    import numpy as np
    import torch
except ImportError as error:
    print(f"skip checkpoints of PyTorch: {error}")
    sys.exit(0)

TOOLS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools")
sys.path.insert(0, TOOLS)
import pth  # noqa: E402


class Runs:
    """A pickle that would run a command."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def command(*words):
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return done.returncode, done.stderr.strip()


def report(name, good, why):
    print(f"ok {name}" if good else f"FAIL {name}: {why}")


def main():
    limbeck, plain, work = sys.argv[1:]
    path = lambda name: os.path.join(work, name)
    weights = pth.read_safetensors(plain)
    parameters = [torch.nn.Parameter(v) for v in weights.values() if v.is_floating_point()]
    sgd = torch.optim.SGD(parameters, lr=0.05, momentum=0.9)
    for p in parameters:
        p.grad = torch.ones_like(p)
    sgd.step()  # momentum buffers are tensors too, and no set of weights
    weights = pth.read_safetensors(plain)
    prefixed = lambda p: {p + k: v for k, v in weights.items()}
    other = {k: v + 1 for k, v in weights.items()}

    def to_safetensors(name, content, *options, **save):
        torch.save(content, path("in.pth"), **save)
        return command(sys.executable, os.path.join(TOOLS, "pth.py"), path("in.pth"), path("out.safetensors"), *options)

    def same_bits(name, content, *options, convert=(), **save):
        status, error = to_safetensors(name, content, *options, **save)
        if status == 0:
            status, error = command(limbeck, "convert", path("out.safetensors"), path("ours.safetensors"), "--model", "resnet8", "--classes", "10", "--mean",
                                    "0", "0", "0", "--deviation", "1", "1", "1", *convert)
        if status == 0:
            status, error = command(limbeck, "convert", path("ours.safetensors"), path("again.safetensors"), "--plain")
        if status != 0:
            return report(name, False, error)
        again = pth.read_safetensors(path("again.safetensors"))
        report(name, again.keys() == weights.keys() and all(torch.equal(again[k], weights[k]) for k in weights), "other keys or bits")

    def refused(name, content, expected, *options):
        status, error = to_safetensors(name, content, *options)
        report(name, status == 1 and expected in error and "\n" not in error, f"status {status}, {error}")

    same_bits("a bare state_dict", weights)
    same_bits("the format before 1.6", weights, _use_new_zipfile_serialization=False)
    same_bits("RepDistiller's _best", {"epoch": 240, "model": weights, "best_acc": torch.tensor(72.0), "optimizer": sgd.state_dict()})
    same_bits("a best score of NumPy", {"epoch": 240, "model": weights, "best_acc": np.float64(72), "other": np.float32(3)})
    same_bits("RepDistiller's _last with its options", {"opt": argparse.Namespace(lr=0.05, decay=[150, 180]), "model": weights, "optimizer": sgd.state_dict()})
    same_bits("net, acc, epoch of DataParallel", {"net": prefixed("module."), "acc": 94.1, "epoch": 200})
    same_bits("cGAN-KD's netG_state_dict", {"netG_state_dict": weights, "optimizerG_state_dict": sgd.state_dict(), "rng_state": torch.get_rng_state()}, "--key",
              "netG_state_dict")
    both = {"state_dict": other, "state_dict_ema": weights}
    refused("two sets of weights are asked about", both, "holds several sets of weights (state_dict, state_dict_ema): --key says which")
    same_bits("the set that --key names", both, "--key", "state_dict_ema")
    refused("a key that is not there", both, "no weights under --key ema", "--key", "ema")
    same_bits("an averaged model", {"n_averaged": torch.tensor(7), **prefixed("module.")})
    same_bits("a compiled model", prefixed("_orig_mod."))
    same_bits("a profiled model", {**weights, "total_ops": torch.zeros(1), "conv1.total_params": torch.zeros(1)})
    same_bits("one network of a wrapper", {**prefixed("module.student."), **{"module.teacher." + k: v for k, v in other.items()}}, convert=["--prefix", "module.student."])
    same_bits("one set of a flat file", {**prefixed("student."), "teacher.fc.bias": torch.zeros(3)}, convert=["--key", "student"])
    same_bits("keys to strip and to ignore", {**prefixed("backbone."), "head.weight": torch.zeros(2)}, convert=["--strip", "backbone.", "--ignore", "head"])

    refused("a pickle that runs a command", {"model": weights, "x": Runs(path("ran"))}, "which is not read")
    report("nothing of it ran", not os.path.exists(path("ran")), "it did")
    refused("a whole module", torch.nn.Linear(2, 2), "save its state_dict()")
    refused("a checkpoint without weights", {"epoch": 3}, "expected a state_dict of tensors, or a checkpoint that holds one; found a dict with epoch")
    refused("complex weights", {"w": torch.zeros(2, dtype=torch.complex64)}, "no safetensors type for torch.complex64")
    torch.jit.script(torch.nn.ReLU()).save(path("bad.pth"))
    status, error = command(sys.executable, os.path.join(TOOLS, "pth.py"), path("bad.pth"), path("out.safetensors"))
    report("TorchScript is refused", status == 1 and "TorchScript" in error and "\n" not in error, error)
    whole = open(path("in.pth"), "rb").read()
    for name, content in (("a cut file", whole[:200]), ("a text", b"no pickle"), ("nothing", b"")):
        with open(path("bad.pth"), "wb") as f:
            f.write(content)
        status, error = command(sys.executable, os.path.join(TOOLS, "pth.py"), path("bad.pth"), path("out.safetensors"))
        report(f"{name} is refused in one line", status == 1 and path("bad.pth") in error and "\n" not in error, error)


if __name__ == "__main__":
    main()
