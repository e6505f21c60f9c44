#!/usr/bin/env python3
"""The figures of docs/tutorial/, drawn from what its pages show of the programs' output (tests/e2e/tutorial.sh compares that with the
programs): tools/figures/tutorial.py FOLDER writes tutorial-*.svg there."""
import math
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from plot import Axes, Plot  # noqa: E402

PAGES = pathlib.Path(__file__).resolve().parents[2] / "docs/tutorial"


def output(page):
    """Lines of the first program that the page shows."""
    text = (PAGES / f"{page}.md").read_text(encoding="utf-8")
    return re.search(r"^```console\n\$ [^\n]*\n(.*?)^```$", text, re.S | re.M).group(1).splitlines()


def numbers(lines, columns):
    """Rows of so many numbers and nothing else."""
    rows = []
    for line in lines:
        try:
            row = [float(word) for word in line.split()]
        except ValueError:
            continue
        if len(row) == columns:
            rows.append(row)
    assert rows, f"no rows of {columns} numbers"
    return rows


def tensor():
    lines = output("01-tensor")
    p = Plot(740, 288, "Two rows, three columns and two channels, in memory and in a file")
    memory, file = (next(line for line in lines if line.startswith(word)).split()[-12:] for word in ("memory", "file"))
    p.text(20, 24, "the image", "title")
    for value in memory:
        r, c, channel = (int(digit) for digit in value)
        x, y = 20 + 92 * c + 40 * channel, 40 + 42 * r
        p.rect(x, y, 40, 30, f"axis f{channel + 1} soft")
        p.text(x + 20, y + 20, value, "mono", "middle")
    p.legend(330, 64, [(1, False, "channel 0"), (2, False, "channel 1")])
    p.text(330, 112, "a value says row, column, channel", "small")
    for name, values, y in (("memory: N, H, W, C", memory, 168), ("file: N, C, H, W", file, 240)):
        p.text(20, y - 8, name, "title")
        for i, value in enumerate(values):
            p.rect(20 + 58 * i, y, 58, 26, f"axis f{int(value[2]) + 1} soft")
            p.text(49 + 58 * i, y + 18, value, "mono", "middle")
            p.text(49 + 58 * i, y + 40, str(i), "small", "middle")
    return p


def operator():
    rows = numbers(output("02-operator"), 6)
    p = Plot(740, 270, "Right and wrong backward of softmax under a cotangent of ones and under a random one")
    for panel, (title, part) in enumerate((("dy = 1 everywhere", rows[:5]), ("dy random", rows[5:]))):
        axes = Axes(p, 60 + 350 * panel, 40, 280, 170, (-0.5, 4.5), (-0.35, 0.2), title)
        axes.ticks_y([-0.3, -0.2, -0.1, 0, 0.1, 0.2])
        axes.ticks_x(range(5), lambda i: f"x{i}")
        for i, row in enumerate(part):
            axes.bar(i, 18, row[3], "f1", -10)
            axes.bar(i, 18, row[5], "f2", 10)
    p.text(200, 120, "both say 0", "small", "middle")
    p.rect(250, 244, 12, 12, "f1")
    p.text(268, 255, "right dx", "small")
    p.rect(350, 244, 12, 12, "f2")
    p.text(368, 255, "wrong dx", "small")
    return p


