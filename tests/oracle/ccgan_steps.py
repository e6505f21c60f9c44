#!/usr/bin/env python3
"""Ten steps of CcGAN's training in PyTorch (f64), written from the papers and the original's description: vicinities, weights, networks, losses, DiffAugment, Adam.

    python3 tests/oracle/ccgan_steps.py > tests/data/fixtures/oracle/ccgan_steps.json
    python3 tests/oracle/ccgan_steps.py --check tests/data/fixtures/oracle/ccgan_steps.json

tests/gan/ccgan_steps_test.cpp trains GanTrainer with the settings of that file and compares its losses with the ones in it. Both sides start from weights filled by
name (the rule of the other fixtures) and draw the same numbers: Philox-4x32-10 in streams that fork by name (tensor/random.h) is written down again here. Prints
ok, FAIL or skip lines with --check.
"""
import json
import math
import sys

try:
    import numpy as np
    import torch
    import torch.nn.functional as F
    from torch import nn
    from torch.nn.utils import spectral_norm
except ImportError as error:
    print(f"skip ten steps of CcGAN against PyTorch: {error}")
    sys.exit(0)

WORD = 0xFFFFFFFF
LONG = 0xFFFFFFFFFFFFFFFF
FORK = 0x666F726B
SETTINGS = dict(seed=11, images=24, size=64, steps=10, batch=4, d_steps=2, dim_z=16, embedding=16, lr=1e-3, beta1=0.5, beta2=0.999, adam_eps=3e-2)
CASES = {
    "sagan SVDL hinge": dict(arch="sagan", ch=8, type="soft", loss="hinge", sigma=-1, kappa=-2, flip=True, augment="color,translation,cutout"),
    "sagan HVDL hinge": dict(arch="sagan", ch=8, type="hard", loss="hinge", sigma=-1, kappa=-1, flip=False, augment="color"),
    "sngan HVDL hinge": dict(arch="sngan", ch=4, type="hard", loss="hinge", sigma=0.2, kappa=0.03, flip=False, augment=""),
    "sngan SVDL vanilla": dict(arch="sngan", ch=4, type="soft", loss="vanilla", sigma=0.05, kappa=300, flip=True, augment="translation"),
}


# --- draws ----------------------------------------------------------------------------------------------------------------------------
def philox(key, low, high=0):
    c = [low & WORD, low >> 32, high & WORD, high >> 32]
    k = [key & WORD, key >> 32]
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k[0], p1 & WORD, (p0 >> 32) ^ c[3] ^ k[1], p0 & WORD]
        k = [(k[0] + 0x9E3779B9) & WORD, (k[1] + 0xBB67AE85) & WORD]
    return c


def fnv1a(text):
    h = 0xCBF29CE484222325
    for byte in text.encode():
        h = (h ^ byte) * 0x100000001B3 & LONG
    return h


def uniform53(high, low):
    return ((high << 21) ^ (low >> 11)) * 2.0**-53


class Stream:
    def __init__(self, key):
        self.key, self.offset = key, 0

    def fork(self, purpose, index=None):
        b = philox(self.key, fnv1a(purpose), FORK)
        key = b[0] << 32 | b[1]
        if index is not None:
            b = philox(key, index, FORK)
            key = b[0] << 32 | b[1]
        return Stream(key)

    def block(self):
        self.offset += 1
        return philox(self.key, self.offset - 1)

    def uniform(self):
        b = self.block()
        return uniform53(b[0], b[1])

    def normals(self):
        b = self.block()
        radius, angle = math.sqrt(-2 * math.log(1 - uniform53(b[0], b[1]))), 2 * math.pi * uniform53(b[2], b[3])
        return radius * math.cos(angle), radius * math.sin(angle)

    def below(self, n):
        limit = LONG - LONG % n
        for attempt in range(100):
            b = philox(self.key, self.offset, attempt)
            if (b[0] << 32 | b[1]) < limit:
                break
        self.offset += 1
        return (b[0] << 32 | b[1]) % n


def single(values):
    """What was rounded to f32 on its way, in f64."""
    return torch.tensor(np.asarray(values, dtype=np.float32).astype(np.float64))


