// Objects come from whoever may write to the API, kubeconfigs from people: whatever is in them, the answer is a row, or an
// error that names the object or the file.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { damagedJson, damagedText, holds } from '@sluice/testing';
import fc from 'fast-check';
import { MalformedObjectError } from './field.ts';
import {
  parseCiliumEndpointSlice,
  parseCiliumIdentity,
  parseEndpointSlice,
  parseNamespace,
  parseNode,
  parsePod,
  parseService,
  parseServiceCidr,
} from './index.ts';
import { parseKubeconfig } from './kubeconfig.ts';
import { parseLease } from './objects/lease.ts';

const metadata = {
  name: 'web',
  namespace: 'shop',
  uid: '6f1c',
  resourceVersion: '7',
  labels: { app: 'web', 'kubernetes.io/service-name': 'web' },
  annotations: { 'service.cilium.io/node': 'a' },
  ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: 'a', uid: '1' }],
};
const port = { name: 'http', port: 80, targetPort: 'http', nodePort: 30_080, protocol: 'TCP', appProtocol: 'http' };

const objects: Record<string, { parse: (value: unknown) => { problems: readonly string[] }; valid: object }> = {
  Service: {
    parse: parseService,
    valid: {
      metadata,
      spec: {
        type: 'LoadBalancer',
        clusterIP: '10.96.0.10',
        clusterIPs: ['10.96.0.10', 'fd00:10:96::a'],
        externalIPs: ['192.0.2.7'],
        ipFamilies: ['IPv4', 'IPv6'],
        ipFamilyPolicy: 'RequireDualStack',
        ports: [port, { ...port, name: 'dns', protocol: 'UDP', port: 53 }],
        sessionAffinity: 'ClientIP',
        sessionAffinityConfig: { clientIP: { timeoutSeconds: 10_800 } },
        externalTrafficPolicy: 'Local',
        internalTrafficPolicy: 'Cluster',
        healthCheckNodePort: 31_000,
        loadBalancerSourceRanges: ['10.0.0.0/8'],
      },
      status: { loadBalancer: { ingress: [{ ip: '192.0.2.9', ipMode: 'VIP' }] } },
    },
  },
  EndpointSlice: {
    parse: parseEndpointSlice,
    valid: {
      metadata,
      addressType: 'IPv4',
      ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
      endpoints: [
        {
          addresses: ['10.244.0.7'],
          conditions: { ready: true, serving: true, terminating: false },
          nodeName: 'a',
          zone: 'z',
          hints: { forZones: [{ name: 'z' }] },
          targetRef: { kind: 'Pod', name: 'web-1', namespace: 'shop' },
        },
      ],
    },
  },
  Node: {
    parse: parseNode,
    valid: {
      metadata,
      spec: { podCIDR: '10.244.0.0/24', podCIDRs: ['10.244.0.0/24', 'fd00:10:244::/64'], unschedulable: false },
      status: {
        addresses: [
          { type: 'InternalIP', address: '10.0.0.1' },
          { type: 'Hostname', address: 'a' },
        ],
      },
    },
  },
  Pod: {
    parse: parsePod,
    valid: {
      metadata,
      spec: {
        nodeName: 'a',
        hostNetwork: false,
        containers: [{ name: 'c', ports: [{ containerPort: 80, hostPort: 81 }] }],
      },
      status: {
        phase: 'Running',
        podIP: '10.244.0.7',
        podIPs: [{ ip: '10.244.0.7' }],
        conditions: [{ type: 'Ready' }],
      },
    },
  },
  Namespace: { parse: parseNamespace, valid: { metadata } },
  ServiceCIDR: { parse: parseServiceCidr, valid: { metadata, spec: { cidrs: ['10.96.0.0/16', 'fd00:10:96::/112'] } } },
  Lease: {
    parse: parseLease,
    valid: {
      metadata,
      spec: { holderIdentity: 'a', leaseDurationSeconds: 15, renewTime: '2026-01-01T00:00:00.000001Z' },
    },
  },
  CiliumIdentity: {
    parse: parseCiliumIdentity,
    valid: { metadata: { ...metadata, name: '1234' }, 'security-labels': { 'k8s:app': 'web' } },
  },
  CiliumEndpointSlice: {
    parse: parseCiliumEndpointSlice,
    valid: {
      metadata,
      namespace: 'shop',
      endpoints: [
        {
          name: 'web-1',
          id: 1234,
          networking: { addressing: [{ ipv4: '10.244.0.7', ipv6: 'fd00::7' }], node: '10.0.0.1' },
        },
      ],
    },
  },
};

for (const [kind, { parse, valid }] of Object.entries(objects)) {
  test(`a ${kind} with other parts in it gives a row, or an error that names it`, () => {
    assert.deepEqual(parse(valid).problems, []);
    holds(
      fc.property(damagedJson(valid), (damaged) => {
        try {
          for (const problem of parse(damaged).problems) assert.match(problem, /^[^:]+.*: /);
        } catch (error) {
          if (!(error instanceof MalformedObjectError)) throw error;
        }
      }),
      500,
    );
  });
}

const kubeconfig = `apiVersion: v1
kind: Config
current-context: home
clusters:
  - name: home
    cluster: { server: "https://10.0.0.1:6443", certificate-authority-data: "Q0E=", tls-server-name: api }
contexts:
  - name: home
    context: { cluster: home, user: admin, namespace: shop }
users:
  - name: admin
    user:
      client-certificate-data: "Q0VSVA=="
      client-key: keys/admin.pem
`;

test('a kubeconfig with pieces missing, doubled or replaced is read, or refused by its name', () => {
  assert.deepEqual(parseKubeconfig(kubeconfig, { path: 'k' }).servers, ['https://10.0.0.1:6443']);
  holds(
    fc.property(damagedText(kubeconfig), (text) => {
      try {
        const { servers } = parseKubeconfig(text, { path: '/home/me/k' });
        assert.equal(typeof servers[0], 'string');
      } catch (error) {
        assert.match(String(error), /^Error: kubeconfig \/home\/me\/k: ./);
      }
    }),
    500,
  );
});
