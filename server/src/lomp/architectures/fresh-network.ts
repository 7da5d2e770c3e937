import { NetworkWriter, type Layer } from '../../architectures/network';
import { INPUT } from '../../architectures/match';
import type { NetworkFile } from '../../checkpoint/checkpoint';
import { OPSET } from '../../checkpoint/onnx/nodes';
import type { StoredTensor } from '../../checkpoint/stored-tensor';
import type { Shape } from '../../graph/ir';
import { elementCount } from '../../graph/shapes';
import { Random } from '../../random';

/** What an architecture leaves open, because it is read off the weights where there are any. */
export interface Widths {
  /**
   * Output channels or units of a layer; undefined for the last, which has the classes.
   *
   * @param weight its name
   * @param index how many weights came before it
   */
  width(weight: string, index: number): number | undefined;
  /** Whether there is a tensor that a layer can do without. */
  has(tensor: string): boolean;
  /** Every width is divided by this, and rounded up. */
  readonly divisor: number;
}

/** Lays an architecture over tensors that are not there yet: every one it asks for comes to be. */
class FreshWriter extends NetworkWriter {
  readonly made = new Map<string, Shape>();
  private weights = 0;

  constructor(
    private readonly widths: Widths,
    private readonly classes: number,
  ) {
    super(new Map());
  }

  override has(name: string): boolean {
    return this.widths.has(name);
  }

  override tensor(name: string, expected: readonly (number | null)[]): Shape {
    const { width, divisor } = this.widths;
    const isOpen = expected[0] === null;
    const wished = isOpen ? width(name, this.weights++) : undefined;
    const outputs = wished === undefined ? this.classes : Math.ceil(wished / divisor);
    const shape = expected.map((size) => size ?? outputs);
    this.made.set(name, shape);
    return shape;
  }
}

/**
 * A network with fresh weights, in ONNX's terms. Each tensor is drawn from its
 * own stream of the seed.
 *
 * Convolutions and products are drawn as PyTorch's layers are: weights and
 * biases U(−b, b) with b = 1/√fan-in; `kaiming` networks draw weights from
 * N(0, 2/fan-in) instead (He, Zhang, Ren & Sun 2015). Normalisations begin
 * with scale 1, shift 0 and the statistics of a standard normal.
 *
 * @param sample shape of one sample
 * @returns the network, and what of the architecture does not fit the samples
 */
export function freshLayers(
  name: string,
  layers: Layer,
  widths: Widths,
  sample: Shape,
  classes: number,
  draw: { readonly seed: number; readonly kaiming: boolean },
): { readonly network: NetworkFile; readonly problems: readonly string[] } {
  const writer = new FreshWriter(widths, classes);
  const output = layers(writer, { name: INPUT, shape: sample }, '');
  const tensors = [...writer.made].map(([tensor, shape]) => {
    const values = initialValues(tensor, shape, writer.made, draw);
    return [tensor, floatTensor(tensor, shape, values)] as const;
  });
  const network: NetworkFile = {
    kind: 'network',
    container: 'onnx',
    format: 'ONNX',
    path: name,
    producer: 'pruning-limit',
    opset: OPSET,
    inputs: [{ name: INPUT, dtype: 'float32', shape: ['batch', ...sample] }],
    outputs: [{ name: output.name, dtype: 'float32', shape: ['batch', ...output.shape] }],
    nodes: writer.nodes,
    tensors: new Map(tensors),
  };
  return { network, problems: writer.problems };
}

function initialValues(
  name: string,
  shape: Shape,
  all: ReadonlyMap<string, Shape>,
  { seed, kaiming }: { readonly seed: number; readonly kaiming: boolean },
): Float32Array {
  const [, layer, part] = /^(.*)\.(\w+)$/.exec(name)!;
  const count = elementCount(shape);
  if (all.has(`${layer}.running_mean`))
    return new Float32Array(count).fill(/^(weight|running_var)$/.test(part!) ? 1 : 0);
  const random = Random.stream(seed, name);
  const fan = elementCount(all.get(`${layer}.weight`)!.slice(1));
  if (kaiming && part === 'weight') {
    const deviation = Math.sqrt(2 / fan);
    return Float32Array.from({ length: count }, () => deviation * random.gaussian());
  }
  const bound = 1 / Math.sqrt(fan);
  return Float32Array.from({ length: count }, () => bound * (2 * random.uniform() - 1));
}

function floatTensor(name: string, shape: Shape, values: Float32Array): StoredTensor {
  return {
    name,
    dtype: 'float32',
    shape,
    read: () => ({ type: 'float32', shape, values }),
    bytes: () => new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
  };
}
