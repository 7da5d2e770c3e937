import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Campaign, workFolder } from './campaign';
import { targets } from './targets';

/** A short, fixed part of what `npm run fuzz` does. */

/** The HDF5 library takes longest. */
const INPUTS = (reader: string): number => (reader.startsWith('keras') ? 60 : 240);

for (const reader of Object.keys(targets)) {
  test(`mutated files are read or refused: ${reader}`, async () => {
    const campaign = await Campaign.open(reader, workFolder(), 20, false);
    try {
      for (const seed of campaign.seeds) await campaign.run(seed, seed.bytes);
      assert.ok(campaign.tally.accepted > 0, 'a sound file is read');
      while (campaign.tally.inputs < INPUTS(reader)) await campaign.fuzz(20);
      assert.deepEqual(
        campaign.findings.map(({ kind, detail }) => `${kind}: ${detail}`),
        [],
      );
    } finally {
      campaign.close();
    }
  });
}
