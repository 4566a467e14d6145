import type { JsonObject } from './request.ts';
import type { CniVersion } from './version.ts';

export interface CniResultInterface {
  readonly name: string;
  readonly mac: string;
  readonly mtu: number;
  /** Path of the namespace; absent for the node's side. */
  readonly sandbox?: string;
}

export interface CniResultIp {
  /** With its prefix length. */
  readonly address: string;
  readonly gateway: string;
  /** Index into `interfaces`. */
  readonly interface: number;
}

/** The answer to ADD, in nobody's version. */
export interface CniResult {
  readonly interfaces: readonly CniResultInterface[];
  readonly ips: readonly CniResultIp[];
  readonly routes: readonly { readonly dst: string; readonly gw?: string }[];
}

/** Worded for a version and put behind what a plugin before us in the list had answered. */
export function formatResult(result: CniResult, version: CniVersion, previous: JsonObject | undefined): string {
  const interfacesBefore = list(previous, 'interfaces');
  return JSON.stringify({
    ...previous,
    cniVersion: version,
    interfaces: [...interfacesBefore, ...result.interfaces.map((device) => formatInterface(device, version))],
    ips: [...list(previous, 'ips'), ...result.ips.map((ip) => formatIp(ip, version, interfacesBefore.length))],
    routes: [...list(previous, 'routes'), ...result.routes],
    dns: previous?.dns ?? {},
  });
}

/** Addresses that a result names, without their prefix lengths: for comparing with what is there. */
export function addressesOf(result: JsonObject): string[] {
  return list(result, 'ips').flatMap((ip) => {
    const address: unknown = typeof ip === 'object' && ip !== null ? Reflect.get(ip, 'address') : undefined;
    return typeof address === 'string' ? [address.split('/')[0] ?? address] : [];
  });
}

// 1.1.0 added the MTU.
function formatInterface({ mtu, ...device }: CniResultInterface, version: CniVersion): object {
  return version === '1.1.0' ? { ...device, mtu } : device;
}

// Until 1.0.0 each address carried its family.
function formatIp(ip: CniResultIp, version: CniVersion, interfacesBefore: number): object {
  const shifted = { ...ip, interface: ip.interface + interfacesBefore };
  if (version === '1.0.0' || version === '1.1.0') return shifted;
  return { version: ip.address.includes(':') ? '6' : '4', ...shifted };
}

function list(result: JsonObject | undefined, field: string): readonly unknown[] {
  const value = result?.[field];
  return Array.isArray(value) ? value : [];
}
