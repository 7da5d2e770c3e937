"""Computes the golden values in float64: python3 make_goldens.py FOLDER [NAME ...]

FOLDER is what export.script.ts wrote; the values go beside this file. Needs
PyTorch (1.13 or later) and numpy. Nothing here shares code or formulas with
the program: networks are rebuilt in plain torch, Hessian-vector products come
from double backward (reverse over reverse; the program goes forward over
reverse).
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from networks import NETWORKS

HERE = Path(__file__).parent
PROJECTIONS = 64
ENTRIES = 1024
# Fractions of weights pruned on the way that is followed term by term.
PATH = [0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95]


class Case:
    """One exported network with its samples; prunable weights as one flat vector."""

    def __init__(self, folder):
        manifest = json.loads((folder / "manifest.json").read_text())
        self.network = NETWORKS[manifest["name"]]
        files = ["parameters", "inputs", "labels"] + ["direction"] * (folder / "direction.bin").exists()
        raw = {file: (folder / f"{file}.bin").read_bytes() for file in files}
        self.fingerprint = hashlib.sha256(b"".join(raw.values())).hexdigest()

        def tensor(file, shape):
            return torch.from_numpy(np.frombuffer(raw[file], "<f4").astype(np.float64).reshape(shape))

        flat = tensor("parameters", -1)
        self.parameters = {}
        for parameter in manifest["parameters"]:
            count = int(np.prod(parameter["shape"]))
            self.parameters[parameter["name"]] = flat[:count].reshape(parameter["shape"]).clone()
            flat = flat[count:]
        self.layers = manifest["layers"]
        self.weights = [self.parameters[name].requires_grad_() for name in self.layers]
        self.sizes = [w.numel() for w in self.weights]
        self.inputs = tensor("inputs", manifest["inputShape"])
        self.labels = torch.from_numpy(np.frombuffer(raw["labels"], "<i4").astype(np.int64))
        self.direction = tensor("direction", -1) if "direction" in raw else None

    def split(self, vector):
        return [part.reshape(w.shape) for part, w in zip(vector.split(self.sizes), self.weights)]

    def flat_weights(self):
        return torch.cat([w.detach().flatten() for w in self.weights])

    def logits(self, weights=None):
        replaced = {} if weights is None else dict(zip(self.layers, weights))
        return self.network({**self.parameters, **replaced}, self.inputs)

    def loss(self, weights=None):
        return F.cross_entropy(self.logits(weights), self.labels)

    def gradient_graph(self):
        """Loss and its gradient as a graph that can be differentiated again."""
        loss = self.loss()
        return loss, flatten(torch.autograd.grad(loss, self.weights, create_graph=True))

    def hessian_product(self, gradient, v):
        """Hv: the gradient of the gradient's component along v."""
        return flatten(torch.autograd.grad(gradient @ v, self.weights, retain_graph=True)).detach()

    def gauss_newton_graph(self):
        """Logits and J'u as a function of a dummy u: J v is then a derivative of (J'u)'v in u."""
        logits = self.logits()
        u = torch.zeros_like(logits, requires_grad=True)
        pulled = flatten(torch.autograd.grad(logits, self.weights, u, create_graph=True))
        return logits, u, pulled

    def gauss_newton_product(self, graph, v):
        """J' S J v with S = (diag p - p p')/N, the Hessian of the mean cross entropy in the logits."""
        logits, u, pulled = graph
        (moved,) = torch.autograd.grad(pulled @ v, u, retain_graph=True)
        p = logits.detach().softmax(1)
        bent = p * (moved - (p * moved).sum(1, keepdim=True)) / len(p)
        return flatten(torch.autograd.grad(logits, self.weights, bent, retain_graph=True)).detach()


def flatten(tensors):
    return torch.cat([t.flatten() for t in tensors])


def signs(dimension, word):
    """32 pseudo-random bits per entry: bit j of word 0 is the sign of projection j, of word 1 that of 32 + j.

    A counter through a 32-bit finaliser, the same in golden.ts.
    """
    z = (np.arange(dimension, dtype=np.uint32) * np.uint32(2) + np.uint32(word)) * np.uint32(0x9E3779B9)
    z = (z ^ (z >> np.uint32(16))) * np.uint32(0x21F0AAAD)
    z = (z ^ (z >> np.uint32(15))) * np.uint32(0x735A2D97)
    return z ^ (z >> np.uint32(15))


