import { resolve } from 'node:path';

/** A path as the user typed it, and the absolute path that it means. */
export interface TypedPath {
  readonly typed: string;
  readonly absolute: string;
}

export function typedPath(typed: string): TypedPath {
  return { typed, absolute: resolve(typed) };
}

/**
 * `message` with absolute paths, and those of files below them, as the user
 * typed them: what an error names can then be found in the command.
 */
export function asTyped(message: string, paths: readonly TypedPath[]): string {
  // The longest first, so that a file in a folder keeps its own name.
  const ordered = [...paths].sort((a, b) => b.absolute.length - a.absolute.length);
  const known = ordered.filter(({ typed, absolute }) => absolute.length > 1 && typed !== absolute);
  if (known.length === 0) return message;
  const alternatives = known.map(({ absolute }) => absolute.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|');
  // Whole paths only: /data is no part of /data2 or of /mnt/data.
  const whole = new RegExp(`(?<![\\w./\\\\-])(?:${alternatives})(?![\\w-])`, 'g');
  return message.replace(whole, (found) =>
    known.find(({ absolute }) => absolute === found)!.typed.replace(/[/\\]$/, ''),
  );
}
