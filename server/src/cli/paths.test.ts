import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asTyped } from './paths';

const typed = (absolute: string, text: string) => ({ absolute, typed: text });

test('messages name paths as they were typed', () => {
  const paths = [typed('/home/me/net.onnx', 'net.onnx'), typed('/home/me/data', './data/')];
  assert.equal(asTyped('empty: /home/me/net.onnx; copy', paths), 'empty: net.onnx; copy');
  assert.equal(asTyped('bad: /home/me/data/x.npy (/home/me/data)', paths), 'bad: ./data/x.npy (./data)');
  // A dot that ends the path, or the sentence's own comma.
  assert.equal(asTyped('a /home/me/net.onnx, b', paths), 'a net.onnx, b');
});

test('only whole paths are replaced', () => {
  const paths = [typed('/data', '../data')];
  assert.equal(asTyped('/data2 /mnt/data /data-x x/data', paths), '/data2 /mnt/data /data-x x/data');
  assert.equal(asTyped('"/data" (/data/a)', paths), '"../data" (../data/a)');
});

test('the longer of two nested paths keeps its own name', () => {
  const paths = [typed('/a', '.'), typed('/a/b', 'b')];
  assert.equal(asTyped('/a/b/c /a/c', paths), 'b/c ./c');
});

test('the root and paths that were typed in full stay', () => {
  assert.equal(asTyped('/x/y', [typed('/', '..'), typed('/x', '/x')]), '/x/y');
});
