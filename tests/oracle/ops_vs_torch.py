"""Operators of `limbeck op` against PyTorch: outputs and gradients, in f64 (the references) and f32 (the CPU kernels).

    python tests/oracle/ops_vs_torch.py build/limbeck [OPERATOR ...]

Prints one line per operator: "ok NAME ...", "FAIL NAME ...", or "skip NAME ..." for operators without a counterpart here.
Needs torch, numpy and safetensors; without them everything is skipped.
"""
import json
import os
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import torch
    import torch.nn.functional as F
    from safetensors import safe_open
    from safetensors.torch import save_file
except ImportError as error:
    print(f"skip ops_vs_torch: {error}")
    sys.exit(0)

CASES = {}  # operator: [(inputs, attributes, function of the inputs giving the outputs by name)]


def case(op, inputs, attrs, function):
    CASES.setdefault(op, []).append((inputs, attrs, function))


def one(function):
    return lambda **t: {"y": function(**t)}


rng = np.random.default_rng(0)


def real(*shape, low=-1.0, high=1.0):
    return torch.from_numpy(rng.uniform(low, high, shape))


def integers(below, *shape):
    return torch.from_numpy(rng.integers(0, below, shape))


# --- element-wise ---
for name, function in {"add": torch.add, "sub": torch.sub, "mul": torch.mul, "div": torch.div, "maximum": torch.maximum,
                       "minimum": torch.minimum}.items():
    for a, b in [((3, 4), (3, 4)), ((2, 3, 4), (4,)), ((2, 1, 5), (3, 1))]:
        case(name, {"a": real(*a), "b": real(*b, low=0.5, high=2)}, {}, one(lambda a, b, f=function: f(a, b)))
# Both signs, whole multiples, 0 and infinities; of integers the ends of the range, where results wrap.
dividends = torch.tensor([7.0, -7, 7, -7, 6, -6, 0, -0.0, 1e-30, float("inf"), 5, -5, float("nan"), 0.3, 1e30], dtype=torch.float64)
divisors = torch.tensor([3.0, 3, -3, -3, 3, 3, 5, 5, -2, 2, float("inf"), float("inf"), 1, 0.1, -7], dtype=torch.float64)
for name, function in {"floor_divide": torch.floor_divide, "remainder": torch.remainder}.items():
    case(name, {"a": dividends, "b": divisors}, {}, one(lambda a, b, f=function: f(a, b)))
    case(name, {"a": real(4, 3, low=-9, high=9), "b": real(3, low=0.5, high=2)}, {}, one(lambda a, b, f=function: f(a, b)))
for dtype in (torch.int64, torch.int32):
    most = torch.iinfo(dtype).max
    ends = torch.tensor([[most, -most - 1, most, 7, -7, 0]], dtype=dtype)
    for name, function in {"add": torch.add, "sub": torch.sub, "mul": torch.mul, "maximum": torch.maximum, "minimum": torch.minimum,
                           "floor_divide": torch.floor_divide, "remainder": torch.remainder}.items():
        b = torch.tensor([[3], [-4], [most]], dtype=dtype)
        case(name, {"a": ends, "b": b}, {}, one(lambda a, b, f=function: f(a, b)))
    for name, function in {"sum": torch.sum, "max": torch.amax, "min": torch.amin}.items():
        case(name, {"x": ends.repeat(3, 1)}, {"axes": [0]}, one(lambda x, f=function: f(x, 0)))
UNARY = {"relu": F.relu, "sigmoid": torch.sigmoid, "tanh": torch.tanh, "silu": F.silu, "softplus": F.softplus, "exp": torch.exp,
         "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"), "gelu": F.gelu,
         "log": torch.log, "sqrt": torch.sqrt, "square": torch.square, "abs": torch.abs}
for name, function in UNARY.items():
    low = 0.1 if name in ("log", "sqrt") else -3
    case(name, {"x": real(5, 37, low=low, high=3)}, {}, one(lambda x, f=function: f(x)))
