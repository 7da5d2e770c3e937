/**
 * The layer summary of `file:///models/a.onnx` is the document
 * `pruning-limit:///models/a.onnx.layers`: the client gives it its text, the
 * server everything else.
 */
export const LAYERS_SCHEME = 'pruning-limit';
export const LAYERS_SUFFIX = '.layers';
export const LAYERS_LANGUAGE = 'model-layers';

export function layersUri(checkpoint: string): string {
  return checkpoint.replace(/^file:/, `${LAYERS_SCHEME}:`) + LAYERS_SUFFIX;
}

/** URI of the checkpoint that a layer summary is about, or null when the URI is not one's. */
export function checkpointUri(layers: string): string | null {
  const prefix = `${LAYERS_SCHEME}:`;
  if (!layers.startsWith(prefix) || !layers.endsWith(LAYERS_SUFFIX)) return null;
  return `file:${layers.slice(prefix.length, -LAYERS_SUFFIX.length)}`;
}
