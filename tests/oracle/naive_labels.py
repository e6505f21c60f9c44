#!/usr/bin/env python3
"""Numbers of SNGAN with naive labels from PyTorch in f64: writes tests/data/fixtures/oracle/sngan_nli.json.
The fill rule and the format are those of the fixtures in tests/data/fixtures/gan (gan/parity_gan.cpp reads them): no weights are stored, every
tensor is filled from its name. Here the response of sample i is |s_i| of "label_embedding", and the losses are those of a sigmoid within D.
  python3 tests/oracle/naive_labels.py
"""
import json
import pathlib

import torch
from torch import nn
from torch.nn.utils import spectral_norm

torch.set_default_dtype(torch.float64)
MASK = (1 << 64) - 1


def draws(name, shape):
    """u in [0, 1) of every element, by the name's hash."""
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = ((h ^ byte) * 0x100000001B3) & MASK
    out = torch.empty(shape)
    flat = out.view(-1)
    for i in range(flat.numel()):
        x = (h + i + 0x9E3779B97F4A7C15) & MASK
        x = ((x ^ x >> 30) * 0xBF58476D1CE4E5B9) & MASK
        x = ((x ^ x >> 27) * 0x94D049BB133111EB) & MASK
        flat[i] = ((x ^ x >> 31) >> 40) * 2.0**-24
    return out


def signed(name, shape):
    return 2 * draws(name, shape) - 1


def fill(module):
    state = {}
    for key, old in module.state_dict().items():
        last, s = key.rsplit(".", 1)[-1], signed(key, old.shape)
        if last == "num_batches_tracked":
            state[key] = torch.zeros_like(old)
        elif last == "running_mean":
            state[key] = 0.1 * s
        elif last == "running_var":
            state[key] = 1 + 0.25 * (s + 1)
        elif last in ("weight_u", "weight_v"):
            state[key] = s / s.norm()
        elif old.dim() >= 2:
            state[key] = s * (3 / old[0].numel()) ** 0.5
        else:
            state[key] = 1 + 0.1 * s if last == "weight" else 0.1 * s
    module.load_state_dict(state)


class Up(nn.Module):
    def __init__(self, inner, outer):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(inner, outer, 3, padding=1), nn.Conv2d(outer, outer, 3, padding=1)
        grow = nn.Upsample(scale_factor=2)
        self.model = nn.Sequential(nn.BatchNorm2d(inner), nn.ReLU(), grow, self.conv1, nn.BatchNorm2d(outer), nn.ReLU(), self.conv2)
        self.bypass_conv = nn.Conv2d(inner, outer, 1)
        self.bypass = nn.Sequential(grow, self.bypass_conv)

    def forward(self, x):
        return self.model(x) + self.bypass(x)


class Down(nn.Module):
    def __init__(self, inner, outer, first=False, halve=True):
        super().__init__()
        self.conv1 = spectral_norm(nn.Conv2d(inner, outer, 3, padding=1))
        self.conv2 = spectral_norm(nn.Conv2d(outer, outer, 3, padding=1))
        self.bypass_conv = spectral_norm(nn.Conv2d(inner, outer, 1))
        pool = [nn.AvgPool2d(2)] if halve else []
        self.model = nn.Sequential(*([] if first else [nn.ReLU()]), self.conv1, nn.ReLU(), self.conv2, *pool)
        self.bypass = nn.Sequential(*pool, self.bypass_conv) if first else nn.Sequential(self.bypass_conv, *pool)

    def forward(self, x):
        return self.model(x) + self.bypass(x)