case("leaky_relu", {"x": real(7, 9)}, {"slope": 0.2}, one(lambda x: F.leaky_relu(x, 0.2)))
case("clamp", {"x": real(7, 9)}, {"low": -0.5, "high": 0.25}, one(lambda x: x.clamp(-0.5, 0.25)))
case("affine", {"x": real(7, 9)}, {"scale": -2.0, "shift": 0.5}, one(lambda x: -2 * x + 0.5))
case("pow_scalar", {"x": real(7, 9, low=0.1)}, {"exponent": 2.5}, one(lambda x: x ** 2.5))
case("where", {"condition": integers(2, 3, 4).bool(), "a": real(3, 4), "b": real(4)}, {},
     one(lambda condition, a, b: torch.where(condition, a, b)))
for name, function in {"equal": torch.eq, "less": torch.lt, "greater": torch.gt, "not_equal": torch.ne, "less_equal": torch.le,
                       "greater_equal": torch.ge}.items():
    case(name, {"a": integers(3, 4, 5), "b": integers(3, 5)}, {}, one(lambda a, b, f=function: f(a, b)))

# --- reductions ---
for axes, keep in [([], False), ([0], True), ([1, 2], False), ([-1], False)]:
    dims = axes or [0, 1, 2]
    attrs = {"axes": axes, "keepdim": keep}
    case("sum", {"x": real(3, 4, 5)}, attrs, one(lambda x, d=dims, k=keep: x.sum(d, keepdim=k)))
    case("mean", {"x": real(3, 4, 5)}, attrs, one(lambda x, d=dims, k=keep: x.mean(d, keepdim=k)))
    case("max", {"x": real(3, 4, 5)}, attrs, one(lambda x, d=dims, k=keep: x.amax(d, keepdim=k)))
    case("min", {"x": real(3, 4, 5)}, attrs, one(lambda x, d=dims, k=keep: x.amin(d, keepdim=k)))
    case("logsumexp", {"x": real(3, 4, 5, low=-9, high=9)}, attrs, one(lambda x, d=dims, k=keep: x.logsumexp(d, keepdim=k)))
    for unbiased in (True, False):
        case("var", {"x": real(3, 4, 5)}, {**attrs, "unbiased": unbiased},
             one(lambda x, d=dims, k=keep, u=unbiased: x.var(d, unbiased=u, keepdim=k)))

case("argmax", {"x": real(3, 4, 5)}, {"axis": 1, "keepdim": True}, one(lambda x: x.argmax(1, keepdim=True)))
case("topk", {"x": real(3, 17)}, {"k": 5}, lambda x: dict(zip(("values", "indices"), x.topk(5))))
case("one_hot", {"index": integers(7, 3, 4)}, {"classes": 7}, one(lambda index: F.one_hot(index, 7).float()))



def isotonic(x):
    """y_i = min over j <= i of max over k >= i of the mean of x_j .. x_k."""
    n = x.shape[-1]
    means = {(j, k): x[..., j:k + 1].mean(-1) for j in range(n) for k in range(j, n)}
    return torch.stack([torch.stack([torch.stack([means[j, k] for k in range(i, n)]).amax(0) for j in range(i + 1)]).amin(0)
                        for i in range(n)], -1)


case("isotonic", {"x": real(5, 11)}, {}, one(isotonic))
case("isotonic", {"x": real(2, 3, 17, low=-9, high=9)}, {}, one(isotonic))

# --- matrices ---
for ta in (False, True):
    for tb in (False, True):
        case("matmul", {"a": real(*((2, 5, 7) if ta else (2, 7, 5))), "b": real(*((2, 9, 5) if tb else (2, 5, 9)))},
             {"transpose_a": ta, "transpose_b": tb},
             lambda a, b, ta=ta, tb=tb: {"c": (a.mT if ta else a) @ (b.mT if tb else b)})
