import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testRandom } from '../../../test/reference/cases';
import { InputError } from '../errors';
import { ByteCursor } from '../files/ranges';
import { builtinFunctions } from './builtins';
import { readPickle, type PickleTable } from './machine';
import { PickleInstance, type PickleValue } from './values';

const table: PickleTable = { functions: new Map(builtinFunctions), advice: 'save it otherwise' };

function read(pickle: string | Uint8Array): PickleValue {
  const bytes = typeof pickle === 'string' ? Buffer.from(pickle, 'latin1') : pickle;
  return readPickle(ByteCursor.of(bytes, 'a.pkl'), table);
}

/** Made by Python's pickle and pickletools.optimize: protocol, bytes, value. */
const written: readonly [string, string, PickleValue][] = [
  ['integers, protocol 0', '(lp0\nI1\naI-70000\naL18446744073709551616L\na.', [1, -70000, 18446744073709551616n]],
  ['integers, protocol 2', '\x80\x02](K\x01J\x90\xee\xfe\xff\x8a\t\0\0\0\0\0\0\0\0\x01e.', [1, -70000, 2n ** 64n]],
  ['truth values, protocol 0', '(lI01\naI00\naNa.', [true, false, null]],
  ['truth values, protocol 4', '\x80\x04](\x88\x89Ne.', [true, false, null]],
  ['floats', '\x80\x02G@\t!\xfbTD-\x18F2.5\n\x86.', [Math.PI, 2.5]],
  ['text', '\x80\x04\x8c\x03h\xc3\xa9X\x02\0\0\0\xc3\xa9\x86.', ['h\u00e9', '\u00e9']],
  ['Python 2 strings', "\x80\x02U\x02\xff\x01S'a\\x00\\n'\n\x86.", ['\xff\x01', 'a\0\n']],
  ['bytes', '\x80\x03C\x03abc.', Buffer.from('abc')],
  ['a dict', '\x80\x04}(\x8c\x01aK\x01\x8c\x01bK\x02u.', new Map([['a', 1], ['b', 2]])], // prettier-ignore
  ['tuples and the memo', '\x80\x04K\x05\x94h\0h\0\x87.', [5, 5, 5]],
  ['a set', '\x80\x04\x8f(K\x01K\x02\x90.', new Set([1, 2])],
  ['an ordered dict', '\x80\x02ccollections\nOrderedDict\n)R(U\x01aK\x01u.', new Map([['a', 1]])],
];
for (const [name, pickle, value] of written) {
  test(`read: ${name}`, () => {
    const found = read(pickle);
    assert.deepEqual(found instanceof Uint8Array ? Buffer.from(found) : found, value);
  });
}

test('an object of an unknown class is a name and a state', () => {
  const value = read('\x80\x02c__main__\nNet\n)\x81}U\x01wK\x07sb.');
  assert.ok(value instanceof PickleInstance);
  assert.equal(value.type.path, '__main__.Net');
  assert.deepEqual(value.state, new Map([['w', 7]]));
});

const refused: readonly [string, string, RegExp][] = [
  ['REDUCE', "cos\nsystem\n(S'ls'\ntR.", /wants to call os\.system \(a\.pkl, byte 19\); .*, save it otherwise$/],
  ['STACK_GLOBAL', '\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x02ls\x85R.', /wants to call os\.system/],
  ['INST', "(S'ls'\nios\nsystem\n.", /wants to call os\.system/],
  ['OBJ', "(cos\nsystem\nS'ls'\no.", /wants to call os\.system/],
  ['NEWOBJ with arguments', "\x80\x02csubprocess\nPopen\nS'ls'\n\x85\x81.", /wants to call subprocess\.Popen/],
  ['Python 2 built-ins', "c__builtin__\neval\n(S'1'\ntR.", /wants to call builtins\.eval/],
  ['a call of what is no function', '\x80\x02K\x01)R.', /something is called that is no function/],
  ['the extension registry', '\x80\x02\x82\x01.', /no opcode "\x82" \(130\)/],
  ['a length beyond the end', '\x80\x04X\xff\xff\xff\x7fab.', /2147483647 bytes are claimed and 3 are there/],
  ['a length of 8 bytes', '\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.', /bytes are claimed and 1 are there/],
  ['a huge integer', `\x80\x04\x8b\0\x02\0\0${'a'.repeat(512)}.`, /an integer of 512 bytes/],
  ['an empty stack', '0.', /the stack is empty/],
  ['a memo that was never set', 'h\x03.', /memo 3 was never set/],
  ['a missing mark', 't.', /there is no mark/],
  ['an unknown protocol', '\x80\x09N.', /protocol 9 is not known/],
  ['no end', '(lp0\n', /ends before its data do/],
];
for (const [name, pickle, message] of refused) {
  test(`refused: ${name}`, () => {
    assert.throws(
      () => read(pickle),
      (error) => error instanceof InputError && message.test(error.message),
    );
  });
}

test('30,000 damaged pickles end in a value or an error of ours', () => {
  const random = testRandom(23);
  const seeds = written.map(([, pickle]) => Buffer.from(pickle, 'latin1'));
  let refusals = 0;
  for (let i = 0; i < 30_000; i++) {
    const bytes = Buffer.concat([seeds[i % seeds.length]!, seeds[Math.floor(random() * seeds.length)]!]);
    for (let changes = 1 + Math.floor(random() * 4); changes > 0; changes--) {
      bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
    }
    try {
      read(bytes.subarray(0, 1 + Math.floor(random() * bytes.length)));
    } catch (error) {
      assert.ok(error instanceof InputError, `${bytes.toString('hex')}: ${String(error)}`);
      refusals++;
    }
  }
  assert.ok(refusals > 10_000, `${refusals} refused`);
});