class Generator(nn.Module):
    def __init__(self, c, z, bottom):
        super().__init__()
        self.bottom = bottom
        self.dense = nn.Linear(z, bottom * 16)
        for i, (inner, outer) in enumerate([(bottom, 8 * c), (8 * c, 4 * c), (4 * c, 2 * c), (2 * c, c)]):
            setattr(self, f"genblock{i}", Up(inner, outer))
        self.final = nn.Sequential(nn.BatchNorm2d(c), nn.ReLU(), nn.Conv2d(c, 3, 3, padding=1), nn.Tanh())

    def forward(self, z, y):
        x = (self.dense(z) + y).view(-1, self.bottom, 4, 4)
        return self.final(self.genblock3(self.genblock2(self.genblock1(self.genblock0(x)))))


class Discriminator(nn.Module):
    def __init__(self, c, bottom):
        super().__init__()
        self.discblock1 = nn.Sequential(Down(3, c, first=True), Down(c, 2 * c), Down(2 * c, 4 * c))
        self.discblock2 = Down(4 * c, 8 * c)
        self.discblock3 = nn.Sequential(Down(8 * c, bottom, halve=False), nn.ReLU())
        self.linear1 = spectral_norm(nn.Linear(bottom * 16, 1))
        self.linear2 = spectral_norm(nn.Linear(1, bottom * 16, bias=False))

    def forward(self, x, y):
        """Logits; their sigmoid is the original's output."""
        f = self.discblock3(self.discblock2(self.discblock1(x))).flatten(1)
        return self.linear1(f) + (f * self.linear2(y + 1)).sum(1, keepdim=True)


def summary(t):
    flat = t.detach().double().reshape(-1)
    return {"n": flat.numel(), "sum": flat.sum().item(), "l2": flat.norm().item(), "first": flat[:4].tolist()}


def shapes(module):
    return {key: list(t.shape) for key, t in module.state_dict().items()}


def gradients(module):
    return {name: summary(p.grad) for name, p in module.named_parameters()}


def buffers(module):
    return {name: summary(b) for name, b in module.named_buffers() if not name.endswith("num_batches_tracked")}


def case(narrow, c=4, z_dim=8, batch=3):
    bottom = (8 if narrow else 16) * c
    g, d = Generator(c, z_dim, bottom), Discriminator(c, bottom)
    fill(g), fill(d)
    z, real = signed("z", (batch, z_dim)), signed("input", (batch, 3, 64, 64))
    y = signed("label_embedding", (batch, 1)).abs()
    w_real, w_fake = draws("w_real", (batch, 1)), draws("w_fake", (batch, 1))
    out = {"g_kwargs": {"z_dim": z_dim, "nc": 3, "gene_ch": c, "dim_embed": 1}, "d_kwargs": {"nc": 3, "disc_ch": c, "dim_embed": 1},
           "loss": "vanilla", "batch": batch, "g_state_dict": shapes(g), "d_state_dict": shapes(d),
           "g_params": sum(p.numel() for p in g.parameters()), "d_params": sum(p.numel() for p in d.parameters())}
    g.eval(), d.eval()
    with torch.no_grad():
        out["g_eval"], out["d_eval"] = summary(g(z, y)), d(real, y).view(-1).tolist()
    g.train(), d.train()
    with torch.no_grad():
        fake = g(z, y)
    out["g_train"] = summary(fake)
    on_real, on_fake = torch.sigmoid(d(real, y)), torch.sigmoid(d(fake, y))
    d_loss = -(w_real * torch.log(on_real + 1e-20)).mean() - (w_fake * torch.log(1 - on_fake + 1e-20)).mean()
    d_loss.backward()
    out.update(d_loss=d_loss.item(), d_grads=gradients(d), d_buffers_after=buffers(d))
    fill(g)
    g_loss = -torch.log(torch.sigmoid(d(g(z, y), y)) + 1e-20).mean()
    g_loss.backward()
    out.update(g_loss=g_loss.item(), g_grads=gradients(g), g_buffers_after=buffers(g))
    return out


path = pathlib.Path(__file__).parents[1] / "data/fixtures/oracle/sngan_nli.json"
path.write_text(json.dumps({"salt": "", "cases": {"sngan-nli": case(False), "sngan-nli-narrow": case(True)}}, indent=1) + "\n")
