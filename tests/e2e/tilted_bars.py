"""Writes an image folder with responses: bars in front of dark ground, labels.csv has their angle in degrees.

    tilted_bars.py DIR [SIZE] [TRAIN] [TEST]
"""
import math
import os
import random
import struct
import sys
import zlib


def png(path, pixels, size):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes(pixels[y * size * 3:(y + 1) * size * 3]) for y in range(size))
    with open(path, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)) +
                chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def bar(angle, size, colour):
    c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    pixels = []
    for y in range(size):
        for x in range(size):
            u, v = (x + 0.5) / size - 0.5, (y + 0.5) / size - 0.5
            pixels.extend(colour if abs(u * s + v * c) < 0.12 else (10, 10, 30))
    return pixels


def main():
    folder = sys.argv[1]
    size, train, test = (int(a) for a in (sys.argv[2:5] + ["32", "120", "60"][len(sys.argv) - 2:]))
    draw = random.Random(1)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "labels.csv"), "w") as table:
        table.write("file,angle,split\n")
        for i in range(train + test):
            angle = round(draw.uniform(0, 90), 1)
            colour = tuple(draw.randrange(120, 256) for _ in range(3))
            png(os.path.join(folder, f"{i}.png"), bar(angle, size, colour), size)
            table.write(f"{i}.png,{angle},{'train' if i < train else 'test'}\n")


main()
