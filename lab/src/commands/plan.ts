import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { installationRoot, readFileUpTo, writeFileAtomic } from '@sluice/runtime';
import { LabError, messageOf } from '../error.ts';
import type { LabLayout } from '../layout.ts';
import { type LabSettings, readSettings, writeSettings } from '../settings.ts';
import { labValues, type ValueOptions } from '../values.ts';
import { foreignRoot } from './context.ts';

/** What `up` is asked for. Undefined: as the lab has it, or the default. */
export interface UpOptions extends ValueOptions {
  readonly name: string;
  /** Default: as many as the lab has, or 3. */
  readonly nodes: number | undefined;
  /** Default: those that the lab has, or the homelab's. */
  readonly values: string | undefined;
}

/** What the lab is made with. */
export interface Plan {
  readonly settings: LabSettings;
  /** Only of a new one. */
  readonly fresh: { readonly values: string; readonly changes: readonly string[] } | undefined;
}

const nodesDefault = 3;

/** The homelab's files, unchanged. */
export function homelabDirectory(): string {
  return join(installationRoot(), 'examples/homelab');
}

/** Whatever is refused is refused here, before anything is made. */
export async function planOf(layout: LabLayout, options: UpOptions): Promise<Plan> {
  const settings = readSettings(layout);
  if (!settings) return newPlan(options);
  refuseOthers(layout, settings);
  refuseChanges(layout, settings, options);
  return { settings, fresh: undefined };
}

async function newPlan({ values, nodes, ipv4, ipv6, secondDevice }: UpOptions): Promise<Plan> {
  const path = resolve(values ?? join(homelabDirectory(), 'values.yaml'));
  const given = { ipv4, ipv6, secondDevice };
  const { text, changes, ...rest } = labValues(readValuesText(path), path, given);
  const settings = {
    ...rest,
    root: installationRoot(),
    nodeCount: nodes ?? nodesDefault,
    given,
    localPort: await freePort(),
  };
  return { settings, fresh: { values: text, changes } };
}

/** The settings last: with them, the lab is there. */
export function keepPlan(layout: LabLayout, { settings, fresh }: Plan): void {
  if (!fresh) return;
  writeFileAtomic(layout.valuesFile, fresh.values, { mode: 0o644 });
  writeSettings(layout, settings);
}

/** As many as an agent takes. */
const valuesBytesMax = 1024 * 1024;

function readValuesText(path: string): string {
  try {
    return readFileUpTo(path, valuesBytesMax);
  } catch (error) {
    // It names the file as well; why is in what it wraps.
    const why = error instanceof Error ? error.cause : error;
    throw new LabError(`the values ${path} cannot be read: ${messageOf(why)}`, { cause: error });
  }
}

function refuseOthers({ name }: LabLayout, settings: LabSettings): void {
  const other = foreignRoot(settings);
  if (other === undefined) return;
  throw new LabError(`lab ${name} belongs to another checkout, ${other}; this one is ${installationRoot()}`, {
    hint: [
      'give this one a lab with another name: sluice lab up --name OTHER, or npm run lab -- --name OTHER',
      `or take the other down: sluice lab down --name ${name}`,
    ].join('\n  '),
  });
}

function refuseChanges(layout: LabLayout, settings: LabSettings, options: UpOptions): void {
  const { nodes, values, ipv4, ipv6, secondDevice } = options;
  const { nodeCount, families, devices, given } = settings;
  const refuse = (difference: string): never => {
    throw new LabError(`lab ${layout.name} is there ${difference}`, {
      hint: `take it down first (sluice lab down --name ${layout.name}), or give another --name`,
    });
  };
  if (nodes !== undefined && nodes !== nodeCount) refuse(`with ${nodeCount} nodes, not ${nodes}`);
  for (const [family, name, wanted] of [
    [4, 'IPv4', ipv4],
    [6, 'IPv6', ipv6],
  ] as const) {
    const has = families.includes(family);
    if (wanted !== undefined && wanted !== has) refuse(`${has ? 'with' : 'without'} ${name}`);
  }
  if (secondDevice && devices.length < 2) refuse('with one device a node');
  if (values === undefined) return;
  const { text } = labValues(readValuesText(values), values, given);
  if (text !== readFileSync(layout.valuesFile, 'utf8')) refuse(`with other values than ${values}`);
}

/** A port of 127.0.0.1 that nobody listens on at this moment. */
export function freePort(wanted = 0): Promise<number> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.on('error', reject);
    server.listen(wanted, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}
