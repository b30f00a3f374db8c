"""LeNet for 32 x 32 colour images in torch: every client of a cohort trains its own copy in one grouped computation."""

from __future__ import annotations

from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

SHAPES = ((6, 3, 5, 5), (6,), (16, 6, 5, 5), (16,), (400, 120), (120,), (120, 84), (84,), (84, 10), (10,))
SIZE = sum(map(prod, SHAPES))


def init(seed: int) -> NDArray[np.float32]:
    """(SIZE,): uniform within 1 / sqrt(fan-in), as torch initialises these layers."""
    generator, parts, bound = np.random.default_rng([seed, 2]), [], 0.0
    for shape in SHAPES:
        if len(shape) > 1:
            bound = 1 / np.sqrt(prod(shape[1:]) if len(shape) == 4 else shape[0])
        parts.append(generator.uniform(-bound, bound, prod(shape)))
    return np.concatenate(parts).astype(np.float32)


def parameters(models: Tensor) -> list[Tensor]:
    """Views of (m, SIZE) with the shapes of the layers."""
    parts = models.split([prod(shape) for shape in SHAPES], dim=1)
    return [part.reshape(len(models), *shape) for part, shape in zip(parts, SHAPES, strict=True)]


def logits(layers: list[Tensor], inputs: Tensor) -> Tensor:
    """inputs (b, m * 3, 32, 32), the images of each of m models side by side -> (m, b, 10)."""
    k1, b1, k2, b2, w3, b3, w4, b4, w5, b5 = layers
    m, b = len(k1), len(inputs)
    hidden = functional.conv2d(inputs, k1.flatten(0, 1), b1.flatten(), groups=m)
    hidden = functional.max_pool2d(hidden.relu(), 2)
    hidden = functional.conv2d(hidden, k2.flatten(0, 1), b2.flatten(), groups=m)
    hidden = functional.max_pool2d(hidden.relu(), 2).reshape(b, m, 400).transpose(0, 1)
    hidden = torch.baddbmm(b3[:, None], hidden, w3).relu()
    hidden = torch.baddbmm(b4[:, None], hidden, w4).relu()
    return torch.baddbmm(b5[:, None], hidden, w5)


def descend(
    start: NDArray[np.float32],
    inputs: NDArray[np.float32],
    labels: NDArray[np.int64],
    rate: float,
    scale: NDArray[np.float32],
    proximal: float,
) -> NDArray[np.float32]:
    """(start - end) / rate of m clients, (m, SIZE). inputs (m, steps, b, 3, 32, 32), labels (m, steps, b)."""
    m, steps, b = labels.shape
    first = torch.from_numpy(start).expand(m, -1)
    own = first.clone()
    images = torch.from_numpy(inputs.transpose(1, 2, 0, 3, 4, 5).reshape(steps, b, m * 3, 32, 32))
    targets = torch.from_numpy(labels.transpose(1, 0, 2).reshape(steps, m * b))
    weights = torch.from_numpy(scale / b).repeat_interleave(b)
    for x, y in zip(images, targets, strict=True):
        own.requires_grad_(True)
        losses = functional.cross_entropy(logits(parameters(own), x).flatten(0, 1), y, reduction="none")
        (slope,) = torch.autograd.grad((losses * weights).sum(), own)
        with torch.no_grad():
            own = own - rate * (slope + proximal * (own - first))
    ends: NDArray[np.float32] = ((first - own) / rate).detach().numpy()
    return ends


@torch.no_grad()
def accuracy(model: NDArray[np.float32], inputs: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Percent of the images, (n, 3, 32, 32), that one model, (SIZE,), labels right."""
    layers = parameters(torch.from_numpy(model)[None])
    scores = torch.cat([logits(layers, part)[0] for part in torch.from_numpy(inputs).split(1000)])
    return 100 * float((scores.argmax(1) == torch.from_numpy(labels)).float().mean())
