// Needs root and a kernel that Sluice runs on.
import { test } from 'node:test';
import { checkOneFamily } from './one-family.ts';

test('a lab without IPv6 works wholly, and has nothing of it', () => checkOneFamily(4));
