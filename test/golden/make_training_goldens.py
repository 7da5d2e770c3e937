"""Gradient and first SGD step of networks in training, by PyTorch in float64.

    make_training_goldens.py FOLDER

FOLDER is what training-export.script.ts wrote. Of the candidate batches the
first is taken in which no ReLU is within ten rounding errors of its kink: there
the derivative is not defined to float32 (cases.ts). Writes train-NAME.json.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from make_goldens import chosen_entries, projections, short

HERE = Path(__file__).parent
# As float32, which is what an ONNX attribute holds.
EPSILON = float(np.float32(1e-5))
rectified = []


def relu(x):
    rectified.append(x.detach())
    return F.relu(x)


def fc5(p, norm, x):
    x = x.flatten(1)
    for i in range(1, 5):
        x = relu(F.linear(x, p[f"fc{i}.weight"], p[f"fc{i}.bias"]))
    return F.linear(x, p["fc5.weight"], p["fc5.bias"])


def lenet(p, norm, x):
    for i in (1, 2):
        x = F.max_pool2d(relu(F.conv2d(x, p[f"conv{i}.weight"], p[f"conv{i}.bias"])), 2)
    x = x.flatten(1)
    for i in (1, 2):
        x = relu(F.linear(x, p[f"fc{i}.weight"], p[f"fc{i}.bias"]))
    return F.linear(x, p["fc3.weight"], p["fc3.bias"])


def resnet20(p, norm, x):
    x = relu(norm("bn1", F.conv2d(x, p["conv1.weight"], padding=1)))
    for stage in (1, 2, 3):
        for i in range(3):
            name = f"layer{stage}.{i}"
            stride = 2 if stage > 1 and i == 0 else 1
            y = relu(norm(f"{name}.bn1", F.conv2d(x, p[f"{name}.conv1.weight"], stride=stride, padding=1)))
            y = norm(f"{name}.bn2", F.conv2d(y, p[f"{name}.conv2.weight"], padding=1))
            if stride == 2:
                more = (y.shape[1] - x.shape[1]) // 2
                x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, more, more))
            x = relu(y + x)
    return F.linear(x.mean((2, 3)), p["linear.weight"], p["linear.bias"])


NETWORKS = {"fc5": fc5, "lenet": lenet, "resnet20": resnet20}


class Case:
    def __init__(self, place):
        self.manifest = json.loads((place / "manifest.json").read_text())
        self.network = NETWORKS[self.manifest["architecture"]]
        stored = np.fromfile(place / "parameters.bin", "<f4")
        sizes = [int(np.prod(entry["shape"])) for entry in self.manifest["parameters"]]
        parts = np.split(stored, np.cumsum(sizes)[:-1])
        self.parameters = {
            entry["name"]: torch.from_numpy(part.reshape(entry["shape"]).copy())
            for entry, part in zip(self.manifest["parameters"], parts)
        }
        batch = self.manifest["batch"]
        self.inputs = torch.from_numpy(np.fromfile(place / "inputs.bin", "<f4")).reshape(-1, batch, *self.manifest["sample"])
        self.labels = torch.from_numpy(np.fromfile(place / "labels.bin", "<i4").astype(np.int64)).reshape(-1, batch)

    def run(self, candidate, dtype):
        """Loss, and what moved: parameters and statistics."""
        rectified.clear()
        parameters = {}
        for name, p in self.parameters.items():
            parameters[name] = p.detach().to(dtype, copy=True).requires_grad_()
        statistics = {}
        for name in self.manifest["statistics"]:
            start = torch.ones if name.endswith("running_var") else torch.zeros
            statistics[name] = start(len(self.parameters[name.rsplit(".", 1)[0] + ".weight"]), dtype=dtype)

        def norm(name, x):
            mean, variance = statistics[name + ".running_mean"], statistics[name + ".running_var"]
            scale, shift = parameters[name + ".weight"], parameters[name + ".bias"]
            return F.batch_norm(x, mean, variance, scale, shift, training=True, momentum=0.1, eps=EPSILON)

        logits = self.network(parameters, norm, self.inputs[candidate].to(dtype))
        return F.cross_entropy(logits, self.labels[candidate]), parameters, statistics

    def candidate(self):
        for candidate in range(len(self.inputs)):
            self.run(candidate, torch.float32)
            single = [x.double() for x in rectified]
            self.run(candidate, torch.float64)
            # Zero in both is far from a kink: what comes out of a convolution of zeros.
            close = [((x - y).abs() * 10 > y.abs()).any() for x, y in zip(single, rectified)]
            if not any(close):
                return candidate
        raise SystemExit(f"{self.manifest['name']}: a kink in every candidate")

    def golden(self):
        candidate = self.candidate()
        loss, parameters, statistics = self.run(candidate, torch.float64)
        m = self.manifest
        loss.backward()
        gradient = {name: p.grad.clone() for name, p in parameters.items()}
        # The penalty is part of the loss, as users of PyTorch write it.
        penalty = m["l1"] * sum(parameters[name].abs().sum() for name in m["prunable"])
        penalty.backward()
        optimizer = torch.optim.SGD(
            parameters.values(), lr=m["rate"], momentum=m["momentum"], weight_decay=m["weightDecay"]
        )
        optimizer.step()
        velocities = {name: optimizer.state[p]["momentum_buffer"] for name, p in parameters.items()}
        sizes = lambda tensors: [(name, t.numel()) for name, t in tensors.items()]
        indices = {
            "parameters": chosen_entries([size for _, size in sizes(parameters)]),
            "statistics": chosen_entries([size for _, size in sizes(statistics)]) if statistics else [],
        }
        summarise = lambda tensors, kind: summary(tensors, indices[kind])
        return {
            "reference": f"PyTorch {torch.__version__}, float64",
            "candidate": candidate,
            "fingerprint": m["fingerprints"][candidate],
            "loss": loss.item(),
            "parameters": sizes(parameters),
            "statistics": sizes(statistics),
            "indices": indices,
            "gradient": summarise(gradient, "parameters"),
            "weights": summarise(parameters, "parameters"),
            "velocities": summarise(velocities, "parameters"),
            "running": summarise(statistics, "statistics") if statistics else None,
        }


def summary(tensors, indices):
    vector = torch.cat([t.detach().flatten() for t in tensors.values()]).numpy()
    return {
        "norms": [short(t.detach().norm().item()) for t in tensors.values()],
        "entries": [short(vector[i], 10) for i in indices],
        "projections": [short(x) for x in projections(vector)],
    }


def main(folder):
    torch.set_num_threads(1)
    for place in sorted(folder.iterdir()):
        name = place.name
        golden = Case(place).golden()
        (HERE / f"train-{name}.json").write_text(json.dumps(golden) + "\n")
        print(f"{name}: candidate {golden['candidate']}, loss {golden['loss']:.6f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
