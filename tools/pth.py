#!/usr/bin/env python3
"""Turns a PyTorch .pth file of weights into safetensors and back. Needs torch (1.13 or newer) and numpy.

  python3 tools/pth.py resnet20_best.pth resnet20.safetensors
  python3 tools/pth.py ema.pth.tar net.safetensors --key state_dict_ema    # one of several sets of weights
  python3 tools/pth.py resnet20.safetensors resnet20.pth

A .pth file may hold the state_dict itself or a checkpoint with it under any key ("model", "state_dict", "net", ...), beside epochs, scores,
options (argparse.Namespace) and optimisers. Where it holds several sets of weights, --key says which. Nothing in the file is executed: only
tensors, plain containers and numbers, and options as plain data are read. `limbeck convert` then adds which network it is.
"""
import argparse
import importlib
import json
import pickle
import struct
import types
import zipfile

import torch

TYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64, "I32": torch.int32,
         "U8": torch.uint8, "BOOL": torch.bool}
NAMES = {v: k for k, v in TYPES.items()}


# Whatever else a pickle names is refused, so that no code of the file runs. Storages are torch's own affair (StorageType).
ALLOWED = {
    "collections": {"OrderedDict", "defaultdict"},
    "argparse": {"Namespace"},
    "builtins": {"set", "frozenset", "slice", "complex", "bytearray", "range"},
    "_codecs": {"encode"},
    "numpy": {"dtype", "ndarray", "float64", "float32", "int64", "int32", "bool_"},
    "numpy.core.multiarray": {"scalar", "_reconstruct"},
    "numpy._core.multiarray": {"scalar", "_reconstruct"},
    "numpy.dtypes": {"Float64DType", "Float32DType", "Int64DType", "Int32DType", "BoolDType"},
    "torch": {"Size", "device", "Tensor", "float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool",
              "DoubleStorage", "FloatStorage", "HalfStorage", "BFloat16Storage", "LongStorage", "IntStorage", "ShortStorage", "CharStorage",
              "ByteStorage", "BoolStorage"},
    "torch._utils": {"_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_parameter", "_rebuild_parameter_with_state"},
    "torch.nn.parameter": {"Parameter"},
    "torch._tensor": {"_rebuild_from_type_v2"},
    "torch.serialization": {"_get_layout"},
    "torch.storage": {"UntypedStorage", "TypedStorage"},
}


class ClosedUnpickler(pickle.Unpickler):
    def find_class(self, module, name):
        module = {"__builtin__": "builtins", "copy_reg": "copyreg"}.get(module, module)
        if name not in ALLOWED.get(module, ()):
            whole = "; it holds a whole network: save its state_dict()" if module.startswith(("torch.nn.", "models", "__main__")) else ""
            raise SystemExit(f"{self.path}: holds an object of {module}.{name}, which is not read{whole}")
        return getattr(importlib.import_module(module), name)


def refuse_script(path):
    """torch.load hands a TorchScript archive to torch.jit.load, which makes code of it."""
    if zipfile.is_zipfile(path) and any(n.endswith("/constants.pkl") for n in zipfile.ZipFile(path).namelist()):
        raise SystemExit(f"{path}: a TorchScript archive, which holds code: save the module's state_dict() instead")


def read_checkpoint(path):
    """What torch.save wrote, through the closed list above; torch calls the unpickler of the module that it is given."""
    unpickler = type("Unpickler", (ClosedUnpickler,), {"path": path})
    closed = types.ModuleType("closed_pickle")
    closed.Unpickler, closed.load = unpickler, lambda f, **kwargs: unpickler(f, **kwargs).load()
    closed.UnpicklingError = pickle.UnpicklingError
    theirs = torch.serialization.pickle
    try:
        refuse_script(path)
        torch.serialization.pickle = closed  # PyTorch 1.13 takes this one whatever it is given
        return torch.load(path, map_location="cpu", pickle_module=closed, weights_only=False)
    except (OSError, MemoryError):
        raise
    except Exception as e:  # a damaged file makes torch and pickle raise nearly anything
        first = str(e).strip().splitlines()[0] if str(e).strip() else type(e).__name__
        raise SystemExit(f"{path}: not a file of torch.save that can be read: {first}")
    finally:
        torch.serialization.pickle = theirs


def is_state_dict(value):
    return isinstance(value, dict) and len(value) > 0 and all(isinstance(k, str) and isinstance(v, torch.Tensor) for k, v in value.items())


def weight_sets(checkpoint, prefix="", depth=2):
    """Name -> state_dict of every set of weights in a checkpoint; the whole of it under ""."""
    if is_state_dict(checkpoint):
        return {prefix: checkpoint}
    found = {}
    if isinstance(checkpoint, dict) and depth > 0:
        for key, value in checkpoint.items():
            if isinstance(key, str):
                found.update(weight_sets(value, f"{prefix}.{key}" if prefix else key, depth - 1))
    return found


def state_dict_of(checkpoint, path, key):
    found = weight_sets(checkpoint)
    if not found:
        what = f"a {type(checkpoint).__name__}" + (f" with {', '.join(map(str, checkpoint))}" if isinstance(checkpoint, dict) and checkpoint else "")
        raise SystemExit(f"{path}: expected a state_dict of tensors, or a checkpoint that holds one; found {what}")
    names = ", ".join(found)
    if key is not None:
        if key not in found:
            raise SystemExit(f"{path}: no weights under --key {key}; found {names or 'a state_dict without a key'}")
        return found[key]
    if len(found) > 1:
        raise SystemExit(f"{path}: holds several sets of weights ({names}): --key says which")
    return next(iter(found.values()))


def write_safetensors(path, tensors):
    header, blobs, begin = {}, [], 0
    for key, value in tensors.items():
        if value.dtype not in NAMES:
            raise SystemExit(f"{path}: tensor {key}: no safetensors type for {value.dtype}")
        if value.layout != torch.strided or value.is_quantized:
            raise SystemExit(f"{path}: tensor {key}: neither sparse nor quantised tensors can be written")
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help=".pth to read, or .safetensors")
    parser.add_argument("target", help=".safetensors to write, or .pth")
    parser.add_argument("--key", help="which set of weights, where a checkpoint holds several")
    o = parser.parse_args()
    if o.source.endswith(".safetensors") == o.target.endswith(".safetensors"):
        parser.error("one of the two files has to be .safetensors")
    try:
        if o.target.endswith(".safetensors"):
            write_safetensors(o.target, state_dict_of(read_checkpoint(o.source), o.source, o.key))
        else:
            torch.save(read_safetensors(o.source), o.target)
    except OSError as e:
        raise SystemExit(f"{e.filename or o.source}: {e.strerror or e}")


if __name__ == "__main__":
    main()
