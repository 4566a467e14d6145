/** Rules of others one by one, and how to speak with the kernel about them: for whoever takes them away (packages/cleanup). */
export {
  type LegacyEntry,
  type LegacyTable,
  legacyEntries,
  legacySocket,
  legacyTables,
  writeJump,
} from './legacy-tables.ts';
export {
  type NftDeletion,
  NftMessageType,
  nftAttribute,
  nftAttributes,
  nftBody,
  nftDelete,
  nftDump,
  nftList,
  nftText,
} from './nft-socket.ts';
export { familyName, isIptablesTable } from './nftables.ts';
export { isKubeProxyChain, isKubeProxyTable } from './owners.ts';
