import { after, before } from 'node:test';
import { createEngine } from '../../server/src/engine/create';
import type { Engine } from '../../server/src/engine/engine';
import { testConformance } from './testing';

let engine: Engine;
before(async () => {
  engine = await createEngine('wasm', 1);
});
after(() => engine.dispose());

testConformance(() => engine, 'large: npm run conformance -- --provider wasm');