def tape():
    calls = [re.fullmatch(r"(v\d) = (\w+)\(([^)]*)\)\s+(\[.*\])", line).groups() for line in output("03-tape") if line.startswith("v")]
    p = Plot(740, 268, "The tape of mean((w x + b - t)^2)")
    learnt = {"w", "b"}
    for k, (out, op, arguments, shape) in enumerate(calls):
        x = 30 + 142 * k
        p.box(x, 110, 96, 54, op, [f"{out} {shape}"])
        leaves = [a for a in arguments.split(", ") if not a.startswith("v")]
        for i, leaf in enumerate(leaves):
            at = x + 48 + (i - (len(leaves) - 1) / 2) * 60
            p.box(at - 22, 30, 44, 34, leaf, strong=leaf in learnt)
            p.arrow((at - 7 if leaf in learnt else at, 64), (at - 7 if leaf in learnt else at, 110))
            if leaf in learnt:
                p.line("back", (at + 8, 110), (at + 8, 66))
                p.text(at + 13, 92, f"d{leaf}", "small f2")
        if k + 1 < len(calls):
            p.arrow((x + 96, 128), (x + 142, 128))
            p.line("back", (x + 142, 148), (x + 98, 148))
            p.text(x + 119, 180, f"d{out}", "small f2", "middle")
    p.text(30 + 142 * 4 + 48, 180, "dy = 1", "small f2", "middle")
    p.arrow((30, 216), (66, 216))
    p.text(74, 220, "forward: values, and what the backward will read", "small")
    p.line("back", (66, 240), (30, 240))
    p.text(74, 244, "backward: cotangents; green leaves keep theirs as grad()", "small")
    return p


def gradcheck():
    rows = numbers(output("04-gradcheck"), 3)
    p = Plot(740, 320, "Error of a central difference of x^3 at 1 over its step")
    axes = Axes(p, 80, 30, 420, 230, (-12, -1), (-12, 1))
    axes.ticks_x(range(-12, 0, 2), lambda v: f"1e{v}")
    axes.ticks_y(range(-12, 1, 2), lambda v: f"1e{v}")
    axes.label_x("step h")
    for column, colour in ((1, 1), (2, 2)):
        axes.curve([(math.log10(row[0]), math.log10(row[column])) for row in rows], colour)
    p.line("axis dashed", axes.at(-6, -12), axes.at(-6, 1))
    p.text(*map(round, axes.at(-5.9, 0.4)), "gradcheck's step", "small")
    p.legend(530, 60, [(1, False, "error in f64"), (2, False, "error in f32")])
    for i, words in enumerate(("right of the minimum: the slope", "bends, error h^2", "left of it: two nearly equal", "numbers are subtracted,", "error eps / h")):
        p.text(530, 120 + 18 * i, words, "small")
    return p


def convolution():
    counts = dict(re.findall(r"^(\w[\w ]*?) +(\d+) multiplications", "\n".join(output("05-convolution")), re.M))
    p = Plot(780, 300, "A window, a tile in registers, and a Winograd tile")
    p.text(110, 24, "definition", "title", "middle")
    p.cells(30, 60, 6, 6, 20, "box")
    p.cells(50, 80, 3, 3, 20, "f1 soft")
    p.rect(180, 100, 20, 20, "axis f1")
    p.arrow((116, 110), (176, 110))
    p.text(190, 140, "y", "", "middle")
    p.text(90, 198, "x", "", "middle")
    p.text(110, 222, "9 taps, one output at a time", "small", "middle")
    p.text(370, 24, "window sums", "title", "middle")
    p.cells(300, 60, 8, 2, 56, "f1 soft", 16)
    p.text(356, 50, "2 vectors of channels", "small", "middle")
    for i in range(8):
        p.rect(280, 60 + 16 * i, 14, 14, "axis f2 soft")
    p.text(356, 206, "8 pixels x 2 vectors = 16 sums", "small", "middle")
    p.text(356, 222, "that stay in registers", "small", "middle")
    p.text(610, 24, "Winograd", "title", "middle")
    p.cells(480, 70, 6, 6, 14, "box")
    p.arrow((568, 112), (588, 112))
    p.cells(592, 70, 6, 6, 14, "f2 soft")
    p.arrow((680, 112), (700, 112))
    p.cells(704, 84, 4, 4, 14, "f1 soft")
    p.text(522, 174, "6 x 6 inputs", "small", "middle")
    p.text(634, 174, "36 products", "small", "middle")
    p.text(732, 158, "4 x 4", "small", "middle")
    p.text(610, 206, "16 outputs from 36 products", "small", "middle")
    p.text(610, 222, "instead of 144", "small", "middle")
    for x, name in ((110, "definition"), (370, "window sums"), (610, "Winograd")):
        p.text(x, 262, f"{int(counts[name]):,}", "mono", "middle")
    p.text(370, 284, "multiplications of the program's example", "small", "middle")
    return p


