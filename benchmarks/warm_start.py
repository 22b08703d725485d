"""Warm start against plain swap: a ResNet-18 and a GELU network, trained here on a pack of images.

Each is trained, swapped to AReLU, PReLU and PAU, and fine-tuned: drift of the outputs, accuracy
right after the swap and over the first steps, and how many α are stuck. Then the least α that a fit
may give (`INTERIOR` in `conversion/warm.py`) is varied.

python benchmarks/warm_start.py TRAIN.npz TEST.npz [--epochs N] [--images N]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.models import resnet18

from metaact.activations.conversion import warm
from metaact.adaptation import Recipe, Trainer, evaluate, swap_cost

STEPS = (0, 1, 5, 20, 50)
FLOORS = (0.0101, 0.02, 0.05, 0.1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pack:
    """Images [N, channels, height, width] as bytes, and labels [N]."""

    pixels: Tensor
    labels: Tensor


def read(path: str, images: int) -> Pack:
    """A random part of a pack."""
    with np.load(path, allow_pickle=False) as data:
        pixels, labels = torch.from_numpy(data["images"]), torch.from_numpy(data["labels"])
    pixels = pixels.unsqueeze(1) if pixels.ndim == 3 else pixels.permute(0, 3, 1, 2)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))[:images]
    return Pack(pixels=pixels[order].contiguous(), labels=labels[order])


def residual(channels: int) -> nn.Module:
    """The ResNet-18 of torchvision for ten classes."""
    model = resnet18(num_classes=10)
    model.conv1 = nn.Conv2d(channels, 64, 7, 2, 3, bias=False)
    return model


def gelu(channels: int) -> nn.Module:
    """Six convolutions and two linear layers with GELU."""
    layers: list[nn.Module] = []
    for width in (32, 64, 128):
        for stride, before in ((1, channels), (2, width)):
            layers += [nn.Conv2d(before, width, 3, stride, 1), nn.BatchNorm2d(width), nn.GELU()]
        channels = width
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 64), nn.GELU())
    return nn.Sequential(*layers, *head, nn.Linear(64, 10))


def trained(build: Callable[[int], nn.Module], train: Pack, test: Pack, epochs: int) -> nn.Module:
    """A network after some epochs of Adam."""
    torch.manual_seed(0)
    recipe = Recipe(lr=1e-3, optimizer="adam", batch_size=64)
    trainer = Trainer(build(train.pixels.shape[1]), train, recipe=recipe, seed=0)
    for epoch in range(epochs):
        loss = trainer.epoch().loss
        print(f"epoch {epoch + 1}: loss {loss:.3f}, {evaluate(trainer.model, test).accuracy:.1%}")
    return trainer.model.eval()


def main() -> None:
    """Print all of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("train", metavar="TRAIN.npz")
    parser.add_argument("test", metavar="TEST.npz")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--images", type=int, default=5000)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    train, test = (read(part, arguments.images) for part in (arguments.train, arguments.test))
    for name, build in (("ResNet-18", residual), ("GELU network", gelu)):
        print(f"{name}, {len(train.labels)} images, tested on {len(test.labels)}")
        model = trained(build, train, test, arguments.epochs)
        for activation in ("arelu", "prelu", "pau"):
            for lr in (1e-3, 1e-2):
                recipe = Recipe(lr=lr, batch_size=64)
                cost = swap_cost(
                    model, activation, train=train, test=test, recipe=recipe, steps=STEPS
                )
                print(f"{activation}, SGD {lr:g}: {cost}", flush=True)
        print(cost.start)
        chosen = warm.INTERIOR["alpha"]
        for floor in FLOORS:
            warm.INTERIOR["alpha"] = (floor, 1 - floor)
            recipe = Recipe(lr=1e-2, batch_size=64)
            cost = swap_cost(model, "arelu", train=train, test=test, recipe=recipe, steps=STEPS)
            seen = " ".join(f"{a:.1%}" for a in cost.warm.accuracies)
            stuck = f"{cost.warm.stuck} of {len(cost.start.places)} stuck"
            print(f"α from {floor}: drift {cost.warm.drift:.3f}; {seen}; {stuck}", flush=True)
        warm.INTERIOR["alpha"] = chosen


if __name__ == "__main__":
    main()
