"""PyTorch's side of the group `data-free` of bench/compare_pytorch.py: a round of DAFL, DFAD and CMI by their public code, the benchmark in
zju-vipa/CMI, from a checkout of it. It needs torchvision, kornia, termcolor, tqdm and Pillow.

A round is what `limbeck bench train --method` makes of one (apps/bench_data_free.cpp): a step of the generator and five of the student, or a
synthesis of five steps (datafree_kd.py has 1:5 and 200:400). Synthesised images stay in memory: writing and reading PNG files is left out.
"""
import sys
import tempfile
import types

import torch

STUDENT_STEPS, SYNTHESIS_STEPS, NOISE = 5, 5, 256
# scripts/dafl, scripts/cmi; DFAD has no script there: datafree_kd.py with its loss.
WEIGHTS = {"dafl": {"oh": 1, "balance": 20, "act": 0.001}, "dfad": {"adv": 1}, "cmi": {"bn": 1, "oh": 1, "adv": 0.5, "cr": 0.8, "cr_T": 0.1}}


class InMemory:
    """In the place of the pool of PNG files."""

    def __init__(self):
        self.images = torch.zeros(1, 3, 32, 32)

    def add(self, images):
        self.images = images

    def get_dataset(self, transform=None):
        return torch.utils.data.TensorDataset(self.images)


def import_benchmark():
    removed = types.ModuleType("torchvision.models.utils")  # of an older torchvision; only for pretrained networks
    removed.load_state_dict_from_url = None
    sys.modules.setdefault("torchvision.models.utils", removed)
    import datafree
    import datafree.models

    return datafree


def synthesizer_of(datafree, method, teacher, student, batch, normalizer, criterion):
    common = dict(nz=NOISE, img_size=(3, 32, 32), lr_g=1e-3, synthesis_batch_size=batch, sample_batch_size=batch, normalizer=normalizer)
    if method == "cmi":
        generator = datafree.models.generator.Generator(nz=NOISE, ngf=64, img_size=32, nc=3)
        made = datafree.synthesis.CMISynthesizer(teacher, student, generator, num_classes=100, iterations=SYNTHESIS_STEPS, head_dim=256, save_dir=tempfile.gettempdir(), **WEIGHTS[method], **common)
        made.data_pool = InMemory()
        return made
    generator = datafree.models.generator.LargeGenerator(nz=NOISE, ngf=64, img_size=32, nc=3)
    return datafree.synthesis.GenerativeSynthesizer(teacher, student, generator, iterations=1, criterion=criterion, **WEIGHTS[method], **common)


def data_free(args, wrap):
    """(a round, the modules that are in training mode); `wrap` as in pytorch_steps.py."""
    datafree = import_benchmark()
    networks = datafree.models.classifiers.wresnet
    student, teacher = networks.wrn_16_1(num_classes=100), networks.wrn_40_2(num_classes=100).eval()
    l1 = args.method == "dfad"
    criterion = torch.nn.functional.l1_loss if l1 else datafree.criterions.KLDiv(T=1)
    normalizer = datafree.utils.Normalizer([0.4914, 0.4822, 0.4465], [0.2023, 0.1994, 0.2010])
    run_student, run_teacher = wrap(student), wrap(teacher)
    synthesizer = synthesizer_of(datafree, args.method, run_teacher, run_student, args.batch, normalizer, criterion)
    optimiser = torch.optim.SGD(student.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)

    def student_step():
        images = args.images(synthesizer.sample())
        with torch.no_grad():
            expected = run_teacher(images)
        loss = criterion(run_student(images), expected)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()

    def round_of():
        synthesizer.synthesize()
        if args.method == "cmi":
            return
        student.train()
        for _ in range(STUDENT_STEPS):
            student_step()

    return round_of, [student]