def projections(vector):
    """Inner products with 64 random sign vectors; why, says golden.ts."""
    values = []
    for word in range(PROJECTIONS // 32):
        bits = signs(len(vector), word)
        for j in range(32):
            positive = (bits >> np.uint32(j)) & np.uint32(1) == 1
            values.append(2 * vector[positive].sum() - vector.sum())
    return values


def short(value, digits=12):
    return float(f"{value:.{digits}g}")


def chosen_entries(sizes):
    """About ENTRIES indices, as many from every layer, so that small layers are looked at too."""
    random = np.random.default_rng(1)
    offset, indices = 0, []
    for size in sizes:
        count = min(size, -(-ENTRIES // len(sizes)))
        indices += sorted(offset + random.choice(size, count, replace=False))
        offset += size
    return [int(i) for i in indices]


def summary(case, vector, indices):
    vector = vector.numpy()
    ends = np.cumsum(case.sizes)
    norms = [np.linalg.norm(vector[end - size : end]) for end, size in zip(ends, case.sizes)]
    return {
        "norms": [short(x) for x in norms],
        "entries": [short(vector[i], 10) for i in indices],
        "projections": [short(x) for x in projections(vector)],
    }


def product_goldens(name, case):
    loss, gradient = case.gradient_graph()
    indices = chosen_entries(case.sizes)
    goldens = {"hessian": summary(case, case.hessian_product(gradient, case.direction), indices)}
    goldens["gradient"] = summary(case, gradient.detach(), indices)
    value = loss.item()
    del loss, gradient
    product = case.gauss_newton_product(case.gauss_newton_graph(), case.direction)
    goldens["ggn"] = summary(case, product, indices)
    return {"loss": value, "layers": case.layers, "indices": indices, **goldens}


def dense(product, dimension):
    """The matrix from its products with the unit vectors."""
    matrix = np.empty((dimension, dimension))
    for i in range(dimension):
        unit = torch.zeros(dimension, dtype=torch.float64)
        unit[i] = 1
        matrix[:, i] = product(unit).numpy()
    asymmetry = np.abs(matrix - matrix.T).max() / np.abs(matrix).max()
    print(f"  asymmetry {asymmetry:.1e}")
    return (matrix + matrix.T) / 2


def path_goldens(case, gradient):
    """Terms of the expansion from the dense network to the pruned one, magnitudes sorted globally."""
    weights = case.flat_weights()
    order = weights.abs().argsort()
    magnitudes = weights.abs()[order]
    points = []
    for sparsity in PATH:
        pruned = int(np.floor(sparsity * len(weights) + 1e-7))
        # Ties at the threshold would make the choice ambiguous.
        assert magnitudes[pruned - 1] < magnitudes[pruned]
        d = torch.zeros_like(weights)
        d[order[:pruned]] = -weights[order[:pruned]]
        moved = case.split(weights + d)
        points.append(
            {
                "sparsity": sparsity,
                "R": d.norm().item(),
                "loss": case.loss(moved).item(),
                "linear": (gradient.detach() @ d).item(),
                "quadratic": (d @ case.hessian_product(gradient, d)).item() / 2,
            }
        )
    return points


def oracle_goldens(name, case):
    loss, gradient = case.gradient_graph()
    dimension = sum(case.sizes)
    graph = case.gauss_newton_graph()
    operators = {
        "hessian": lambda v: case.hessian_product(gradient, v),
        "ggn": lambda v: case.gauss_newton_product(graph, v),
    }
    goldens = {"loss": loss.item(), "layers": case.layers, "sizes": case.sizes, "gradientNorm": gradient.norm().item()}
    ends = np.cumsum(case.sizes)
    for kind, product in operators.items():
        matrix = dense(product, dimension)
        eigenvalues = np.linalg.eigvalsh(matrix)
        eigenvalues.astype("<f8").tofile(HERE / f"{name}.{kind}.bin")
        diagonal = np.diag(matrix)
        goldens[kind] = {
            "trace": diagonal.sum(),
            "blocks": [diagonal[end - size : end].sum() for end, size in zip(ends, case.sizes)],
        }
        print(f"  {kind}: D {dimension}, eigenvalues {eigenvalues[0]:.3e} to {eigenvalues[-1]:.3e}, ", end="")
        print(f"{(eigenvalues < 0).sum()} negative, trace {diagonal.sum():.6g}")
    goldens["path"] = path_goldens(case, gradient)
    return goldens


def main(folder, wanted):
    torch.set_num_threads(1)
    for place in sorted(folder.iterdir()):
        name = place.name
        if name not in NETWORKS or (wanted and name not in wanted):
            continue
        print(name)
        case = Case(place)
        goldens = {
            "network": name,
            "reference": f"PyTorch {torch.__version__}, float64",
            "fingerprint": case.fingerprint,
        }
        goldens.update((product_goldens if case.direction is not None else oracle_goldens)(name, case))
        (HERE / f"{name}.json").write_text(json.dumps(goldens) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
