"""Writes the Keras files of keras.test.ts and what Keras makes of them.

Usage: KERAS_BACKEND=numpy python3 test/checkpoints/keras_files.py [FOLDER] (with keras and h5py)
"""

import json
import os
import sys

import h5py
import keras
import numpy as np
from keras import Input, Model, Sequential, layers

keras.utils.set_random_seed(11)
here = os.path.dirname(os.path.abspath(__file__))
folder = sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, 'files')
random = np.random.RandomState(3)


def sequential():
    norm = layers.Normalization(axis=-1, mean=[10.0, 20.0], variance=[4.0, 9.0])
    return Sequential(
        [
            Input((9, 8, 2)),
            norm,
            layers.Conv2D(4, (3, 2), padding='same', strides=(2, 1), activation='relu'),
            layers.BatchNormalization(),
            layers.MaxPooling2D(2, padding='same'),
            layers.DepthwiseConv2D(3, padding='same', depth_multiplier=2, activation='tanh'),
            layers.ZeroPadding2D(((1, 0), (2, 1))),
            layers.SeparableConv2D(5, 3, activation='elu', depth_multiplier=2),
            layers.Dropout(0.3),
            layers.AveragePooling2D(2, strides=1, padding='same'),
            layers.Flatten(),
            layers.Dense(6, activation='sigmoid'),
            layers.LayerNormalization(),
            layers.Dense(3, activation='softmax'),
        ]
    )


def functional():
    x = Input((8, 8, 3), name='image')
    y = layers.Rescaling(1 / 127.5, offset=-1)(x)
    y = layers.Conv2D(4, 3, padding='same', use_bias=False, name='stem')(y)
    y = layers.BatchNormalization(scale=False)(y)
    y = layers.ReLU(max_value=6.0)(y)
    shared = layers.Conv2D(4, 3, padding='same', activation='swish', name='shared')
    z = shared(shared(y))
    y = layers.Add()([y, z])
    a = layers.MaxPooling2D(3, strides=2, padding='same')(y)
    b = layers.AveragePooling2D(2)(y)
    y = layers.Concatenate()([a, b])
    y = layers.LeakyReLU(negative_slope=0.2)(y)
    y = layers.LayerNormalization()(y)
    y = layers.Activation('gelu')(y)
    p = layers.GlobalAveragePooling2D()(y)
    q = layers.Flatten()(layers.Reshape((4, 32))(y))
    y = layers.Concatenate()([p, layers.Dense(5)(q)])
    return Model(x, layers.Dense(4, name='scores')(y))


def randomised(model):
    for weight in model.weights:
        if weight.dtype == 'float32':
            low = 0.5 if 'variance' in weight.path or 'gamma' in weight.path else -0.6
            weight.assign(random.uniform(low, 1.2 if low > 0 else 0.6, weight.shape).astype('float32'))
    return model


expected = {}
for name, model in (('sequential', sequential()), ('functional', functional())):
    model = randomised(model)
    x = random.uniform(0, 255 if name == 'functional' else 30, (2,) + model.input_shape[1:]).astype('float32')
    y = model.predict(x, verbose=0)
    # Before the softmax, as the limit has it.
    logits = np.log(y) if name == 'sequential' else y
    for end in ('keras', 'h5'):
        model.save(os.path.join(folder, f'{name}.{end}'))
    expected[name] = {
        'input': [float(v) for v in x.flatten()],
        'shape': list(x.shape),
        'logits': [float(v) for v in logits.flatten()],
        'centred': name == 'sequential',
    }
with open(os.path.join(folder, 'keras.json'), 'w') as out:
    json.dump(expected, out, separators=(',', ':'))
    out.write('\n')

# The headers of files of ten gigabytes; see large.ts.
names = {'large.h5': ('fc.weight', 'small'), 'large_keras.h5': ('layers/dense/vars/0', 'layers/dense/vars/1')}
for path, (weight, small) in names.items():
    with h5py.File(os.path.join(sys.argv[1] if len(sys.argv) > 1 else here, path), 'w') as file:
        file.create_dataset(weight, shape=(625_000_000, 4), dtype='<f4')
        file[small] = np.array([5, 6, 7, 8], '<f4')

# A filter of h5py's own, which the HDF5 library has only there.
with h5py.File(os.path.join(sys.argv[1] if len(sys.argv) > 1 else here, 'lzf.h5'), 'w') as file:
    file.create_dataset('w', data=np.zeros(1000, '<f4'), chunks=(1000,), compression='lzf')
