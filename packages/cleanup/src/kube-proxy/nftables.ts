import {
  familyName,
  isIptablesTable,
  isKubeProxyChain,
  isKubeProxyTable,
  type NftDeletion,
  NftMessageType,
  nftAttribute,
  nftAttributes,
  nftBody,
  nftDelete,
  nftDump,
  nftList,
  nftText,
} from '@sluice/doctor/rules';
import type { Leftover } from '../leftover.ts';

// include/uapi/linux/netfilter/nf_tables.h
const NFTA_TABLE_NAME = 1;
const NFTA_CHAIN_TABLE = 1;
const NFTA_CHAIN_NAME = 3;
const NFTA_RULE_TABLE = 1;
const NFTA_RULE_CHAIN = 2;
const NFTA_RULE_HANDLE = 3;
const NFTA_RULE_EXPRESSIONS = 4;
const NFTA_EXPR_DATA = 2;
const NFTA_IMMEDIATE_DATA = 2;
const NFTA_DATA_VERDICT = 2;
const NFTA_VERDICT_CHAIN = 2;

interface Chain {
  readonly family: number;
  readonly table: string;
  readonly name: string;
}

interface Rule {
  readonly family: number;
  readonly table: string;
  readonly chain: string;
  readonly handle: bigint;
  /** Chains that it jumps or goes to. */
  readonly targets: readonly string[];
}

/** The tables of kube-proxy's mode nftables. */
export function kubeProxyTables(): Leftover[] {
  const tables = nftDump(NftMessageType.getTable).map((body) => {
    const { family, attributes } = nftBody(body);
    return { family, name: nftText(attributes.get(NFTA_TABLE_NAME)) };
  });
  return tables
    .filter(({ name }) => isKubeProxyTable(name))
    .map(({ family, name }) => ({
      kind: 'rules',
      name: `nftables table ${familyName(family)} ${name}`,
      detail: '',
      remove: () =>
        nftDelete([{ type: NftMessageType.deleteTable, family, attributes: [nftAttribute(NFTA_TABLE_NAME, name)] }]),
    }));
}

/** What its mode iptables left where iptables writes to nftables. */
export function kubeProxyNftChains(): Leftover[] {
  const doomed = nftDump(NftMessageType.getChain).map(parseChain).filter(isDoomed);
  if (doomed.length === 0) return [];
  const rules = nftDump(NftMessageType.getRule).map(parseRule);
  const tables = Map.groupBy(doomed, ({ family, table }) => `${familyName(family)} ${table}`);
  return [...tables].map(([name, chains]) => {
    const inTable = rules.filter((rule) => chains[0]?.family === rule.family && chains[0].table === rule.table);
    const names = new Set(chains.map((chain) => chain.name));
    const jumps = inTable.filter(({ chain, targets }) => !names.has(chain) && targets.some((each) => names.has(each)));
    const count = inTable.filter(({ chain }) => names.has(chain)).length + jumps.length;
    return {
      kind: 'rules',
      name: `iptables (nftables) table ${name}`,
      detail: `${chains.length} chains, ${count} rules`,
      remove: () => nftDelete(deletions(chains, jumps)),
    };
  });
}

/** A chain goes only when nothing jumps to it and nothing is in it. */
function deletions(chains: readonly Chain[], jumps: readonly Rule[]): NftDeletion[] {
  return [
    ...jumps.map(({ family, table, chain, handle }) => ({
      type: NftMessageType.deleteRule,
      family,
      attributes: [
        nftAttribute(NFTA_RULE_TABLE, table),
        nftAttribute(NFTA_RULE_CHAIN, chain),
        nftAttribute(NFTA_RULE_HANDLE, handle),
      ],
    })),
    ...chains.map(({ family, table, name }) => ({
      type: NftMessageType.deleteRule,
      family,
      attributes: [nftAttribute(NFTA_RULE_TABLE, table), nftAttribute(NFTA_RULE_CHAIN, name)],
    })),
    ...chains.map(({ family, table, name }) => ({
      type: NftMessageType.deleteChain,
      family,
      attributes: [nftAttribute(NFTA_CHAIN_TABLE, table), nftAttribute(NFTA_CHAIN_NAME, name)],
    })),
  ];
}

/** Only in tables that iptables makes: others may use such names as they like. */
function isDoomed({ family, table, name }: Chain): boolean {
  return isIptablesTable(familyName(family), table) && isKubeProxyChain(name);
}

function parseChain(body: Uint8Array): Chain {
  const { family, attributes } = nftBody(body);
  return {
    family,
    table: nftText(attributes.get(NFTA_CHAIN_TABLE)),
    name: nftText(attributes.get(NFTA_CHAIN_NAME)),
  };
}

function parseRule(body: Uint8Array): Rule {
  const { family, attributes } = nftBody(body);
  const handle = attributes.get(NFTA_RULE_HANDLE);
  return {
    family,
    table: nftText(attributes.get(NFTA_RULE_TABLE)),
    chain: nftText(attributes.get(NFTA_RULE_CHAIN)),
    handle: handle?.length === 8 ? new DataView(handle.buffer, handle.byteOffset).getBigUint64(0) : 0n,
    targets: nftList(attributes.get(NFTA_RULE_EXPRESSIONS) ?? new Uint8Array()).flatMap(([, expression]) =>
      jumpTarget(expression),
    ),
  };
}

/** Of an expression `immediate` that writes a verdict; of others there is no such attribute within. */
function jumpTarget(expression: Uint8Array): string[] {
  const path = [NFTA_EXPR_DATA, NFTA_IMMEDIATE_DATA, NFTA_DATA_VERDICT, NFTA_VERDICT_CHAIN];
  let value: Uint8Array | undefined = expression;
  for (const type of path) value = value && nftAttributes(value).get(type);
  return value === undefined ? [] : [nftText(value)];
}
