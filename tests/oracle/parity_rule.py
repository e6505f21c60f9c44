"""The rule that fills tensors by their names, and the summaries that fixtures keep of tensors (nn/parity.h)."""
import numpy as np
import torch

MASK = (1 << 64) - 1


def name_hash(name):
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = ((h ^ byte) * 0x100000001B3) & MASK
    return h


def uniform(name, shape):
    """u in [0, 1) for every element."""
    n = int(np.prod(shape))
    with np.errstate(over="ignore"):
        x = np.uint64(name_hash(name)) + np.arange(n, dtype=np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return torch.from_numpy(((x >> np.uint64(40)).astype(np.float64) * 2.0**-24).reshape(shape))


def signed(name, shape, scale=1.0):
    return (2 * uniform(name, shape) - 1) * scale


def state_value(key, shape):
    last = key.split(".")[-1]
    if last == "num_batches_tracked":
        return torch.zeros(shape, dtype=torch.int64)
    if last == "running_mean":
        return 0.1 * signed(key, shape)
    if last == "running_var":
        return 1 + 0.5 * uniform(key, shape)
    if len(shape) >= 2:
        return signed(key, shape) * np.sqrt(3 / np.prod(shape[1:]))
    if last == "weight":
        return 1 + 0.1 * signed(key, shape)
    if last == "bias":
        return 0.1 * signed(key, shape)
    return signed(key, shape)


def fill(module):
    """Every entry of the module's state by its own key, in f64."""
    module.double()
    module.load_state_dict({key: state_value(key, tuple(t.shape)) for key, t in module.state_dict().items()})
    return module


def summary(tensor):
    t = tensor.detach().double().contiguous().view(-1)
    return {"n": t.numel(), "sum": t.sum().item(), "l2": t.norm().item(), "first": t[:4].tolist()}
