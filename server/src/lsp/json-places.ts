/** Values nested deeper than this are not looked for: an analysis file has five levels. */
const DEEPEST = 50;

/** Where the values of a JSON text are: `analyses[0].data.path` → offsets of the value, quotes included. */
export function jsonPlaces(text: string): Map<string, { readonly start: number; readonly end: number }> {
  const places = new Map<string, { start: number; end: number }>();
  const tokens = text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g);
  const next = (): RegExpExecArray | undefined => tokens.next().value;
  let current = next();
  const take = () => {
    const taken = current;
    current = next();
    return taken;
  };

  // Text that is not JSON only ends the walk early: whoever reads it reports that.
  const value = (place: string, depth: number): void => {
    const first = take();
    if (!first || depth > DEEPEST) return;
    let end = first.index + first[0].length;
    if (first[0] === '{') {
      while (current && current[0] !== '}') {
        const name = take()![0];
        take();
        value(place === '' ? unquote(name) : `${place}.${unquote(name)}`, depth + 1);
        if (current?.[0] === ',') take();
      }
    } else if (first[0] === '[') {
      for (let i = 0; current && current[0] !== ']'; i++) {
        value(`${place}[${i}]`, depth + 1);
        if (current?.[0] === ',') take();
      }
    }
    if (first[0] === '{' || first[0] === '[') {
      const last = take();
      end = last ? last.index + 1 : text.length;
    }
    places.set(place, { start: first.index, end });
  };
  value('', 0);
  return places;
}

/** The innermost value around an offset; undefined outside all, and in an object between its values. */
export function placeAt(
  places: ReadonlyMap<string, { readonly start: number; readonly end: number }>,
  offset: number,
): string | undefined {
  let found: string | undefined;
  let length = Infinity;
  for (const [place, { start, end }] of places) {
    // At its very end a text or a list is closed, and a number is not.
    if (offset <= start || offset > end || end - start >= length) continue;
    [found, length] = [place, end - start];
  }
  return found;
}

function unquote(name: string): string {
  try {
    return String(JSON.parse(name));
  } catch {
    return name;
  }
}
