import { createHash } from 'node:crypto';
import { IDENTITY_MAX, IDENTITY_MIN, type IdentityId } from '@sluice/model';

const range = IDENTITY_MAX - IDENTITY_MIN + 1;

/**
 * The numbers that a set of labels would like, best first: a hash within the 24 bits of a VXLAN identifier, then those
 * behind it. Whoever creates the object of a number first has it; 100,000 sets meet in a first candidate some 300 times.
 */
export function* identityCandidates(labels: readonly string[]): Generator<IdentityId, void> {
  const first = createHash('sha256').update(labels.join('\n')).digest().readUIntBE(0, 6) % range;
  for (let step = 0; step < range; step += 1) yield IDENTITY_MIN + ((first + step) % range);
}
