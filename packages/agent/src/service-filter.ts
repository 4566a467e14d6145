/** Of which services something is: what `service`, the beginning of a name, and `namespace` leave of it. */
export type ServiceFilter = (services: Iterable<string>) => boolean;

export const serviceParameters = ['service', 'namespace'] as const;

/** Services are `namespace/name`, with or without the port's name behind it. Where nothing is asked for, everything is. */
export function serviceFilter(query: URLSearchParams): ServiceFilter {
  const [names, namespaces] = [query.getAll('service'), query.getAll('namespace')];
  if (names.length + namespaces.length === 0) return () => true;
  const anyOf = (wanted: readonly string[], matches: (each: string) => boolean) =>
    wanted.length === 0 || wanted.some(matches);
  const isOne = (service: string) =>
    anyOf(names, (name) => isNamed(service, name)) &&
    anyOf(namespaces, (namespace) => service.startsWith(`${namespace}/`));
  return (services) => Iterator.from(services).some(isOne);
}

function isNamed(service: string, wanted: string): boolean {
  return (wanted.includes('/') ? service : service.slice(service.indexOf('/') + 1)).startsWith(wanted);
}
