#!/usr/bin/env python3
"""Turns a PyTorch .pth file of weights into safetensors and back. Needs torch and numpy.

  python3 tools/pth.py resnet20_best.pth resnet20.safetensors
  python3 tools/pth.py resnet20.safetensors resnet20.pth

A .pth file may hold the state_dict itself or a checkpoint with it under "model", "state_dict", "net_state_dict" or "model_state_dict".
`limbeck convert` then adds which network it is.
"""
import json
import struct
import sys

import torch

TYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64, "I32": torch.int32,
         "U8": torch.uint8, "BOOL": torch.bool}
NAMES = {v: k for k, v in TYPES.items()}


def state_dict_of(checkpoint, path):
    for key in ("model", "state_dict", "net_state_dict", "model_state_dict"):
        if isinstance(checkpoint, dict) and isinstance(checkpoint.get(key), dict):
            checkpoint = checkpoint[key]
    if not isinstance(checkpoint, dict) or not checkpoint or not all(isinstance(v, torch.Tensor) for v in checkpoint.values()):
        raise SystemExit(f"{path}: expected a state_dict of tensors, or a checkpoint that holds one")
    return checkpoint


def write_safetensors(path, tensors):
    header, blobs, begin = {}, [], 0
    for key, value in tensors.items():
        if value.dtype not in NAMES:
            raise SystemExit(f"{key}: no safetensors type for {value.dtype}")
        blob = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        header[key] = {"dtype": NAMES[value.dtype], "shape": list(value.shape), "data_offsets": [begin, begin + len(blob)]}
        begin += len(blob)
        blobs.append(blob)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def read_safetensors(path):
    with open(path, "rb") as f:
        data = f.read()
    size = struct.unpack("<Q", data[:8])[0]
    tensors = {}
    for key, entry in json.loads(data[8:8 + size]).items():
        if key == "__metadata__":
            continue
        begin, end = (8 + size + o for o in entry["data_offsets"])
        flat = torch.frombuffer(bytearray(data[begin:end]), dtype=TYPES[entry["dtype"]]) if end > begin else torch.empty(0, dtype=TYPES[entry["dtype"]])
        tensors[key] = flat.reshape(entry["shape"])
    return tensors


def main():
    if len(sys.argv) != 3 or sum(a.endswith(".safetensors") for a in sys.argv[1:]) != 1:
        raise SystemExit(__doc__)
    source, target = sys.argv[1:]
    if target.endswith(".safetensors"):
        write_safetensors(target, state_dict_of(torch.load(source, map_location="cpu", weights_only=True), source))
    else:
        torch.save(read_safetensors(source), target)


if __name__ == "__main__":
    main()
