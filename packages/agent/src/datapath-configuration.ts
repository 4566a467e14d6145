import type { SluiceValues } from '@sluice/config';
import type { Configuration } from '@sluice/datapath';
import { reservedIdentities } from '@sluice/model';
import type { NodeFacts } from '@sluice/nodes';
import { ownNetnsCookie } from './netns-cookie.ts';

/** What the programs are told when they are loaded: of the values, and of this node. */
export function datapathConfiguration(values: SluiceValues, facts: NodeFacts): Configuration {
  return {
    bindProtection: values.nodePort.bindProtection ? 1 : 0,
    dryRun: 0,
    hostRouting: values.bpf.hostLegacyRouting ? 0 : 1,
    masqueradeIpv4: values.enableIPv4Masquerade ? 1 : 0,
    masqueradeIpv6: values.enableIPv6Masquerade ? 1 : 0,
    gatewayIpv4: facts.gatewayIpv4,
    gatewayIpv6: facts.gatewayIpv6,
    hostIfindex: facts.hostIfindex,
    hostMac: facts.hostMac,
    hostNetnsCookie: ownNetnsCookie(),
    ipv4Enabled: values.ipv4.enabled ? 1 : 0,
    ipv6Enabled: values.ipv6.enabled ? 1 : 0,
    maglevSeedIpv4: values.maglev.hashSeed.ipv4,
    maglevSeedIpv6: values.maglev.hashSeed.ipv6,
    // What other nodes see our own traffic as.
    nodeIdentity: reservedIdentities['remote-node'],
    nodePortMin: values.nodePort.range.first,
    nodePortMax: values.nodePort.range.last,
    overlayIfindex: facts.overlayIfindex,
    tunnelPort: values.tunnelPort,
    underlayIpv4: facts.nodeIpv4,
    underlayIpv6: facts.nodeIpv6,
  };
}
