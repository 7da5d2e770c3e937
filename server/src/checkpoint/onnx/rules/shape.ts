import { elementCount, formatShape } from '../../../graph/shapes';
import { dataTypeName, isElementType, isFloat, type ElementType, type KnownTensor } from '../../elements';
import { tensorOf } from '../known';
import { DAMAGED, type NodeView } from '../node-view';
import { Value } from '../value';
import { knownOnly, knownValue, nodeValue, type Rule } from './rule';

/** Constants, shapes, and conversions between element types. */

function vector(type: ElementType, values: readonly number[]): KnownTensor {
  return tensorOf(type, [values.length], (i) => values[i]!);
}

const scalar = (type: ElementType, value: number): KnownTensor => tensorOf(type, [], () => value);

export const constant: Rule = (node) => {
  const { attributes } = node.node;
  const known = (tensor: KnownTensor): Value[] => [knownValue(tensor, node.builder)];
  for (const [name, attribute] of attributes) {
    if (name === 'value' && attribute.kind === 'tensor') return [node.stored(attribute.value, node.node.outputs[0]!)];
    if (name === 'value_int' && attribute.kind === 'int') return known(scalar('int64', attribute.value));
    if (name === 'value_float' && attribute.kind === 'float') return known(scalar('float32', attribute.value));
    if (name === 'value_ints' && attribute.kind === 'ints') return known(vector('int64', attribute.value));
    if (name === 'value_floats' && attribute.kind === 'floats') return known(vector('float32', attribute.value));
  }
  throw node.error(`value not supported: ${[...attributes.keys()].join(', ') || 'none'}`);
};

/** The shape is known, whatever the data are. */
export const shape: Rule = (node) => {
  const sizes = node.shape(0);
  const start = node.int('start', 0);
  const end = node.opset >= 15 && node.node.attributes.has('end') ? node.int('end', 0) : sizes.length;
  return [knownValue(vector('int64', sizes.slice(start, end)), node.builder)];
};

export const size: Rule = (node) => [knownValue(scalar('int64', elementCount(node.shape(0))), node.builder)];

export const constantOfShape: Rule = knownOnly((node) => {
  const sizes = node.knownNumbers(0);
  if (!sizes.every((n) => n >= 0)) throw node.error(`shape ${formatShape(sizes)}`, DAMAGED);
  const fill = node.optionalTensor('value')?.read();
  return [tensorOf(fill?.type ?? 'float32', sizes, () => fill?.values[0] ?? 0)];
});

export const range: Rule = knownOnly((node) => {
  const [start, limit, delta] = [0, 1, 2].map((i) => node.knownNumbers(i)[0]!) as [number, number, number];
  const count = Math.max(0, Math.ceil((limit - start) / delta));
  if (!Number.isFinite(count)) throw node.error(`range from ${start} to ${limit} by ${delta}`, DAMAGED);
  return [tensorOf(node.type(0), [count], (i) => start + i * delta)];
});

export const cast: Rule = (node) => convertTo(node, dataTypeName(node.requiredInt('to')));

export const castLike: Rule = (node) => convertTo(node, node.type(1));

/**
 * Float to float is the identity in the graph: its tensors are float32 whatever
 * the file says, so that a cast to float16 or bfloat16 does not round there.
 */
function convertTo(node: NodeView, to: string): Value[] {
  const x = node.value(0);
  if (!isElementType(to)) throw node.error(`element type not supported: ${to}`);
  const convert = (): KnownTensor => {
    const { values } = x.tensor();
    const number = isFloat(to)
      ? (i: number): number => values[i]!
      : to === 'bool'
        ? (i: number): number => (values[i] === 0 ? 0 : 1)
        : (i: number): number => Math.trunc(values[i]!);
    return tensorOf(to, x.shape, number);
  };
  if (x.isNode && isFloat(to)) return [new Value(to, x.shape, () => x.node(), x.isKnown ? convert : null)];
  if (x.isKnown) return [knownValue(convert(), node.builder)];
  if (to === 'bool') return [nodeValue(node.builder.step(node.builder.abs(x.node())), 'bool')];
  throw node.error(`conversion to ${to} depends on data`, 'only float tensors can depend on the input');
}
