"""Weights between PyTorch and Limbeck, both ways: the same logits, and strict keys.

    python tests/oracle/interchange.py build/limbeck WORK_DIR

A ResNet-8 as in RepDistiller is written here in PyTorch. Its .pth goes through tools/pth.py and `limbeck convert`, and `limbeck predict` has to give
its logits; then the weights go back, and load_state_dict(strict=True) has to take them. Prints ok, FAIL or skip lines.
"""
import os
import subprocess
import sys

try:
    import numpy as np
    import torch
    import torch.nn as nn
    import torch.nn.functional as F
except ImportError as error:
    print(f"skip interchange with PyTorch: {error}")
    sys.exit(0)


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet8(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(Block(16, 16, 1))
        self.layer2 = nn.Sequential(Block(16, 32, 2))
        self.layer3 = nn.Sequential(Block(32, 64, 2))
        self.fc = nn.Linear(64, classes)

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x))))))
        return self.fc(x.mean((2, 3)))


def run(name, *command):
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if result.returncode != 0:
        print(f"FAIL {name}: {' '.join(command)}: {result.stderr.strip()}")
        sys.exit(1)


def main():
    limbeck, work = sys.argv[1:]
    path = lambda name: os.path.join(work, name)
    tool = os.path.join(os.path.dirname(__file__), "..", "..", "tools", "pth.py")
    torch.manual_seed(0)
    network = ResNet8(7)
    with torch.no_grad():
        for p in network.state_dict().values():
            if p.is_floating_point():
                p.add_(0.1 * torch.rand_like(p))
    network.eval()
    images = torch.randn(5, 3, 32, 32)
    with torch.no_grad():
        expected = network(images).numpy()
    torch.save({"model": {"module." + k: v for k, v in network.state_dict().items()}, "epoch": 3}, path("torch.pth"))
    np.save(path("images.npy"), images.numpy())

    run("a .pth becomes safetensors", sys.executable, tool, path("torch.pth"), path("torch.safetensors"))
    run("PyTorch's weights become a checkpoint", limbeck, "convert", path("torch.safetensors"), path("ours.safetensors"), "--model", "resnet8",
        "--classes", "7", "--mean", "0.5", "0.5", "0.5", "--deviation", "0.2", "0.2", "0.2")
    run("the checkpoint predicts", limbeck, "predict", "--ckpt", path("ours.safetensors"), "--input", path("images.npy"), "--out", path("logits.npy"))
    error = np.abs(np.load(path("logits.npy")) - expected).max() / np.abs(expected).max()
    print(f"ok PyTorch's weights give PyTorch's logits (relative error {error:.1e})" if error < 1e-5
          else f"FAIL PyTorch's weights give PyTorch's logits: relative error {error}")

    run("a checkpoint becomes plain weights", limbeck, "convert", path("ours.safetensors"), path("plain.safetensors"), "--plain")
    run("safetensors become a .pth", sys.executable, tool, path("plain.safetensors"), path("back.pth"))
    back = ResNet8(7)
    back.load_state_dict(torch.load(path("back.pth"), weights_only=True), strict=True)
    same = all(torch.equal(v, back.state_dict()[k]) for k, v in network.state_dict().items())
    print("ok our weights load into the PyTorch module with strict keys, same bits" if same else "FAIL our weights in the PyTorch module: other bits")


if __name__ == "__main__":
    main()