for a, b in [((5,), (5,)), ((5,), (5, 3)), ((4, 5), (5,)), ((5,), (2, 3, 5, 4)), ((2, 3, 4, 5), (5,)), ((2, 1, 4, 5), (3, 5, 6)),
             ((3, 1, 2, 4, 5), (2, 1, 5, 3)), ((2, 1, 2, 3, 4), (1, 3, 1, 4, 2)), ((1, 4, 5), (6, 5, 2)), ((0, 2, 3), (1, 3, 2))]:
    case("matmul", {"a": real(*a), "b": real(*b)}, {}, lambda a, b: {"c": a @ b})
case("linear", {"x": real(4, 3, 7), "w": real(5, 7), "b": real(5)}, {}, one(lambda x, w, b: F.linear(x, w, b)))
case("linear", {"x": real(33, 70), "w": real(50, 70)}, {}, one(lambda x, w: F.linear(x, w)))

# --- convolution and pooling ---
for shape, weight, bias, o in [
        ((2, 3, 7, 6), (4, 3, 3, 3), True, dict(stride=1, padding=1)),
        ((2, 16, 9, 8), (33, 16, 3, 3), True, dict(stride=2, padding=1)),
        ((1, 4, 9, 7), (6, 2, 3, 2), False, dict(stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2)),
        ((2, 8, 6, 6), (8, 1, 3, 3), True, dict(padding=1, groups=8)),
        ((2, 32, 8, 8), (48, 32, 1, 1), False, dict())]:
    inputs = {"x": real(*shape), "w": real(*weight)} | ({"b": real(weight[0])} if bias else {})
    attrs = {k: [*v] if isinstance(v, tuple) else v for k, v in o.items()}
    case("conv2d", inputs, attrs, one(lambda x, w, b=None, o=o: F.conv2d(x, w, b, **o)))
for shape, weight, bias, o in [
        ((2, 3, 5, 4), (3, 4, 4, 4), True, dict(stride=2, padding=1)),
        ((1, 4, 3, 5), (4, 3, 3, 2), False, dict(stride=(2, 3), padding=(1, 0), output_padding=(1, 2), groups=2))]:
    inputs = {"x": real(*shape), "w": real(*weight)} | ({"b": real(weight[1])} if bias else {})
    attrs = {k: [*v] if isinstance(v, tuple) else v for k, v in o.items()}
    case("conv_transpose2d", inputs, attrs, one(lambda x, w, b=None, o=o: F.conv_transpose2d(x, w, b, **o)))
for kernel, stride, padding, ceil in [(2, 2, 0, False), (3, 2, 1, False), (3, 2, 0, True), ([2, 3], [1, 2], [1, 0], False)]:
    attrs = {"kernel": kernel, "stride": stride, "padding": padding, "ceil_mode": ceil}

    def max_pool(x, k=kernel, s=stride, p=padding, c=ceil):
        y, index = F.max_pool2d(x, k, s, p, ceil_mode=c, return_indices=True)
        return {"y": y, "index": index}
    case("max_pool2d", {"x": real(2, 5, 7, 6)}, attrs, max_pool)
    for pad in (True, False):
        case("avg_pool2d", {"x": real(2, 5, 7, 6)}, {**attrs, "count_include_pad": pad},
             one(lambda x, k=kernel, s=stride, p=padding, c=ceil, i=pad: F.avg_pool2d(x, k, s, p, c, i)))
case("adaptive_avg_pool2d", {"x": real(2, 3, 7, 5)}, {"output": [3, 2]}, one(lambda x: F.adaptive_avg_pool2d(x, (3, 2))))
for output, corners in [([8, 3], False), ([2, 9], True)]:
    case("resize_bilinear", {"x": real(2, 3, 4, 5)}, {"output": output, "align_corners": corners},
         one(lambda x, o=output, c=corners: F.interpolate(x, o, mode="bilinear", align_corners=c)))