def cuda():
    owners = {}
    for line in output("06-cuda"):
        if line.startswith("row"):
            row = int(line.split(":")[0].split()[1])
            for part, found in enumerate(re.findall(r"block (\d+) warp (\d+) lanes +(\d+) to +(\d+)", line)):
                owners[row, part] = [int(word) for word in found]
    p = Plot(760, 400, "Image, tile, warp and lane")
    p.text(20, 24, "image, 8 x 32: a grid of 2 x 2 blocks", "title")
    colours = ["f1 soft", "f2 soft", "f3 soft", "box"]
    for (row, part), (block, _, _, _) in owners.items():
        p.cells(20 + 192 * part, 36 + 12 * row, 1, 16, 12, colours[block])
    for block in range(4):
        p.text(446, 56 + 22 * block, f"block {block}", "small")
        p.rect(428, 46 + 22 * block, 12, 12, f"axis {colours[block]}")
    p.arrow((404, 60), (415, 60), (415, 176))
    p.text(20, 164, "the tile of block 1, 4 x 16: 64 threads, two warps", "title")
    for row in range(4):
        warp = owners[row, 1][1]
        p.cells(20, 176 + 20 * row, 1, 16, 30, f"{'f3' if warp else 'f2'} soft", 20)
    for warp in range(2):
        p.text(512, 200 + 40 * warp, f"warp {warp}: rows {2 * warp} and {2 * warp + 1}", "small")
    p.arrow((185, 256), (185, 298))
    p.text(20, 320, "warp 1: 32 lanes in step; lane 5 is thread 37, row 2, column 5 of the tile", "title")
    first = owners[2, 1][2]
    for lane in range(32):
        p.rect(20 + 22 * lane, 334, 22, 26, f"axis f3{'' if lane == 5 else ' soft'}")
        p.text(31 + 22 * lane, 376, str(first + lane), "small", "middle")
    p.rect(170, 216, 30, 20, "axis f3")
    return p


def network():
    lines = output("07-network")
    layers = [re.fullmatch(r"(\[.*?\]) +-> (\[.*?\]) +(\d+) multiply-adds", line) for line in lines]
    layers = [match.groups() for match in layers if match]
    names = ["conv1", "bn1", "conv2", "bn2", "fc"]
    assert len(layers) == len(names), layers
    p = Plot(760, 350, "A network of two convolutions, one turn of the loop, and its loss")
    p.text(20, 24, "the network, for one image", "title")
    for i, (name, (inner, outer, macs)) in enumerate(zip(names, layers)):
        x = 15 + 150 * i
        p.box(x, 40, 128, 64, name, [outer.replace(", ", " x ").strip("[]"), f"{int(macs):,} multiply-adds"] if int(macs) else [outer.replace(", ", " x ").strip("[]"), "relu behind it"])
        if i:
            p.arrow((x - 22, 72), (x, 72))
    p.text(604, 122, "mean over pixels", "small", "middle")
    p.text(20, 158, "one step", "title")
    for i, (title, line) in enumerate((("batch", "loader"), ("forward", "net"), ("loss", "cross entropy"))):
        p.box(20 + 130 * i, 176, 104, 46, title, [line])
        if i:
            p.arrow((20 + 130 * i - 26, 199), (20 + 130 * i, 199))
    p.box(280, 264, 104, 46, "backward", ["the tape"])
    p.box(150, 264, 104, 46, "update", ["SGD"])
    p.arrow((332, 222), (332, 264))
    p.arrow((280, 287), (254, 287))
    p.arrow((150, 287), (72, 287), (72, 222))
    p.text(84, 304, "next batch", "small")
    losses = [(int(step), float(loss)) for step, loss in re.findall(r"step +(\d+)  loss ([\d.]+)", "\n".join(lines))]
    axes = Axes(p, 480, 176, 240, 120, (0, 240), (0, 2), "mean loss of 40 steps")
    axes.ticks_x([0, 80, 160, 240])
    axes.ticks_y([0, 1, 2])
    axes.curve(losses, 1)
    axes.label_x("step")
    return p


