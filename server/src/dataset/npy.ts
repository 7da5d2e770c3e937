import { InputError } from '../errors';
import type { ByteSource } from '../files/source';
import { fromFortran, isElementType, readNumbers } from './elements';
import type { NumberArray, NumberFormat } from './elements';

/**
 * One array in numpy's format (numpy.lib.format, versions 1 to 3), from a
 * `.npy` file or an entry of an `.npz`. Booleans are bytes 0 and 1.
 *
 * The header is a Python literal; it is searched for its three fields and
 * never evaluated. An array of Python objects is a pickle and is refused:
 * nothing is ever unpickled.
 *
 * @throws InputError
 */
export async function readNpy(source: ByteSource): Promise<NumberArray> {
  const magic = new Uint8Array(8);
  await source.read(magic);
  if (!MAGIC.every((byte, i) => magic[i] === byte)) {
    throw new InputError(`not an npy array: ${source.name}; choose a file in a format that is read`);
  }
  const major = magic[6]!;
  if (major < 1 || major > 3) {
    throw new InputError(`npy version unsupported: ${major} of ${source.name}; save it with numpy.save`);
  }
  const lengthBytes = new Uint8Array(major === 1 ? 2 : 4);
  await source.read(lengthBytes);
  const view = new DataView(lengthBytes.buffer);
  const length = major === 1 ? view.getUint16(0, true) : view.getUint32(0, true);
  if (length > MAX_HEADER) throw badHeader(source.name, `${length} bytes`);
  const header = new Uint8Array(length);
  await source.read(header);
  const text = new TextDecoder('latin1').decode(header);
  const used = magic.length + lengthBytes.length + length;

  const format = parseType(text, source.name);
  const order = /'fortran_order'\s*:\s*(True|False)\b/.exec(text)?.[1];
  const sizes = /'shape'\s*:\s*\(([\d\s,]*)\)/.exec(text)?.[1];
  if (order === undefined || sizes === undefined) throw badHeader(source.name, 'no order or no shape');
  const shape = sizes
    .split(',')
    .map((size) => size.trim())
    .filter((size) => size !== '')
    .map(Number);
  if (shape.length > 32) throw badHeader(source.name, `${shape.length} axes`);
  const array = await readNumbers(source, used, format, shape);
  return order === 'True' && shape.length > 1 ? fromFortran(array) : array;
}

export const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];

/** A header of plain numbers takes 128 bytes. */
const MAX_HEADER = 1 << 16;

function parseType(header: string, name: string): NumberFormat {
  const type = /'descr'\s*:\s*'([^']*)'/.exec(header)?.[1];
  if (type === undefined) {
    if (!/'descr'\s*:\s*\[/.test(header)) throw badHeader(name, 'no type');
    throw new InputError(`array type unsupported: records in ${name}; save plain numbers`);
  }
  if (/^[<>|=]?O/.test(type)) {
    throw new InputError(`object array refused: ${name} is a pickle and might run code; save plain numbers`);
  }
  const [, order, plain] = /^([<>|=]?)(.*)$/s.exec(type)!;
  const element = plain === 'b1' ? 'u1' : plain!;
  if (!isElementType(element)) {
    throw new InputError(`array type unsupported: ${type} of ${name}; save integers or floats`);
  }
  return { type: element, littleEndian: order !== '>' };
}

function badHeader(name: string, detail: string): InputError {
  return new InputError(`npy header damaged: ${name} (${detail}); save the array again`);
}