case("reflect_pad2d", {"x": real(2, 3, 4, 5)}, {"padding": [1, 3, 4, 0]}, one(lambda x: F.pad(x, (4, 0, 1, 3), mode="reflect")))
case("upsample_nearest", {"x": real(2, 3, 4, 5)}, {"scale": 2}, one(lambda x: F.interpolate(x, scale_factor=2)))


# --- normalisation ---
def batch_norm(x, gamma=None, beta=None, residual=None, mean=None, var=None, relu=False, eps=1e-5):
    axes = [d for d in range(x.dim()) if d != 1]
    statistics = mean is None
    if statistics:
        mean, var = x.mean(axes), x.var(axes, unbiased=False)
    y = F.batch_norm(x, mean.detach(), var.detach(), gamma, beta, False, 0, eps) if not statistics else F.batch_norm(
        x, None, None, gamma, beta, True, 0, eps)
    y = y if residual is None else y + residual
    y = F.relu(y) if relu else y
    return {"y": y, "mean": mean, "var": var} if statistics else {"y": y}


for relu in (False, True):
    attrs = {"eps": 1e-3, "act": "relu" if relu else "none"}
    full = {"x": real(4, 5, 3, 6), "gamma": real(5), "beta": real(5), "residual": real(4, 5, 3, 6)}
    case("batch_norm", full, attrs, lambda relu=relu, **t: batch_norm(**t, relu=relu, eps=1e-3))
    case("batch_norm", {"x": real(9, 5)}, attrs, lambda relu=relu, **t: batch_norm(**t, relu=relu, eps=1e-3))

    def with_running(x, gamma, beta, residual, running_mean, running_var, relu=relu):
        mean, var = running_mean.detach().clone(), running_var.detach().clone()
        y = F.batch_norm(x, mean, var, gamma, beta, True, 0.3, 1e-3) + residual
        return {"y": F.relu(y) if relu else y, "running_mean": mean, "running_var": var}
    running = {"running_mean": real(5), "running_var": real(5, low=0.5, high=2)}
    case("batch_norm", full | running, attrs | {"momentum": 0.3}, with_running)
    case("batch_norm_eval", full | {"mean": real(5), "var": real(5, low=0.5, high=2)}, attrs,
         lambda relu=relu, **t: batch_norm(**t, relu=relu, eps=1e-3))

    def conditional(x, gain, bias, mean=None, var=None, relu=relu):
        out = batch_norm(x, mean=mean, var=var, eps=1e-3)
        out["y"] = out["y"] * gain[:, :, None, None] + bias[:, :, None, None]
        out["y"] = F.relu(out["y"]) if relu else out["y"]
        return out
    given = {"x": real(4, 5, 3, 6), "gain": real(4, 5), "bias": real(4, 5)}
    case("cond_batch_norm", given, attrs, conditional)
    case("cond_batch_norm_eval", given | {"mean": real(5), "var": real(5, low=0.5, high=2)}, attrs, conditional)
case("group_norm", {"x": real(3, 6, 4, 5), "gamma": real(6), "beta": real(6)}, {"groups": 3, "eps": 1e-5},
     one(lambda x, gamma, beta: F.group_norm(x, 3, gamma, beta, 1e-5)))
case("l2_normalize", {"x": real(4, 7)}, {"eps": 1e-12}, one(lambda x: F.normalize(x, dim=-1)))


def spectral(w, u, n, eps):
    """BigGAN's power iteration: u and v without gradient, sigma with."""
    matrix = w.flatten(1)
    with torch.no_grad():
        for _ in range(n):
            v = F.normalize(u @ matrix, dim=0, eps=eps)
            u = F.normalize(matrix @ v, dim=0, eps=eps)
    sigma = u @ matrix @ v
    return {"w_sn": w / sigma, "u_new": u, "v": v, "sigma": sigma.reshape(1)}


def spectral_fixed(w, u, v):
    sigma = u @ w.flatten(1) @ v
    return {"w_sn": w / sigma, "sigma": sigma.reshape(1)}


