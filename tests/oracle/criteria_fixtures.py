"""A parity fixture of distillation criteria (kd/parity_kd.h) of any salt, batch and shapes, computed by RepDistiller's own modules in f64.

    python tests/oracle/criteria_fixtures.py REPDISTILLER OUT.json [--salt TEXT --batch N --channels S T --side N --classes N --vectors S T
                                                                    --images N --negatives N --width N]

REPDISTILLER is a checkout of github.com/HobbitLong/RepDistiller. `limbeck parity OUT.json` compares. tests/data/fixtures/kd/odd_shapes.json is
    --salt odd/ --batch 5 --channels 6 4 --side 2 --classes 3 --vectors 4 6 --images 31 --negatives 3 --width 5
"""
import argparse
import json
import sys
import types

import torch
import torch.nn.functional as F

from parity_rule import fill, signed, summary


class Fixture:
    def __init__(self, salt):
        self.salt, self.cases = salt, {}

    def add(self, name, shapes, loss_of, modules=None, gradients=None, scale=1, note="", values=None):
        """loss_of(modules, inputs in order); `modules` by their prefix in param_grads; `values` is asked for after the step."""
        inputs = {k: signed(self.salt + k, shape, 3 if k.startswith("logit") else scale) for k, shape in shapes.items()}
        gradients = gradients or [k for k in shapes if "_s" in k]
        for k in gradients:
            inputs[k].requires_grad_(True)
        modules = {prefix: fill(m) for prefix, m in (modules or {}).items()}
        loss = loss_of(modules, *inputs.values()).sum()
        loss.backward()
        self.cases[name] = {
            "loss": loss.item(), "inputs": {k: list(shape) for k, shape in shapes.items()}, "grads": {k: summary(inputs[k].grad) for k in gradients},
            "param_grads": {f"{prefix}.{k}": summary(p.grad) for prefix, m in modules.items() for k, p in m.named_parameters() if p.grad is not None},
            "note": note, **(values() if values else {})}


def maps(o, student, teacher):
    """Shapes of a student's and a teacher's map, so many times as wide and high as --side."""
    (cs, ct), h = o.channels, o.side
    return {"feat_s": (o.batch, cs, student * h, student * h), "feat_t": (o.batch, ct, teacher * h, teacher * h)}


def of_maps(f, o):
    import distiller_zoo as zoo
    from models.util import ConvReg, Paraphraser, Translator

    (cs, ct), h, b = o.channels, o.side, o.batch
    f.add("FitNet_mse", {"feat_s": (b, cs, h, h), "feat_t": (b, cs, h, h)}, lambda m, s, t: zoo.HintLoss()(s, t))
    sides = {"down2": (2 * h, h), "up2": (h, 2 * h), "shrink": (2 * h + 1, 2 * h - 1), "same": (h, h)}
    for name, (hs, ht) in sides.items():
        shapes = {"feat_s": (b, cs, hs, hs), "feat_t": (b, ct, ht, ht)}
        f.add("FitNet_ConvReg_" + name, shapes, lambda m, s, t: zoo.HintLoss()(m["regressor"](s), t), {"regressor": ConvReg(*shapes.values())})
    for name, times in (("AT", (2, 1)), ("AT_teacher_larger", (1, 2))):
        f.add(name, maps(o, *times), lambda m, s, t: sum(zoo.Attention()([s], [t])))
    f.add("SP", maps(o, 1, 1), lambda m, s, t: sum(zoo.Similarity()([s], [t])))
    f.add("NST", maps(o, 1, 1), lambda m, s, t: sum(zoo.NSTLoss()([s], [t])))
    f.add("VID", maps(o, 2, 1), lambda m, s, t: m["vid"](s, t), {"vid": zoo.VIDLoss(cs, ct, ct)})
    f.add("AB_feat1of1", {"feat_s": (b, cs, h, h), "feat_t": (b, cs, h, h)}, lambda m, s, t: sum(zoo.ABLoss(1)([s], [t])))
    two = {f"feat_{who}{level}": (b, (cs, ct)[level - 1], h * (3 - level), h * (3 - level)) for level in (1, 2) for who in "st"}
    f.add("AB_two_layers", two, lambda m, s1, t1, s2, t2: sum(zoo.ABLoss(2)([s1, s2], [t1, t2])), scale=2)
    f.add("FSP", two, lambda m, s1, t1, s2, t2: sum(zoo.FSP([s1.shape, s2.shape], [t1.shape, t2.shape])([s1, s2], [t1, t2])))

    def factors(m, s, t):
        with torch.no_grad():
            theirs = m["paraphraser"].eval()(t, is_factor=True)
        return zoo.FactorTransfer()(m["translator"](s), theirs)

    shapes = maps(o, 1, 1)
    f.add("FT", shapes, factors, {"translator": Translator(*shapes.values()), "paraphraser": Paraphraser(shapes["feat_t"])})
    f.add("FT_paraphraser_reconstruction", {"feat_t": shapes["feat_t"]}, lambda m, t: F.mse_loss(m["paraphraser"](t)[1], t),
          {"paraphraser": Paraphraser(shapes["feat_t"])}, gradients=["feat_t"])


