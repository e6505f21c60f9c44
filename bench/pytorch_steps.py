"""PyTorch's side of bench/compare_pytorch.py: training steps of the original networks, from a checkout of cGAN-KD whose code runs as it is, on
the CPU or a GPU.

A builder takes (args, wrap) and returns a Case. args has model, task, batch, size, folder; wrap(module) gives the module in the wanted
layout, to be called as the network (compiled, where the setting says so); args.images(tensor) gives images in that layout. Losses, optimisers
and the order of a GAN's calls are those of the original training scripts, named at each builder; random numbers are drawn where they draw them.
"""
import contextlib
import functools
import io
import os
import sys
import types
import warnings
from dataclasses import dataclass
from typing import Callable

import torch
from torch import nn

import data_free_pytorch
import methods_pytorch

warnings.filterwarnings("ignore", message="torch.meshgrid")
DIFF_AUGMENT = "color,translation,cutout"


@dataclass
class Case:
    train: Callable[[], None]
    infer: Callable[[], None]
    modules: list  # to be switched between train and eval mode


def sgd(parameters, lr, weight_decay):
    return torch.optim.SGD(parameters, lr=lr, momentum=0.9, weight_decay=weight_decay)


def step(loss, optimiser):
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()


def without_gradient(call):
    def run():
        with torch.no_grad():
            call()

    return run


def first(output):
    """Embedding and feature networks return (output, features)."""
    return output[0] if isinstance(output, tuple) else output


# --- classifiers and regressors -------------------------------------------------------------------------------------------------------
def network_case(args, wrap, module, targets, criterion, optimiser):
    network = wrap(module)
    images = args.images(torch.randn(args.batch, 3, args.size, args.size))

    def train():
        with args.autocast():
            loss = criterion(first(network(images)), targets)
        step(loss, optimiser)

    def infer():
        with args.autocast():
            network(images)

    return Case(train, without_gradient(infer), [module])


def classifier(args, wrap):
    """RepDistiller/train_teacher.py."""
    from models import model_dict

    module = model_dict[args.model](num_classes=100)
    return network_case(args, wrap, module, torch.randint(0, 100, (args.batch,)), nn.CrossEntropyLoss(), sgd(module.parameters(), 0.05, 5e-4))


def regressor(args, wrap):
    """SteeringAngle/train_cnn.py; embedding networks: train_net_for_label_embed.py."""
    import models

    build = getattr(models, args.model) if args.model.endswith("_embed") else models.cnn_dict[args.model]
    module = build()
    return network_case(args, wrap, module, torch.rand(args.batch, 1), nn.MSELoss(), sgd(module.parameters(), 0.01, 5e-4))


def feature_network(args, wrap):
    """make_fake_datasets/train_cnn.py."""
    import models

    module = getattr(models, args.model)(num_classes=100)
    return network_case(args, wrap, module, torch.randint(0, 100, (args.batch,)), nn.CrossEntropyLoss(), sgd(module.parameters(), 0.05, 5e-4))


def inception(args, wrap):
    """Inference only, as in the evaluation. Its constructor draws weights with SciPy, one by one; what they are does not matter here."""
    distribution = types.SimpleNamespace(rvs=lambda n: torch.randn(n).numpy() * 0.1)
    stats = types.ModuleType("scipy.stats")
    stats.truncnorm = lambda *_, **__: distribution
    sys.modules["scipy"] = types.ModuleType("scipy")
    sys.modules["scipy"].stats = sys.modules["scipy.stats"] = stats
    from models import Inception3

    module = Inception3(num_classes=100)
    return network_case(args, wrap, module, torch.randint(0, 100, (args.batch,)), nn.CrossEntropyLoss(), sgd(module.parameters(), 0.05, 5e-4))


# --- networks around the GAN ----------------------------------------------------------------------------------------------------------
def label_to_embedding(args, wrap):
    """SteeringAngle/train_net_for_label_embed.py, second part."""
    from models import ResNet18_embed, model_y2h

    module, back = model_y2h(), ResNet18_embed().h2y.eval().requires_grad_(False)
    network = wrap(module)
    optimiser = sgd(module.parameters(), 0.01, 1e-4)
    responses = torch.rand(args.batch, 1)

    def train():
        with args.autocast():
            loss = nn.functional.mse_loss(back(network(responses)), responses)
        step(loss, optimiser)

    return Case(train, without_gradient(lambda: network(responses)), [module])


def sparse_autoencoder(args, wrap):
    """SteeringAngle/train_sparseAE.py."""
    import models

    bottleneck = 3 * args.size**2
    modules = [models.encoder_extract(bottleneck, ch=64), models.decoder_extract(bottleneck, ch=64), models.decoder_predict(bottleneck)]
    encoder, decoder, predict = map(wrap, modules)
    optimiser = sgd([p for m in modules for p in m.parameters()], 0.01, 1e-4)
    images, responses = args.images(torch.rand(args.batch, 3, args.size, args.size)), torch.rand(args.batch)
    mse = nn.MSELoss()

    def train():
        with args.autocast():
            features = encoder(images)
            loss = mse(decoder(features), images) + 1e-3 * features.mean() + mse(predict(features).view(-1), responses)
        step(loss, optimiser)

    return Case(train, without_gradient(lambda: encoder(images)), modules)


