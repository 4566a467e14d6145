import { parseValues, type SluiceValues } from '@sluice/config';
import type { AddressFamily } from '@sluice/net';
import { type Document, isMap, parseDocument } from 'yaml';
import { LabError } from './error.ts';
import { standingProblem } from './topology.ts';

/** What `up` takes beside the values. */
export interface ValueOptions {
  readonly ipv4?: boolean | undefined;
  readonly ipv6?: boolean | undefined;
  readonly secondDevice?: boolean | undefined;
}

/** An installation's values, as the lab gives them to its agents and its operator. */
export interface LabValues {
  readonly text: string;
  /** What in it is not as it was given, and why. */
  readonly changes: readonly string[];
  readonly families: readonly AddressFamily[];
  readonly devices: readonly string[];
  readonly apiServerHost: string;
  readonly apiServerPort: number;
}

const apiServerDefault = '10.10.30.10';
const lan6ApiServer = (host: string) => `fd00:10:10:30::${host.split('.')[3]}`;

/** Any valid values will do; where the lab cannot be as they say, they are changed. `source` is what errors call them. */
export function labValues(text: string, source: string, options: ValueOptions): LabValues {
  if (options.ipv4 === false && options.ipv6 === false) throw new LabError('a lab has IPv4, IPv6, or both');
  const { values } = parseValues(text, source);
  const document = parseDocument(text);
  const changes: string[] = [];
  const change = (path: readonly string[], value: unknown, why: string) => {
    setIn(document, path, value);
    changes.push(`${path.join('.')}: ${JSON.stringify(value)} (${why})`);
  };
  for (const family of ['ipv4', 'ipv6'] as const) {
    const wanted = options[family];
    if (wanted !== undefined && wanted !== values[family].enabled)
      change([family, 'enabled'], wanted, `--${family}=${wanted}`);
  }
  const families = familiesOf(values, options);
  const devices = deviceNames(values.devices, options.secondDevice === true);
  if (options.secondDevice && !devices.every((name) => isNamed(name, values.devices)))
    change(['devices'], devices, '--second-device');
  const apiServerHost = placeApiServer(values, families, change);
  const changed = changes.length === 0 ? text : String(document);
  if (changes.length > 0) parseValues(changed, `${source} as changed for the lab`);
  return { text: changed, changes, families, devices, apiServerHost, apiServerPort: values.k8sServicePort };
}

function familiesOf(values: SluiceValues, { ipv4, ipv6 }: ValueOptions): AddressFamily[] {
  const families: AddressFamily[] = [];
  if (ipv4 ?? values.ipv4.enabled) families.push(4);
  if (ipv6 ?? values.ipv6.enabled) families.push(6);
  return families;
}

/** Nodes get a device of the first name that the values give, and a second one where they give two. */
export function deviceNames(patterns: readonly string[], wantsSecond: boolean): string[] {
  const [first = 'eno1', second] = patterns;
  const names = [deviceName(first, 0)];
  if (second !== undefined) names.push(deviceName(second, 1));
  else if (wantsSecond) names.push(first.endsWith('+') ? deviceName(first, 1) : nextName(names[0] ?? ''));
  return names[0] === names[1] ? [names[0] ?? '', nextName(names[0] ?? '')] : names;
}

/** `eth+` is any name that begins so. */
function deviceName(pattern: string, number: number): string {
  const name = pattern.replace(/\+$/, String(number));
  return /^[a-zA-Z][\w.-]{0,14}$/.test(name) ? name : `eno${number + 1}`;
}

function nextName(name: string): string {
  const [, stem = name, number = '1'] = /^(.*?)(\d+)$/.exec(name) ?? [];
  const next = `${stem}${Number(number) + 1}`;
  return next.length > 15 ? 'eno2' : next;
}

function isNamed(name: string, patterns: readonly string[]): boolean {
  return patterns.some((pattern) => (pattern.endsWith('+') ? name.startsWith(pattern.slice(0, -1)) : name === pattern));
}

/** Where the values say, if the lab's can stand there; otherwise they are told where it does stand. */
function placeApiServer(
  values: SluiceValues,
  families: readonly AddressFamily[],
  change: (path: readonly string[], value: unknown, why: string) => void,
): string {
  const { k8sServiceHost: host, k8s } = values;
  const isNamed = host !== '' || k8s.apiServerURLs.length > 0;
  const canStand = k8s.apiServerURLs.length === 0 && standingProblem(host) === undefined;
  const standing = canStand ? host : apiServerDefault;
  const reached = families.includes(4) ? standing : lan6ApiServer(standing);
  if (isNamed && (!canStand || reached !== host)) {
    if (k8s.apiServerURLs.length > 0) change(['k8s', 'apiServerURLs'], [], 'the lab has one API server');
    change(['k8sServiceHost'], reached, "where the lab's API server stands");
  }
  return standing;
}

/** Whatever stands there, be it nothing, an alias or another kind of node. */
function setIn(document: Document, [name = '', ...rest]: readonly string[], value: unknown): void {
  const isNested = rest.length > 0;
  if (isNested && !isMap(document.getIn([name], true))) {
    const resolved: unknown = document.toJS()?.[name];
    document.set(name, document.createNode({ ...(typeof resolved === 'object' ? resolved : {}) }));
  }
  document.setIn([name, ...rest], value);
}
