/**
 * Names of files that may be checkpoints: what is listed, completed and has
 * commands. The manifest of the extension repeats both, since it is no program;
 * `checkpoint-names.test.ts` holds it to them.
 */
export const CHECKPOINT_NAME =
  /(\.(onnx|pt|pth|th|safetensors|keras|h5)|^pytorch_model.*\.bin|\.safetensors\.index\.json|^model\.json)$/i;

/** The same as patterns of file names. */
export const CHECKPOINT_GLOBS: readonly string[] = [
  '*.onnx',
  '*.pt',
  '*.pth',
  '*.th',
  'pytorch_model*.bin',
  '*.safetensors',
  '*.safetensors.index.json',
  '*.keras',
  '*.h5',
  'model.json',
];