def density_ratio(args, wrap):
    """train_cdre.py: the label's embedding is made outside for responses, inside for classes."""
    from models import cDR_MLP

    feature = 3 * args.size**2
    module = cDR_MLP(args.model.split("_")[1], init_in_dim=feature)
    network = wrap(module)
    optimiser = torch.optim.Adam(module.parameters(), lr=1e-4, betas=(0.5, 0.999), weight_decay=1e-4)
    real, fake = torch.randn(args.batch, feature), torch.randn(args.batch, feature)
    labels = torch.rand(args.batch, 128) if args.task == "regression" else torch.randint(0, 100, (args.batch,))

    def train():
        with args.autocast():
            on_real, on_fake = network(real, labels), network(fake, labels)
            loss = (on_fake.sigmoid() * on_fake).mean() - nn.functional.softplus(on_fake).mean() - on_real.sigmoid().mean() + 0.01 * (on_fake.mean() - 1) ** 2
        step(loss, optimiser)

    return Case(train, without_gradient(lambda: network(fake, labels)), [module])


def distilled(args, wrap):
    train, modules = methods_pytorch.distillation(args, wrap)
    return Case(train, lambda: None, modules)


def without_data(args, wrap):
    train, modules = data_free_pytorch.data_free(args, wrap)
    return Case(train, lambda: None, modules)


# --- GANs: one step of D and one of G -------------------------------------------------------------------------------------------------
def toggle(module, on):
    for p in module.parameters():
        p.requires_grad_(on)


def biggan(args, wrap):
    """CIFAR-100/BigGAN/train_fns.py with G_D of BigGAN.py: fake and real in one batch."""
    from DiffAugment_pytorch import DiffAugment

    deep = args.model == "biggan-deep"
    if deep:
        import BigGANdeep as networks

        common = dict(resolution=args.size, n_classes=100, adam_eps=1e-6, SN_eps=1e-6)
        g_module = networks.Generator(G_ch=128, dim_z=128, G_attn="64", G_shared=True, shared_dim=128, hier=True, G_lr=1e-4, **common)
        d_module = networks.Discriminator(D_ch=128, D_attn="64", D_lr=4e-4, **common)
    else:
        import BigGAN as networks

        common = dict(resolution=args.size, n_classes=100, SN_eps=1e-8)
        g_module = networks.Generator(G_ch=64, dim_z=128, G_attn="0", G_shared=False, hier=False, G_init="N02", G_lr=2e-4, **common)
        d_module = networks.Discriminator(D_ch=64, D_attn="0", D_init="N02", D_lr=2e-4, **common)
    g, d, n = wrap(g_module), wrap(d_module), args.batch
    real, real_labels = args.images(torch.rand(n, 3, args.size, args.size)), torch.randint(0, 100, (n,))

    def scores(train_g, with_real):
        z, labels = torch.randn(n, 128), torch.randint(0, 100, (n,))
        with torch.set_grad_enabled(train_g):
            images = g(z, g_module.shared(labels))
        if with_real:
            images, labels = torch.cat([images, real]), torch.cat([labels, real_labels])
        return d(args.images(DiffAugment(images, policy=DIFF_AUGMENT)), labels)

    def train():
        toggle(d_module, True), toggle(g_module, False)
        with args.autocast():
            fake, on_real = torch.split(scores(False, True), [n, n])
            loss = torch.relu(1.0 - on_real).mean() + torch.relu(1.0 + fake).mean()
        step(loss, d_module.optim)
        toggle(d_module, False), toggle(g_module, True)
        with args.autocast():
            loss = -scores(True, False).mean()
        step(loss, g_module.optim)

    def infer():
        g(torch.randn(n, 128), g_module.shared(real_labels))

    return Case(train, without_gradient(infer), [g_module, d_module])


class Skipped(nn.Module):
    def forward(self, x, *_, **__):
        return x


class KeepsSize(nn.Module):
    def __init__(self, block):
        super().__init__()
        self.block = block

    def forward(self, x):
        return self.block(x, downsample=False)


def at_32_pixels(g, d, width):
    """The original's SAGAN without its widest block, as Limbeck's form for 32 pixels: the maps of 4x4 have 8 widths of channels. Its own forward() runs."""
    from models.SAGAN import snlinear

    bottom = 8 * width
    g.snlinear0, g.block1, g.gene_ch = snlinear(256, bottom * 16), Skipped(), bottom // 16
    d.block3, d.block4, d.disc_ch = KeepsSize(d.block3), Skipped(), bottom // 16
    d.snlinear1, d.sn_embedding1 = snlinear(bottom * 16, 1), snlinear(128, bottom * 16, bias=False)


