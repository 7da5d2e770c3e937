import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { nvidiaDevice, parseDevice, parseProfiler, parseVideoControllers, pciNames } from './device';

test('a line of the driver is read, and anything else is not', () => {
  const device = parseDevice('NVIDIA RTX A6000, 550.54.14, 48305\n');
  assert.deepEqual(device, { name: 'NVIDIA RTX A6000', driver: '550.54.14', free: 48305 * 2 ** 20 });
  assert.equal(parseDevice('No devices were found\n'), undefined);
  assert.equal(parseDevice('GPU, 1.2, [N/A]\n'), undefined);
});

test("a machine without NVIDIA's tool has no such device", async () => {
  assert.equal(await nvidiaDevice('no-such-command'), undefined);
});

test('GPUs of macOS and Windows have the names that the system gives them', () => {
  const profile = JSON.stringify({ SPDisplaysDataType: [{ _name: 'Apple M2', sppci_model: 'Apple M2 Pro' }] });
  assert.deepEqual(parseProfiler(profile), ['Apple M2 Pro']);
  const intel = { Name: 'Intel(R) UHD Graphics', DriverVersion: '31.0.101.2111' };
  assert.deepEqual(parseVideoControllers(JSON.stringify(intel)), ['Intel(R) UHD Graphics, driver 31.0.101.2111']);
  const basic = { Name: 'Microsoft Basic Display', DriverVersion: null };
  assert.deepEqual(parseVideoControllers(JSON.stringify([intel, basic]))[1], 'Microsoft Basic Display');
  for (const nothing of [undefined, '', '{', '{}', '[]']) {
    assert.deepEqual(parseProfiler(nothing), []);
    if (nothing !== '{}') assert.deepEqual(parseVideoControllers(nothing), []);
  }
});

test('the kernel names a vendor and a number', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'drm-'));
  const add = (name: string, vendor: string, device: string): void => {
    mkdirSync(join(folder, name, 'device'), { recursive: true });
    writeFileSync(join(folder, name, 'device/vendor'), `${vendor}\n`);
    writeFileSync(join(folder, name, 'device/device'), `${device}\n`);
  };
  add('renderD128', '0x1002', '0x73bf');
  add('renderD129', '0x10de', '0x2330');
  add('card0', '0x1002', '0x73bf');
  assert.deepEqual(await pciNames(false, folder), ['AMD GPU 73bf', 'NVIDIA GPU 2330']);
  assert.deepEqual(await pciNames(true, folder), ['AMD GPU 73bf']);
  assert.deepEqual(await pciNames(false, join(folder, 'nothing')), []);
  rmSync(folder, { recursive: true });
});
