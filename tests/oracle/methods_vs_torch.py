"""Five steps of SGD of CRD, ReviewKD, SemCKD, SimKD, SSKD and the head of SSKD's teacher in PyTorch, written from the papers: losses and weights.

    python tests/oracle/methods_vs_torch.py tests/data/fixtures/kd/five_steps.json            compares the file with PyTorch's numbers
    python tests/oracle/methods_vs_torch.py tests/data/fixtures/kd/five_steps.json --write    writes it

Prints one line per method: "ok NAME ..." or "FAIL NAME ...". tests/kd/methods_steps_test.cpp compares the file with Limbeck's training step. All in
f64, eager, on the CPU. Networks are filled by their keys, auxiliary modules by Limbeck's keys of them, images and labels by step:
bytes floor(256 uniform("images.STEP")) scaled to [-1, 1], labels (5 i + STEP) mod classes. Needs torch and numpy; without them everything is skipped.
"""
import json
import sys

try:
    import torch
    import torch.nn.functional as F
    from torch import nn

    from parity_rule import fill, state_value, summary, uniform
except ImportError as error:
    print(f"skip methods_vs_torch: {error}")
    sys.exit(0)

STEPS, CLASSES, SIZE, IMAGES = 5, 5, 8, 40
EPOCHS = [0, 4, 9, 19, 30]  # of the steps: ReviewKD's weight rises over 20
SETTINGS = {
    "crd": {"batch": 6, "negatives": 7, "width": 12},
    "reviewkd": {"batch": 8, "nesterov": True},
    "semckd": {"batch": 8},
    "simkd": {"batch": 8},
    "sskd": {"batch": 4},
    "sskd_head": {"batch": 4},
}
COMMON = {"student": "resnet8", "teacher": "wrn_16_2", "classes": CLASSES, "size": SIZE, "images": IMAGES, "epochs": EPOCHS, "lr": 0.01, "momentum": 0.9,
          "weight_decay": 5e-4, "nesterov": False}


