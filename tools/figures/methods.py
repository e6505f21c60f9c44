#!/usr/bin/env python3
"""Draws the pictures of docs/methods/ into a folder (default: docs/figures): one for each family of methods."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from svg import Picture  # noqa: E402


def row(picture, y, name, boxes, strong=()):
    """Boxes from left to right with arrows between them; returns the middle of each."""
    middles, x = [], 90
    picture.text(8, y + 24, name, "title")
    for i, box in enumerate(boxes):
        picture.box(x, y, 92, 40, box, strong=box in strong)
        middles.append(x + 46)
        if i + 1 < len(boxes):
            picture.arrow((x + 92, y + 20), (x + 112, y + 20))
        x += 112
    return middles


def pair(picture, boxes, strong):
    """The teacher above, the student below."""
    teacher = row(picture, 14, "teacher", boxes, strong)
    row(picture, 156, "student", boxes, strong)
    return teacher


def compare(picture, x, words):
    """What stands between teacher and student at x."""
    picture.box(x - 62, 84, 124, 42, words[0], words[1:])
    picture.arrow((x, 54), (x, 84))
    picture.arrow((x, 156), (x, 126))


BOXES = ["image", "f[1]", "f[2]", "f[3]", "f[-1]", "logits"]


def logits(folder):
    p = Picture(780, 210, "Methods on logits: student and teacher are compared by what they say of the classes")
    x = pair(p, BOXES, ["logits"])
    compare(p, x[5], ["loss", "softmax of both / T"])
    p.write(folder / "methods-logits.svg")


def features(folder):
    p = Picture(780, 210, "Methods on features: maps of student and teacher are compared level by level")
    x = pair(p, BOXES, ["f[1]", "f[2]", "f[3]"])
    for i in (1, 3):
        compare(p, x[i] - (0 if i == 3 else 6), ["loss", "attention, likelihood" if i == 3 else "same size first"])
    p.write(folder / "methods-features.svg")


def relations(folder):
    p = Picture(780, 250, "Methods on relations: similarities between the images of a batch are compared")
    for y, who in ((14, "teacher"), (156, "student")):
        p.text(8, y + 30, who, "title")
        for i in range(3):
            p.box(90 + 6 * i, y + 12 * i, 110, 34, f"image {i + 1}")
        p.arrow((212, y + 30), (260, y + 30))
        p.box(260, y + 8, 130, 44, "f of each", ["[N, C]"])
        p.arrow((390, y + 30), (438, y + 30))
        p.box(438, y + 8, 150, 44, "who is like whom", ["[N, N]"], strong=True)
    p.box(620, 96, 130, 42, "loss", ["of two [N, N]"])
    p.arrow((588, 44), (684, 44), (684, 96))
    p.arrow((588, 186), (684, 186), (684, 138))
    p.write(folder / "methods-relations.svg")


def gradients(folder):
    p = Picture(780, 250, "Methods on input gradients: how the losses of student and teacher move with the image is compared")
    for y, who in ((14, "teacher"), (156, "student")):
        p.text(8, y + 30, who, "title")
        p.box(90, y + 4, 92, 52, "image", ["standardised"])
        p.arrow((182, y + 22), (224, y + 22))
        p.box(224, y + 4, 92, 52, "network")
        p.arrow((316, y + 22), (358, y + 22))
        p.box(358, y + 4, 110, 52, "CE", ["of each image"])
        p.arrow((358, y + 44), (316, y + 44))
        p.arrow((224, y + 44), (182, y + 44))
        p.arrow((136, y + 4), (136, y - 8), (550, y - 8), (550, y + 4)) if who == "teacher" else \
            p.arrow((136, y + 56), (136, y + 72), (550, y + 72), (550, y + 56))
        p.box(500, y + 4, 100, 52, "g", ["dCE / dx"], strong=True)
    p.box(640, 92, 130, 48, "loss", ["mean of |g_s - g_t|"])
    p.arrow((600, 44), (704, 44), (704, 92))
    p.arrow((600, 186), (704, 186), (704, 140))
    p.write(folder / "methods-gradients.svg")


def self_supervision(folder):
    p = Picture(780, 250, "Contrast and self-supervision: an image among other images, or among its own quarter turns")
    for y, who in ((14, "teacher"), (156, "student")):
        p.text(8, y + 30, who, "title")
        p.box(90, y, 120, 60, "image", ["and its turns (SSKD)"])
        p.arrow((210, y + 30), (250, y + 30))
        p.box(250, y, 80, 60, "f[-1]")
        p.arrow((330, y + 30), (370, y + 30))
        p.box(370, y, 110, 60, "head", ["trained along,", "or before"])
        p.arrow((480, y + 30), (520, y + 30))
        p.box(520, y, 90, 60, "v", ["unit length"], strong=True)
    p.box(640, 90, 130, 50, "loss", ["own image: near", "others: far"])
    p.arrow((610, 44), (704, 44), (704, 90))
    p.arrow((610, 186), (704, 186), (704, 140))
    p.box(250, 92, 230, 44, "memory [images, 128] (CRD)", ["others of all of the training set"])
    p.arrow((480, 114), (640, 114))
    p.write(folder / "methods-self-supervision.svg")


def main():
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/figures")
    folder.mkdir(parents=True, exist_ok=True)
    for draw in (logits, features, relations, gradients, self_supervision):
        draw(folder)


if __name__ == "__main__":
    main()
