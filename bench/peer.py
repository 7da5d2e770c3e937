"""PyTorch's side of the benchmark: the same network, batch and threads.

    peer.py BATCH THREADS RUNS

Prints one JSON object: wall and processor seconds per Hessian-vector product by double backward
(`fresh`: the gradient graph is built anew, as for a new batch; `retained`: it
is kept, as several probes on one batch allow), and the peak memory.
"""

import json
import resource
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
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet18(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        blocks, inputs = [], 64
        for stage, outputs in enumerate((64, 128, 256, 512)):
            for index in range(2):
                blocks.append(Block(inputs, outputs, 2 if stage > 0 and index == 0 else 1))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(512, 10)

    def forward(self, x):
        return self.fc(self.blocks(F.relu(self.bn1(self.conv1(x)))).mean((2, 3)))


def main():
    batch, threads, runs = map(int, sys.argv[1:4])
    torch.manual_seed(1)
    torch.set_num_threads(threads)
    net = ResNet18().eval()
    x, y = torch.rand(batch, 3, 32, 32) * 2 - 1, torch.arange(batch) % 10
    weights = [w for w in net.parameters() if w.dim() > 1]
    v = [torch.randn_like(w) for w in weights]

    def gradient():
        return torch.autograd.grad(F.cross_entropy(net(x), y), weights, create_graph=True)

    def timed(action):
        action()
        seconds, processor = [], []
        for _ in range(runs):
            started = time.perf_counter(), time.process_time()
            action()
            seconds.append(time.perf_counter() - started[0])
            processor.append(time.process_time() - started[1])
        return {"seconds": seconds, "processor": processor}

    fresh = timed(lambda: torch.autograd.grad(gradient(), weights, v))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    kept = gradient()
    retained = timed(lambda: torch.autograd.grad(kept, weights, v, retain_graph=True))
    print(json.dumps({"fresh": fresh, "retained": retained, "peakMiB": peak, "build": build()}))


main()