for shape in [(6, 3, 3, 2), (7, 5), (64, 24, 3, 3)]:
    for n in (1, 3):
        case("spectral_norm", {"w": real(*shape), "u": real(shape[0])}, {"eps": 1e-6, "training_iterations": n},
             lambda w, u, n=n: spectral(w, u, n, 1e-6))
    rest = int(np.prod(shape[1:]))
    case("spectral_norm_fixed", {"w": real(*shape, low=0.1), "u": real(shape[0], low=0.1), "v": real(rest, low=0.1)}, {}, spectral_fixed)

# --- shape and selection ---
case("permute", {"x": real(2, 3, 4, 5)}, {"order": [0, 3, 1, 2]}, one(lambda x: x.permute(0, 3, 1, 2)))
case("concat", {"xs.0": real(2, 3), "xs.1": real(2, 4), "xs.2": real(2, 1)}, {"axis": 1},
     lambda **t: {"y": torch.cat([t["xs.0"], t["xs.1"], t["xs.2"]], 1)})
case("slice", {"x": real(4, 7)}, {"axis": 1, "begin": 2, "end": 6}, one(lambda x: x[:, 2:6]))
case("pad2d", {"x": real(2, 3, 4, 5)}, {"padding": [1, 2, 3, 0], "value": 0.5}, one(lambda x: F.pad(x, (3, 0, 1, 2), value=0.5)))
case("index_select", {"x": real(5, 3), "index": integers(5, 8)}, {}, one(lambda x, index: x.index_select(0, index)))
case("embedding", {"weight": real(6, 4), "index": integers(6, 3, 5)}, {}, one(lambda weight, index: F.embedding(index, weight)))
case("gather", {"x": real(6, 4), "index": integers(4, 6)}, {}, one(lambda x, index: x.gather(1, index[:, None])[:, 0]))
for x, index, axis in [((4, 3), (4, 7), 1), ((4, 3), (6, 2), 0), ((2, 5, 3), (2, 4, 3), -2), ((6,), (9,), 0), ((2, 3), (2, 0), 1)]:
    case("gather", {"x": real(*x), "index": integers(x[axis], *index)}, {"axis": axis}, one(lambda x, index, a=axis: x.gather(a, index)))
    case("scatter_add", {"x": real(*x), "index": integers(x[axis], *index), "src": real(*index)}, {"axis": axis},
         one(lambda x, index, src, a=axis: x.scatter_add(a, index, src)))
case("channel_shuffle", {"x": real(2, 12, 3, 4)}, {"groups": 3}, one(lambda x: F.channel_shuffle(x, 3)))


# --- attention, probabilities, losses ---
def attention(q, k, v, scale):
    scores = scale * q @ k.mT
    return {"y": scores.softmax(-1) @ v, "lse": scores.logsumexp(-1)}


case("attention", {"q": real(2, 5, 3), "k": real(2, 6, 3), "v": real(2, 6, 4)}, {"scale": 0.5}, lambda q, k, v: attention(q, k, v, 0.5))
case("attention", {"q": real(1, 70, 16), "k": real(1, 130, 16), "v": real(1, 130, 33)}, {"scale": 1.0}, lambda q, k, v: attention(q, k, v, 1))
case("softmax", {"x": real(5, 101, low=-9, high=9)}, {}, one(lambda x: x.softmax(-1)))
case("log_softmax", {"x": real(5, 101, low=-9, high=9)}, {}, one(lambda x: x.log_softmax(-1)))
case("cross_entropy", {"logits": real(6, 10, low=-4, high=4), "labels": integers(10, 6)}, {},
     lambda logits, labels: {"loss": F.cross_entropy(logits, labels, reduction="none")})
for options in [{"label_smoothing": 0.1}, {"ignore_index": 3}, {"label_smoothing": 0.3, "ignore_index": 0}]:
    case("cross_entropy", {"logits": real(9, 5, low=-4, high=4), "labels": integers(5, 9), "weight": real(5, low=0.1, high=2)}, options,
         lambda logits, labels, weight, o=options: {"loss": F.cross_entropy(logits, labels, weight.detach(), reduction="none", **o)})
