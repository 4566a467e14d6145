import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePortMappings } from './port-mapping.ts';

test('port mappings are read as kubelets and containerd write them', () => {
  const mappings = parsePortMappings([
    { hostPort: 8080, containerPort: 80, protocol: 'tcp' },
    { HostPort: 53, ContainerPort: 5353, Protocol: 'UDP', HostIP: '10.10.30.101' },
    { hostPort: 443, containerPort: 443, hostIP: 'fd00::1' },
    { hostPort: 81, containerPort: 81, protocol: '', hostIP: '0.0.0.0' },
  ]);
  assert.deepEqual(
    mappings.map(({ hostIp, hostPort, protocol }) => [hostIp, hostPort, protocol]),
    [
      [undefined, 8080, 'TCP'],
      ['10.10.30.101', 53, 'UDP'],
      ['fd00::1', 443, 'TCP'],
      [undefined, 81, 'TCP'],
    ],
  );
  assert.deepEqual(
    mappings.map(({ containerPort }) => containerPort),
    [80, 5353, 443, 81],
  );
});

test('a port that the node does not show is none, and neither is no list', () => {
  assert.deepEqual(parsePortMappings([{ hostPort: 0, containerPort: 80 }, { containerPort: 81 }]), []);
  for (const nothing of [undefined, null, []]) assert.deepEqual(parsePortMappings(nothing), []);
});

test('what cannot be meant is refused with its place', () => {
  const cases: [unknown, RegExp][] = [
    ['8080:80', /portMappings "8080:80": it is not a list/],
    [[{ hostPort: 80 }], /portMappings\[0\]\.containerPort nothing: it is not a port/],
    [[{ hostPort: 70_000, containerPort: 80 }], /\[0\]\.hostPort 70000/],
    [[{ hostPort: '80', containerPort: 80 }], /\[0\]\.hostPort "80"/],
    [[{ hostPort: 80, containerPort: 80, protocol: 'icmp' }], /\[0\]\.protocol "icmp": it is none of TCP, UDP, SCTP/],
    [[{ hostPort: 80, containerPort: 80, hostIP: 'localhost' }], /\[0\]\.hostIP "localhost": it is not an IP address/],
    [['nonsense'], /\[0\]\.hostPort 0: it is not a port/],
    [Array.from({ length: 1_025 }, () => ({})), /there are more than 1024/],
  ];
  for (const [value, message] of cases) assert.throws(() => parsePortMappings(value), message);
});
