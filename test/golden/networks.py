"""The golden networks in plain torch: a function of (parameters by name, inputs) -> logits.

Written from the architectures' descriptions, in evaluation mode, sharing no
code with the program under test. Parameters have the names and shapes that
they have in the checkpoint.
"""

import torch.nn.functional as F

# What every ReLU was given, while this is a list.
rectified = None


def relu(x):
    if rectified is not None:
        rectified.append(x.detach())
    return F.relu(x)


def resnet_2b(p, x):
    def conv(name, x, stride, padding):
        return F.conv2d(x, p[name + ".weight"], p[name + ".bias"], stride=stride, padding=padding)

    def block(name, x, stride):
        y = relu(conv(name + ".conv1", x, stride, 1))
        y = conv(name + ".conv2", y, 1, 1)
        shortcut = conv(name + ".shortcut.0", x, stride, 0) if stride > 1 else x
        return relu(y + shortcut)

    x = relu(conv("conv1", x, 2, 1))
    x = block("layer1.0", x, 2)
    x = block("layer1.1", x, 1)
    x = relu(F.linear(x.flatten(1), p["linear1.weight"], p["linear1.bias"]))
    return F.linear(x, p["linear2.weight"], p["linear2.bias"])


def mnist_zoo(p, x):
    x = relu(F.conv2d(x, p["Parameter5"], padding=2) + p["Parameter6"])
    x = F.max_pool2d(x, 2)
    x = relu(F.conv2d(x, p["Parameter87"], padding=2) + p["Parameter88"])
    x = F.max_pool2d(x, 3)
    return x.flatten(1) @ p["Parameter193"].reshape(256, 10) + p["Parameter194"]


def batch_norm(p, name, x):
    return F.batch_norm(
        x,
        p[name + ".running_mean"],
        p[name + ".running_var"],
        p[name + ".weight"],
        p[name + ".bias"],
        training=False,
        eps=1e-5,
    )


def resnet18(p, x):
    def conv(name, x, stride=1):
        w = p[name + ".weight"]
        return F.conv2d(x, w, stride=stride, padding=(w.shape[2] - 1) // 2)

    def block(name, x, stride):
        y = relu(batch_norm(p, name + ".bn1", conv(name + ".conv1", x, stride)))
        y = batch_norm(p, name + ".bn2", conv(name + ".conv2", y))
        if name + ".downsample.0.weight" in p:
            x = batch_norm(p, name + ".downsample.1", conv(name + ".downsample.0", x, stride))
        return relu(y + x)

    x = relu(batch_norm(p, "bn1", conv("conv1", x)))
    for stage in range(4):
        for i in range(2):
            x = block(f"layer{stage + 1}.{i}", x, 2 if stage > 0 and i == 0 else 1)
    return F.linear(x.mean((2, 3)), p["fc.weight"], p["fc.bias"])


def oracle_mlp(p, x):
    """8 x 8 pixels, two hidden layers of tanh."""
    x = (F.linear(x.flatten(1), p["fc1.weight"], p["fc1.bias"])).tanh()
    x = (F.linear(x, p["fc2.weight"], p["fc2.bias"])).tanh()
    return F.linear(x, p["fc3.weight"], p["fc3.bias"])


def oracle_cnn(p, x, training=False):
    """8 x 8 pixels; convolution, normalisation, max-pool, convolution, average-pool, linear."""
    y = F.conv2d(x, p["conv1.weight"], p["conv1.bias"], padding=1)
    if training:
        mean, variance = p["bn1.running_mean"], p["bn1.running_var"]
        y = F.batch_norm(y, mean, variance, p["bn1.weight"], p["bn1.bias"], training=True, eps=1e-5)
    else:
        y = batch_norm(p, "bn1", y)
    y = F.max_pool2d(relu(y), 2)
    y = relu(F.conv2d(y, p["conv2.weight"], p["conv2.bias"], padding=1))
    y = F.avg_pool2d(y, 2).flatten(1)
    return F.linear(y, p["fc.weight"], p["fc.bias"])


def oracle_residual(p, x, training=False):
    """8 x 8 pixels; convolution and normalisation, twice around a shortcut, average-pool, linear."""

    def norm(name, y):
        if not training:
            return batch_norm(p, name, y)
        mean, variance = p[name + ".running_mean"], p[name + ".running_var"]
        return F.batch_norm(y, mean, variance, p[name + ".weight"], p[name + ".bias"], training=True, eps=1e-5)

    y = relu(norm("bn1", F.conv2d(x, p["conv1.weight"], stride=2, padding=1)))
    z = relu(norm("bn2", F.conv2d(y, p["conv2.weight"], padding=1)))
    z = norm("bn3", F.conv2d(z, p["conv3.weight"], padding=1))
    y = F.avg_pool2d(relu(y + z), 2).flatten(1)
    return F.linear(y, p["fc.weight"], p["fc.bias"])


def oracle_attention(p, x):
    """8 rows of 8 pixels as tokens; one head of attention around a shortcut, mean over the tokens, linear."""
    x = x.squeeze(1) @ p["embed.weight"] + p["position"]
    q, k, v = (x @ p[name + ".weight"] for name in ("query", "key", "value"))
    shares = (q @ k.transpose(1, 2) / q.shape[2] ** 0.5).softmax(2)
    x = (x + shares @ v @ p["mix.weight"]).tanh()
    return F.linear(x.mean(1), p["fc.weight"], p["fc.bias"])


NETWORKS = {
    "resnet_2b": resnet_2b,
    "mnist_zoo": mnist_zoo,
    "resnet18": resnet18,
    "oracle-mlp": oracle_mlp,
    "oracle-cnn": oracle_cnn,
    "oracle-residual": oracle_residual,
    "oracle-attention": oracle_attention,
}