for row in ([1e16, 1e16], [0, -1e9, 1e9], [float("inf"), 0, 1], [float("-inf"), 1, 2], [float("-inf")] * 2, [float("nan"), 0]):
    for name, function in {"softmax": torch.softmax, "log_softmax": torch.log_softmax}.items():
        case(name, {"x": torch.tensor([row], dtype=torch.float64)}, {}, one(lambda x, f=function: f(x, -1)))
    case("cross_entropy", {"logits": torch.tensor([row], dtype=torch.float64), "labels": torch.tensor([1])}, {},
         lambda logits, labels: {"loss": F.cross_entropy(logits, labels, reduction="none")})
case("soft_cross_entropy", {"logits": real(6, 10, low=-4, high=4), "target": real(6, 10, low=0)}, {},
     lambda logits, target: {"loss": F.cross_entropy(logits, target, reduction="none")})
case("kl_div", {"log_q": real(6, 10, low=-4, high=0), "p": real(6, 10, low=0.01)}, {},
     lambda log_q, p: {"loss": F.kl_div(log_q, p, reduction="none").sum(1)})
case("smooth_l1", {"x": real(6, 10, low=-2, high=2), "target": real(6, 10)}, {"beta": 0.5},
     one(lambda x, target: F.smooth_l1_loss(x, target, reduction="none", beta=0.5)))


# --- optimiser steps: outputs are the inputs that they change ---
def sgd(w, g, v, lr, nesterov, first):
    p = torch.nn.Parameter(w.detach().clone())
    p.grad = g.detach().clone()
    optimiser = torch.optim.SGD([p], lr=lr.item(), momentum=0.9, weight_decay=0.01, nesterov=nesterov)
    if not first:
        optimiser.state[p]["momentum_buffer"] = v.detach().clone()
    optimiser.step()
    return {"w": p.detach(), "v": optimiser.state[p]["momentum_buffer"]}


def adam(optimiser_class, w, g, m, v, hyper):
    p = torch.nn.Parameter(w.detach().clone())
    p.grad = g.detach().clone()
    optimiser = optimiser_class([p], lr=hyper[0].item(), betas=(0.5, 0.99), eps=1e-6, weight_decay=0.01)
    optimiser.state[p] = {"step": hyper[1].detach() - 1, "exp_avg": m.detach().clone(), "exp_avg_sq": v.detach().clone()}
    optimiser.step()
    return {"w": p.detach(), "m": optimiser.state[p]["exp_avg"], "v": optimiser.state[p]["exp_avg_sq"]}


for nesterov in (False, True):
    for first in (False, True):
        case("sgd_step", {"w": real(5, 7), "g": real(5, 7), "v": real(5, 7), "lr": torch.tensor([0.125], dtype=torch.float64)},
             {"momentum": 0.9, "weight_decay": 0.01, "nesterov": nesterov, "first": first},
             lambda w, g, v, lr, n=nesterov, f=first: sgd(w, g, v, lr, n, f))
for step, decoupled in ((1.0, False), (7.0, False), (1.0, True), (7.0, True)):
    case("adam_step", {"w": real(5, 7), "g": real(5, 7), "m": real(5, 7), "v": real(5, 7, low=0.01),
                       "hyper": torch.tensor([0.125, step], dtype=torch.float64)},
         {"beta1": 0.5, "beta2": 0.99, "eps": 1e-6, "weight_decay": 0.01, "decoupled": decoupled},
         lambda c=torch.optim.AdamW if decoupled else torch.optim.Adam, **tensors: adam(c, **tensors))


def run(limbeck, folder, op, inputs, attrs, gradients):
    source, result = os.path.join(folder, "case.safetensors"), os.path.join(folder, "result.safetensors")
    save_file({k: v.contiguous() for k, v in inputs.items()}, source, metadata={"attrs": json.dumps(attrs)})
    done = subprocess.run([limbeck, "op", op, "--in", source, "--out", result] + ["--grad"] * gradients, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip() or f"exit code {done.returncode}")
    with safe_open(result, "pt") as f:
        return {k: f.get_tensor(k) for k in f.keys()}


