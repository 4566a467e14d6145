import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddress } from '@sluice/net';
import { eth0, network } from '../../test/facts.ts';
import { countIpvs, type NetworkFacts, socketInodes } from '../facts/network-facts.ts';
import { diagnose } from '../finding.ts';
import { networkChecks } from './network.ts';
import { otherChecks } from './others.ts';

function found(facts: Partial<NetworkFacts>): string[] {
  const { findings } = diagnose([...networkChecks, ...otherChecks], { ...network, ...facts });
  return findings.map(({ check, severity, what }) => `${check} ${severity} ${what}`);
}

function remediesOf(facts: Partial<NetworkFacts>): string {
  const { findings } = diagnose([...networkChecks, ...otherChecks], { ...network, ...facts });
  return findings.map(({ remedy }) => remedy).join('\n');
}

test('a good node has nothing to be told', () => {
  assert.deepEqual(found({}), []);
});

test('a node without a device to the network is told', () => {
  const devices = [{ ...eth0, selected: false }];
  assert.match(found({ devices }).join(), /network-devices warning no device faces the network/);
});

test('an MTU that the tunnel does not fit into is an error, and so is one that the device does not have', () => {
  assert.match(
    found({ devices: [{ ...eth0, mtu: 1300 }] }).join(),
    /mtu error the MTU of eth0 is 1300, needed is at least 1330/,
  );
  assert.deepEqual(found({ devices: [{ ...eth0, mtu: 1330 }] }), []);
  const onlyIpv6 = { ...eth0, mtu: 1330, addresses: [parseAddress('fd00::1')] };
  assert.match(found({ devices: [onlyIpv6] }).join(), /needed is at least 1350/);
  const settings = { ...network.settings, mtu: 9000 };
  assert.match(found({ settings }).join(), /mtu error the values say MTU 9000, but eth0 carries 1500/);
});

test('a strict rp_filter hurts on our own device and with several devices, else it is worth knowing', () => {
  const all = { ...network.ipv4Settings, 'all/rp_filter': '1' };
  assert.deepEqual(found({ ipv4Settings: { ...all, 'sluice_host/rp_filter': '2' } }), [
    'rp-filter note rp_filter is strict on eth0 (net.ipv4.conf.all.rp_filter is 1)',
  ]);
  assert.match(
    found({ ipv4Settings: all }).join('\n'),
    /rp-filter warning rp_filter is strict on sluice_host: somebody/,
  );
  const own = { ...network.ipv4Settings, 'eth0/rp_filter': '1', 'eth1/rp_filter': '2' };
  const devices = [eth0, { ...eth0, name: 'eth1', ifindex: 9 }];
  assert.deepEqual(found({ ipv4Settings: own, devices }), ['rp-filter warning rp_filter is strict on eth0']);
  assert.match(remediesOf({ ipv4Settings: own, devices }), /net\.ipv4\.conf\.eth0\.rp_filter=2/);
});

test('a node that does not forward is an error where Sluice runs, before that it is worth knowing', () => {
  const ipv4Settings = { ...network.ipv4Settings, 'all/forwarding': '0' };
  assert.match(
    found({ ipv4Settings }).join(),
    /forwarding error the node does not forward: somebody has set net\.ipv4\.ip_forward/,
  );
  assert.match(found({ ipv4Settings, links: [] }).join(), /forwarding note/);
  assert.deepEqual(found({ ipv4Settings, settings: { ...network.settings, ipv4: false } }), []);
});

test('IPv6 that is wanted and switched off is told', () => {
  const ipv6Settings = { ...network.ipv6Settings, 'all/disable_ipv6': '1' };
  assert.match(found({ ipv6Settings }).join(), /ipv6 warning IPv6 is switched off/);
  assert.deepEqual(found({ ipv6Settings, settings: { ...network.settings, ipv6: false } }), []);
});

