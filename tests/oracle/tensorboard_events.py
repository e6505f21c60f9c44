"""The scalars and pictures of a TensorBoard event file beside a metrics.jsonl: each step once, the same numbers.

    python tests/oracle/tensorboard_events.py FOLDER        (of a stage)

Reads with TensorBoard's own package where it is installed, and always with a reader of its own; prints "ok ...", "FAIL ..." or "skip ...".
"""
import json
import math
import os
import struct
import sys

TABLE = []
for byte in range(256):
    rest = byte
    for _ in range(8):
        rest = (rest >> 1) ^ (0x82F63B78 if rest & 1 else 0)
    TABLE.append(rest)


def masked_crc(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ TABLE[(crc ^ byte) & 255]
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def records(data):
    at = 0
    while at < len(data):
        size, crc = struct.unpack_from("<QI", data, at)
        event = data[at + 12 : at + 12 + size]
        end = struct.unpack_from("<I", data, at + 12 + size)[0]
        if crc != masked_crc(data[at : at + 8]) or end != masked_crc(event):
            raise ValueError(f"wrong checksum in the record at byte {at}")
        yield event
        at += size + 16


def fields(data):
    """Number and value of each field of a protobuf message."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        tag = varint()
        if tag & 7 == 0:
            yield tag >> 3, varint()
            continue
        size = {1: 8, 5: 4}.get(tag & 7) or varint()
        text = data[at : at + size]
        at += size
        yield tag >> 3, struct.unpack("<f" if size == 4 else "<d", text)[0] if tag & 7 in (1, 5) else text


def read_alone(path):
    """[(tag, step, value)] and [(tag, step)] of the pictures."""
    scalars, pictures = [], []
    for event in records(open(path, "rb").read()):
        step = next((v for n, v in fields(event) if n == 2), 0)
        for summary in (v for n, v in fields(event) if n == 5):
            for value in (v for n, v in fields(summary) if n == 1):
                parts = dict(fields(value))
                tag = parts[1].decode()
                if 4 in parts:
                    pictures.append((tag, step))
                else:
                    scalars.append((tag, step, parts[2]))
    return scalars, pictures


def read_with_tensorboard(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(folder, size_guidance={"scalars": 0, "images": 0})
    events.Reload()
    scalars = [(tag, e.step, e.value) for tag in events.Tags()["scalars"] for e in events.Scalars(tag)]
    pictures = [(tag, e.step) for tag in events.Tags()["images"] for e in events.Images(tag)]
    return scalars, pictures


def expected_of(folder):
    scalars = []
    with open(os.path.join(folder, "metrics.jsonl")) as file:
        for line in file:
            values = json.loads(line)
            step = values.pop("step")
            scalars += [(tag, step, math.nan if v is None else v) for tag, v in values.items()]
    images = os.path.join(folder, "images")
    names = [f.rsplit(".", 1)[0] for f in os.listdir(images)] if os.path.isdir(images) else []
    return scalars, [(n.rsplit("-", 1)[0], int(n.rsplit("-", 1)[1])) if "-" in n else (n, 0) for n in names]


def compare(found, expected):
    (scalars, pictures), (wanted, wanted_pictures) = found, expected
    key = lambda s: s[:2]
    scalars, wanted = sorted(scalars, key=key), sorted(wanted, key=key)
    if [key(s) for s in scalars] != [key(s) for s in wanted]:
        return f"{len(scalars)} scalars, metrics.jsonl has {len(wanted)}"
    for (tag, step, value), (_, _, number) in zip(scalars, wanted):
        if not (math.isclose(value, number, rel_tol=1e-6) or (math.isnan(value) and math.isnan(number))):
            return f"{tag} at step {step} is {value}, in metrics.jsonl {number}"
    return None if sorted(pictures) == sorted(wanted_pictures) else f"pictures {sorted(pictures)}, files {sorted(wanted_pictures)}"


def main():
    folder, failed = sys.argv[1], False
    name = os.path.basename(folder)
    path = next(os.path.join(folder, f) for f in os.listdir(folder) if "tfevents" in f)
    for reader, read in (("a reader of its own", lambda: read_alone(path)), ("TensorBoard", lambda: read_with_tensorboard(folder))):
        try:
            wrong = compare(read(), expected_of(folder))
        except ImportError as error:
            print(f"skip events of {name} by {reader}: {error}")
            continue
        failed |= bool(wrong)
        print(f"FAIL events of {name} by {reader}: {wrong}" if wrong else f"ok events of {name} by {reader}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
