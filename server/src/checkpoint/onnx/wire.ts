/**
 * Protocol buffers as bytes: enough of the wire format to replace fields deep
 * inside a message and to copy everything else as it is, fields that no schema
 * knows included. Decoding and encoding again would lose those.
 *
 * Source: protobuf.dev/programming-guides/encoding.
 */

export interface WireField {
  readonly number: number;
  /** 0 varint, 1 eight bytes, 2 length and bytes, 5 four bytes. */
  readonly type: number;
  /** The whole field, its tag first. */
  readonly whole: Uint8Array;
  /** What follows the tag; of type 2 what follows the length. */
  readonly content: Uint8Array;
}

/** The bytes are no message. */
export class WireError extends Error {
  override readonly name = 'WireError';
}

/** @throws WireError where the bytes end too early or are of no known type */
export function* wireFields(message: Uint8Array): Generator<WireField> {
  let at = 0;
  while (at < message.length) {
    const tag = readVarint(message, at);
    const type = tag.value % 8;
    let start = tag.next;
    let end: number;
    if (type === 0) end = readVarint(message, start).next;
    else if (type === 1) end = start + 8;
    else if (type === 5) end = start + 4;
    else if (type === 2) {
      const length = readVarint(message, start);
      start = length.next;
      end = start + length.value;
    } else throw new WireError(`wire type ${type} at ${at}`);
    if (end > message.length) throw new WireError(`field at ${at} ends at ${end} of ${message.length} bytes`);
    yield {
      number: Math.floor(tag.value / 8),
      type,
      whole: message.subarray(at, end),
      content: message.subarray(start, end),
    };
    at = end;
  }
}

function readVarint(bytes: Uint8Array, start: number): { readonly value: number; readonly next: number } {
  let value = 0;
  for (let i = 0; i < 10; i++) {
    const byte = bytes[start + i];
    if (byte === undefined) throw new WireError(`number at ${start} is cut off`);
    value += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return { value, next: start + i + 1 };
  }
  throw new WireError(`number at ${start} does not end`);
}

export function varintBytes(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  return Uint8Array.from([...bytes, rest]);
}

/** A field of type 2. */
export function lengthDelimited(number: number, content: Uint8Array): Uint8Array {
  return Buffer.concat([varintBytes(8 * number + 2), varintBytes(content.length), content]);
}

/**
 * The message with the fields that `replace` answers for replaced: by nothing
 * where it answers with no bytes, and as they are where it answers undefined.
 * Undefined when nothing was replaced.
 */
export function rewriteMessage(
  message: Uint8Array,
  replace: (field: WireField) => Uint8Array | undefined,
): Uint8Array | undefined {
  const parts: Uint8Array[] = [];
  let changed = false;
  for (const field of wireFields(message)) {
    const replacement = replace(field);
    if (replacement !== undefined) changed = true;
    parts.push(replacement ?? field.whole);
  }
  return changed ? Buffer.concat(parts) : undefined;
}

/** `rewriteMessage` inside a field: the field with its content rewritten. */
export function rewriteField(
  field: WireField,
  rewrite: (content: Uint8Array) => Uint8Array | undefined,
): Uint8Array | undefined {
  if (field.type !== 2) return undefined;
  const content = rewrite(field.content);
  return content === undefined ? undefined : lengthDelimited(field.number, content);
}
