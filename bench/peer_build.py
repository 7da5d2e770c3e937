"""What the PyTorch that is measured was built with: its speed depends on it."""

import torch


def build():
    """Version, library of matrix products and widest instructions."""
    version = torch.__version__.split("+")[0]
    capability = getattr(torch.backends.cpu, "get_cpu_capability", lambda: "")() if hasattr(torch.backends, "cpu") else ""
    return " ".join(filter(None, [version, f"({blas()})", capability]))


def blas():
    if torch.backends.mkl.is_available():
        return "MKL"
    torch.mm(torch.ones(8, 8), torch.ones(8, 8))
    try:
        with open("/proc/self/maps") as maps:
            libraries = maps.read()
    except OSError:
        return "BLAS unknown"
    for name in ("openblas", "blis", "atlas"):
        if name in libraries:
            return name
    return "reference BLAS" if "libblas" in libraries else "BLAS unknown"