def of_vectors(f, o):
    import crd.memory
    import distiller_zoo as zoo
    from models.util import LinearEmbed

    crd.memory.AliasMethod.cuda = lambda self: None
    from crd.criterion import CRDLoss

    (ds, dt), b, n, k = o.vectors, o.batch, o.images, o.negatives
    for temperature in ("4", "2.5"):
        f.add("KD_T" + temperature, {"logit_s": (b, o.classes), "logit_t": (b, o.classes)}, lambda m, s, t: zoo.DistillKL(float(temperature))(s, t))
    shapes = {"vec_s": (b, ds), "vec_t": (b, dt)}
    f.add("PKT", shapes, lambda m, s, t: zoo.PKT()(s, t))
    f.add("RKD", shapes, lambda m, s, t: zoo.RKDLoss(25, 50)(s, t))
    f.add("CC", shapes, lambda m, s, t: zoo.Correlation()(m["embed_s"](s), m["embed_t"](t)),
          {"embed_s": LinearEmbed(ds, o.width), "embed_t": LinearEmbed(dt, o.width)})
    options = types.SimpleNamespace(s_dim=ds, t_dim=dt, feat_dim=o.width, n_data=n, nce_k=k, nce_t=0.07, nce_m=0.5)
    criterion = CRDLoss(options).double()
    memory = criterion.contrast
    memory.params = torch.tensor([k, 0.07, -1, -1, 0.5])
    memory.memory_v1, memory.memory_v2 = (signed(f.salt + name, (n, o.width), 0.3) for name in ("memory_v1", "memory_v2"))
    own = torch.tensor([(3 * i + 1) % n for i in range(b)])
    rows = torch.cat([own[:, None], (own[:, None] + 1 + 2 * torch.arange(k)) % n], 1)
    f.add("CRD", shapes, lambda m, s, t: criterion(s, t, own, rows), {"embed_s": criterion.embed_s, "embed_t": criterion.embed_t},
          note=f"n_data={n}, nce_k={k}, nce_t=0.07, nce_m=0.5, feat_dim={o.width}; sample i has dataset index (3i+1)%n_data, its negatives j are "
               "(index+1+2j)%n_data",
          values=lambda: {"memory_v1_updated_rows": summary(memory.memory_v1[own]), "memory_v2_updated_rows": summary(memory.memory_v2[own]),
                          "Z_v1": memory.params[2].item(), "Z_v2": memory.params[3].item()})


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("repdistiller")
    parser.add_argument("out")
    parser.add_argument("--salt", default="")
    for name, default in (("batch", 6), ("side", 4), ("classes", 10), ("images", 20), ("negatives", 5), ("width", 8)):
        parser.add_argument("--" + name, type=int, default=default)
    for name, default in (("channels", [8, 12]), ("vectors", [16, 24])):
        parser.add_argument("--" + name, type=int, nargs=2, default=default)
    o = parser.parse_args()
    sys.path.insert(0, o.repdistiller)
    torch.set_default_dtype(torch.float64)
    fixture = Fixture(o.salt)
    of_maps(fixture, o)
    of_vectors(fixture, o)
    with open(o.out, "w") as file:
        json.dump({"salt": fixture.salt, "cases": fixture.cases}, file)
        file.write("\n")


if __name__ == "__main__":
    main()