test('a neighbour table that is small or full is told', () => {
  assert.match(
    found({ neighbours: { 4: { used: 900, max: 1024 }, 6: undefined } }).join(),
    /neighbour-table warning .*900 of at most 1024/,
  );
  assert.match(
    found({ neighbours: { 4: undefined, 6: { used: 1, max: 128 } } }).join(),
    /IPv6 neighbour table has 1 of at most 128/,
  );
});

test("the tunnel's port in other hands is an error, with whose they are", () => {
  assert.match(
    found({ tunnelPortHolders: ['device flannel.1'] }).join(),
    /tunnel-port error UDP port 8472 is taken by device flannel\.1/,
  );
  assert.match(remediesOf({ tunnelPortHolders: ['device flannel.1'] }), /ip link delete flannel\.1/);
  assert.match(remediesOf({ tunnelPortHolders: ['process 7 (nc)'] }), /end that process/);
});

test('sockets are found by their port in /proc/net/udp', () => {
  const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  102: 00000000:2118 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4711 2 0 0
  103: 00000000:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4712 2 0 0\n`;
  assert.deepEqual(socketInodes(table, 8472), ['4711']);
  assert.deepEqual(socketInodes(table, 53), ['4712']);
  assert.deepEqual(socketInodes(table, 54), []);
});

test("a port of the agent's in other hands is told", () => {
  const agentPortHolders = [{ port: 9962, holders: ['process 7 (nc)'] }];
  assert.match(found({ agentPortHolders }).join(), /agent-ports warning TCP port 9962 is taken by process 7 \(nc\)/);
});

test('other networks are told by their processes and by the devices that they left', () => {
  assert.match(found({ rivals: ['kube-proxy'] }).join(), /rival-processes warning kube-proxy runs here/);
  for (const name of [
    'cilium_host',
    'flannel.1',
    'cni0',
    'cali0123456789a',
    'kube-ipvs0',
    'kube-bridge',
    'weave',
    'antrea-gw0',
    'lxc0123456789ab',
  ]) {
    const links = [...network.links, { name, ifindex: 50, mtu: 1500 }];
    assert.match(
      found({ links }).join(),
      new RegExp(`leftover-devices warning ${name.replace('.', '\\.')}: left by`),
      name,
    );
  }
  for (const name of ['slc0123456789', 'docker0', 'wg0', 'lxcbr0', 'eth1']) {
    assert.deepEqual(found({ links: [...network.links, { name, ifindex: 50, mtu: 1500 }] }), [], name);
  }
});

test('rules are judged by their owner', () => {
  const rule = (owner: string, kind: 'iptables' | 'nftables' = 'iptables') =>
    found({ foreignRules: [{ kind, owner, count: 3 }] }).join();
  assert.match(rule('kube-proxy'), /foreign-rules warning 3 iptables rules of kube-proxy/);
  assert.match(rule('ufw'), /foreign-rules warning .*a firewall is active/);
  assert.match(rule('docker'), /foreign-rules note 3 iptables rules of docker/);
  assert.match(rule('table inet mine', 'nftables'), /foreign-rules note 3 nftables rules of table inet mine/);
  assert.match(
    remediesOf({ foreignRules: [{ kind: 'nftables', owner: 'firewalld', count: 1 }] }),
    /firewall-cmd --permanent --add-port=8472\/udp/,
  );
  assert.match(
    remediesOf({ foreignRules: [{ kind: 'iptables', owner: 'kube-proxy', count: 1 }] }),
    /^sluice cleanup --kube-proxy/,
  );
  assert.match(found({ foreignRulesUnknown: 'EPERM' }).join(), /foreign-rules note rules could not be counted: EPERM/);
});

test('IPVS services are counted without their backends', () => {
  const table = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  0A600001:01BB rr
  -> 0A0A1E65:192B      Masq    1      0          0
UDP  0A60000A:0035 rr\n`;
  assert.equal(countIpvs(table), 2);
  assert.equal(countIpvs(), 0);
  assert.match(found({ ipvsServices: 2 }).join(), /ipvs warning IPVS has 2 services/);
});

