#!/usr/bin/env python3
"""The pictures of docs/architecture.md: tools/figures/architecture.py FOLDER writes layers.svg and workflow.svg there.

The layers are those that tests/layers_test.cpp enforces.
"""
import pathlib
import re
import sys

from svg import Picture

ROOT = pathlib.Path(__file__).resolve().parents[2]
WHAT = {
    "tensor": "storage, devices, random streams, files, settings",
    "ops": "operator table: definitions, cases",
    "ops_cpu": "vector kernels",
    "ops_cuda": "CUDA kernels, SIMT shim",
    "autograd": "tape, gradcheck, functions",
    "nn": "modules, networks, optimisers",
    "data": "sources, batches",
    "train": "criterion, supervised loop",
    "gan": "GANs, conditioning, density ratio",
    "kd": "methods, tasks, plan, stages",
    "apps": "the program",
}
ROWS = [["apps"], ["kd"], ["gan"], ["train"], ["nn", "data"], ["autograd"], ["ops_cpu", "ops_cuda"], ["ops"], ["tensor"]]


def layers_of_the_test():
    """folder -> folders that it may include"""
    text = (ROOT / "tests/layers_test.cpp").read_text(encoding="utf-8")
    table = text[text.index("allowed = {"):]
    table = table[:table.index("\n};")]
    return {name: re.findall(r'"(\w+)"', may) for name, may in re.findall(r'\{"(\w+)",\s*\{([^}]*)\}\}', table)}


def layers(folder):
    allowed = layers_of_the_test()
    drawn = [name for row in ROWS for name in row]
    assert sorted(drawn) == sorted(allowed), f"ROWS draws {sorted(drawn)}, the test has {sorted(allowed)}"
    order = {name: i for i, row in enumerate(ROWS) for name in row}
    for name, may in allowed.items():
        for other in may:
            assert order[other] > order[name], f"{name} may include {other}, which ROWS draws above it"
    width, height, step = 640, 44, 58
    picture = Picture(width + 40, step * len(ROWS) + 12, "The layers of Limbeck: a folder includes only what stands below it")
    for i, row in enumerate(ROWS):
        part = (width - 16 * (len(row) - 1)) / len(row)
        for k, name in enumerate(row):
            picture.box(20 + k * (part + 16), 10 + i * step, part, height, f"{name}/", [WHAT[name]], strong=name in ("ops_cpu", "ops_cuda"))
        if i + 1 < len(ROWS):
            picture.arrow((20 + width / 2, 10 + i * step + height), (20 + width / 2, 10 + (i + 1) * step))
    picture.write(folder / "layers.svg")


def workflow(folder):
    p = Picture(860, 330, "The data's way from image to student")
    p.box(10, 135, 110, 56, "real images", ["data/"], strong=True)
    p.box(170, 20, 140, 56, "teacher", ["train/, nn/models/"])
    p.box(170, 95, 140, 56, "GAN", ["gan/trainer.h"])
    p.box(170, 170, 140, 56, "features", ["gan/feature_net.h"])
    p.box(170, 250, 140, 56, "student, NOKD", ["kd/network_stages.cpp"])
    p.box(360, 132, 130, 56, "density ratio", ["gan/density_ratio.h"])
    p.box(540, 95, 120, 56, "M1: subsample", ["gan/rejection.h"])
    p.box(540, 20, 120, 56, "M2: filter", ["kd/fake_data.h"])
    p.box(710, 135, 140, 72, "M3: student", ["on real + fake,", "with any method of", "kd/methods/"], strong=True)
    for y in (48, 123, 198, 278):
        p.arrow((120, 163), (145, 163), (145, y), (170, y))
    p.arrow((310, 123), (335, 123), (335, 150), (360, 150))
    p.arrow((310, 198), (335, 198), (335, 172), (360, 172))
    p.arrow((490, 160), (515, 160), (515, 132), (540, 132))
    p.arrow((310, 112), (540, 112))
    p.arrow((600, 95), (600, 76))
    p.arrow((310, 48), (540, 48))
    p.arrow((660, 48), (780, 48), (780, 135))
    p.arrow((310, 278), (780, 278), (780, 207))
    p.arrow((310, 34), (325, 34), (325, 10), (830, 10), (830, 135))
    p.text(330, 105, "fakes", "small")
    p.text(330, 42, "judges", "small")
    p.text(690, 24, "teaches", "small")
    p.text(400, 271, "first phase", "small")
    p.write(folder / "workflow.svg")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    target = pathlib.Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    layers(target)
    workflow(target)
