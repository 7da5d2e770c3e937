"""PyTorch's side of the training benchmark: the same network, batch and threads.

    train_peer.py (fc5 | resnet20) BATCH THREADS RUNS MU

Prints one JSON object: seconds and processor seconds of each step (forward,
backward, SGD with momentum), the first two left out. MU, where it is not 0, is the
factor of the L1 norm of the weights in the loss.
"""

import json
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

from peer_build import build


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.stride, self.more = stride, (outputs - inputs) // 2

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.stride > 1:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.more, self.more))
        return F.relu(y + x)


def resnet20():
    layers, inputs = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()], 16
    for stage, outputs in enumerate((16, 32, 64)):
        for index in range(3):
            layers.append(Block(inputs, outputs, 2 if stage > 0 and index == 0 else 1))
            inputs = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def fc5():
    sizes = [3072, 1000, 600, 300, 100, 10]
    layers = [nn.Flatten()]
    for inputs, outputs in zip(sizes, sizes[1:]):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def main():
    name, (batch, threads, runs), mu = sys.argv[1], map(int, sys.argv[2:5]), float(sys.argv[5])
    torch.manual_seed(1)
    torch.set_num_threads(threads)
    net = {"fc5": fc5, "resnet20": resnet20}[name]()
    x, y = torch.rand(batch, 3, 32, 32) * 2 - 1, torch.arange(batch) % 10
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    weights = [p for p in net.parameters() if p.dim() > 1]
    seconds, processor = [], []
    for _ in range(runs + 2):
        started = time.perf_counter(), time.process_time()
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), y)
        if mu > 0:
            loss = loss + mu * sum(w.abs().sum() for w in weights)
        loss.backward()
        optimizer.step()
        seconds.append(time.perf_counter() - started[0])
        processor.append(time.process_time() - started[1])
    print(json.dumps({"seconds": seconds[2:], "processor": processor[2:], "build": build()}))


main()
