"""PyTorch's side of the GPU benchmark: forward-over-reverse products.

    products_peer.py device
    products_peer.py resnet18|resnet50|vgg16 BATCH IMAGE RUNS [compiled]

With `device`, prints what the first CUDA device is: name, multiprocessors,
capability, and how fast it multiplies matrices in float32 (TFLOP/s, TF32 off).
Otherwise one JSON object with the seconds of each product, on the first CUDA
device where there is one: jvp(grad(loss)) of torch.func, eager or compiled.
The networks are those of test/models; their weights are random on both sides.
"""

import json
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


class Block(nn.Module):
    """Two or three convolutions with a shortcut."""

    def __init__(self, inputs, width, outputs, stride):
        super().__init__()
        sizes = [(inputs, width, 3, stride), (width, outputs, 3, 1)]
        if outputs != width:
            sizes = [(inputs, width, 1, 1), (width, width, 3, stride), (width, outputs, 1, 1)]
        self.convs = nn.ModuleList(nn.Conv2d(i, o, k, s, k // 2, bias=False) for i, o, k, s in sizes)
        self.norms = nn.ModuleList(nn.BatchNorm2d(o) for _, o, _, _ in sizes)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x):
        y = x
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms)):
            y = norm(conv(y))
            if i + 1 < len(self.convs):
                y = F.relu(y)
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    def __init__(self, stem, blocks, expansion, classes):
        super().__init__()
        self.stem = stem
        stages, inputs = [], 64
        for stage, count in enumerate(blocks):
            width = 64 * 2**stage
            for index in range(count):
                stride = 2 if stage > 0 and index == 0 else 1
                stages.append(Block(inputs, width, width * expansion, stride))
                inputs = width * expansion
        self.blocks = nn.Sequential(*stages)
        self.fc = nn.Linear(inputs, classes)

    def forward(self, x):
        return self.fc(self.blocks(self.stem(x)).mean((2, 3)))


def stem(kernel, stride, *more):
    conv = nn.Conv2d(3, 64, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(64), nn.ReLU(), *more)


def vgg16(image):
    layers, inputs = [], 3
    for stage in ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512)):
        for outputs in stage:
            layers += [nn.Conv2d(inputs, outputs, 3, 1, 1), nn.ReLU()]
            inputs = outputs
        layers.append(nn.MaxPool2d(2, 2))
    pixels = (image // 32) ** 2
    layers += [nn.Flatten(), nn.Linear(512 * pixels, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(4096, 1000))


def make(name, image):
    if name == "resnet18":
        return ResNet(stem(3, 1), (2, 2, 2, 2), 1, 10), 10
    if name == "resnet50":
        return ResNet(stem(7, 2, nn.MaxPool2d(3, 2, 1)), (3, 4, 6, 3), 4, 1000), 1000
    return vgg16(image), 1000


def wait():
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def timed(action, runs):
    seconds = []
    for _ in range(runs):
        wait()
        started = time.perf_counter()
        action()
        wait()
        seconds.append(time.perf_counter() - started)
    return seconds


def describe():
    if DEVICE == "cpu":
        return {"version": torch.__version__, "name": None}
    size = 8192
    a, b = (torch.randn(size, size, device=DEVICE) for _ in range(2))
    timed(lambda: a @ b, 3)
    best = min(timed(lambda: a @ b, 10))
    properties = torch.cuda.get_device_properties(0)
    return {
        "version": torch.__version__,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "name": properties.name,
        "multiprocessors": properties.multi_processor_count,
        "capability": [properties.major, properties.minor],
        "sgemmTflops": 2 * size**3 / best / 1e12,
    }


def measure(name, batch, image, runs, compiled):
    torch.manual_seed(1)
    net, classes = make(name, image)
    net = net.eval().to(DEVICE)
    x = torch.rand(batch, 3, image, image, device=DEVICE) * 2 - 1
    y = torch.arange(batch, device=DEVICE) % classes
    state = {key: value.detach() for key, value in {**dict(net.named_parameters()), **dict(net.named_buffers())}.items()}
    weights = {key: state[key] for key, value in net.named_parameters() if value.dim() > 1}
    v = {key: torch.randn_like(value) for key, value in weights.items()}

    def loss(w):
        return F.cross_entropy(torch.func.functional_call(net, {**state, **w}, (x,)), y)

    def product(w, direction):
        return torch.func.jvp(torch.func.grad(loss), (w,), (direction,))[1]

    action = torch.compile(product) if compiled else product
    first = timed(lambda: action(weights, v), 1)[0]
    timed(lambda: action(weights, v), 1)
    peak = torch.cuda.max_memory_allocated() if DEVICE == "cuda" else None
    return {
        "seconds": timed(lambda: action(weights, v), runs),
        "firstSeconds": first,
        "dimension": sum(value.numel() for value in weights.values()),
        "peakBytes": peak,
        "engine": f"PyTorch {torch.__version__} on {DEVICE}",
    }


def main():
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("highest")
    if sys.argv[1] == "device":
        print(json.dumps(describe()))
        return
    batch, image, runs = map(int, sys.argv[2:5])
    print(json.dumps(measure(sys.argv[1], batch, image, runs, "compiled" in sys.argv[5:])))


main()
