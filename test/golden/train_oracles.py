"""Trains the oracle networks: python3 train_oracles.py FOLDER [NAME ...]

Reads FOLDER/digits, writes FOLDER/oracle-mlp-trained and so on, from
which oracles.script.ts makes the committed ONNX files. A few epochs only: the
loss is small but not zero, so that the Hessian has large positive, many small
and some negative eigenvalues, as those of real networks have.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from networks import NETWORKS

NORM = ("weight", "bias", "running_mean", "running_var")
SHAPES = {
    "oracle-mlp": {
        "fc1.weight": (8, 64),
        "fc1.bias": (8,),
        "fc2.weight": (10, 8),
        "fc2.bias": (10,),
        "fc3.weight": (10, 10),
        "fc3.bias": (10,),
    },
    "oracle-cnn": {
        "conv1.weight": (6, 1, 3, 3),
        "conv1.bias": (6,),
        "bn1.weight": (6,),
        "bn1.bias": (6,),
        "bn1.running_mean": (6,),
        "bn1.running_var": (6,),
        "conv2.weight": (8, 6, 3, 3),
        "conv2.bias": (8,),
        "fc.weight": (10, 32),
        "fc.bias": (10,),
    },
    "oracle-residual": {
        "conv1.weight": (6, 1, 3, 3),
        **{f"bn1.{part}": (6,) for part in NORM},
        "conv2.weight": (6, 6, 3, 3),
        **{f"bn2.{part}": (6,) for part in NORM},
        "conv3.weight": (6, 6, 3, 3),
        **{f"bn3.{part}": (6,) for part in NORM},
        "fc.weight": (10, 24),
        "fc.bias": (10,),
    },
    "oracle-attention": {
        "embed.weight": (8, 12),
        "position": (8, 12),
        "query.weight": (12, 12),
        "key.weight": (12, 12),
        "value.weight": (12, 12),
        "mix.weight": (12, 12),
        "fc.weight": (10, 12),
        "fc.bias": (10,),
    },
}
EPOCHS = {"oracle-mlp": 20, "oracle-cnn": 10, "oracle-residual": 10, "oracle-attention": 40}
RATES = {"oracle-mlp": 0.1, "oracle-cnn": 0.05, "oracle-residual": 0.05, "oracle-attention": 0.03}
BATCH = 50


def initial(shapes, random):
    parameters = {}
    for name, shape in shapes.items():
        if name.startswith("bn") and name.endswith(("running_var", ".weight")):
            parameters[name] = torch.ones(shape)
        elif len(shape) == 1:
            parameters[name] = torch.zeros(shape)
        else:
            bound = (3 / np.prod(shape[1:])) ** 0.5
            parameters[name] = (2 * torch.rand(shape, generator=random) - 1) * bound
    return parameters


def train(name, images, labels):
    random = torch.Generator().manual_seed(7)
    parameters = initial(SHAPES[name], random)
    network = NETWORKS[name]
    learned = [p.requires_grad_() for key, p in parameters.items() if "running" not in key]
    optimizer = torch.optim.SGD(learned, lr=RATES[name], momentum=0.9, weight_decay=5e-4)
    training = {"training": True} if any(key.startswith("bn") for key in parameters) else {}
    for epoch in range(EPOCHS[name]):
        order = torch.randperm(len(images), generator=random)
        for batch in order.split(BATCH):
            loss = F.cross_entropy(network(parameters, images[batch], **training), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        logits = network(parameters, images)
        loss = F.cross_entropy(logits, labels).item()
        accuracy = (logits.argmax(1) == labels).float().mean().item()
    print(f"{name}: loss {loss:.4f}, accuracy {accuracy:.4f}")
    return {key: value.detach().numpy() for key, value in parameters.items()}


def main(folder, wanted):
    torch.set_num_threads(1)
    digits = folder / "digits"
    count = json.loads((digits / "manifest.json").read_text())["count"]
    images = np.fromfile(digits / "images.bin", np.uint8).reshape(count, 1, 8, 8)
    labels = np.fromfile(digits / "labels.bin", np.uint8)
    x = torch.from_numpy(images.astype(np.float32) / 255)
    y = torch.from_numpy(labels.astype(np.int64))
    for name in wanted or SHAPES:
        parameters = train(name, x, y)
        place = folder / f"{name}-trained"
        place.mkdir(exist_ok=True)
        np.concatenate([value.ravel() for value in parameters.values()]).astype("<f4").tofile(place / "parameters.bin")
        manifest = [{"name": key, "shape": list(value.shape)} for key, value in parameters.items()]
        (place / "manifest.json").write_text(json.dumps({"parameters": manifest}, indent=2))


main(Path(sys.argv[1]), sys.argv[2:])
