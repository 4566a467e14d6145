/** How ends of connections are written for people. */
import type { ConnectionReport, NamedEnd } from '@sluice/agent';

export type ShowEnd = (end: NamedEnd) => string;

/** `gitlab/web-0:40000`, `10.244.1.7:8080`, `[fd00::7]:53`; without a port where the protocol has none. */
export function endText({ address, port, name }: NamedEnd): string {
  const text = name || address || 'unknown';
  const isBare = text === address && address.includes(':') && port !== 0;
  return `${isBare ? `[${text}]` : text}${port === 0 ? '' : `:${port}`}`;
}

/** `for service shop/db:80`, `as node k8s-cp1:51000`: what the client asked for, and what the other side sees. */
export function translationTexts(
  { frontend, translatedSource }: Pick<ConnectionReport, 'frontend' | 'translatedSource'>,
  end: ShowEnd,
): string[] {
  return [...(frontend ? [`for ${end(frontend)}`] : []), ...(translatedSource ? [`as ${end(translatedSource)}`] : [])];
}
