import type { Node } from '@vscode/tree-sitter-wasm';
import { parsePython } from './parser';

/** Where a module is made in Python source: `nn.Conv2d(…)`. Lines and columns from 0. */
export interface Definition {
  readonly line: number;
  readonly start: number;
  /** Where the call ends; its line may be another one. */
  readonly endLine: number;
  readonly end: number;
}

/** Modules that a class makes, by their paths from its instance: `features.0`, `layer1.conv`. */
export interface PythonClass {
  readonly name: string;
  readonly definitions: ReadonlyMap<string, readonly Definition[]>;
}

export interface PythonModules {
  readonly classes: readonly PythonClass[];
  /** Layers that are given a name: Keras' `Conv2D(…, name='conv1')`. */
  readonly named: ReadonlyMap<string, readonly Definition[]>;
}

/** Containers whose positional arguments are modules by index. */
const CONTAINERS = new Set(['Sequential', 'ModuleList']);
/** Classes within classes within … */
const DEEPEST = 12;
/** More paths than this are not followed: classes that hold one another twice are exponentially many. */
const MOST_PATHS = 20_000;

/** A module that a class makes, before classes of the same file are followed. */
type Made =
  | { readonly kind: 'call'; readonly callee: string; readonly definition: Definition }
  | { readonly kind: 'container'; readonly children: ReadonlyMap<string, Made> };

/**
 * The modules that Python source defines, read from its syntax tree and never
 * run. What depends on values (loops, conditions, arguments) is not followed.
 */
export async function pythonModules(source: string): Promise<PythonModules> {
  const tree = await parsePython(source);
  try {
    const classes = new Map<string, Map<string, Made[]>>();
    const repeated = new Set<string>();
    for (const node of tree.rootNode.descendantsOfType('class_definition')) {
      const name = node?.childForFieldName('name')?.text;
      if (!node || name === undefined) continue;
      if (classes.has(name)) repeated.add(name);
      classes.set(name, madeBy(node));
    }
    // Which one is meant cannot be told.
    for (const name of repeated) classes.delete(name);
    return {
      classes: [...classes].map(([name, made]) => ({ name, definitions: pathsOf(made, classes) })),
      named: namedLayers(tree.rootNode),
    };
  } finally {
    tree.delete();
  }
}

/** `self.x = …` in the methods of a class, but not in classes inside it. */
function madeBy(definition: Node): Map<string, Made[]> {
  const made = new Map<string, Made[]>();
  for (const assignment of definition.descendantsOfType('assignment')) {
    const target = assignment?.childForFieldName('left');
    const value = assignment?.childForFieldName('right');
    if (target?.type !== 'attribute' || target.childForFieldName('object')?.text !== 'self' || !value) continue;
    if (enclosingClass(target)?.id !== definition.id) continue;
    const module = moduleOf(value);
    const name = target.childForFieldName('attribute')!.text;
    if (module) made.set(name, [...(made.get(name) ?? []), module]);
  }
  return made;
}

function enclosingClass(node: Node): Node | null {
  for (let at = node.parent; at; at = at.parent) if (at.type === 'class_definition') return at;
  return null;
}

function moduleOf(value: Node): Made | null {
  if (value.type !== 'call') return null;
  const callee = lastName(value.childForFieldName('function'));
  if (callee === null) return null;
  const modules = CONTAINERS.has(callee) ? containedIn(value) : null;
  return modules ? { kind: 'container', children: modules } : { kind: 'call', callee, definition: placeOf(value) };
}

/** Null when what is contained depends on more than is written there. */
function containedIn(call: Node): Map<string, Made> | null {
  let items = argumentsOf(call);
  // ModuleList([…])
  if (items.length === 1 && items[0]!.type === 'list') items = children(items[0]!);
  if (items.some(({ type }) => type !== 'call')) return null;
  const modules = new Map<string, Made>();
  for (const [i, item] of items.entries()) {
    const module = moduleOf(item);
    if (module) modules.set(String(i), module);
  }
  return modules;
}

function pathsOf(
  made: ReadonlyMap<string, readonly Made[]>,
  classes: ReadonlyMap<string, ReadonlyMap<string, readonly Made[]>>,
): Map<string, Definition[]> {
  const paths = new Map<string, Definition[]>();
  const follow = (module: Made, path: string, depth: number): void => {
    if (depth > DEEPEST || paths.size > MOST_PATHS) return;
    if (module.kind === 'container') {
      for (const [name, child] of module.children) follow(child, `${path}.${name}`, depth + 1);
      return;
    }
    const inside = classes.get(module.callee);
    if (!inside) {
      paths.set(path, [...(paths.get(path) ?? []), module.definition]);
      return;
    }
    for (const [name, children] of inside) {
      for (const child of children) follow(child, `${path}.${name}`, depth + 1);
    }
  };
  for (const [name, modules] of made) for (const module of modules) follow(module, name, 0);
  return paths;
}

function namedLayers(root: Node): Map<string, Definition[]> {
  const named = new Map<string, Definition[]>();
  for (const call of root.descendantsOfType('call')) {
    if (!call || lastName(call.childForFieldName('function')) === null) continue;
    const name = keyword(call, 'name');
    if (name !== null) named.set(name, [...(named.get(name) ?? []), placeOf(call)]);
  }
  return named;
}

/** A keyword argument that is a plain string. */
function keyword(call: Node, name: string): string | null {
  for (const argument of children(call.childForFieldName('arguments'))) {
    if (argument.type !== 'keyword_argument' || argument.childForFieldName('name')?.text !== name) continue;
    const value = argument.childForFieldName('value');
    const content = value?.type === 'string' ? children(value).filter(({ type }) => type === 'string_content') : [];
    const isPlain = value?.type === 'string' && !children(value).some(({ type }) => type === 'interpolation');
    return isPlain && content.length === 1 ? content[0]!.text : null;
  }
  return null;
}

function argumentsOf(call: Node): Node[] {
  return children(call.childForFieldName('arguments')).filter(
    ({ type }) => type !== 'keyword_argument' && type !== 'comment',
  );
}

function children(node: Node | null): Node[] {
  return (node?.namedChildren ?? []).filter((child): child is Node => child !== null);
}

/** `Conv2d` of `torch.nn.Conv2d`. */
function lastName(callee: Node | null): string | null {
  if (callee?.type === 'identifier') return callee.text;
  return callee?.type === 'attribute' ? (callee.childForFieldName('attribute')?.text ?? null) : null;
}

function placeOf(call: Node): Definition {
  const { startPosition, endPosition } = call;
  return { line: startPosition.row, start: startPosition.column, endLine: endPosition.row, end: endPosition.column };
}
