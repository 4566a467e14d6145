import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CertificateAuthority, createAuthority, type KeyPair, openAuthority } from './certificates.ts';

const authorityName = 'sluice-lab';

/** The authority kept in the directory, made on first use; so kubeconfigs outlive a restart. */
export function keptAuthority(directory: string): CertificateAuthority {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const paths = { certificate: join(directory, 'ca.crt'), key: join(directory, 'ca.key') };
  if (!existsSync(paths.certificate) || !existsSync(paths.key)) {
    const pair = createAuthority(authorityName);
    writeFileSync(paths.key, pair.key, { mode: 0o600 });
    writeFileSync(paths.certificate, pair.certificate);
  }
  const pair = { certificate: readFileSync(paths.certificate, 'utf8'), key: readFileSync(paths.key, 'utf8') };
  return openAuthority(pair, authorityName);
}

/** The text of a kubeconfig for one user. */
export function kubeconfigText({
  server,
  ca,
  user,
  pair,
}: {
  server: string;
  ca: string;
  user: string;
  pair: KeyPair;
}): string {
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'sluice-lab', cluster: { server, 'certificate-authority-data': base64(ca) } }],
    users: [
      {
        name: user,
        user: { 'client-certificate-data': base64(pair.certificate), 'client-key-data': base64(pair.key) },
      },
    ],
    contexts: [{ name: 'sluice-lab', context: { cluster: 'sluice-lab', user } }],
    'current-context': 'sluice-lab',
  };
  return `${JSON.stringify(config, null, 2)}\n`;
}
