/**
 * The nouns that several features share, as plain types and pure functions: identities and protocols.
 * A noun of a single feature stays with that feature. Begin with `identity.ts`.
 */
export {
  IDENTITY_MAX,
  IDENTITY_MIN,
  type IdentityId,
  identityName,
  isPodIdentity,
  reservedIdentities,
  reservedLabel,
} from './identity.ts';
export { type Protocol, protocolName, protocolNumbers, protocols } from './protocol.ts';