def gan():
    lines = output("08-gan")
    hinge = numbers(lines, 4)
    sigma = [float(word) for word in next(line for line in lines if line.startswith("sigma")).split(":")[1].split()]
    p = Plot(780, 290, "Hinge losses, spectral norm and DiffAugment")
    axes = Axes(p, 50, 40, 230, 180, (-2, 2), (-2, 3), "hinge loss")
    axes.ticks_x([-2, -1, 0, 1, 2])
    axes.ticks_y([-2, -1, 0, 1, 2, 3])
    axes.label_x("score")
    for column in (1, 2, 3):
        axes.curve([(row[0], row[column]) for row in hinge], column, column == 3)
    p.legend(60, 168, [(1, False, "D on real"), (2, False, "D on fake"), (3, True, "G")])
    axes = Axes(p, 340, 40, 190, 180, (1, len(sigma)), (2.9, 3.02), "sigma of diag(3, 2, 1)")
    axes.ticks_x(range(1, len(sigma) + 1))
    axes.ticks_y([2.9, 2.95, 3.0])
    axes.label_x("forward")
    axes.curve(list(enumerate(sigma, 1)), 1)
    p.text(660, 30, "DiffAugment: translation", "title", "middle")
    images = numbers(lines, 8)
    for part, x in ((0, 572), (4, 676)):
        for r, row in enumerate(images):
            for c in range(4):
                p.grey(x + 22 * c, 70 + 22 * r, 22, (row[part + c] + 1) / 2)
    p.text(616, 176, "image", "small", "middle")
    p.text(720, 176, "moved", "small", "middle")
    return p


def rejection():
    rows = numbers(output("09-rejection"), 5)
    p = Plot(780, 300, "Density of fakes, of real samples and of accepted fakes; density ratio and acceptance")
    normal = [(-2 + 0.05 * i, math.exp(-((-2 + 0.05 * i) ** 2) / 2) / math.sqrt(2 * math.pi)) for i in range(81)]
    real = [(x, math.exp(-2 * (x - 1) ** 2) / math.sqrt(2 * math.pi) * 2) for x, _ in normal]
    axes = Axes(p, 50, 40, 310, 200, (-2.2, 2.2), (0, 1), "densities")
    axes.ticks_x([-2, -1, 0, 1, 2])
    axes.ticks_y([0, 0.5, 1])
    for x, _, _, _, count in rows:
        axes.bar(x, 15, count / 4000 / 0.25, "f3 soft")
    axes.curve(normal, 2)
    axes.curve(real, 1)
    axes.label_x("x")
    p.legend(64, 62, [(2, False, "fake"), (1, False, "real")])
    p.rect(64, 86, 22, 12, "f3 soft")
    p.text(92, 96, "accepted", "small")
    axes = Axes(p, 430, 40, 310, 200, (-2.2, 2.2), (0, 4.6), "density ratio")
    axes.ticks_x([-2, -1, 0, 1, 2])
    axes.ticks_y([0, 1, 2, 3, 4])
    axes.curve([(row[0], row[1]) for row in rows], 1)
    axes.curve([(row[0], row[2]) for row in rows], 2, True)
    bound = float(output("09-rejection")[0].split()[1].rstrip(","))
    axes.curve([(-2.2, bound), (2.2, bound)], 3, True)
    p.text(438, 58, "M: accepted with probability r / M", "small")
    p.legend(444, 100, [(1, False, "r, exact"), (2, True, "r, learnt")])
    axes.label_x("x")
    return p


