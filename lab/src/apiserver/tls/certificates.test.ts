import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { createAuthority, openAuthority } from './certificates.ts';

const pair = createAuthority('test');
const authority = openAuthority(pair, 'test');
const root = new X509Certificate(pair.certificate);

test('the authority signs itself and may sign others', () => {
  assert.equal(root.ca, true);
  assert.equal(root.subject, 'CN=test');
  assert.equal(root.verify(root.publicKey), true);
});

test('a server certificate is for its names and addresses of both families', () => {
  const names = { dns: ['kubernetes.default.svc'], addresses: ['10.96.0.1', 'fd00:10:96::1'] };
  const certificate = new X509Certificate(authority.issueServer({ commonName: 'server' }, names).certificate);
  assert.equal(certificate.checkIssued(root), true);
  assert.equal(certificate.verify(root.publicKey), true);
  assert.equal(certificate.checkHost('kubernetes.default.svc'), 'kubernetes.default.svc');
  assert.equal(certificate.checkIP('10.96.0.1'), '10.96.0.1');
  assert.equal(certificate.checkIP('fd00:10:96::1'), 'fd00:10:96::1');
  assert.equal(certificate.checkIP('10.96.0.2'), undefined);
});

test('a client certificate names user and groups, is valid now and not the same twice', () => {
  const issue = () =>
    new X509Certificate(authority.issueClient({ commonName: 'system:node:n1', organizations: ['a', 'b'] }).certificate);
  const certificate = issue();
  assert.equal(certificate.subject, 'O=a\nO=b\nCN=system:node:n1');
  assert.ok(Date.parse(certificate.validFrom) < Date.now() && Date.now() < Date.parse(certificate.validTo));
  assert.notEqual(certificate.serialNumber, issue().serialNumber);
});
