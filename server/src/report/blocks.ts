import type { LayerLine } from './layers-text';

/** A part of the network that several layers belong to, as their names say: `layer1`, `layer1.0`. */
export interface Block {
  readonly name: string;
  readonly first: LayerLine;
  readonly last: LayerLine;
  readonly children: readonly (Block | LayerLine)[];
}

export function isBlock(node: Block | LayerLine): node is Block {
  return 'children' in node;
}

/**
 * Layers grouped by the parts of their names, between `.` or `/`, but the last,
 * which names the parameter. Only neighbours are grouped, so that a block is a
 * range of lines, and only two or more.
 */
export function layerBlocks(lines: readonly LayerLine[], depth = 0): (Block | LayerLine)[] {
  const nodes: (Block | LayerLine)[] = [];
  for (let start = 0; start < lines.length;) {
    const first = lines[start]!;
    const prefix = prefixOf(first.layer, depth);
    let end = start + 1;
    while (prefix !== null && end < lines.length && prefixOf(lines[end]!.layer, depth) === prefix) end++;
    const group = lines.slice(start, end);
    if (prefix === null || group.length === 1) nodes.push(...group);
    else nodes.push({ name: prefix, first, last: group.at(-1)!, children: layerBlocks(group, depth + 1) });
    start = end;
  }
  return nodes;
}

/** Blocks are not nested deeper, whatever names are made of. */
const DEEPEST = 16;

/** The first `depth + 1` parts of a name with the separators between; null when only the parameter is left. */
function prefixOf(name: string, depth: number): string | null {
  const parts = [...name.matchAll(/[^./]+/g)];
  const last = parts[depth];
  return depth >= DEEPEST || last === undefined || depth >= parts.length - 1
    ? null
    : name.slice(0, last.index + last[0].length);
}