def distillation():
    lines = output("10-distillation")
    soft = [[float(word) for word in line.split()[:6]] for line in lines if re.match(r" +\d+ 0\.", line)]
    vicinities = numbers(lines, 3)
    p = Plot(780, 290, "Softened logits, and hard and soft vicinities")
    axes = Axes(p, 50, 40, 320, 190, (-0.5, 3.5), (0, 1), "softmax(teacher / T)")
    axes.ticks_y([0, 0.5, 1])
    axes.ticks_x(range(4), lambda i: f"T = {soft[i][0]:.0f}")
    for i, row in enumerate(soft):
        for c, value in enumerate(row[1:]):
            axes.bar(i, 11, value, "f1" if c == 0 else "f2" if c == 1 else "f3", 13 * (c - 2))
    axes.label_x("probabilities of five classes")
    axes = Axes(p, 440, 40, 310, 190, (0, 1), (0, 1.1), "weights for target 0.4")
    axes.ticks_y([0, 0.5, 1])
    axes.ticks_x([0, 0.2, 0.4, 0.6, 0.8, 1])
    axes.label_x("response of an image")
    radius, nu = (float(v) for v in re.search(r"radius ([\d.]+); soft: nu ([\d.]+)", "\n".join(lines)).groups())
    axes.curve([(0.4 - radius, 0), (0.4 - radius, 1), (0.4 + radius, 1), (0.4 + radius, 0)], 1)
    axes.curve([(0.01 * i, math.exp(-nu * (0.01 * i - 0.4) ** 2)) for i in range(101)], 2)
    for y, hard, weight in vicinities:
        axes.bar(y, 4, weight, "f2")
        axes.bar(y, 10, 0.02, "f1" if hard else "f2")
    p.legend(640, 70, [(1, False, "hard"), (2, False, "soft")])
    p.text(640, 106, "bars: the images", "small")
    return p


PLACES = {  # column, row
    "nokd_equal": (1, 0), "nokd": (0, 1), "cgankd": (3, 1), "teacher": (0, 2), "fakes": (2, 2), "cgankd_blkd": (3, 2),
    "blkd": (1, 3), "features": (0, 3), "gan": (0, 4), "ratio": (1, 4), "fakes_m1": (2, 4), "fakes_raw": (1, 5), "evaluate": (3, 5),
}
STUDENTS = {"nokd", "nokd_equal", "blkd", "cgankd", "cgankd_blkd"}


def stages():
    needs = {}
    for line in output("10-distillation"):
        found = re.fullmatch(r"(\w+) +<-(.*)", line)
        if found:
            needs[found.group(1)] = found.group(2).split()
    assert sorted(needs) == sorted(PLACES), f"PLACES draws {sorted(PLACES)}, the page has {sorted(needs)}"

    def below(name):
        return set(needs[name]).union(*(below(n) for n in needs[name]))

    p = Plot(780, 400, "The stages of a run, without the arrows that follow from others")
    width, height = 120, 38

    def at(name):
        column, row = PLACES[name]
        return 20 + 200 * column, 14 + 62 * row

    for name, direct in needs.items():
        for need in direct:
            if any(need in below(other) for other in direct):
                continue
            (x0, y0), (x1, y1) = at(need), at(name)
            if (need, name) == ("nokd", "cgankd_blkd"):
                p.arrow((x0 + width, y0 + 28), (x1 - 24, y0 + 28), (x1 - 24, y1 + 10), (x1, y1 + 10))
            else:
                p.arrow((x0 + width, y0 + height / 2), (x1, y1 + height / 2))
    for name in needs:
        p.box(*at(name), width, height, name, strong=name in STUDENTS)
    p.text(20, 392, "green: students", "small")
    return p


FIGURES = {
    "1-tensor": tensor, "2-operator": operator, "3-tape": tape, "4-gradcheck": gradcheck, "5-convolution": convolution, "6-cuda": cuda,
    "7-network": network, "8-gan": gan, "9-rejection": rejection, "10-distillation": distillation, "10-stages": stages,
}

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    target = pathlib.Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    for name, draw in FIGURES.items():
        draw().write(target / f"tutorial-{name}.svg")
