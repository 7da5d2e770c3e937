/**
 * A path pattern as a regular expression over paths with forward slashes.
 *
 * `**` any folders, `*` and `?` within one name, `{a,b}` alternatives, `[ab]`
 * one character. Everything else stands for itself.
 */
export function globToRegExp(glob: string): RegExp {
  let source = '';
  let depth = 0;
  for (let i = 0; i < glob.length; i++) {
    const c = glob[i]!;
    if (c === '*' && glob[i + 1] === '*') {
      // `**/` also stands for no folder at all, so that `**/*.onnx` finds `a.onnx`.
      const slash = glob[i + 2] === '/';
      source += slash ? '(?:[^/]*/)*' : '.*';
      i += slash ? 2 : 1;
    } else if (c === '*') source += '[^/]*';
    else if (c === '?') source += '[^/]';
    else if (c === '{') {
      depth++;
      source += '(?:';
    } else if (c === '}' && depth > 0) {
      depth--;
      source += ')';
    } else if (c === ',' && depth > 0) source += '|';
    else if (c === '[' && glob.indexOf(']', i + 2) > 0) {
      const end = glob.indexOf(']', i + 2);
      const set = glob
        .slice(i + 1, end)
        .replace(/^!/, '^')
        .replace(/[\\[\]]/g, '\\$&');
      source += `[${set}]`;
      i = end;
    } else source += c.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
  }
  return new RegExp(`^${source}${')'.repeat(depth)}$`);
}
