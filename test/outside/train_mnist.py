"""PyTorch's side of train-mnist.script.ts: 784-300-100-10 on MNIST.

    train_mnist.py FOLDER EPOCHS SEED

Same rate, schedule, momentum, batch and initial distribution as ours; order
and weights from its own generator. Prints the correct test images.
"""

import gzip
import sys
from math import cos, pi
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

BATCH, RATE = 128, 0.1


def read(folder, name, start):
    data = gzip.open(folder / f"{name}-ubyte.gz").read()
    return np.frombuffer(data, np.uint8, offset=start)


def split(folder, name):
    images = read(folder, f"{name}-images-idx3", 16).reshape(-1, 784)
    labels = read(folder, f"{name}-labels-idx1", 8)
    return torch.from_numpy(images.astype(np.float32) / 255), torch.from_numpy(labels.astype(np.int64))


def main(folder, epochs, seed):
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    x, y = split(folder, "train")
    net = nn.Sequential(nn.Linear(784, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(), nn.Linear(100, 10))
    optimizer = torch.optim.SGD(net.parameters(), lr=RATE, momentum=0.9)
    steps = -(-len(x) // BATCH)
    for epoch in range(epochs):
        for step, batch in enumerate(torch.randperm(len(x)).split(BATCH)):
            progress = (epoch + step / steps) / epochs
            optimizer.param_groups[0]["lr"] = RATE * (1 + cos(pi * progress)) / 2
            optimizer.zero_grad()
            F.cross_entropy(net(x[batch]), y[batch]).backward()
            optimizer.step()
    x, y = split(folder, "t10k")
    with torch.no_grad():
        print((net(x).argmax(1) == y).sum().item())


main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
