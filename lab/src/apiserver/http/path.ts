/** What a path asks for. */
export type Route =
  | {
      type: 'resource';
      group: string;
      version: string;
      namespace: string | undefined;
      plural: string;
      name: string | undefined;
      subresource: string | undefined;
    }
  | { type: 'other'; path: string };

/** `/api/v1/...` and `/apis/GROUP/VERSION/...`, with or without namespace, name and subresource; else something fixed. */
export function parsePath(path: string): Route {
  const parts = path
    .split('/')
    .filter((part) => part !== '')
    .map(decodeURIComponent);
  const isCore = parts[0] === 'api';
  const rest = parts.slice(isCore ? 2 : 3);
  const group = isCore ? '' : parts[1];
  const version = isCore ? parts[1] : parts[2];
  if ((!isCore && parts[0] !== 'apis') || group === undefined || version === undefined || rest.length === 0)
    return { type: 'other', path };
  const base = { type: 'resource' as const, group, version };
  // `/namespaces/x` and `/namespaces/x/status` are about the namespace itself, deeper paths are about what is in it.
  const ofNamespace =
    isCore && rest[0] === 'namespaces' && (rest.length < 3 || ['status', 'finalize'].includes(rest[2] ?? ''));
  if (rest[0] === 'namespaces' && !ofNamespace) {
    const [, namespace, plural = '', name, ...sub] = rest;
    return { ...base, namespace, plural, name, subresource: sub.length > 0 ? sub.join('/') : undefined };
  }
  const [plural = '', name, ...sub] = rest;
  return { ...base, namespace: undefined, plural, name, subresource: sub.length > 0 ? sub.join('/') : undefined };
}
