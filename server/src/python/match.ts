import type { Definition, PythonModules } from './definitions';

/** A layer and the one place in a source file that makes it. */
export interface Match {
  readonly layer: string;
  readonly definition: Definition;
}

/** A class is taken for the network when it makes at least this share of the layers. */
const SHARE = 0.5;

/**
 * The layers of a checkpoint that a source file defines. A class is the
 * network when it makes more of the layers than any other class of the file,
 * and at least half of them; a Keras layer is found by its name. Whatever can
 * be meant in two ways is left out: two classes that fit equally well, a path
 * that is assigned twice, a line that makes several layers.
 */
export function matchLayers(modules: PythonModules, layers: readonly string[]): Match[] {
  const found = [...byPath(modules, layers), ...byName(modules, layers)];
  const layersAt = new Map<string, Set<string>>();
  const placesOf = new Map<string, Set<string>>();
  for (const { layer, definition } of found) {
    const place = placeOf(definition);
    layersAt.set(place, (layersAt.get(place) ?? new Set()).add(layer));
    placesOf.set(layer, (placesOf.get(layer) ?? new Set()).add(place));
  }
  return found.filter(
    ({ layer, definition }) => layersAt.get(placeOf(definition))!.size === 1 && placesOf.get(layer)!.size === 1,
  );
}

function byPath({ classes }: PythonModules, layers: readonly string[]): Match[] {
  const candidates = classes
    .map(({ definitions }) =>
      layers.flatMap((layer) => {
        const [definition, ...others] = definitions.get(modulePath(layer)) ?? [];
        return definition && others.length === 0 ? [{ layer, definition }] : [];
      }),
    )
    .sort((a, b) => b.length - a.length);
  const [best, next] = candidates;
  const isClear = best && best.length >= SHARE * layers.length && best.length > (next?.length ?? 0);
  return isClear ? best : [];
}

function byName({ named }: PythonModules, layers: readonly string[]): Match[] {
  return [...named].flatMap(([name, definitions]) => {
    const fitting = layers.filter((layer) => layer.split(/[/.:]/).slice(0, -1).includes(name));
    return definitions.length === 1 && fitting.length === 1
      ? [{ layer: fitting[0]!, definition: definitions[0]! }]
      : [];
  });
}

/** `layer1.conv` of `layer1.conv.weight`. */
function modulePath(layer: string): string {
  return layer.slice(0, Math.max(0, layer.lastIndexOf('.')));
}

function placeOf({ line, start }: Definition): string {
  return `${line}:${start}`;
}
