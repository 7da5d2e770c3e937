import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { jsonPlaces, placeAt } from './json-places';

describe('jsonPlaces', () => {
  it('finds every value', () => {
    const text = '{ "a": [1, {"b c": "x\\"y, }"}],\n "d": {"e": null, "f": []} }';
    const found = Object.fromEntries(
      [...jsonPlaces(text)].map(([key, { start, end }]) => [key, text.slice(start, end)]),
    );
    assert.deepEqual(found, {
      'a[0]': '1',
      'a[1].b c': '"x\\"y, }"',
      'a[1]': '{"b c": "x\\"y, }"}',
      a: '[1, {"b c": "x\\"y, }"}]',
      'd.e': 'null',
      'd.f': '[]',
      d: '{"e": null, "f": []}',
      '': text,
    });
  });

  it('ends on any text', () => {
    for (const text of [
      '',
      '{',
      '{"a"',
      '{"a":',
      '[1,',
      '}',
      '{]',
      '[}',
      '{"a": {"b": [}',
      '"',
      '{,,}',
      '['.repeat(1e5),
    ]) {
      jsonPlaces(text);
    }
  });
});

describe('placeAt', () => {
  it('is the innermost value around an offset', () => {
    const text = '{ "a": ["x", 12], "b": "" }';
    const places = jsonPlaces(text);
    const at = (part: string, inside: number) => placeAt(places, text.indexOf(part) + inside);
    assert.equal(at('"x"', 1), 'a[0]');
    assert.equal(at('12', 1), 'a[1]');
    assert.equal(at('[', 1), 'a');
    assert.equal(at('""', 1), 'b');
    assert.equal(at('"b"', 0), '');
    assert.equal(placeAt(places, 0), undefined);
  });
});
