import { type Capability, capabilityNumbers } from './capability.ts';
import { recommendedEnvironment, recommendedNodeFlags } from './node-flags.ts';
import { type Role, roles } from './roles.ts';

/** `c/generated/roles.h`: what the launcher knows of the processes that it starts. */
export function launcherHeader(): string {
  const environment = Object.entries(recommendedEnvironment).map(([name, value]) => `\t{"${name}", "${value}"},`);
  return [
    '/* Generated from ../../src by `npm run generate`; do not edit. */',
    '#pragma once',
    '#include <stdbool.h>',
    '#include <stdint.h>',
    '',
    '#define CAPABILITY(number) (UINT64_C(1) << (number))',
    '',
    'struct capability {',
    '\tunsigned int number;',
    '\tconst char *name;',
    '\tconst char *reason;',
    '};',
    '',
    'struct role {',
    '\tconst char *name;',
    '\tconst char *script;',
    '\tuint64_t capabilities;',
    '\tbool accepts_fewer;',
    '};',
    '',
    'struct variable {',
    '\tconst char *name;',
    '\tconst char *value;',
    '};',
    '',
    'static const struct capability capabilities[] = {',
    ...Object.entries(reasons()).map(([name, reason]) => {
      const number = capabilityNumbers[name as Capability];
      return `\t{${number}, "${name}", "${reason}"},`;
    }),
    '};',
    '',
    'static const struct role roles[] = {',
    ...Object.entries<Role>(roles).map(([name, role]) => roleLine(name, role)),
    '};',
    '',
    'static const char *const node_flags[] = {',
    ...recommendedNodeFlags.map((flag) => `\t"${flag}",`),
    '};',
    '',
    'static const struct variable environment[] = {',
    ...environment,
    '};',
    '',
  ].join('\n');
}

function reasons(): Readonly<Record<string, string>> {
  return Object.assign({}, ...Object.values<Role>(roles).map((role) => role.capabilities));
}

function roleLine(name: string, { script, capabilities, acceptsFewer }: Role): string {
  const set = Object.keys(capabilities).map((each) => `CAPABILITY(${capabilityNumbers[each as Capability]})`);
  return `\t{"${name}", "${script}", ${set.length === 0 ? '0' : set.join(' | ')}, ${acceptsFewer}},`;
}