def compare(name, got, expected, relative):
    if got.shape != expected.shape:
        return f"{name} has shape {list(got.shape)}, PyTorch's {list(expected.shape)}"
    if not expected.is_floating_point():
        if not got.is_floating_point() and got.dtype != expected.dtype:
            return f"{name} is of type {got.dtype}, PyTorch's {expected.dtype}"
        return None if torch.equal(got.to(expected.dtype), expected) else f"{name} differs"
    got, expected = got.double(), expected.double()
    same = (got == expected) | (got.isnan() & expected.isnan())
    finite = expected[expected.isfinite()]
    error = (got - expected)[~same].abs().nan_to_num(nan=float("inf")).max().item() if not same.all() else 0.0
    bound = relative * max(1.0, finite.abs().max().item() if finite.numel() else 0.0)
    return None if error <= bound else f"{name} is off by {error:.3g}, allowed {bound:.3g}"


def check(limbeck, folder, op, case, dtype, differentiable):
    inputs, attrs, function = case
    given = {k: v.to(dtype) if v.is_floating_point() else v for k, v in inputs.items()}
    differentiable = differentiable and any(v.is_floating_point() for v in inputs.values())
    got = run(limbeck, folder, op, given, attrs, differentiable)
    # PyTorch computes in f64 on the same (rounded) inputs.
    exact = {k: v.double().requires_grad_(differentiable) if v.is_floating_point() else v for k, v in given.items()}
    expected = function(**exact)
    if missing := set(expected) - set(got):
        return [f"no output {sorted(missing)}"]
    relative = 1e-10 if dtype == torch.float64 else 2e-5
    problems = [compare(k, got[k], v.detach(), relative) for k, v in expected.items()]
    if differentiable:
        wanted = [k for k in exact if f"grad_{k}" in got]
        pairs = [(v, got[f"grad_{k}"].double()) for k, v in expected.items() if f"grad_{k}" in got]
        gradients = torch.autograd.grad([v for v, _ in pairs], [exact[k] for k in wanted], [g for _, g in pairs], allow_unused=True,
                                        materialize_grads=True)
        problems += [compare(f"grad_{k}", got[f"grad_{k}"], g, 10 * relative) for k, g in zip(wanted, gradients)]
    return [p for p in problems if p]


def add_opinfo():
    try:
        from opinfo import opinfo_cases
        for op, inputs, attrs, function in opinfo_cases():
            case(op, inputs, attrs, function)
    except ImportError as error:
        print(f"skip PyTorch's own samples: {error}")


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    add_opinfo()
    limbeck, chosen = sys.argv[1], sys.argv[2:]
    table = json.loads(subprocess.run([limbeck, "ops", "support", "--json"], capture_output=True, text=True, check=True).stdout)
    unknown = set(CASES) - set(table)
    failed = bool(unknown)
    for op in sorted(unknown):
        print(f"FAIL {op}: not in the operator table")
    for op in sorted(chosen or table):
        if op not in CASES:
            print(f"skip {op}: no counterpart in this script")
            continue
        problems = []
        with tempfile.TemporaryDirectory() as folder:
            for i, c in enumerate(CASES[op]):
                for dtype in (torch.float64, torch.float32):
                    try:
                        found = check(limbeck, folder, op, c, dtype, table[op]["differentiable"])
                    except RuntimeError as error:
                        found = [str(error)]
                    problems += [f"case {i} {dtype} {c[1]}: {p}" for p in found]
        failed |= bool(problems)
        print(f"FAIL {op}: " + "; ".join(problems) if problems else f"ok {op}: {len(CASES[op])} cases in f64 and f32")
    sys.exit(failed)


if __name__ == "__main__":
    main()
