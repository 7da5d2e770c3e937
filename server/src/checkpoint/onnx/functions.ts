import { InputError } from '../../errors';
import { decodeNode, importedOpset, qualified } from './decode-node';
import type { onnx } from './generated/onnx';
import type { OnnxNode } from './reader';

/**
 * Model-local functions, written out where they are called. Names inside a
 * function are its own, so every call gives them a prefix; attributes that a
 * function leaves to its caller are those of the call.
 */

type Node = onnx.NodeProto.$Properties;
type Graph = onnx.GraphProto.$Properties;
type Attribute = onnx.AttributeProto.$Properties;
type FunctionProto = onnx.FunctionProto.$Properties;

/** Nodes that calls may become: functions that call each other twice double with every level. */
const MOST_NODES = 200_000;

const DEEPEST = 64;

/** What names and attributes mean in the body that is written out. */
interface Scope {
  readonly rename: (name: string) => string;
  /** Of the call; null outside of functions, where nothing refers to them. */
  readonly attributes: ReadonlyMap<string, Attribute> | null;
  /** Name of the calling node, in front of those of its nodes. */
  readonly label: string;
  /** Functions that are being written out. */
  readonly open: readonly string[];
  /** Version of ONNX's operators, where it is not the file's. */
  readonly opset: number | undefined;
}

const outside: Scope = { rename: (name) => name, attributes: null, label: '', open: [], opset: undefined };

/**
 * The nodes of the model's graph, without calls.
 * @throws InputError when functions call each other in circles, or too often
 */
export function inlinedNodes(model: onnx.ModelProto.$Properties, path: string): OnnxNode[] {
  const nodes = model.graph?.node ?? [];
  const functions = new Map((model.functions ?? []).map((f) => [keyOf(f, f.name), f] as const));
  const opsets = new WeakMap<Node, number>();
  const inliner = new Inliner(functions, importedOpset(model.opsetImport), opsets, path);
  const decoded = (node: Node, index: number): OnnxNode => decodeNode(node, index, path, (inner) => opsets.get(inner));
  if (functions.size === 0) return nodes.map(decoded);
  return nodes.flatMap((node, index) => {
    const ofFunction = functions.has(keyOf(node, node.opType));
    return inliner.expanded([node], outside).map((inner) => ({ ...decoded(inner, index), ofFunction }));
  });
}

/** Domain, name and overload together name a function. */
function keyOf({ domain, overload }: Node | FunctionProto, name: string | null | undefined): string {
  return `${qualified(domain, name)}${overload ? `:${overload}` : ''}`;
}

class Inliner {
  private calls = 0;
  private made = 0;

  constructor(
    private readonly functions: ReadonlyMap<string, FunctionProto>,
    private readonly opset: number | null,
    private readonly opsets: WeakMap<Node, number>,
    private readonly path: string,
  ) {}

  expanded(nodes: readonly Node[], scope: Scope): Node[] {
    return nodes.flatMap((node) => {
      if (scope.open.length > 0 && ++this.made > MOST_NODES) {
        throw new InputError(
          `functions too large: more than ${MOST_NODES} nodes (${this.path}); export without functions`,
        );
      }
      const renamed = this.renamed(node, scope);
      const key = keyOf(node, node.opType);
      const called = this.functions.get(key);
      return called === undefined ? [renamed] : this.called(called, key, renamed, scope);
    });
  }

  private called(body: FunctionProto, key: string, call: Node, scope: Scope): Node[] {
    if (scope.open.includes(key) || scope.open.length > DEEPEST) {
      throw new InputError(
        `functions in a circle: ${[...scope.open, key].slice(-3).join(' calls ')} (${this.path}); the file is damaged, export it again`,
      );
    }
    const number = ++this.calls;
    const label = call.name ? call.name : `${call.opType}_${number}`;
    const names = new Map<string, string>([['', '']]);
    // An output that the call leaves out is a name of the body's own.
    (body.output ?? []).forEach((name, i) => call.output?.[i] && names.set(name, call.output[i]));
    (body.input ?? []).forEach((name, i) => names.set(name, call.input?.[i] ?? ''));
    const given = (call.attribute ?? []).map((attribute) => [attribute.name ?? '', attribute] as const);
    const defaults = (body.attributeProto ?? []).map((attribute) => [attribute.name ?? '', attribute] as const);
    const opset = importedOpset(body.opsetImport) ?? undefined;
    const inner = this.expanded(body.node ?? [], {
      rename: (name) => names.get(name) ?? `${label}/${number}/${name}`,
      attributes: new Map([...defaults, ...given]),
      label,
      open: [...scope.open, key],
      opset: opset === (this.opset ?? undefined) ? undefined : opset,
    });
    return [...inner, ...passedOn(body, call)];
  }

  private renamed(node: Node, scope: Scope): Node {
    const attribute = (node.attribute ?? []).flatMap((own) => {
      const meant = own.refAttrName && scope.attributes !== null ? scope.attributes.get(own.refAttrName) : own;
      if (meant === undefined) return [];
      const named = meant === own ? own : { ...meant, name: own.name ?? '' };
      // A graph of the caller has its names already.
      return meant === own && own.g ? [{ ...named, g: this.subgraph(own.g, scope) }] : [named];
    });
    const name =
      scope.label === '' ? (node.name ?? '') : `${scope.label}/${node.name ? node.name : (node.opType ?? '')}`;
    const renamed: Node = {
      ...node,
      name,
      input: (node.input ?? []).map(scope.rename),
      output: (node.output ?? []).map(scope.rename),
      attribute,
    };
    if (scope.opset !== undefined) this.opsets.set(renamed, scope.opset);
    return renamed;
  }

  private subgraph(graph: Graph, scope: Scope): Graph {
    const rename = <T extends { name?: string | null }>(value: T): T => ({
      ...value,
      name: scope.rename(value.name ?? ''),
    });
    return {
      ...graph,
      node: this.expanded(graph.node ?? [], scope),
      initializer: (graph.initializer ?? []).map(rename),
      sparseInitializer: (graph.sparseInitializer ?? []).map((sparse) => ({
        ...sparse,
        values: rename(sparse.values ?? {}),
      })),
      input: (graph.input ?? []).map(rename),
      output: (graph.output ?? []).map(rename),
    };
  }
}

/** For outputs that are inputs of the function, and which no node of the body makes. */
function passedOn({ input, output }: FunctionProto, call: Node): Node[] {
  return (output ?? []).flatMap((name, i) => {
    const at = (input ?? []).indexOf(name);
    const [from, to] = [call.input?.[at], call.output?.[i]];
    return from && to ? [{ opType: 'Identity', input: [from], output: [to] }] : [];
  });
}
