import { isAddress, parseAddress } from '@sluice/net';
import { internalError } from '../api-error.ts';
import type { FieldErrors } from '../field-errors.ts';
import type { IpFamily, Service, ServiceSpec } from '../kinds/types.ts';
import { type Allocations, familyName } from './allocations.ts';

interface Context {
  old: Service | undefined;
  allocations: Allocations;
  errors: FieldErrors;
}

/** Settles ipFamilyPolicy, ipFamilies and clusterIPs as in KEP 563, then takes the addresses that are missing. */
export function assignAddresses(service: Service, { old, allocations, errors }: Context): void {
  const { spec } = service;
  if (spec.type === 'ExternalName') {
    dropAddresses(spec);
    return;
  }
  const before = old && old.spec.type !== 'ExternalName' ? old.spec : undefined;
  spec.clusterIPs ??= spec.clusterIP ? [spec.clusterIP] : [];
  if (spec.clusterIPs.length === 0 && spec.clusterIP) spec.clusterIPs = [spec.clusterIP];
  settleFamilies(spec, allocations.families, errors);
  if (errors.causes.length > 0) return;
  if (spec.clusterIPs[0] !== 'None') takeAddresses(spec, { before, allocations, errors });
  const first = spec.clusterIPs[0];
  if (first !== undefined) spec.clusterIP = first;
}

function dropAddresses(spec: ServiceSpec): void {
  delete spec.clusterIP;
  delete spec.clusterIPs;
  delete spec.ipFamilies;
  delete spec.ipFamilyPolicy;
}

/** A client that sends no addresses means "as they are"; one that goes back to one family drops the second address. */
export function keepAddresses(spec: ServiceSpec, before: ServiceSpec): void {
  const named = spec.clusterIP || spec.clusterIPs?.[0];
  if (!named) {
    if (before.clusterIP !== undefined) spec.clusterIP = before.clusterIP;
    if (before.clusterIPs) spec.clusterIPs = [...before.clusterIPs];
  } else if (!spec.clusterIPs?.length && spec.clusterIP === before.clusterIP && before.clusterIPs)
    spec.clusterIPs = [...before.clusterIPs];
  if (before.ipFamilyPolicy) spec.ipFamilyPolicy ??= before.ipFamilyPolicy;
  if (before.ipFamilies && !spec.ipFamilies?.length) spec.ipFamilies = [...before.ipFamilies];
  if (spec.ipFamilyPolicy === 'SingleStack' && before.ipFamilyPolicy !== 'SingleStack') {
    spec.clusterIPs = spec.clusterIPs?.slice(0, 1) ?? [];
    spec.ipFamilies = spec.ipFamilies?.slice(0, 1) ?? [];
  }
}

function settleFamilies(spec: ServiceSpec, configured: readonly IpFamily[], errors: FieldErrors): void {
  const isHeadless = spec.clusterIPs?.[0] === 'None';
  const isBare = isHeadless && Object.keys(spec.selector ?? {}).length === 0;
  const given = spec.ipFamilies ?? [];
  const fromAddresses = (spec.clusterIPs ?? []).filter(isAddress).map((address) => familyName(parseAddress(address)));
  for (const [index, family] of fromAddresses.entries()) {
    const wanted = given[index];
    if (wanted && wanted !== family)
      errors.invalid(
        `spec.clusterIPs[${index}]`,
        spec.clusterIPs?.[index],
        `expected an ${wanted} value as indicated by \`ipFamilies[${index}]\``,
      );
  }
  const chosen: IpFamily[] = given.length >= fromAddresses.length ? [...given] : fromAddresses;
  const isDual = chosen.length > 1;
  spec.ipFamilyPolicy ??= isDual || isBare ? 'RequireDualStack' : 'SingleStack';
  if (!isBare) refuseUnconfigured(spec, { chosen, configured, errors });
  if (chosen.length === 0) chosen.push(configured[0] ?? 'IPv4');
  // A bare headless service may have both on any cluster: its addresses are whoever's.
  const maySecond = isBare || configured.length > 1;
  if (spec.ipFamilyPolicy !== 'SingleStack' && chosen.length === 1 && maySecond)
    chosen.push(chosen[0] === 'IPv4' ? 'IPv6' : 'IPv4');
  spec.ipFamilies = chosen;
}

function refuseUnconfigured(
  spec: ServiceSpec,
  { chosen, configured, errors }: { chosen: readonly IpFamily[]; configured: readonly IpFamily[]; errors: FieldErrors },
): void {
  if (spec.ipFamilyPolicy === 'RequireDualStack' && configured.length < 2)
    errors.invalid(
      'spec.ipFamilyPolicy',
      spec.ipFamilyPolicy,
      'this cluster is not configured for dual-stack services',
    );
  for (const [index, family] of chosen.entries())
    if ((family === 'IPv4' || family === 'IPv6') && !configured.includes(family))
      errors.invalid(`spec.ipFamilies[${index}]`, family, 'not configured on this cluster');
}

function takeAddresses(
  spec: ServiceSpec,
  { before, allocations, errors }: { before: ServiceSpec | undefined; allocations: Allocations; errors: FieldErrors },
): void {
  const owned = (before?.clusterIPs ?? []).filter((address) => address !== 'None');
  const addresses: string[] = [];
  for (const [index, family] of (spec.ipFamilies ?? []).entries()) {
    const wanted = spec.clusterIPs?.[index];
    const held = owned[index];
    if (wanted && held && wanted !== held)
      errors.invalid(`spec.clusterIPs[${index}]`, [wanted], 'may not change once set');
    else if (wanted && wanted !== held) {
      const problem = allocations.addressProblem(wanted);
      if (problem) errors.invalid('spec.clusterIPs', spec.clusterIPs, problem);
      else addresses.push(parseAddress(wanted));
    } else {
      const address = wanted || allocations.freeAddress(family);
      if (!address) throw internalError('failed to allocate a serviceIP: range is full');
      addresses.push(address);
    }
  }
  if (errors.causes.length === 0) spec.clusterIPs = addresses;
}
