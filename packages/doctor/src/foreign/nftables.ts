import type { FoundRule } from './foreign-rules.ts';
import { NftMessageType, nftBody, nftDump, nftText } from './nft-socket.ts';

const NFTA_RULE_TABLE = 1;
const NFTA_RULE_CHAIN = 2;

const families: Readonly<Record<number, string>> = {
  1: 'inet',
  2: 'ip',
  3: 'arp',
  5: 'netdev',
  7: 'bridge',
  10: 'ip6',
};
/** Tables that iptables-nft makes. */
const iptablesTables = new Set(['filter', 'nat', 'mangle', 'raw', 'security']);
const iptablesFamilies = new Set(['ip', 'ip6', 'arp', 'bridge']);

/** All rules of nftables, those of iptables-nft among them; none where the kernel has no nf_tables. */
export function nftablesRules(): FoundRule[] {
  return nftDump(NftMessageType.getRule).map(parseRule);
}

/** One NFT_MSG_NEWRULE behind its netlink header. */
export function parseRule(body: Uint8Array): FoundRule {
  const { family: number, attributes } = nftBody(body);
  const family = familyName(number);
  const table = nftText(attributes.get(NFTA_RULE_TABLE));
  const chain = nftText(attributes.get(NFTA_RULE_CHAIN));
  const isIptables = isIptablesTable(family, table);
  return { kind: isIptables ? 'iptables' : 'nftables', table: isIptables ? table : `${family} ${table}`, chain };
}

/** `ip`, `inet`. */
export function familyName(number: number): string {
  return families[number] ?? `family ${number}`;
}

/** Whether iptables-nft makes, and looks after, a table of this name. */
export function isIptablesTable(family: string, table: string): boolean {
  return iptablesFamilies.has(family) && iptablesTables.has(table);
}
