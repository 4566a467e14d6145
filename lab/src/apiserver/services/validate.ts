import { familyOf, isAddress, parseAddress, parsePrefix } from '@sluice/net';
import type { FieldErrors } from '../field-errors.ts';
import type { Service, ServicePort } from '../kinds/types.ts';
import { labelNameProblem, labelValueProblem, portNameProblem, portProblem, subdomainNameProblem } from '../names.ts';

const types = ['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName'];
const protocols = ['TCP', 'UDP', 'SCTP'];
const families = ['IPv4', 'IPv6'];
const policies = ['SingleStack', 'PreferDualStack', 'RequireDualStack'];

export function validateService(service: Service, errors: FieldErrors, old: Service | undefined): void {
  const { spec } = service;
  if (!types.includes(spec.type ?? '')) errors.notSupported('spec.type', spec.type, types);
  const isHeadless = spec.clusterIP === 'None' || spec.clusterIPs?.[0] === 'None';
  const needsPorts = spec.type !== 'ExternalName' && !isHeadless;
  if (needsPorts && (spec.ports ?? []).length === 0) errors.required('spec.ports');
  validatePorts(spec.ports ?? [], errors);
  validateSelector(spec.selector ?? {}, errors);
  validateAffinity(service, errors);
  validateExternal(service, errors);
  validateFamilies(service, errors);
  if (isHeadless && (spec.type === 'NodePort' || spec.type === 'LoadBalancer'))
    errors.invalid('spec.clusterIPs[0]', 'None', `may not be set to 'None' for ${spec.type} services`);
  if (
    old?.spec.loadBalancerClass &&
    spec.type === 'LoadBalancer' &&
    old.spec.type === 'LoadBalancer' &&
    spec.loadBalancerClass !== old.spec.loadBalancerClass
  )
    errors.invalid('spec.loadBalancerClass', spec.loadBalancerClass, 'may not change once set');
}

function validatePorts(ports: readonly ServicePort[], errors: FieldErrors): void {
  const names = new Set<string>();
  const seen = new Set<string>();
  for (const [index, port] of ports.entries()) {
    const at = `spec.ports[${index}]`;
    if (!port.name && ports.length > 1) errors.required(`${at}.name`);
    const nameProblem = port.name ? labelNameProblem(port.name) : undefined;
    if (nameProblem) errors.invalid(`${at}.name`, port.name, nameProblem);
    if (port.name && names.has(port.name)) errors.duplicate(`${at}.name`, port.name);
    if (port.name) names.add(port.name);
    if (portProblem(port.port)) errors.invalid(`${at}.port`, port.port ?? 0, portProblem(port.port) ?? '');
    if (!protocols.includes(port.protocol ?? '')) errors.notSupported(`${at}.protocol`, port.protocol, protocols);
    validateTargetPort(port, at, errors);
    const key = `${port.protocol}/${port.port}`;
    if (seen.has(key)) errors.duplicate(at, { protocol: port.protocol, port: port.port });
    seen.add(key);
  }
}

function validateTargetPort({ targetPort }: ServicePort, at: string, errors: FieldErrors): void {
  const problem = typeof targetPort === 'string' ? portNameProblem(targetPort) : portProblem(targetPort);
  if (problem) errors.invalid(`${at}.targetPort`, targetPort, problem);
}

function validateSelector(selector: Record<string, string>, errors: FieldErrors): void {
  for (const value of Object.values(selector)) {
    const problem = labelValueProblem(value);
    if (problem) errors.invalid('spec.selector', value, problem);
  }
}

function validateAffinity({ spec }: Service, errors: FieldErrors): void {
  if (!['None', 'ClientIP'].includes(spec.sessionAffinity ?? ''))
    errors.notSupported('spec.sessionAffinity', spec.sessionAffinity, ['ClientIP', 'None']);
  const timeout = spec.sessionAffinityConfig?.clientIP?.timeoutSeconds;
  if (spec.sessionAffinity === 'ClientIP' && timeout !== undefined && !(timeout > 0 && timeout <= 86_400))
    errors.invalid(
      'spec.sessionAffinityConfig.clientIP.timeoutSeconds',
      timeout,
      'must be greater than 0 and less than or equal to 86400',
    );
}

