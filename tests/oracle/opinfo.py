"""PyTorch's own samples of operators (OpInfo) as cases of ops_vs_torch.py: those that map to an operator of the table.

    from opinfo import opinfo_cases
    for operator, inputs, attributes, function in opinfo_cases(): ...

Where torch's testing package cannot be imported (it needs expecttest), `opinfo_cases` raises ImportError with the reason. A sample that has no
counterpart here (another type, rank, mode, or an argument that the operator lacks) is left out; what is left is counted by name.
"""
import torch
import torch.nn.functional as F

MOST_PER_OPERATOR = 12  # of each OpInfo, evenly taken


def one(function):
    return lambda **t: {"y": function(**t)}


def pair(value):
    if not isinstance(value, (tuple, list)):
        return [value, value]
    return [*value] if len(value) == 2 else [value[0], value[0]]


class Unmapped(Exception):
    pass


def need(condition):
    if not condition:
        raise Unmapped


def only(sample, *names, positional=0):
    """The sample has no arguments but these."""
    need(len(sample.args) <= positional and set(sample.kwargs) <= set(names))


def unary(op, function):
    def convert(sample):
        only(sample)
        return op, {"x": sample.input}, {}, one(lambda x: function(x))
    return convert


def binary(op, function):
    def convert(sample):
        only(sample, positional=1)
        need(sample.args and isinstance(sample.args[0], torch.Tensor))
        return op, {"a": sample.input, "b": sample.args[0]}, {}, one(lambda a, b: function(a, b))
    return convert


def reduction(op, function):
    def convert(sample):
        only(sample, "dim", "keepdim", "unbiased", positional=1)
        dim = sample.args[0] if sample.args else sample.kwargs.get("dim")
        need(dim is None or isinstance(dim, (int, tuple, list)))
        need(not isinstance(dim, bool))
        axes = [] if dim is None else [dim] if isinstance(dim, int) else [*dim]
        need(dim is None or axes)
        need(sample.input.dim() > 0)
        keep = bool(sample.kwargs.get("keepdim", False))
        unbiased = bool(sample.kwargs.get("unbiased", True))
        attrs = {"axes": axes, "keepdim": keep} | ({"unbiased": unbiased} if op == "var" else {})
        dims = axes or list(range(sample.input.dim()))
        extra = {"unbiased": unbiased} if op == "var" else {}
        return op, {"x": sample.input}, attrs, one(lambda x: function(x, dims, keepdim=keep, **extra))
    return convert


def last_axis(op, function):
    def convert(sample):
        only(sample, "dim", positional=1)
        dim = sample.args[0] if sample.args else sample.kwargs.get("dim")
        need(sample.input.dim() > 0 and dim in (-1, sample.input.dim() - 1))
        return op, {"x": sample.input}, {}, one(lambda x: function(x, dim=-1))
    return convert


def permute(sample):
    order = [d % max(1, sample.input.dim()) for d in sample.args[0]] if sample.args else []
    need(sample.input.dim() > 0 and order)
    return "permute", {"x": sample.input}, {"order": order}, one(lambda x: x.permute(order))


def cat(sample):
    tensors = list(sample.input)
    dim = sample.args[0] if sample.args else sample.kwargs.get("dim", 0)
    need(len(tensors) > 0 and all(t.dim() == tensors[0].dim() > 0 for t in tensors))
    names = [f"xs.{i}" for i in range(len(tensors))]
    return "concat", dict(zip(names, tensors)), {"axis": dim}, lambda **t: {"y": torch.cat([t[n] for n in names], dim)}


def matmul(sample):
    a, b = sample.input, sample.args[0]
    need(a.dim() >= 1 and b.dim() >= 1)
    return "matmul", {"a": a, "b": b}, {}, lambda a, b: {"c": a @ b}


def linear(sample):
    weight, *bias = sample.args
    need(weight.dim() == 2 and sample.input.dim() >= 1 and not (bias and (bias[0] is None or bias[0].dim() != 1)))
    inputs = {"x": sample.input, "w": weight} | ({"b": bias[0]} if bias else {})
    return "linear", inputs, {}, one(lambda x, w, b=None: F.linear(x, w, b))


def convolution(op, function, names):
    def convert(sample):
        weight, *bias = sample.args
        kwargs = dict(sample.kwargs)
        bias = bias[0] if bias else kwargs.pop("bias", None)
        need(sample.input.dim() == 4 and set(kwargs) <= set(names) and not isinstance(kwargs.get("padding", 0), str))
        attrs = {k: v if k == "groups" else pair(v) for k, v in kwargs.items()}
        inputs = {"x": sample.input, "w": weight} | ({} if bias is None else {"b": bias})
        return op, inputs, attrs, one(lambda x, w, b=None: function(x, w, b, **kwargs))
    return convert