test('programs of others are told with the hook, and that nobody could look as well', () => {
  const program = { hook: 'ingress of eth0', device: 'eth0', id: 7, name: 'fw', place: 'before ours' } as const;
  assert.match(
    found({ programs: [program] }).join(),
    /foreign-programs warning BPF program fw \(id 7\) of somebody else is at ingress of eth0/,
  );
  assert.match(found({ programsUnknown: 'EPERM' }).join(), /foreign-programs note/);
});

test('filters of tc are told once a place, with the program of one that is BPF', () => {
  const filter = { device: 'slc0123456789', hook: 'ingress', kind: 'bpf', priority: 1 } as const;
  const told = found({
    filters: [
      { ...filter, program: { id: 7, name: 'fw' } },
      { ...filter, device: 'eth0', kind: 'u32' },
      { ...filter, device: 'eth0', kind: 'flower', priority: 2 },
    ],
  });
  assert.match(told.join('\n'), /foreign-filters warning filter bpf fw \(id 7\) of tc at ingress of slc0123456789/);
  assert.match(told.join('\n'), /foreign-filters warning 2 filters \(u32, flower\) of tc at ingress of eth0/);
});

test("the kernel's own connection tracking is told when it is nearly full", () => {
  assert.match(found({ conntrack: { used: 90, max: 100 } }).join(), /kernel-conntrack warning .*90 of 100/);
  assert.deepEqual(found({ conntrack: { used: 10, max: 100 } }), []);
});

test('a CNI configuration that the runtime takes before ours is an error', () => {
  assert.match(
    found({ cniFiles: ['00-multus.conf', '05-sluice.conflist'] }).join(),
    /cni-configuration error 00-multus\.conf/,
  );
  assert.match(found({ cniFiles: ['00-multus.conf'] }).join(), /cni-configuration warning/);
  assert.match(
    found({ cniFiles: ['05-sluice.conflist', '10-flannel.conflist'] }).join(),
    /cni-configuration note 10-flannel/,
  );
  assert.deepEqual(found({ cniFiles: [] }), []);
});

test('ports of services that the kernel gives to whoever asks for any are told, unless the agent will reserve them', () => {
  const localPorts = '1024\t65535';
  assert.match(
    found({ localPorts }).join(),
    /node-ports warning the kernel gives ports 30000 to 32767 to whoever asks for any \(net\.ipv4\.ip_local_port_range is 1024 to 65535\)/,
  );
  assert.match(found({ localPorts, links: [] }).join(), /node-ports note/);
  const settings = { ...network.settings, reservesNodePorts: false };
  assert.match(found({ localPorts, settings, links: [] }).join(), /node-ports warning/);
  assert.match(
    remediesOf({ localPorts, settings, reservedPorts: '8080' }),
    /ip_local_reserved_ports=8080,30000-32767; or set nodePort\.autoProtectPortRange: true/,
  );
  assert.deepEqual(found({ localPorts, reservedPorts: '30000-32767' }), []);
  const all = { ...network.settings, nodePorts: { first: 1, last: 65_535 } };
  assert.match(found({ localPorts, settings: all, links: [] }).join(), /node-ports warning/);
  assert.match(remediesOf({ localPorts, settings: all, links: [] }), /^make nodePort\.range .* smaller/);
  assert.deepEqual(found({ localPorts, settings: { ...network.settings, nodePorts: undefined } }), []);
});

test('loopback that is open to the network is told, with the settings that open it', () => {
  const ipv4Settings = { ...network.ipv4Settings, 'all/route_localnet': '1', 'eth0/route_localnet': '0' };
  assert.deepEqual(found({ ipv4Settings }), [
    'route-localnet warning net.ipv4.conf.all.route_localnet is 1: packets from the network may be for 127.0.0.1',
  ]);
  assert.match(remediesOf({ ipv4Settings }), /sysctl -w net\.ipv4\.conf\.all\.route_localnet=0/);
  assert.deepEqual(found({ ipv4Settings: { ...ipv4Settings, 'all/route_localnet': '0' } }), []);
});
