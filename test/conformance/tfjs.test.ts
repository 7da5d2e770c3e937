import { after, before } from 'node:test';
import { createEngine } from '../../server/src/engine/create';
import type { Engine } from '../../server/src/engine/engine';
import { projectRoot } from '../outside';
import { testConformance } from './testing';

/** The adapter on TensorFlow.js' backend in plain JavaScript: the same kernels by name, a hundred times slower. */
let engine: Engine;
before(async () => {
  engine = await createEngine('tfjs', 1, [projectRoot()]);
});
after(() => engine.dispose());

testConformance(() => engine, 'too slow in JavaScript; npm run conformance -- --provider tfjs runs it');
