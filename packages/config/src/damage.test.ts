// Values files are written by people.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { damagedText, holds } from '@sluice/testing';
import fc from 'fast-check';
import { ConfigError } from './error.ts';
import { parseValues } from './values.ts';

const homelab = readFileSync(join(import.meta.dirname, '../../../examples/homelab/values.yaml'), 'utf8');

test("the homelab's values with pieces missing, doubled or replaced are read, or refused with places", () => {
  parseValues(homelab);
  holds(
    fc.property(damagedText(homelab), (text) => {
      try {
        parseValues(text);
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
      }
    }),
    100,
  );
});
