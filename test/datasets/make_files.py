"""Writes the images of image-folder.test.ts, what Pillow makes of them, and a pickled CIFAR batch.

Usage: python3 test/datasets/make_files.py (with numpy and Pillow)
"""

import hashlib
import json
import os
import pickle

import numpy as np
from PIL import Image

folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'files')
random = np.random.RandomState(5)
expected = {}


def smooth(height, width, channels):
    """Blobs of colour: what lossy codecs keep."""
    small = random.randint(0, 256, (5, 7, channels)).astype(np.uint8)
    image = Image.fromarray(small if channels != 1 else small[:, :, 0])
    return image.resize((width, height), Image.BICUBIC)


def digest(image):
    return hashlib.sha256(np.asarray(image).tobytes()).hexdigest()


def transformed(image, resize, crop):
    """torchvision's Resize(resize) and CenterCrop(crop)."""
    w, h = image.size
    size = (resize, int(resize * h / w)) if w <= h else (int(resize * w / h), resize)
    image = image.resize(size, Image.BILINEAR)
    left, top = int(round((image.size[0] - crop) / 2.0)), int(round((image.size[1] - crop) / 2.0))
    return image.crop((left, top, left + crop, top + crop))


def add(name, image, **options):
    path = os.path.join(folder, 'images', name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    image.save(path, **options)
    read = Image.open(path)
    read = read.convert('L') if read.mode in ('L', 'LA') else read.convert('RGB')
    expected[name] = {
        'size': list(read.size),
        'sha256': digest(read),
        'shrunk': digest(transformed(read, 20, 16)),
        'grown': digest(transformed(read, 70, 64)),
    }


add('cat/baseline.jpg', smooth(37, 53, 3), quality=90, subsampling=0)
add('cat/subsampled.jpg', smooth(48, 40, 3), quality=80)
add('cat/progressive.jpeg', smooth(33, 33, 3), quality=85, progressive=True)
add('cat/gray.jpg', smooth(31, 45, 1), quality=90)
add('dog/rgb.png', smooth(29, 41, 3))
add('dog/alpha.png', smooth(29, 41, 4))
add('dog/gray.png', smooth(40, 29, 1))
add('dog/palette.png', smooth(29, 41, 3).quantize(16))
add('dog/lossless.webp', smooth(35, 50, 3), lossless=True)
add('dog/lossy.webp', smooth(35, 50, 3), quality=80)

with open(os.path.join(folder, 'images.json'), 'w') as out:
    lines = [f' {json.dumps(name)}: {json.dumps(value)}' for name, value in expected.items()]
    out.write('{\n' + ',\n'.join(lines) + '\n}\n')

batch = {
    b'batch_label': b'testing batch 1 of 1',
    b'labels': [3, 8, 0],
    b'data': (np.arange(3 * 3072) % 251).astype(np.uint8).reshape(3, 3072),
    b'filenames': [b'a.png', b'b.png', b'c.png'],
}
for protocol in (2, 4):
    with open(os.path.join(folder, f'batch_protocol_{protocol}.pkl'), 'wb') as out:
        pickle.dump(batch, out, protocol=protocol)
