"""Every network of the registry as an ONNX model: onnx's checker, and onnxruntime beside `limbeck predict` on the same bytes.

    python tests/oracle/onnx_models.py build/limbeck [NETWORK ...]
    python tests/oracle/onnx_models.py build/limbeck --checkpoint FILE      # one saved network of 3 channels, as it is

Prints "ok NAME", "FAIL NAME: why" or "skip NAME: why" for each. Needs onnx, onnxruntime and numpy; without them everything is skipped.
"""
import json
import os
import struct
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import onnx
    import onnxruntime
except ImportError as error:
    print(f"skip ONNX models beside onnxruntime: {error}")
    sys.exit(0)

BATCH, CHANNELS = 3, 3
TOLERANCE = 1e-5  # of the largest output


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip() or f"{command[1]}: exit code {done.returncode}")
    return done.stdout


def fill_statistics(path, metadata):
    """Batch norms with statistics and gains that a mistake would show in, other metadata, in place."""
    rng = np.random.default_rng(0)
    with open(path, "rb") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        header, data = json.loads(file.read(size)), bytearray(file.read())
    for name, entry in header.items():
        if name == "__metadata__" or entry["dtype"] != "F32":
            continue
        n = int(np.prod(entry["shape"], dtype=np.int64))
        if name.endswith("running_mean"):
            values = rng.normal(0, 0.1, n)
        elif name.endswith("running_var"):
            values = rng.uniform(0.5, 1.5, n)
        elif len(entry["shape"]) == 1:
            values = rng.normal(1 if name.endswith("weight") else 0, 0.1, n)
        else:
            continue
        begin, end = entry["data_offsets"]
        data[begin:end] = values.astype("<f4").tobytes()
    header["__metadata__"].update(metadata)
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def outputs_of(model, images):
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(None, {"images": images})[0]


def difference(found, expected):
    if found.shape != expected.shape:
        return f"shape {found.shape}, predict's {expected.shape}"
    error, bound = np.abs(found - expected).max(), TOLERANCE * max(1.0, np.abs(expected).max())
    return None if error <= bound else f"error {error:.3g}, allowed {bound:.3g}"


def compare(limbeck, folder, checkpoint, size):
    """None, or what is wrong."""
    model, floats, images, outputs = (os.path.join(folder, f) for f in ("u8.onnx", "f32.onnx", "i.npy", "o.npy"))
    pixels = np.random.default_rng(1).integers(0, 256, (BATCH, CHANNELS, size, size), dtype=np.uint8)
    np.save(images, pixels)
    run(limbeck, "predict", "--ckpt", checkpoint, "--input", images, "--out", outputs)
    expected = np.load(outputs)
    run(limbeck, "export", checkpoint, model)
    run(limbeck, "export", checkpoint, floats, "--input", "f32")
    onnx.checker.check_model(model, full_check=True)
    for file, x in ((model, pixels), (floats, pixels.astype(np.float32) / 255), (model, pixels[:1])):
        if wrong := difference(outputs_of(file, x), expected[: len(x)]):
            return f"{os.path.basename(file)}, {len(x)} images: {wrong}"
    return None if np.abs(expected).max() > 1e-3 else "the outputs are all zero: nothing was compared"


def compare_untrained(limbeck, folder, name, regression, size):
    checkpoint = os.path.join(folder, "network.safetensors")
    task = ["--task", "regression"] if regression else ["--classes", "7"]
    run(limbeck, "models", name, *task, "--input", f"{CHANNELS}x{size}x{size}", "--save", checkpoint)
    scale = {"response_low": "-20", "response_high": "80", "response_unit": "degrees"} if regression else {}
    fill_statistics(checkpoint, {"mean": "0.5 0.4 0.45", "deviation": "0.25 0.2 0.3", **scale})
    return compare(limbeck, folder, checkpoint, size)


def networks(limbeck, task):
    entries = json.loads(run(limbeck, "models", "--task", task, "--json"))
    return [e for e in entries if e["family"] not in ("feature_net", "density_ratio", "label_embedding", "sparse_autoencoder")]


def report(title, comparison):
    """Whether it holds. `comparison` is given a folder."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            wrong = comparison(folder)
        except Exception as error:
            wrong = str(error).replace("\n", " ")[:300]
    print(f"FAIL onnx {title}: {wrong}" if wrong else f"ok onnx {title}", flush=True)
    return not wrong


def main():
    limbeck, wanted = sys.argv[1], sys.argv[2:]
    onnxruntime.set_default_logger_severity(3)
    if wanted[:1] == ["--checkpoint"]:
        sys.exit(not report(os.path.basename(os.path.dirname(wanted[1])), lambda folder: compare(limbeck, folder, wanted[1], 32)))
    right = True
    for task in ("classification", "regression"):
        for entry in networks(limbeck, task):
            name = entry["name"]
            if not wanted or name in wanted:
                size = max(64 if task == "regression" else 32, entry.get("smallest_image", 0))
                right &= report(f"{task} {name}", lambda folder: compare_untrained(limbeck, folder, name, task == "regression", size))
    sys.exit(not right)


if __name__ == "__main__":
    main()
