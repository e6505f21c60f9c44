"""PyTorch's side of the group `methods` of bench/compare_pytorch.py: a training step of every method of RepDistiller, by its own losses and modules
(train_student.py, helper/loops.py), from a checkout of RepDistiller or of cGAN-KD, which holds a copy.

As on Limbeck's side images, labels and negatives lie in memory, and what stages before the training would have made is there untrained. The
student and the teacher are what a setting compiles.
"""
import types
import warnings

import torch
from torch import nn

warnings.filterwarnings("ignore", message="size_average and reduce")  # of DistillKL
IMAGES = 50000  # of the training set, as CRD's memory counts them
# Limbeck's name: (RepDistiller's, gamma, alpha, beta)
METHODS = {
    "blkd": ("kd", 0.1, 0.9, 0), "fitnet": ("hint", 1, 1, 100), "at": ("attention", 1, 1, 1000), "sp": ("similarity", 1, 1, 3000),
    "vid": ("vid", 1, 1, 1), "rkd": ("rkd", 1, 1, 1), "pkt": ("pkt", 1, 1, 30000), "ab": ("abound", 1, 1, 0), "ft": ("factor", 1, 1, 200),
    "crd": ("crd", 1, 1, 0.8), "cc": ("correlation", 1, 0, 0.02), "nst": ("nst", 1, 0, 50), "fsp": ("fsp", 1, 0, 0), "kdsvd": ("kdsvd", 1, 0, 1),
}


def on_levels(first, last, criterion):
    """The sum of a criterion that gives a loss for each level of f[first:last]."""
    return lambda s, t: sum(criterion(s[first:last], t[first:last]))


def own_term(name, feat_s, feat_t, batch):
    """(loss of two feature lists, modules that train with the student); feat_*: of a probe."""
    import distiller_zoo as zoo
    from models.util import ConvReg, LinearEmbed, Paraphraser, Translator

    if name in ("kd", "abound", "fsp"):
        return (lambda s, t: 0), []
    if name == "hint":
        regress, mse = ConvReg(feat_s[2].shape, feat_t[2].shape), zoo.HintLoss()
        return (lambda s, t: mse(regress(s[2]), t[2])), [regress]
    if name in ("attention", "nst", "kdsvd", "similarity"):
        criterion = {"attention": zoo.Attention, "nst": zoo.NSTLoss, "kdsvd": zoo.KDSVD, "similarity": zoo.Similarity}[name]()
        return on_levels(-2 if name == "similarity" else 1, -1, criterion), []
    if name in ("rkd", "pkt"):
        criterion = {"rkd": zoo.RKDLoss, "pkt": zoo.PKT}[name]()
        return (lambda s, t: criterion(s[-1], t[-1])), []
    if name == "correlation":
        embeds, criterion = [LinearEmbed(f[-1].shape[1], 128) for f in (feat_s, feat_t)], zoo.Correlation()
        return (lambda s, t: criterion(embeds[0](s[-1]), embeds[1](t[-1]))), embeds
    if name == "vid":
        criteria = nn.ModuleList([zoo.VIDLoss(s.shape[1], t.shape[1], t.shape[1]) for s, t in zip(feat_s[1:-1], feat_t[1:-1])])
        return (lambda s, t: sum(c(a, b) for a, b, c in zip(s[1:-1], t[1:-1], criteria))), [criteria]
    if name == "factor":
        paraphraser, translator = Paraphraser(feat_t[-2].shape).eval(), Translator(feat_s[-2].shape, feat_t[-2].shape)
        criterion = zoo.FactorTransfer()
        return (lambda s, t: criterion(translator(s[-2]), paraphraser(t[-2], is_factor=True))), [translator]
    assert name == "crd", name
    return contrast(feat_s, feat_t, batch)


def contrast(feat_s, feat_t, batch):
    import crd.memory

    crd.memory.AliasMethod = lambda *_: types.SimpleNamespace(cuda=lambda: None)  # of negatives that are not given: one loop over all images
    from crd.criterion import CRDLoss

    options = types.SimpleNamespace(s_dim=feat_s[-1].shape[1], t_dim=feat_t[-1].shape[1], feat_dim=128, n_data=IMAGES, nce_k=16384, nce_t=0.07, nce_m=0.5)
    criterion = CRDLoss(options)
    own = torch.arange(batch)
    rows = torch.cat([own[:, None], torch.randint(0, IMAGES, (batch, options.nce_k))], 1)
    return (lambda s, t: criterion(s[-1], t[-1], own, rows)), [criterion.embed_s, criterion.embed_t]


def distillation(args, wrap):
    """(a training step, the modules that are in training mode); `wrap` as in pytorch_steps.py."""
    from distiller_zoo import DistillKL
    from models import model_dict

    name, gamma, alpha, beta = METHODS[args.method]
    student, teacher = model_dict[args.model](num_classes=100), model_dict[args.teacher](num_classes=100).eval()
    images = args.images(torch.randn(args.batch, 3, args.size, args.size))
    labels = torch.randint(0, 100, (args.batch,))
    with torch.no_grad():
        probes = [m.eval()(images[:2], is_feat=True)[0] for m in (student, teacher)]
    own, modules = own_term(name, *probes, args.batch)
    run_student, run_teacher = wrap(student), wrap(teacher)
    ce, kl = nn.CrossEntropyLoss(), DistillKL(4)
    parameters = [p for m in (student, *modules) for p in m.parameters()]
    optimiser = torch.optim.SGD(parameters, lr=0.05, momentum=0.9, weight_decay=5e-4)
    preact = name == "abound"

    def train():
        with args.autocast():
            feat_s, logit_s = run_student(images, is_feat=True, preact=preact)
            with torch.no_grad():
                feat_t, logit_t = run_teacher(images, is_feat=True, preact=preact)
            loss = gamma * ce(logit_s, labels) + alpha * kl(logit_s, logit_t) + beta * own(feat_s, [f.detach() for f in feat_t])
        optimiser.zero_grad(set_to_none=True)
        loss.sum().backward()
        optimiser.step()

    return train, [student, *modules]
