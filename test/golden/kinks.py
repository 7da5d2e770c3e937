"""Tells samples that have a ReLU at its kink from the others: python3 kinks.py FOLDER

FOLDER is what `export.script.cjs FOLDER --all` wrote. A ReLU's derivative jumps
at 0. Where its argument is 0 but for rounding, float32 may take one side and
float64 the other, and the two differ by more than rounding from there on. The
others go into `chosen` of cases.ts. Prints how far the nearest of them is.
"""

import sys
from pathlib import Path

import torch

import networks
from make_goldens import Case

# Root mean square errors of float32, layer by layer, that a sample has to keep clear of.
MARGIN = 10


def arguments(case, dtype):
    """What the ReLUs are given, when everything is computed in `dtype`."""
    networks.rectified = []
    with torch.no_grad():
        case.network({name: p.to(dtype) for name, p in case.parameters.items()}, case.inputs.to(dtype))
    taken, networks.rectified = networks.rectified, None
    return taken


def margins(case):
    """Per sample, the smallest |argument| in units of its layer's float32 error. Exact zeros round to zeros."""
    nearest = []
    for exact, rounded in zip(arguments(case, torch.float64), arguments(case, torch.float32)):
        error = (exact - rounded).square().mean().sqrt()
        distance = torch.where(exact == 0, torch.inf, exact.abs() / error)
        nearest.append(distance.flatten(1).min(1).values)
    return torch.stack(nearest).min(0).values


for place in sorted(Path(sys.argv[1]).iterdir()):
    if (place / "direction.bin").exists():
        distances = margins(Case(place))
        near = [i for i, distance in enumerate(distances) if distance < MARGIN]
        clear = [i for i in range(len(distances)) if i not in near]
        print(f"{place.name}: near {near}, clear {clear}: {min(distances[clear]):.1f} or more")