def ccgan(args, wrap):
    """SteeringAngle/train_ccgan.py: hinge loss with soft vicinal weights, real and fake one after the other."""
    import models
    from DiffAugment_pytorch import DiffAugment

    name = args.model.upper()
    width = args.width or 64
    g_module = getattr(models, name + "_Generator")(z_dim=256, nc=3, gene_ch=width, dim_embed=128)
    d_module = getattr(models, name + "_Discriminator")(nc=3, disc_ch=width, dim_embed=128)
    if args.size == 32:
        at_32_pixels(g_module, d_module, width)
    g, d, n = wrap(g_module), wrap(d_module), args.batch
    adams = [torch.optim.Adam(m.parameters(), lr=1e-4, betas=(0.5, 0.999)) for m in (g_module, d_module)]
    real, h = args.images(torch.rand(n, 3, args.size, args.size)), torch.rand(n, 128)
    real_weights, fake_weights = torch.rand(n), torch.rand(n)

    def judge(images):
        return d(args.images(DiffAugment(images, policy=DIFF_AUGMENT)), h).view(-1)

    def train():
        with args.autocast():
            with torch.no_grad():  # the original computes this graph and throws it away
                fake = g(torch.randn(n, 256), h)
            loss = (real_weights * torch.relu(1.0 - judge(real))).mean() + (fake_weights * torch.relu(1.0 + judge(fake))).mean()
        step(loss, adams[1])
        toggle(d_module, False)
        with args.autocast():
            loss = -judge(g(torch.randn(n, 256), h)).mean()
        step(loss, adams[0])
        toggle(d_module, True)

    return Case(train, without_gradient(lambda: g(torch.randn(n, 256), h)), [g_module, d_module])


# --- where each lies in a checkout of cGAN-KD -----------------------------------------------------------------------------------------
def place_of(model, task, size, method):
    """(folder that goes into sys.path, builder)."""
    ours = {
        "biggan": ("CIFAR-100/BigGAN", biggan),
        "biggan-deep": ("CIFAR-100/BigGAN", biggan),
        "sagan": ("SteeringAngle", ccgan),
        "sngan": ("SteeringAngle", ccgan),
        "y2h": ("SteeringAngle", label_to_embedding),
        "sparse_autoencoder": ("SteeringAngle", sparse_autoencoder),
        "ResNet34_extract": ("CIFAR-100/make_fake_datasets", feature_network),
        "InceptionV3": ("CIFAR-100/make_fake_datasets", inception),
    }
    if model in ours:
        return ours[model]
    if model.startswith("ratio_"):
        return ("SteeringAngle" if task == "regression" else "CIFAR-100/make_fake_datasets"), density_ratio
    if task == "regression":
        return "SteeringAngle", regressor
    if method in data_free_pytorch.WEIGHTS:
        return ".", without_data
    if method:
        return "CIFAR-100/RepDistiller", distilled
    return ("ImageNet-100/RepDistiller" if size >= 96 else "CIFAR-100/RepDistiller"), classifier


# --- settings -------------------------------------------------------------------------------------------------------------------------
def prepare_gpu(args, setting):
    """The fastest of what a user of PyTorch can set in a script: fused optimisers, cuDNN's own measurements, TF32 where the setting allows it."""
    torch.set_default_device(args.torch_device)  # the originals make tensors and networks wherever that is
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = setting.precision != "f32"
    torch.optim.SGD = functools.partial(torch.optim.SGD, fused=True)
    torch.optim.Adam = functools.partial(torch.optim.Adam, fused=True, capturable=setting.graph)


def recorded(step):
    """The same step as one CUDA graph; see PyTorch's notes on whole-network capture."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(4):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def marked(step):
    """With reduce-overhead the buffers of the call before are free again."""
    def run():
        torch.compiler.cudagraph_mark_step_begin()
        step()

    return run


def build_case(args, setting):
    """The case of args.model under a setting (settings.py). args.checkout is cGAN-KD, or for classifiers a folder with a package `models`."""
    folder, builder = place_of(args.model, args.task, args.size, args.method)
    if builder in (classifier, distilled) and os.path.isdir(os.path.join(args.checkout, "models")):
        folder = ""
    sys.path.insert(0, os.path.join(args.checkout, folder))
    layout = torch.channels_last if setting.channels_last else torch.contiguous_format
    if setting.channels_last and not setting.compile:
        torch.Tensor.view = torch.Tensor.reshape  # many of the originals flatten with view(), which refuses this layout
    args.images = lambda x: x.contiguous(memory_format=layout)
    kind = torch.device(args.torch_device).type
    # A recorded step must not keep casted weights from one replay to the next.
    args.autocast = (lambda: torch.autocast(kind, torch.bfloat16, cache_enabled=not setting.graph)) if setting.precision == "bf16" else contextlib.nullcontext
    if args.device == "cuda":
        prepare_gpu(args, setting)

    def wrap(module):
        module.to(memory_format=layout)
        return torch.compile(module, mode=setting.compile) if setting.compile else module

    with contextlib.redirect_stdout(io.StringIO()):  # BigGAN's constructors print
        case = builder(args, wrap)
    if setting.compile in ("reduce-overhead", "max-autotune"):
        case.train, case.infer = marked(case.train), marked(case.infer)
    return case
