"""The path terms of a fully connected network by PyTorch in float64.

    fc_path.py FOLDER

Reads FOLDER/request.json, raw little-endian float32 files and int32 labels:

    {"sizes": [784, ..., 10], "samples": n, "l1": mu, "keep": [k, ...]}
    inputs.f32 [n, sizes[0]], labels.i32 [n],
    weightI.f32 [sizes[I+1], sizes[I]], biasI.f32 [sizes[I+1]]

and prints one JSON list with an object for every k: with w* the weight matrices
and d = w^k - w* (only the k weights of largest magnitude kept),

    {"R": |d|, "linear": g'd, "penalty": -mu |d|_1, "quadratic": d'Hd / 2, "loss": L(w^k) - L(w*)}

of the mean cross entropy L, pruned, differentiated and summed here, without
anything taken from the program under test but the numbers above.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

folder = Path(sys.argv[1])
request = json.loads((folder / "request.json").read_text())
sizes, samples = request["sizes"], request["samples"]
torch.set_num_threads(1)


def read(name, shape):
    values = np.fromfile(folder / f"{name}.f32", dtype="<f4").astype(np.float64)
    return torch.from_numpy(values.reshape(shape))


inputs = read("inputs", (samples, sizes[0]))
labels = torch.from_numpy(np.fromfile(folder / "labels.i32", dtype="<i4").astype(np.int64))
shapes = [(rows, columns) for columns, rows in zip(sizes, sizes[1:])]
weights = [read(f"weight{i}", shape).requires_grad_() for i, shape in enumerate(shapes)]
biases = [read(f"bias{i}", shape[:1]) for i, shape in enumerate(shapes)]


def loss_of(matrices):
    x = inputs
    for i, (weight, bias) in enumerate(zip(matrices, biases)):
        x = F.linear(x if i == 0 else F.relu(x), weight, bias)
    return F.cross_entropy(x, labels)


flat = torch.cat([weight.detach().flatten() for weight in weights])
order = torch.argsort(flat.abs(), stable=True)
loss = loss_of(weights)
gradient = torch.autograd.grad(loss, weights, create_graph=True)

answers = []
for keep in request["keep"]:
    d = torch.zeros_like(flat)
    pruned = order[: len(flat) - keep]
    d[pruned] = -flat[pruned]
    parts = [part.view(shape) for part, shape in zip(d.split([r * c for r, c in shapes]), shapes)]
    slope = sum((g * part).sum() for g, part in zip(gradient, parts))
    product = torch.autograd.grad(slope, weights, retain_graph=True)
    with torch.no_grad():
        rise = loss_of([weight + part for weight, part in zip(weights, parts)]) - loss
    answers.append(
        {
            "R": d.norm().item(),
            "linear": slope.item(),
            "penalty": -request["l1"] * d.abs().sum().item(),
            "quadratic": sum((h * part).sum() for h, part in zip(product, parts)).item() / 2,
            "loss": rise.item(),
        }
    )
print(json.dumps(answers))
