"""Writes the HDF5 files of bad-input.test.ts, which lead to other files.

Usage: python3 test/checkpoints/bad_hdf5.py (with h5py)
"""

import os

import h5py
import numpy as np

folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'hdf5')
ones = np.ones(4, '<f4')

with h5py.File(os.path.join(folder, 'external_data.h5'), 'w') as file:
    file['own'] = ones
    file.create_dataset('other', shape=(4,), dtype='<f4', external=[('../secret.bin', 0, 16)])

with h5py.File(os.path.join(folder, 'external_link.h5'), 'w') as file:
    file['own'] = ones
    file['other'] = h5py.ExternalLink('../secret.h5', '/own')

layout = h5py.VirtualLayout(shape=(4,), dtype='<f4')
layout[:] = h5py.VirtualSource('../secret.h5', 'own', shape=(4,))
with h5py.File(os.path.join(folder, 'virtual.h5'), 'w', libver='latest') as file:
    file['own'] = ones
    file.create_virtual_dataset('other', layout)

# A group that is in itself, and a name that leads nowhere.
with h5py.File(os.path.join(folder, 'circle.h5'), 'w') as file:
    file['own'] = ones
    file['group/up'] = file['/']
    file['lost'] = h5py.SoftLink('/nowhere')
