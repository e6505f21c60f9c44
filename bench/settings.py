"""How PyTorch runs a step in bench/compare_pytorch.py."""
from dataclasses import dataclass


@dataclass(frozen=True)
class Setting:
    channels_last: bool = False
    compile: str = ""  # a mode of torch.compile: default, reduce-overhead (CUDA graphs of forward and backward), max-autotune
    precision: str = "f32"  # or tf32, or bf16: autocast
    graph: bool = False  # on a GPU: the whole eager step, optimiser and all, recorded into one CUDA graph by hand


CPU = {
    "contiguous": Setting(),
    "channels_last": Setting(channels_last=True),
    "contiguous compile": Setting(compile="default"),
    "channels_last compile": Setting(channels_last=True, compile="default"),
    "bf16 autocast": Setting(channels_last=True, precision="bf16"),
}
# The one that is named like its precision is plain eager, which the ratio "own / eager" means.
CUDA = {
    "f32": Setting(),
    "f32 step graph": Setting(graph=True),
    "f32 graphs": Setting(channels_last=True, compile="reduce-overhead"),
    "tf32": Setting(precision="tf32"),
    "tf32 step graph": Setting(channels_last=True, precision="tf32", graph=True),
    "tf32 graphs": Setting(channels_last=True, compile="reduce-overhead", precision="tf32"),
    "bf16": Setting(channels_last=True, precision="bf16"),
    "bf16 step graph": Setting(channels_last=True, precision="bf16", graph=True),
    "bf16 compile": Setting(channels_last=True, compile="default", precision="bf16"),
    "bf16 graphs": Setting(channels_last=True, compile="reduce-overhead", precision="bf16"),
    "bf16 max-autotune": Setting(channels_last=True, compile="max-autotune", precision="bf16"),
}
# Compilation takes a minute for a network and batch, so without --settings only bf16 is compiled.
CUDA_DEFAULT = [s for s in CUDA if s not in ("f32 graphs", "tf32 graphs", "bf16 max-autotune")]
