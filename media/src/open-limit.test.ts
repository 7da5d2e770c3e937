import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { whyOpen } from './open-limit';

describe('why a limit is open', () => {
  it('names what was spent and what would give more of it', () => {
    assert.match(whyOpen('steps', false), /steps were taken.*"steps"/);
    assert.match(whyOpen('time', false), /time was spent.*"minutes"/);
    assert.match(whyOpen('memory', false), /memory.*pruningLimit\.memory/);
    assert.match(whyOpen('float32', false), /blurs.*"epsilon"/);
    assert.match(whyOpen('exhausted', false), /"tolerance"/);
  });

  it('says of one operator that its study is over while the other is still being studied', () => {
    assert.match(whyOpen('time', true), /time was spent/);
    assert.match(whyOpen(undefined, true), /narrows/);
    assert.match(whyOpen(undefined, false), /analysis ended/);
  });
});