function validateExternal({ spec }: Service, errors: FieldErrors): void {
  for (const [index, address] of (spec.externalIPs ?? []).entries()) {
    const at = `spec.externalIPs[${index}]`;
    if (!isAddress(address))
      errors.invalid(at, address, 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)');
    else if (isUnusableOutside(address))
      errors.invalid(
        at,
        address,
        'may not be unspecified, loopback, link-local or multicast (0.0.0.0, 127.0.0.0/8, 169.254.0.0/16, 224.0.0.0/24)',
      );
  }
  for (const policy of ['externalTrafficPolicy', 'internalTrafficPolicy'] as const) {
    const value = spec[policy];
    if (value !== undefined && !['Cluster', 'Local'].includes(value))
      errors.notSupported(`spec.${policy}`, value, ['Cluster', 'Local']);
  }
  if (spec.type === 'ExternalName') {
    const problem = spec.externalName
      ? subdomainNameProblem(spec.externalName.replace(/\.$/, '').toLowerCase())
      : undefined;
    if (!spec.externalName) errors.required('spec.externalName');
    if (problem) errors.invalid('spec.externalName', spec.externalName, problem);
  }
  if (spec.externalTrafficPolicy && spec.type === 'ClusterIP' && (spec.externalIPs ?? []).length === 0)
    errors.invalid(
      'spec.externalTrafficPolicy',
      spec.externalTrafficPolicy,
      'may only be set for externally-accessible services',
    );
  validateLoadBalancer(spec, errors);
}

function validateLoadBalancer(spec: Service['spec'], errors: FieldErrors): void {
  const isLoadBalancer = spec.type === 'LoadBalancer';
  if (!isLoadBalancer && spec.loadBalancerSourceRanges)
    errors.forbidden('spec.LoadBalancerSourceRanges', "may only be used when `type` is 'LoadBalancer'");
  if (!isLoadBalancer && spec.loadBalancerClass)
    errors.forbidden('spec.loadBalancerClass', "may only be used when `type` is 'LoadBalancer'");
  for (const [index, range] of (spec.loadBalancerSourceRanges ?? []).entries())
    if (!isPrefix(range))
      errors.invalid(
        `spec.LoadBalancerSourceRanges[${index}]`,
        range,
        'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)',
      );
}

function isPrefix(text: string): boolean {
  try {
    parsePrefix(text.trim(), { lenient: true });
    return true;
  } catch {
    return false;
  }
}

function isUnusableOutside(text: string): boolean {
  const address = parseAddress(text);
  if (familyOf(address) === 6) return address === '::' || address === '::1' || /^(fe[89ab]|ff)/.test(address);
  return address === '0.0.0.0' || /^(127\.|169\.254\.|224\.0\.0\.)/.test(address);
}

function validateFamilies({ spec }: Service, errors: FieldErrors): void {
  if (spec.type === 'ExternalName') {
    for (const field of ['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy'] as const)
      if (spec[field]?.length) errors.forbidden(`spec.${field}`, 'may not be set for ExternalName services');
    return;
  }
  if (spec.ipFamilyPolicy && !policies.includes(spec.ipFamilyPolicy))
    errors.notSupported('spec.ipFamilyPolicy', spec.ipFamilyPolicy, policies);
  for (const [index, family] of (spec.ipFamilies ?? []).entries()) {
    if (!families.includes(family)) errors.notSupported(`spec.ipFamilies[${index}]`, family, families);
    else if (spec.ipFamilies?.indexOf(family) !== index) errors.duplicate(`spec.ipFamilies[${index}]`, family);
  }
  for (const field of ['ipFamilies', 'clusterIPs'] as const)
    if ((spec[field]?.length ?? 0) > 2) errors.invalid(`spec.${field}`, spec[field], 'may only hold up to 2 values');
  const isDual = (spec.ipFamilies?.length ?? 0) > 1 || (spec.clusterIPs?.length ?? 0) > 1;
  const isSingle = spec.ipFamilyPolicy === 'SingleStack';
  if (isDual && isSingle)
    errors.invalid(
      'spec.ipFamilyPolicy',
      spec.ipFamilyPolicy,
      "must be 'RequireDualStack' or 'PreferDualStack' when multiple 'ipFamilies' or 'clusterIPs' are specified",
    );
  validateClusterIps(spec, errors);
}

function validateClusterIps(spec: Service['spec'], errors: FieldErrors): void {
  const addresses = spec.clusterIPs ?? [];
  if (spec.clusterIP && addresses.length > 0 && addresses[0] !== spec.clusterIP)
    errors.invalid('spec.clusterIPs', addresses, 'first value must match `clusterIP`');
  for (const [index, address] of addresses.entries()) {
    if (address === 'None' && addresses.length > 1)
      errors.invalid('spec.clusterIPs', addresses, "'None' must be the first and only value");
    else if (address !== 'None' && address !== '' && !isAddress(address))
      errors.invalid(
        `spec.clusterIPs[${index}]`,
        address,
        'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
      );
  }
}