def noise(stream, rows, columns):
    pairs = [x for _ in range(rows * columns // 2) for x in stream.normals()]
    return single(pairs).view(rows, columns)


# --- values by name -------------------------------------------------------------------------------------------------------------------
def fill(name, shape):
    """u in [0, 1) with 24 bits from splitmix64 of fnv1a(name) + i."""
    with np.errstate(over="ignore"):
        x = np.uint64(fnv1a(name)) + np.arange(math.prod(shape), dtype=np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x ^= x >> np.uint64(31)
    return torch.tensor((x >> np.uint64(40)).astype(np.float64) * 2.0**-24).view(shape)


def state_value(name, shape):
    last, s = name.split(".")[-1], 2 * fill(name, shape) - 1
    if last in ("weight_u", "weight_v"):
        return s / s.norm()
    if last == "sigma":
        return torch.full(shape, 0.5)
    if len(shape) >= 2:
        return s * math.sqrt(3 / math.prod(shape[1:]))
    if last == "weight":
        return 1 + 0.1 * s
    if last == "bias":
        return 0.1 * s
    raise ValueError(name)


def filled(module, name_of=lambda name: name):
    module.double()
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if "running" not in name and "num_batches" not in name:  # in train mode they are not read
                # The training that is compared computes in f32: its weights begin rounded.
                value.copy_(state_value(name_of(name), value.shape).float().double())
    return module


# --- networks -------------------------------------------------------------------------------------------------------------------------
def conv(inputs, outputs, size, normalised=True):
    layer = nn.Conv2d(inputs, outputs, size, padding=size // 2)
    return spectral_norm(layer, eps=1e-12) if normalised else layer


def linear(inputs, outputs, bias=True, normalised=True):
    layer = nn.Linear(inputs, outputs, bias=bias)
    return spectral_norm(layer, eps=1e-12) if normalised else layer


def up(x):
    return F.interpolate(x, scale_factor=2, mode="nearest")


class LabelNorm(nn.Module):
    def __init__(self, channels, dim):
        super().__init__()
        self.bn = nn.BatchNorm2d(channels, affine=False)
        self.embed_gamma = linear(dim, channels, bias=False, normalised=False)
        self.embed_beta = linear(dim, channels, bias=False, normalised=False)

    def forward(self, x, h):
        b = self.bn(x)
        return b + self.embed_gamma(h)[:, :, None, None] * b + self.embed_beta(h)[:, :, None, None]


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.snconv1x1_theta, self.snconv1x1_phi = conv(c, c // 8, 1), conv(c, c // 8, 1)
        self.snconv1x1_g, self.snconv1x1_attn = conv(c, c // 2, 1), conv(c // 2, c, 1)
        self.sigma = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        n, c, height, width = x.shape
        theta = self.snconv1x1_theta(x).flatten(2)
        phi = F.max_pool2d(self.snconv1x1_phi(x), 2).flatten(2)
        g = F.max_pool2d(self.snconv1x1_g(x), 2).flatten(2)
        weights = torch.softmax(torch.bmm(theta.transpose(1, 2), phi), dim=-1)
        o = torch.bmm(g, weights.transpose(1, 2)).view(n, c // 2, height, width)
        return x + self.sigma * self.snconv1x1_attn(o)


class SaganBlockG(nn.Module):
    def __init__(self, inputs, outputs, dim):
        super().__init__()
        self.cond_bn1, self.cond_bn2 = LabelNorm(inputs, dim), LabelNorm(outputs, dim)
        self.snconv2d1, self.snconv2d2, self.snconv2d0 = conv(inputs, outputs, 3), conv(outputs, outputs, 3), conv(inputs, outputs, 1)

    def forward(self, x, h):
        y = self.snconv2d1(up(F.relu(self.cond_bn1(x, h))))
        return self.snconv2d2(F.relu(self.cond_bn2(y, h))) + self.snconv2d0(up(x))


class SaganG(nn.Module):
    def __init__(self, c, dim_z, dim):
        super().__init__()
        self.c = c
        self.snlinear0 = linear(dim_z, 16 * c * 16)
        for i in range(1, 5):
            setattr(self, f"block{i}", SaganBlockG(32 * c >> i, 16 * c >> i, dim))
        self.self_attn = Attention(2 * c)
        self.bn = nn.BatchNorm2d(c)
        self.snconv2d1 = conv(c, 3, 3)

    def forward(self, z, h):
        x = self.snlinear0(z).view(-1, 16 * self.c, 4, 4)
        for i in range(1, 4):
            x = getattr(self, f"block{i}")(x, h)
        x = self.block4(self.self_attn(x), h)
        return torch.tanh(self.snconv2d1(F.relu(self.bn(x))))


class BlockD(nn.Module):
    """Of both families; `shared`: the shortcut sees relu(x)."""

    def __init__(self, inputs, outputs, names, first=False, down=True, shared=False):
        super().__init__()
        self.names, self.first, self.down, self.shared = names, first, down, shared
        for name, layer in zip(names, (conv(inputs, outputs, 3), conv(outputs, outputs, 3), conv(inputs, outputs, 1))):
            setattr(self, name, layer)

    def forward(self, x):
        conv1, conv2, shortcut = (getattr(self, name) for name in self.names)
        y = x if self.first else F.relu(x)
        side = y if self.shared else x
        y = conv2(F.relu(conv1(y)))
        if not self.down:
            return y + shortcut(side)
        # The first block pools before its shortcut, the others after it.
        return F.avg_pool2d(y, 2) + (shortcut(F.avg_pool2d(side, 2)) if self.first else F.avg_pool2d(shortcut(side), 2))


class SaganD(nn.Module):
    def __init__(self, c, dim):
        super().__init__()
        names = ("snconv2d1", "snconv2d2", "snconv2d0")
        self.opt_block1 = BlockD(3, c, names, first=True)
        self.self_attn = Attention(c)
        for i in range(1, 5):
            setattr(self, f"block{i}", BlockD(c << i - 1, c << i, names, down=i < 4, shared=True))
        self.snlinear1, self.sn_embedding1 = linear(16 * c * 16, 1), linear(dim, 16 * c * 16, bias=False)

    def forward(self, x, h):
        x = self.self_attn(self.opt_block1(x))
        for i in range(1, 5):
            x = getattr(self, f"block{i}")(x)
        f = F.relu(x).flatten(1)
        return self.snlinear1(f).view(-1) + (f * self.sn_embedding1(h)).sum(1)


class SnganBlockG(nn.Module):
    def __init__(self, inputs, outputs, dim):
        super().__init__()
        self.condbn1, self.condbn2 = LabelNorm(inputs, dim), LabelNorm(outputs, dim)
        self.conv1, self.conv2, self.bypass_conv = conv(inputs, outputs, 3, False), conv(outputs, outputs, 3, False), conv(inputs, outputs, 1, False)

    def forward(self, x, h):
        y = self.conv1(up(F.relu(self.condbn1(x, h))))
        return self.conv2(F.relu(self.condbn2(y, h))) + self.bypass_conv(up(x))


class SnganG(nn.Module):
    def __init__(self, c, dim_z, dim):
        super().__init__()
        self.c = c
        self.dense = linear(dim_z, 16 * c * 16, normalised=False)
        for i in range(4):
            setattr(self, f"genblock{i}", SnganBlockG(16 * c >> i, 8 * c >> i, dim))
        self.final = nn.Sequential(nn.BatchNorm2d(c), nn.ReLU(), conv(c, 3, 3, False), nn.Tanh())

    def forward(self, z, h):
        x = self.dense(z).view(-1, 16 * self.c, 4, 4)
        for i in range(4):
            x = getattr(self, f"genblock{i}")(x, h)
        return self.final(x)


class SnganD(nn.Module):
    def __init__(self, c, dim):
        super().__init__()
        names = ("conv1", "conv2", "bypass_conv")
        self.discblock1 = nn.Sequential(BlockD(3, c, names, first=True), BlockD(c, 2 * c, names), BlockD(2 * c, 4 * c, names))
        self.discblock2 = BlockD(4 * c, 8 * c, names)
        self.discblock3 = nn.Sequential(BlockD(8 * c, 16 * c, names, down=False), nn.ReLU())
        self.linear1, self.linear2 = linear(16 * c * 16, 1), linear(dim, 16 * c * 16, bias=False)

    def forward(self, x, h):
        f = self.discblock3(self.discblock2(self.discblock1(x))).flatten(1)
        return self.linear1(f).view(-1) + (f * self.linear2(h)).sum(1)


def sngan_name(name):
    """The original's layers have second names, whose values stay."""
    if "block" not in name:
        return name
    if name.startswith("gen"):
        second = {"conv1": "model.3", "conv2": "model.6", "bypass_conv": "bypass.1"}
    elif name.startswith("discblock1.0."):
        second = {"conv1": "model.0", "conv2": "model.2", "bypass_conv": "bypass.1"}
    else:
        second = {"conv1": "model.1", "conv2": "model.3", "bypass_conv": "bypass.0"}
    return ".".join(second.get(part, part) for part in name.split("."))


def embedding(y, size):
    """Any function that tells responses well apart; a trained net is compared elsewhere."""
    return single(np.cos(np.outer(y.numpy(), np.arange(1, size + 1)) * np.pi / 4) ** 2)


# --- DiffAugment ----------------------------------------------------------------------------------------------------------------------
def augmentation(stream, count, size, policy):
    """Per image: brightness, saturation, contrast, shifts, corner of the cut."""
    shift = int(size * 0.125 + 0.5)
    rows = []
    for _ in range(count):
        brightness, saturation, contrast = stream.uniform() - 0.5, 2 * stream.uniform(), stream.uniform() + 0.5
        shifts = [stream.below(2 * shift + 1) - shift for _ in range(2)]
        corner = [stream.below(size + 1) for _ in range(2)]
        if "color" not in policy:
            brightness, saturation, contrast = 0, 1, 1
        if "translation" not in policy:
            shifts = [0, 0]
        rows.append((single([brightness, saturation, contrast]), shifts, corner))
    return rows


def augmented(images, rows, policy):
    if not policy:
        return images
    out = []
    for x, ((brightness, saturation, contrast), (down, right), corner) in zip(images, rows):
        x = x + brightness
        x = (x - x.mean(0, keepdim=True)) * saturation + x.mean(0, keepdim=True)
        x = (x - x.mean()) * contrast + x.mean()
        size = x.shape[1]
        x = F.pad(x, (size,) * 4)[:, size + down : 2 * size + down, size + right : 2 * size + right]
        if "cutout" in policy:
            mask, half = torch.ones_like(x), size // 4
            (top, bottom), (left, end) = ((max(0, o - half), min(size, o + half)) for o in corner)
            mask[:, top:bottom, left:end] = 0
            x = x * mask
        out.append(x)
    return torch.stack(out)


# --- data and vicinities --------------------------------------------------------------------------------------------------------------
class Data:
    def __init__(self, s):
        n, size = s["images"], s["size"]
        self.bytes = torch.floor(256 * fill("images", (n, 3, size, size)))
        # With ties and gaps.
        self.responses = np.array([i * i * 7 % 23 / 22 for i in range(n)], dtype=np.float32).astype(np.float64)
        self.distinct = sorted(set(self.responses))

    def images(self, rows, flips):
        x = (self.bytes[rows] / 255 - 0.5) / 0.5
        return torch.stack([torch.flip(i, [2]) if f else i for i, f in zip(x, flips)])


class Vicinity:
    def __init__(self, data, case):
        y = data.responses
        self.data, self.soft = data, case["type"] == "soft"
        self.sigma = case["sigma"] if case["sigma"] >= 0 else 1.06 * np.std(y) * len(y) ** -0.2
        self.kappa = case["kappa"]
        if self.kappa < 0:
            base = -self.kappa * max(b - a for a, b in zip(data.distinct, data.distinct[1:]))
            self.kappa = 1 / base**2 if self.soft else base
        self.radius = math.sqrt(-math.log(1e-3) / self.kappa) if self.soft else self.kappa

    def near(self, y):
        """By scanning; in the order of the responses, which is how a number below their count is understood."""
        order = sorted(range(len(self.data.responses)), key=lambda i: self.data.responses[i])
        distance = abs(self.data.responses - y)
        if self.soft:
            return [i for i in order if self.kappa * distance[i] ** 2 <= -math.log(1e-3)]
        return [i for i in order if distance[i] <= self.kappa]

    def weight(self, a, b):
        return math.exp(-self.kappa * (a - b) ** 2) if self.soft else 1.0

    def target(self, stream):
        distinct = self.data.distinct
        return distinct[stream.below(len(distinct))] + self.sigma * stream.normals()[0]

    def draw(self, stream):
        """(target, image, response of the fake, weights of real and fake)."""
        clean, near = self.data.distinct[stream.below(len(self.data.distinct))], []
        while not near:
            y = clean + self.sigma * stream.normals()[0]
            near = self.near(y)
        image = near[stream.below(len(near))]
        low, high = max(0.0, y - self.radius), min(1.0, y + self.radius)
        fake = low + (high - low) * stream.uniform()
        return y, image, fake, self.weight(self.data.responses[image], y), self.weight(fake, y)


# --- training -------------------------------------------------------------------------------------------------------------------------
class Training:
    def __init__(self, s, case):
        self.s, self.case = s, case
        sizes = (case["ch"], s["dim_z"], s["embedding"])
        rename = sngan_name if case["arch"] == "sngan" else lambda name: name
        G, D = (SaganG, SaganD) if case["arch"] == "sagan" else (SnganG, SnganD)
        self.g, self.d = filled(G(*sizes), rename), filled(D(case["ch"], s["embedding"]), rename)
        self.h = lambda y: embedding(y, s["embedding"])
        self.adams = [torch.optim.Adam(m.parameters(), lr=s["lr"], betas=(s["beta1"], s["beta2"]), eps=s["adam_eps"]) for m in (self.g, self.d)]
        self.data = Data(s)
        self.vicinity = Vicinity(self.data, case)
        self.root = Stream(s["seed"])

    def judge(self, images, h, rows):
        return self.d(augmented(images, rows, self.case["augment"]), h)

    def discriminator_loss(self, dr, dg, wr, wg):
        if self.case["loss"] == "hinge":
            return (wr * F.relu(1 - dr)).mean() + (wg * F.relu(1 + dg)).mean()
        return (-wr * torch.log(torch.sigmoid(dr) + 1e-20)).mean() + (-wg * torch.log(1 - torch.sigmoid(dg) + 1e-20)).mean()

    def flips(self, update):
        stream = self.root.fork("data").fork("augment", update)
        return [self.case["flip"] and stream.block()[2] >> 31 for _ in range(self.s["batch"])]

    def update_discriminator(self, stream, update):
        n, policy = self.s["batch"], self.case["augment"]
        z = noise(stream.fork("z"), n, self.s["dim_z"])
        rows = augmentation(stream.fork("augment"), 2 * n, self.s["size"], policy)
        vicinal = self.root.fork("data").fork("vicinity").fork("update", update)
        y, image, fake_y, wr, wg = zip(*[self.vicinity.draw(vicinal) for _ in range(n)])
        with torch.no_grad():
            fake = self.g(z, self.h(single(fake_y)))
        h = self.h(single(y))
        dr = self.judge(self.data.images(list(image), self.flips(update)), h, rows[n:])
        dg = self.judge(fake, h, rows[:n])
        loss = self.discriminator_loss(dr, dg, single(wr), single(wg))
        self.adams[1].zero_grad()
        loss.backward()
        self.adams[1].step()
        return loss.item()

    def update_generator(self, stream):
        n, policy = self.s["batch"], self.case["augment"]
        z = noise(stream.fork("z"), n, self.s["dim_z"])
        rows = augmentation(stream.fork("augment"), n, self.s["size"], policy)
        targets = stream.fork("targets")
        h = self.h(single([self.vicinity.target(targets) for _ in range(n)]))
        score = self.judge(self.g(z, h), h, rows)
        loss = -score.mean() if self.case["loss"] == "hinge" else -torch.log(torch.sigmoid(score) + 1e-20).mean()
        self.adams[0].zero_grad()
        loss.backward()
        self.adams[0].step()
        return loss.item()

    def run(self):
        d_losses, g_losses = [], []
        for step in range(self.s["steps"]):
            here = self.root.fork("step", step)
            for k in range(self.s["d_steps"]):
                d_loss = self.update_discriminator(here.fork("D", k), step * self.s["d_steps"] + k)
            d_losses.append(d_loss)  # of the last update
            g_losses.append(self.update_generator(here.fork("G")))
        return d_losses, g_losses


def compute():
    torch.set_num_threads(1)
    cases = {}
    for name, case in CASES.items():
        d_loss, g_loss = Training(SETTINGS, case).run()
        cases[name] = {**case, "d_loss": d_loss, "g_loss": g_loss}
    return {"settings": SETTINGS, "cases": cases}


def check(path):
    with open(path) as f:
        written = json.load(f)
    found = compute()
    if written["settings"] != found["settings"] or written["cases"].keys() != found["cases"].keys():
        print(f"FAIL ten steps of CcGAN: {path} has other settings; write it again")
        return
    for name, case in found["cases"].items():
        worst = max(abs(a - b) / (1 + abs(b)) for key in ("d_loss", "g_loss") for a, b in zip(case[key], written["cases"][name][key]))
        print(f"ok ten steps of {name} in PyTorch" if worst < 1e-6 else f"FAIL ten steps of {name} in PyTorch: {worst} from {path}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--check"]:
        check(sys.argv[2])
    else:
        json.dump(compute(), sys.stdout, indent=1)
        print()
