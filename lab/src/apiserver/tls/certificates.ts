import { createHash, createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { addressToWire, parseAddress } from '@sluice/net';
import * as der from './der.ts';

/** A certificate with its key, both PEM. */
export interface KeyPair {
  certificate: string;
  key: string;
}

export interface Subject {
  commonName: string;
  organizations?: readonly string[];
}

/** Signs certificates of the lab's cluster: ECDSA on P-256, valid ten years. */
export interface CertificateAuthority extends KeyPair {
  issueServer(subject: Subject, names: { dns: readonly string[]; addresses: readonly string[] }): KeyPair;
  issueClient(subject: Subject): KeyPair;
}

const validityDays = 3650;
const ecdsaWithSha256 = der.sequence(der.objectIdentifier('1.2.840.10045.4.3.2'));

export function createAuthority(commonName: string): KeyPair {
  const { publicKey, privateKey } = newKeys();
  const subject = { commonName };
  const certificate = certify({
    subject,
    issuer: subject,
    publicKey,
    signer: privateKey,
    extensions: authorityExtensions(publicKey),
  });
  return { certificate, key: pemKey(privateKey) };
}

/** The authority of a pair that `createAuthority` made. */
export function openAuthority(pair: KeyPair, commonName: string): CertificateAuthority {
  const signer = createPrivateKey(pair.key);
  const issue = (subject: Subject, extensions: Buffer[]): KeyPair => {
    const { publicKey, privateKey } = newKeys();
    const certificate = certify({ subject, issuer: { commonName }, publicKey, signer, extensions });
    return { certificate, key: pemKey(privateKey) };
  };
  return {
    ...pair,
    issueServer: (subject, names) =>
      issue(subject, [keyUsage(0x80, 7), extendedKeyUsage('1.3.6.1.5.5.7.3.1'), alternativeNames(names)]),
    issueClient: (subject) => issue(subject, [keyUsage(0x80, 7), extendedKeyUsage('1.3.6.1.5.5.7.3.2')]),
  };
}

function newKeys(): { publicKey: KeyObject; privateKey: KeyObject } {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' });
}

function pemKey(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

interface Request {
  subject: Subject;
  issuer: Subject;
  publicKey: KeyObject;
  signer: KeyObject;
  extensions: Buffer[];
}

function certify({ subject, issuer, publicKey, signer, extensions }: Request): string {
  const now = Date.now();
  const body = der.sequence(
    der.explicit(0, der.integer(Buffer.from([2]))),
    der.integer(randomBytes(16)),
    ecdsaWithSha256,
    name(issuer),
    // Clocks of machines differ: valid since an hour ago.
    der.sequence(der.time(new Date(now - 3_600_000)), der.time(new Date(now + validityDays * 86_400_000))),
    name(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    der.explicit(3, der.sequence(...extensions)),
  );
  const signature = sign('sha256', body, signer);
  const bytes = der.sequence(body, ecdsaWithSha256, der.bitString(signature));
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

/** Organizations first: Kubernetes reads them as groups and the common name as the user. */
function name({ commonName, organizations = [] }: Subject): Buffer {
  const attribute = (type: string, value: string) =>
    der.set(der.sequence(der.objectIdentifier(type), der.utf8String(value)));
  return der.sequence(...organizations.map((group) => attribute('2.5.4.10', group)), attribute('2.5.4.3', commonName));
}

function extension(id: string, content: Buffer, isCritical = false): Buffer {
  const critical = isCritical ? [der.boolean(true)] : [];
  return der.sequence(der.objectIdentifier(id), ...critical, der.octetString(content));
}

function authorityExtensions(publicKey: KeyObject): Buffer[] {
  const keyId = createHash('sha1')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest();
  return [
    extension('2.5.29.19', der.sequence(der.boolean(true)), true),
    // keyCertSign and cRLSign are bits 5 and 6.
    keyUsage(0x06, 1),
    extension('2.5.29.14', der.octetString(keyId)),
  ];
}

function keyUsage(bits: number, unusedBits: number): Buffer {
  return extension('2.5.29.15', der.bitString(Buffer.from([bits]), unusedBits), true);
}

function extendedKeyUsage(purpose: string): Buffer {
  return extension('2.5.29.37', der.sequence(der.objectIdentifier(purpose)));
}

function alternativeNames({ dns, addresses }: { dns: readonly string[]; addresses: readonly string[] }): Buffer {
  const names = dns.map((text) => der.implicit(2, Buffer.from(text)));
  const numbers = addresses.map((text) => der.implicit(7, Buffer.from(addressToWire(parseAddress(text)))));
  return extension('2.5.29.17', der.sequence(...names, ...numbers));
}
