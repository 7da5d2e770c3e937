// The HDF5 library in two files, hdf5.mjs and hdf5.wasm. As it is published its
// WebAssembly is a string in the script, which costs 60 ms of the processor and
// 13 MiB more to read.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runInNewContext } from 'node:vm';

/** How the library decodes its string, and what comes after. */
const call = 'binaryDecode(';
const next = '}function getBinarySync(';

/** Plugin of esbuild that takes the WebAssembly out of the library's script and writes it to `folder`. */
export const hdf5Binary = (folder) => ({
  name: 'hdf5-binary',
  setup(context) {
    context.onLoad({ filter: /hdf5_util\.js$/ }, ({ path }) => {
      const script = readFileSync(path, 'utf8');
      const start = script.indexOf(`${call}'`);
      const end = script.indexOf(next, start);
      const decoder = script.match(/function binaryDecode\(bin\)\{.*?return o\}/)?.[0];
      if (start < 0 || end < 0 || decoder === undefined)
        throw new Error(`${path}: its WebAssembly is not where it was`);
      const binary = runInNewContext(`${decoder}; ${script.slice(start, end)}`);
      if (!WebAssembly.validate(binary)) throw new Error(`${path}: no WebAssembly came out`);
      writeFileSync(join(folder, 'hdf5.wasm'), binary);
      const read = "readFileSync(new URL('hdf5.wasm', import.meta.url))";
      const contents = `import { readFileSync } from 'node:fs';${script.slice(0, start)}${read}${script.slice(end)}`;
      return { contents, loader: 'js' };
    });
  },
});