def max_pool(sample):
    only(sample, "kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
    k = sample.kwargs
    need(sample.input.dim() == 4 and k.get("dilation", 1) in (1, (1, 1)))
    attrs = {"kernel": pair(k["kernel_size"]), "padding": pair(k.get("padding", 0)), "ceil_mode": bool(k.get("ceil_mode", False)),
             "stride": pair(k.get("stride") or k["kernel_size"])}
    return "max_pool2d", {"x": sample.input}, attrs, one(
        lambda x: F.max_pool2d(x, attrs["kernel"], attrs["stride"], attrs["padding"], ceil_mode=attrs["ceil_mode"]))


def avg_pool(sample):
    names = ["kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override"]
    given = dict(zip(names, sample.args)) | sample.kwargs
    need(sample.input.dim() == 4 and given.get("divisor_override") is None)
    attrs = {"kernel": pair(given["kernel_size"]), "stride": pair(given.get("stride") or given["kernel_size"]),
             "padding": pair(given.get("padding", 0)), "ceil_mode": bool(given.get("ceil_mode", False)),
             "count_include_pad": bool(given.get("count_include_pad", True))}
    return "avg_pool2d", {"x": sample.input}, attrs, one(
        lambda x: F.avg_pool2d(x, attrs["kernel"], attrs["stride"], attrs["padding"], attrs["ceil_mode"], attrs["count_include_pad"]))


def adaptive_pool(sample):
    need(sample.input.dim() == 4 and sample.args)
    output = [s if o is None else o for o, s in zip(pair(sample.args[0]), sample.input.shape[2:])]
    return "adaptive_avg_pool2d", {"x": sample.input}, {"output": output}, one(lambda x: F.adaptive_avg_pool2d(x, output))


def bilinear(sample):
    names = ["size", "scale_factor", "mode", "align_corners"]
    given = dict(zip(names, sample.args)) | sample.kwargs
    need(sample.input.dim() == 4 and given.get("size") is not None and given.get("scale_factor") is None)
    output, corners = pair(given["size"]), bool(given.get("align_corners", False))
    return "resize_bilinear", {"x": sample.input}, {"output": output, "align_corners": corners}, one(
        lambda x: F.interpolate(x, output, mode="bilinear", align_corners=corners))


def pad(op, mode):
    def convert(sample):
        only(sample, "pad", "mode", "value", positional=2)
        padding = [*(sample.args[0] if sample.args else sample.kwargs["pad"])]
        need(sample.input.dim() == 4 and len(padding) == 4 and min(padding) >= 0)
        left, right, top, bottom = padding
        value = sample.kwargs.get("value") or 0
        attrs = {"padding": [top, bottom, left, right]} | ({"value": float(value)} if mode == "constant" else {})
        extra = {"value": value} if mode == "constant" else {}
        return op, {"x": sample.input}, attrs, one(lambda x: F.pad(x, padding, mode=mode, **extra))
    return convert


def batch_norm(sample):
    mean, var, *rest = [*sample.args, *[None] * (2 - len(sample.args))]
    names = ["weight", "bias", "training", "momentum", "eps"]
    given = dict(zip(names, rest)) | sample.kwargs
    training = bool(given.get("training", False))
    need(sample.input.dim() in (2, 3, 4, 5) and sample.input.numel() > 0)
    need(training or mean is not None)
    attrs = {"eps": float(given.get("eps", 1e-5))}
    inputs = {"x": sample.input} | {n: given[g] for n, g in (("gamma", "weight"), ("beta", "bias")) if given.get(g) is not None}
    if not training:
        inputs |= {"mean": mean, "var": var}

    def given_statistics(t):
        return t if t is None else t.detach()
    op = "batch_norm" if training else "batch_norm_eval"
    return op, inputs, attrs, one(
        lambda x, gamma=None, beta=None, mean=None, var=None: F.batch_norm(
            x, given_statistics(mean), given_statistics(var), gamma, beta, training, 0, attrs["eps"]))


def group_norm(sample):
    only(sample, "weight", "bias", "eps", positional=1)
    groups, k = sample.args[0], sample.kwargs
    need(2 <= sample.input.dim() <= 5 and sample.input.numel() > 0)
    inputs = {"x": sample.input} | {n: k[g] for n, g in (("gamma", "weight"), ("beta", "bias")) if k.get(g) is not None}
    eps = float(k.get("eps", 1e-5))
    return "group_norm", inputs, {"groups": groups, "eps": eps}, one(
        lambda x, gamma=None, beta=None: F.group_norm(x, groups, gamma, beta, eps))


def cross_entropy(sample):
    only(sample, "weight", "ignore_index", "label_smoothing", "reduction", positional=1)
    labels, k = sample.args[0], sample.kwargs
    need(sample.input.dim() == 2 and labels.dtype == torch.int64 and labels.dim() == 1)
    options = {n: k[n] for n in ("ignore_index", "label_smoothing") if n in k}
    inputs = {"logits": sample.input, "labels": labels} | ({"weight": k["weight"]} if k.get("weight") is not None else {})
    return "cross_entropy", inputs, options, lambda logits, labels, weight=None: {
        "loss": F.cross_entropy(logits, labels, weight if weight is None else weight.detach(), reduction="none", **options)}


def embedding(sample):
    only(sample, positional=1)
    weight, index = sample.args[0], sample.input
    need(weight.dim() == 2 and index.dtype == torch.int64)
    return "embedding", {"weight": weight, "index": index}, {}, one(lambda weight, index: F.embedding(index, weight))


def index_select(sample):
    dim, index = sample.args
    need(sample.input.dim() > 0 and dim % sample.input.dim() == 0 and index.dim() == 1)
    return "index_select", {"x": sample.input, "index": index}, {}, one(lambda x, index: x.index_select(0, index))


def gather(sample):
    only(sample, positional=2)
    dim, index = sample.args
    need(sample.input.dim() > 0 and index.dim() == sample.input.dim() and index.dtype == torch.int64)
    return "gather", {"x": sample.input, "index": index}, {"axis": dim}, one(lambda x, index: x.gather(dim, index))


def scatter_add(sample):
    only(sample, positional=3)
    dim, index, src = sample.args
    need(sample.input.dim() > 0 and index.dim() == sample.input.dim() and index.dtype == torch.int64)
    return "scatter_add", {"x": sample.input, "index": index, "src": src}, {"axis": dim}, one(
        lambda x, index, src: x.scatter_add(dim, index, src))


def where(sample):
    condition, other = sample.args
    need(isinstance(other, torch.Tensor) and other.dtype == sample.input.dtype)
    return "where", {"condition": condition, "a": sample.input, "b": other}, {}, one(lambda condition, a, b: torch.where(condition, a, b))


def smooth_l1(sample):
    only(sample, "reduction", "beta", positional=1)
    target, beta = sample.args[0], float(sample.kwargs.get("beta", 1))
    need(beta > 0 and target.shape == sample.input.shape)
    return "smooth_l1", {"x": sample.input, "target": target}, {"beta": beta}, one(
        lambda x, target: F.smooth_l1_loss(x, target, reduction="none", beta=beta))


def argmax(sample):
    only(sample, "dim", "keepdim", positional=1)
    dim = sample.args[0] if sample.args else sample.kwargs.get("dim")
    need(dim is not None and sample.input.dim() > 0)
    keep = bool(sample.kwargs.get("keepdim", False))
    return "argmax", {"x": sample.input}, {"axis": dim, "keepdim": keep}, one(lambda x: x.argmax(dim, keepdim=keep))


def topk(sample):
    k, *rest = sample.args
    need(sample.input.dim() > 0 and k > 0 and (not rest or rest[0] in (-1, sample.input.dim() - 1)) and rest[1:] in ([], [True], [True, True]))
    return "topk", {"x": sample.input}, {"k": k}, lambda x: dict(zip(("values", "indices"), x.topk(k)))


def narrow(sample):
    dim, start, length = sample.args
    need(isinstance(start, int))
    size = sample.input.shape[dim]
    start = start + size if start < 0 else start
    return "slice", {"x": sample.input}, {"axis": dim, "begin": start, "end": start + length}, one(lambda x: x.narrow(dim, start, length))


def clamp(sample):
    low, high = [*sample.args, None, None][:2]
    low, high = sample.kwargs.get("min", low), sample.kwargs.get("max", high)
    need(not isinstance(low, torch.Tensor) and not isinstance(high, torch.Tensor) and (low is not None or high is not None))
    attrs = {k: float(v) for k, v in (("low", low), ("high", high)) if v is not None}
    need(attrs.get("low", float("-inf")) <= attrs.get("high", float("inf")))
    return "clamp", {"x": sample.input}, attrs, one(lambda x: x.clamp(low, high))


def gelu(sample):
    only(sample, "approximate")
    mode = sample.kwargs.get("approximate", "none")
    return "gelu" if mode == "none" else "gelu_tanh", {"x": sample.input}, {}, one(lambda x: F.gelu(x, approximate=mode))


def leaky_relu(sample):
    only(sample, "negative_slope", positional=1)
    slope = float(sample.args[0] if sample.args else sample.kwargs.get("negative_slope", 0.01))
    need(slope >= 0)
    return "leaky_relu", {"x": sample.input}, {"slope": slope}, one(lambda x: F.leaky_relu(x, slope))


MAPS = {
    ("nn.functional.relu", ""): unary("relu", F.relu), ("sigmoid", ""): unary("sigmoid", torch.sigmoid),
    ("tanh", ""): unary("tanh", torch.tanh), ("nn.functional.silu", ""): unary("silu", F.silu),
    ("nn.functional.softplus", ""): unary("softplus", F.softplus), ("exp", ""): unary("exp", torch.exp),
    ("log", ""): unary("log", torch.log), ("sqrt", ""): unary("sqrt", torch.sqrt), ("square", ""): unary("square", torch.square),
    ("abs", ""): unary("abs", torch.abs), ("nn.functional.gelu", ""): gelu, ("nn.functional.leaky_relu", ""): leaky_relu,
    ("clamp", ""): clamp, ("add", ""): binary("add", torch.add), ("sub", ""): binary("sub", torch.sub),
    ("mul", ""): binary("mul", torch.mul), ("div", "no_rounding_mode"): binary("div", torch.div),
    ("floor_divide", ""): binary("floor_divide", torch.floor_divide), ("remainder", ""): binary("remainder", torch.remainder),
    ("gather", ""): gather, ("scatter_add", ""): scatter_add,
    ("maximum", ""): binary("maximum", torch.maximum), ("minimum", ""): binary("minimum", torch.minimum),
    ("eq", ""): binary("equal", torch.eq), ("ne", ""): binary("not_equal", torch.ne), ("lt", ""): binary("less", torch.lt),
    ("le", ""): binary("less_equal", torch.le), ("gt", ""): binary("greater", torch.gt), ("ge", ""): binary("greater_equal", torch.ge),
    ("sum", ""): reduction("sum", torch.sum), ("mean", ""): reduction("mean", torch.mean), ("amax", ""): reduction("max", torch.amax),
    ("amin", ""): reduction("min", torch.amin), ("var", ""): reduction("var", torch.var),
    ("logsumexp", ""): reduction("logsumexp", torch.logsumexp), ("argmax", ""): argmax, ("topk", ""): topk,
    ("softmax", ""): last_axis("softmax", torch.softmax), ("log_softmax", ""): last_axis("log_softmax", torch.log_softmax),
    ("permute", ""): permute, ("cat", ""): cat, ("narrow", ""): narrow, ("matmul", ""): matmul, ("bmm", ""): matmul,
    ("nn.functional.linear", ""): linear, ("where", ""): where, ("index_select", ""): index_select,
    ("nn.functional.embedding", ""): embedding,
    ("nn.functional.conv2d", ""): convolution("conv2d", F.conv2d, ["stride", "padding", "dilation", "groups"]),
    ("nn.functional.conv_transpose2d", ""): convolution("conv_transpose2d", F.conv_transpose2d,
                                                        ["stride", "padding", "output_padding", "dilation", "groups"]),
    ("nn.functional.max_pool2d", ""): max_pool, ("nn.functional.avg_pool2d", ""): avg_pool,
    ("nn.functional.adaptive_avg_pool2d", ""): adaptive_pool, ("nn.functional.interpolate", "bilinear"): bilinear,
    ("nn.functional.pad", "constant"): pad("pad2d", "constant"), ("nn.functional.pad", "reflect"): pad("reflect_pad2d", "reflect"),
    ("nn.functional.batch_norm", ""): batch_norm, ("nn.functional.group_norm", ""): group_norm,
    ("nn.functional.cross_entropy", ""): cross_entropy, ("nn.functional.smooth_l1_loss", ""): smooth_l1,
}


# Operators that take integers, too.
INTEGERS = {"add", "sub", "mul", "maximum", "minimum", "floor_divide", "remainder", "sum", "amax", "amin", "eq", "ne", "lt", "le", "gt", "ge", "gather",
            "scatter_add"}


def opinfo_cases():
    from torch.testing._internal.common_methods_invocations import op_db
    for info in op_db:
        convert = MAPS.get((info.name, info.variant_test_name))
        if convert is None:
            continue
        for dtype in (torch.float64, torch.int64, torch.int32) if info.name in INTEGERS else (torch.float64,):
            mapped = []
            for sample in info.sample_inputs("cpu", dtype, requires_grad=False):
                try:
                    mapped.append(convert(sample))
                except (Unmapped, IndexError, KeyError, ValueError, AttributeError):
                    continue
            step = max(1, len(mapped) // MOST_PER_OPERATOR)
            for operator, inputs, attrs, function in mapped[::step]:
                yield operator, {k: v.detach().contiguous() for k, v in inputs.items()}, attrs, function
