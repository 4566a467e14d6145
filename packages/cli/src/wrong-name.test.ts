import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wrongName } from './wrong-name.ts';

const names = Array.from({ length: 50 }, (_, index) => `option${index}`).concat('nodePort.range', 'healthPort');
const told = (name: string, list?: string) => wrongName({ what: 'option', name, names, ...(list && { list }) }).message;

test('a name that is none gets the nearest, else those that have it in them, else how to see all', () => {
  assert.equal(told('nodePort.rang', 'sluice config'), 'no option nodePort.rang; did you mean nodePort.range?');
  const several = 'no option port; did you mean nodePort.range or healthPort? `sluice config` shows all';
  assert.equal(told('port', 'sluice config'), several);
  assert.equal(
    told('nosuch', 'sluice config'),
    'no option nosuch; nothing is named like that, `sluice config` shows all 52',
  );
  assert.equal(told('nosuch'), `no option nosuch; there are ${names.slice(0, 40).join(', ')}, …`);
  assert.equal(wrongName({ what: 'map', name: 'x', names: [] }).message, 'no map x; there is none');
});
