import type { AnyNode, Shape } from '../../graph/ir';
import type { ElementType, KnownTensor } from '../elements';

/**
 * What stands for an ONNX tensor during the import. It has a place in the
 * graph, or values known already, or both: a float initializer is a weight of
 * the graph, and where it only serves to compute a shape it is a number. Both
 * are made when they are asked for, so that neither costs anything unused.
 */
export class Value {
  private madeNode: AnyNode | undefined;
  private madeTensor: KnownTensor | undefined;

  constructor(
    readonly type: ElementType,
    readonly shape: Shape,
    private readonly makeNode: (() => AnyNode) | null,
    private readonly makeTensor: (() => KnownTensor) | null,
  ) {}

  /** Whether the values can be had at import. */
  get isKnown(): boolean {
    return this.makeTensor !== null;
  }

  /** Whether the value can be had in the graph: a float tensor or a mask of zeros and ones. */
  get isNode(): boolean {
    return this.makeNode !== null;
  }

  /** Only where `isKnown`. */
  tensor(): KnownTensor {
    return (this.madeTensor ??= this.makeTensor!());
  }

  /** Only where `isNode`. */
  node(): AnyNode {
    return (this.madeNode ??= this.makeNode!());
  }
}
