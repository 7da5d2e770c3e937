import tseslint from 'typescript-eslint';

/** Who may import what: docs/architecture.md, "Invariants". */
const only = (name, message) => ({ name, message });
const VSCODE = only('vscode', 'only client/ talks to VS Code');
const LSP = { group: ['vscode-languageserver*'], message: 'only server/src/lsp and server/src/main.ts speak LSP' };
const ORT = { group: ['onnxruntime-*', '@tensorflow/*'], message: 'only engine/ runs tensors' };
const folder = (...names) => ({
  group: names.flatMap((name) => [`**/${name}/*`, `**/${name}`]),
  message: 'an import against the data flow (docs/architecture.md)',
});
const offline = 'nothing uses the network';
const NETWORK = ['http', 'https', 'http2', 'net', 'tls', 'dgram', 'dns', 'dns/promises'].flatMap((name) => [
  only(name, offline),
  only(`node:${name}`, offline),
]);
const restrict = (files, { paths = [], patterns = [] }, ignores = []) => ({
  files,
  ignores,
  rules: { 'no-restricted-imports': ['error', { paths: [...NETWORK, ...paths], patterns }] },
});

export default tseslint.config(
  { ignores: ['node_modules', 'dist', 'out', 'server/src/checkpoint/onnx/generated'] },
  ...tseslint.configs.recommended,
  {
    rules: {
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/consistent-type-imports': 'error',
      eqeqeq: 'error',
    },
  },
  restrict(
    ['server/**/*.ts', 'protocol/**/*.ts', 'samples/**/*.ts', 'bench/**/*.ts', 'reproduce/**/*.ts'],
    {
      paths: [VSCODE],
      patterns: [LSP, ORT],
    },
    [
      'server/src/lsp/**',
      'server/src/main.ts',
      'server/src/engine/**',
      'server/src/spectrum/**',
      'server/src/limit/**',
    ],
  ),
  restrict(['server/src/lsp/**/*.ts', 'server/src/main.ts'], {
    paths: [VSCODE],
    patterns: [ORT, folder('engine', 'curvature', 'autodiff', 'spectrum', 'limit')],
  }),
  restrict(['server/src/engine/**/*.ts'], { paths: [VSCODE], patterns: [LSP] }),
  restrict(['server/src/spectrum/**/*.ts'], {
    paths: [VSCODE],
    patterns: [
      LSP,
      ORT,
      folder('graph', 'autodiff', 'engine', 'curvature', 'checkpoint', 'dataset', 'limit', 'report', 'lsp'),
    ],
  }),
  restrict(['server/src/limit/**/*.ts'], {
    paths: [VSCODE],
    patterns: [
      LSP,
      ORT,
      folder('graph', 'autodiff', 'engine', 'curvature', 'checkpoint', 'dataset', 'report', 'lsp'),
      { group: ['**/spectrum/operator*', '**/spectrum/lanczos*'], message: 'limit/ knows spectra, not operators' },
    ],
  }),
  restrict(['client/**/*.ts'], { patterns: [LSP, ORT, folder('server')] }),
  restrict(['media/**/*.ts'], { paths: [VSCODE], patterns: [LSP, ORT] }),
  {
    files: ['client/**/*.ts', 'media/**/*.ts', 'protocol/**/*.ts', 'server/**/*.ts'],
    rules: {
      'no-restricted-globals': [
        'error',
        ...['fetch', 'WebSocket', 'XMLHttpRequest', 'EventSource'].map((name) => only(name, offline)),
      ],
    },
  },
);