# --- networks: forward() gives the maps of the stem and the stages, as a method sees them, the pooled features and the logits -------------------------
def conv(i, o, kernel=3, stride=1, bias=False):
    return nn.Conv2d(i, o, kernel, stride, kernel // 2, bias=bias)


class BasicBlock(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.conv1, self.bn1, self.conv2, self.bn2 = conv(i, o, 3, stride), nn.BatchNorm2d(o), conv(o, o), nn.BatchNorm2d(o)
        self.downsample = nn.Sequential(conv(i, o, 1, stride), nn.BatchNorm2d(o)) if stride != 1 or i != o else None

    def forward(self, x):
        shortcut = self.downsample(x) if self.downsample else x
        return F.relu(shortcut + self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))


class ResNet8(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = conv(3, 16), nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(BasicBlock(16, 16, 1))
        self.layer2 = nn.Sequential(BasicBlock(16, 32, 2))
        self.layer3 = nn.Sequential(BasicBlock(32, 64, 2))
        self.fc = nn.Linear(64, CLASSES)

    def forward(self, x):
        stem = F.relu(self.bn1(self.conv1(x)))
        a = self.layer1(stem)
        b = self.layer2(a)
        c = self.layer3(b)
        pooled = c.mean((2, 3))
        return [stem, a, b, c], pooled, self.fc(pooled)


class WideBlock(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.bn1, self.conv1, self.bn2, self.conv2 = nn.BatchNorm2d(i), conv(i, o, 3, stride), nn.BatchNorm2d(o), conv(o, o)
        self.convShortcut = conv(i, o, 1, stride) if i != o else None

    def forward(self, x):
        a = F.relu(self.bn1(x))
        y = self.conv2(F.relu(self.bn2(self.conv1(a))))
        return y + (self.convShortcut(a) if self.convShortcut else x)


class WideStage(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.layer = nn.Sequential(WideBlock(i, o, stride), WideBlock(o, o, 1))

    def forward(self, x):
        return self.layer(x)


class Wide16x2(nn.Module):
    """wrn_16_2. Its stages' outputs are sums in front of a batch norm; `preact`: behind the batch norm that follows, without the ReLU."""

    def __init__(self):
        super().__init__()
        self.conv1 = conv(3, 16)
        self.block1, self.block2, self.block3 = WideStage(16, 32, 1), WideStage(32, 64, 2), WideStage(64, 128, 2)
        self.bn1, self.fc = nn.BatchNorm2d(128), nn.Linear(128, CLASSES)

    def forward(self, x, preact=False):
        stem = self.conv1(x)
        a = self.block1(stem)
        b = self.block2(a)
        c = self.block3(b)
        last = F.relu(self.bn1(c))
        pooled = last.mean((2, 3))
        if preact:
            a, b, c = self.block2.layer[0].bn1(a), self.block3.layer[0].bn1(b), self.bn1(c)
        return [stem, a, b, c], pooled, self.fc(pooled)


def batch_of(step, n):
    pixels = (256 * uniform(f"images.{step}", (n, 3, SIZE, SIZE))).floor()
    return pixels / 127.5 - 1, torch.tensor([(5 * i + step) % CLASSES for i in range(n)])


def turned_views(images):
    return torch.stack([torch.rot90(images, k, (2, 3)) for k in range(4)], 1).flatten(0, 1)


def soft_targets(student, teacher, temperature):
    """T^2 KL(teacher || student), mean over rows."""
    p = F.softmax(teacher / temperature, 1)
    return temperature**2 * (p * (p.log() - F.log_softmax(student / temperature, 1))).sum(1).mean()


def pooled_to(x, side):
    return x if x.shape[2] == side else F.adaptive_avg_pool2d(x, side)


# --- the methods: auxiliary modules with Limbeck's keys, and the whole loss of a step -----------------------------------------------------------------
class CRD(nn.Module):
    """Contrastive representation distillation: 0.8 (L(o1) + L(o2)) + CE + soft targets, T = 4."""

    def __init__(self, s):
        super().__init__()
        self.k, self.n = s["negatives"], IMAGES
        self.student, self.teacher = (nn.ModuleDict({"linear": nn.Linear(d, s["width"])}) for d in (64, 128))
        for name in ("memory_student", "memory_teacher"):
            self.register_buffer(name, torch.zeros(IMAGES, s["width"]))
        self.register_buffer("normalisers", torch.zeros(2))

    @staticmethod
    def unit(x):
        return x / x.pow(2).sum(1, keepdim=True).sqrt()

    def rows(self, step, n):
        """The images of the batch, and for each the row of its own and its negatives."""
        own = torch.tensor([(3 * i + 1 + 7 * step) % IMAGES for i in range(n)])
        return own, (own[:, None] + torch.cat([torch.zeros(1), 1 + step + 2 * torch.arange(self.k)]).long()) % IMAGES

    def contrast(self, v, memory, rows, side):
        o = torch.exp((memory[rows] @ v[:, :, None])[:, :, 0] / 0.07)
        if self.normalisers[side] == 0:
            self.normalisers[side] = o.detach().mean() * self.n
        o = o / self.normalisers[side].clone()
        c = self.k / self.n
        return -((o[:, 0] / (o[:, 0] + c + 1e-7)).log().sum() + (c / (o[:, 1:] + c + 1e-7)).log().sum()) / len(v)

    def forward(self, step, student, teacher, images, labels):
        (_, fs, zs), (_, ft, zt) = student(images), teacher(images)
        own, rows = self.rows(step, len(images))
        v1, v2 = self.unit(self.student["linear"](fs)), self.unit(self.teacher["linear"](ft))
        loss = F.cross_entropy(zs, labels) + soft_targets(zs, zt, 4)
        loss = loss + 0.8 * (self.contrast(v1, self.memory_teacher.clone(), rows, 0) + self.contrast(v2, self.memory_student.clone(), rows, 1))
        self.remember = [(self.memory_student, own, v1.detach()), (self.memory_teacher, own, v2.detach())]
        return loss

    def after_step(self):
        for memory, own, v in self.remember:
            memory[own] = self.unit(0.5 * memory[own] + 0.5 * v)


class ReviewKD(nn.Module):
    """Knowledge review: CE + 5 min(1, epoch / 20) HCL; the teacher in training mode, its maps before their activation."""

    def __init__(self, s):
        super().__init__()
        middle, inner, outer = 64, [16, 32, 64, 64], [32, 64, 128, 128]
        for i in range(4):
            level = nn.Module()
            level.conv1 = nn.Sequential(conv(inner[i], middle, 1), nn.BatchNorm2d(middle))
            level.conv2 = nn.Sequential(conv(middle, outer[i]), nn.BatchNorm2d(outer[i]))
            if i < 3:
                level.att_conv = nn.Sequential(conv(2 * middle, 2, 1, bias=True))
            self.add_module(str(i), level)

    def forward(self, step, student, teacher, images, labels):
        maps, pooled, zs = student(images)
        with torch.no_grad():
            theirs, t_pooled, _ = teacher.train()(images, preact=True)
        s, t = maps[1:] + [pooled[:, :, None, None]], theirs[1:] + [t_pooled[:, :, None, None]]
        loss, residual = 0, None
        for i in reversed(range(4)):
            level = getattr(self, str(i))
            x = level.conv1(s[i])
            if residual is not None:
                r = F.interpolate(residual, size=x.shape[2:], mode="nearest")
                z = torch.sigmoid(level.att_conv(torch.cat([x, r], 1)))
                x = x * z[:, :1] + r * z[:, 1:]
            residual = x
            loss = loss + self.context(level.conv2(x), t[i])
        return F.cross_entropy(zs, labels) + 5.0 * min(1, EPOCHS[step] / 20) * loss

    @staticmethod
    def context(o, t):
        total, weights, weight = F.mse_loss(o, t), 1.0, 1.0
        for side in (4, 2, 1):
            if side < o.shape[2]:
                weight /= 2
                weights += weight
                total = total + weight * F.mse_loss(F.adaptive_avg_pool2d(o, side), F.adaptive_avg_pool2d(t, side))
        return total / weights


class SemCKD(nn.Module):
    """Semantic calibration: CE + soft targets (T = 4) + 400 sum w d / (B n_s)."""

    def __init__(self, s):
        super().__init__()
        b, inner, outer = s["batch"], [16, 32, 64], [32, 64, 128]
        for i in range(3):
            for name in (f"query{i}", f"key{i}"):
                self.add_module(name, nn.ModuleDict({"linear1": nn.Linear(b, b // 2), "linear2": nn.Linear(b // 2, b // 4)}))
            for j in range(3):
                c = outer[j]
                self.add_module(f"regressor{i}_{j}", nn.ModuleDict({
                    "conv1": conv(inner[i], 2 * c, 1), "bn1": nn.BatchNorm2d(2 * c), "conv2": conv(2 * c, 2 * c), "bn2": nn.BatchNorm2d(2 * c),
                    "conv3": conv(2 * c, c, 1)}))

    def embed(self, name, x):
        m, f = getattr(self, name), x.flatten(1)
        h = m["linear2"](F.relu(m["linear1"](f @ f.T)))
        return h / h.norm(dim=1, keepdim=True)

    def project(self, name, x):
        m = getattr(self, name)
        return m["conv3"](F.relu(m["bn2"](m["conv2"](F.relu(m["bn1"](m["conv1"](x)))))))

    def forward(self, step, student, teacher, images, labels):
        (s, _, zs), (t, _, zt) = student(images), teacher(images)
        s, t = s[1:], t[1:]
        total = 0
        for i in range(3):
            query = self.embed(f"query{i}", s[i])
            affinity = torch.stack([(query * self.embed(f"key{j}", t[j])).sum(1) for j in range(3)], 1)
            distance = []
            for j in range(3):
                side = min(s[i].shape[2], t[j].shape[2])
                distance.append((self.project(f"regressor{i}_{j}", pooled_to(s[i], side)) - pooled_to(t[j], side)).pow(2).mean((1, 2, 3)))
            total = total + (affinity.softmax(1) * torch.stack(distance, 1)).sum()
        return F.cross_entropy(zs, labels) + soft_targets(zs, zt, 4) + 400 * total / (3 * len(images))


class SimKD(nn.Module):
    """The teacher's classifier reused: the mean squared difference of the projected map and the map that the classifier averages."""

    def __init__(self, s):
        super().__init__()
        self.conv1, self.bn1, self.conv2, self.bn2 = conv(64, 64, 1), nn.BatchNorm2d(64), conv(64, 64), nn.BatchNorm2d(64)
        self.conv3, self.bn3 = conv(64, 128, 1), nn.BatchNorm2d(128)

    def forward(self, step, student, teacher, images, labels):
        (s, _, zs), (t, _, _) = student(images), teacher(images, preact=True)
        projected = F.relu(self.bn3(self.conv3(F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(s[-1])))))))))
        return F.mse_loss(projected, F.relu(t[-1])) + 0 * F.cross_entropy(zs, labels)  # the student's head only decays


class SSKD(nn.Module):
    """Self-supervision: 0.1 CE + 0.9 soft targets + 2.7 those of the turned views + 10 those of the similarities."""

    def __init__(self, s):
        super().__init__()
        self.add_module("0", nn.Linear(64, 64))
        self.add_module("2", nn.Linear(64, 64))
        # The teacher's head comes from a file in f32.
        self.theirs = [state_value("head." + key, shape).float().double() for key, shape in
                       (("0.weight", (128, 128)), ("0.bias", (128,)), ("2.weight", (128, 128)), ("2.bias", (128,)))]

    @staticmethod
    def similarities(h, n):
        h = F.normalize(h, eps=1e-8).view(n, 4, -1)
        return h[:, 1:].reshape(3 * n, -1) @ h[:, 0].T

    @staticmethod
    def kept(scores, truth, ratio):
        """All rows whose truth comes first, and the share of the others where it comes soonest."""
        rank = (scores > scores.gather(1, truth[:, None])).sum(1)
        wrong = [r for r in torch.argsort(rank, stable=True).tolist() if rank[r] > 0]
        return torch.tensor(sorted((rank == 0).nonzero()[:, 0].tolist() + wrong[:int(ratio * len(wrong))]))

    def forward(self, step, student, teacher, images, labels):
        n, views = len(images), turned_views(images)
        (_, fs, zs), (_, ft, zt) = student(views), teacher(views)
        hs = getattr(self, "2")(F.relu(getattr(self, "0")(fs)))
        w0, b0, w2, b2 = self.theirs
        ht = F.linear(F.relu(F.linear(ft, w0, b0)), w2, b2)
        normal, turned = torch.arange(0, 4 * n, 4), torch.tensor([i for i in range(4 * n) if i % 4])
        a_s, a_t = self.similarities(hs, n), self.similarities(ht, n)
        of_class = self.kept(zt[turned], labels.repeat_interleave(3), 1.0)
        of_self = self.kept(a_t, torch.arange(n).repeat_interleave(3), 0.75)
        return (0.1 * F.cross_entropy(zs[normal], labels) + 0.9 * soft_targets(zs[normal], zt[normal], 4)
                + 2.7 * soft_targets(zs[turned][of_class], zt[turned][of_class], 4) + 10 * soft_targets(a_s[of_self], a_t[of_self], 0.5))


class SSKDHead(nn.Module):
    """The stage before SSKD: the teacher's head finds the image of each turned view; the teacher stays as it is."""

    def __init__(self, s):
        super().__init__()
        self.head = nn.Sequential(nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 128))

    def forward(self, step, student, teacher, images, labels):
        with torch.no_grad():
            features = teacher(turned_views(images))[1]
        n = len(images)
        return F.cross_entropy(SSKD.similarities(self.head(features), n), torch.arange(n).repeat_interleave(3))


METHODS = {"crd": CRD, "reviewkd": ReviewKD, "semckd": SemCKD, "simkd": SimKD, "sskd": SSKD, "sskd_head": SSKDHead}


def state(module):
    return {key: summary(t) for key, t in module.state_dict().items() if not key.endswith("num_batches_tracked")}


def run(name):
    settings = COMMON | SETTINGS[name]
    student, teacher, method = fill(ResNet8()), fill(Wide16x2()).eval().requires_grad_(False), fill(METHODS[name](SETTINGS[name]))
    if name == "crd":
        method.normalisers.zero_()
    trained = [*student.parameters(), *method.parameters()] if name != "sskd_head" else [*method.parameters()]
    sgd = torch.optim.SGD(trained, lr=settings["lr"], momentum=settings["momentum"],
                          weight_decay=settings["weight_decay"], nesterov=settings["nesterov"])
    losses = []
    for step in range(STEPS):
        images, labels = batch_of(step, settings["batch"])
        loss = method(step, student, teacher, images, labels)
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        if hasattr(method, "after_step"):
            method.after_step()
        losses.append(loss.item())
    result = {"settings": settings, "losses": losses, "auxiliary": state(method)}
    if name != "sskd_head":
        result["student"] = state(student)
    return result | ({"teacher": state(teacher)} if teacher.training else {})


def numbers(value):
    if isinstance(value, dict):
        return [x for key in sorted(value) for x in numbers(value[key])]
    return [x for v in value for x in numbers(v)] if isinstance(value, list) else [value]


def differs(found, kept):
    """The largest difference of two results, relative to the larger of a number and 1; infinite when they are not of the same things."""
    a, b = numbers(found), numbers(kept)
    if len(a) != len(b) or any(isinstance(x, str) and x != y for x, y in zip(a, b)):
        return float("inf")
    return max(abs(x - y) / max(1, abs(y)) for x, y in zip(a, b) if not isinstance(x, str))


def main():
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    path = sys.argv[1]
    results = {name: run(name) for name in METHODS}
    if "--write" in sys.argv:
        with open(path, "w") as file:
            json.dump(results, file)
            file.write("\n")
        return 0
    with open(path) as file:
        kept = json.load(file)
    worst = {name: differs(results[name], kept[name]) for name in METHODS}
    for name, difference in worst.items():
        print(f"{'ok' if difference < 1e-9 else 'FAIL'} {name}: largest difference {difference:.1e}")
    return int(any(d >= 1e-9 for d in worst.values()))


if __name__ == "__main__":
    sys.exit(main())
