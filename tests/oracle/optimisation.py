"""What PyTorch's optimisers, schedules and smoothed cross entropy do, in f64, as the fixture of tests/train/optimisation_test.cpp.

    python tests/oracle/optimisation.py tests/data/fixtures/train/optimisation.json
"""
import json
import sys

import torch
import torch.nn.functional as F
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, LinearLR, MultiStepLR, SequentialLR

STEPS = 12
SIZE = 5


def start():
    return torch.tensor([1.0, -2.0, 0.5, 3.0, -0.25], dtype=torch.float64, requires_grad=True)


def gradient(w, step):
    """Of no simple function: the same few operations in C++."""
    i = torch.arange(SIZE, dtype=torch.float64)
    return 0.5 * w * w * w - w + 0.1 * i - 0.05 * step


OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=5e-4),
    "sgd_nesterov": lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.8, weight_decay=0.01, nesterov=True),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01),
    "adam_settings": lambda p: torch.optim.Adam(p, lr=0.02, betas=(0.5, 0.9), eps=1e-6, weight_decay=0.1),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1),
    "adamw_settings": lambda p: torch.optim.AdamW(p, lr=0.05, betas=(0.8, 0.95), eps=1e-4, weight_decay=0.5),
}


def weights_of(make):
    """After every step; the rate falls by a tenth a step."""
    w = start()
    optimizer = make([w])
    falling = LambdaLR(optimizer, lambda step: 0.9**step)
    rows = []
    for step in range(STEPS):
        w.grad = gradient(w.detach(), step)
        optimizer.step()
        falling.step()
        rows.append(w.tolist())
    return rows


def rates(make, steps):
    optimizer = torch.optim.SGD([start()], lr=0.2)
    schedule = make(optimizer)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


def warm(optimizer, n, then):
    return SequentialLR(optimizer, [LinearLR(optimizer, 1 / n, total_iters=n - 1), then], [n])


def schedules():
    """Six epochs of four steps, lr 0.2."""
    total = 24
    return {
        "milestones": rates(lambda o: MultiStepLR(o, [8, 16], gamma=0.1), total),
        "cosine": rates(lambda o: CosineAnnealingLR(o, total, eta_min=0.01), total),
        "warmup_cosine": rates(lambda o: warm(o, 6, CosineAnnealingLR(o, total - 6)), total),
        "warmup_milestones": rates(lambda o: warm(o, 4, MultiStepLR(o, [4, 12], gamma=0.1)), total),
    }


def smoothed():
    torch.manual_seed(1)
    labels = torch.tensor([2, 0, 3])
    cases = []
    for smoothing in (0.0, 0.1, 0.5):
        logits = torch.randn(3, 4, dtype=torch.float64).requires_grad_(True)
        loss = F.cross_entropy(logits, labels, label_smoothing=smoothing)
        loss.backward()
        cases.append({"smoothing": smoothing, "logits": logits.tolist(), "loss": loss.item(), "gradient": logits.grad.tolist()})
    return {"labels": labels.tolist(), "cases": cases}


def main():
    fixture = {"weights": {name: weights_of(make) for name, make in OPTIMIZERS.items()}, "rates": schedules(), "label_smoothing": smoothed()}
    with open(sys.argv[1], "w") as file:
        json.dump(fixture, file)
        file.write("\n")


if __name__ == "__main__":
    main()
