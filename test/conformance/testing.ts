import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Engine } from '../../server/src/engine/engine';
import { conformanceCases } from './suite';

/** One test per case; `slow` is why all but the small cases are skipped, where they are. */
export function testConformance(engine: () => Engine, slow: string | false = false): void {
  for (const { section, name, skip, weight, tolerance, error } of conformanceCases) {
    test(`${section}: ${name}`, { skip: skip || (weight > 0 && slow) }, async () => {
      const found = await error(engine());
      assert.ok(found <= tolerance, `relative error ${found}, above ${tolerance}`);
    });
  }
}
