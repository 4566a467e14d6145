import { hostname } from 'node:os';
import { parseArgs } from 'node:util';
import { defaultValues, readValues, type SluiceValues } from '@sluice/config';
import { LabelFilter } from '@sluice/identity';
import { kubeConfiguration, serversOf } from '@sluice/kube';
import { externalIpRules } from '@sluice/loadbalancer';
import type { AddressFamily } from '@sluice/net';
import { createLogger, isLogLevel, logLevels, Tally } from '@sluice/runtime';
import { startOperator } from './operator.ts';
import type { Pool } from './pools.ts';

const text = { type: 'string' } as const;

/** `operator.js --config values.yaml --kubeconfig FILE --namespace kube-system --node-name NAME --health-port 9234 --log-level info` */
function main(): void {
  const { values: options } = parseArgs({
    options: {
      config: text,
      kubeconfig: text,
      namespace: text,
      'node-name': text,
      'health-port': text,
      'log-level': text,
    },
    strict: true,
  });
  const level = options['log-level'] ?? 'info';
  if (!isLogLevel(level)) throw new Error(`--log-level ${level} is not a level: ${logLevels.join(', ')}`);
  const logged = new Tally();
  const log = createLogger({ name: 'operator', level, onLine: (ofLine) => logged.add([ofLine]) });
  const { values, warnings } = options.config ? readValues(options.config) : { values: defaultValues(), warnings: [] };
  for (const warning of warnings) log.info(warning);
  const operator = startOperator({
    kube: kubeConfiguration({ kubeconfig: options.kubeconfig, servers: serversOf(values) }),
    pools: poolsOf(values),
    families: familiesOf(values),
    labels: { cluster: values.cluster.name, filter: new LabelFilter(values.labels) },
    identityGarbage: {
      intervalMs: values.operator.identityGCInterval,
      graceMs: values.operator.identityHeartbeatTimeout,
    },
    services: values.kubeProxyReplacement,
    externalIps: values.externalIPs.enabled,
    nodePortRange: values.nodePort.range,
    externalIpRules: externalIpRules({
      allowed: values.externalIPs.allowed,
      isMitigated: !values.bpf.disableExternalIPMitigation,
      servers: serversOf(values),
    }),
    metricsPort: values.operator.prometheus.enabled ? values.operator.prometheus.port : undefined,
    logged,
    healthPort: readPort(options['health-port']),
    namespace: options.namespace ?? process.env.POD_NAMESPACE ?? 'kube-system',
    host: options['node-name'] ?? process.env.K8S_NODE_NAME ?? hostname(),
    log,
  });
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => void operator.stop().then(() => process.exit(0)));
  }
}

function readPort(port: string | undefined): number | undefined {
  if (port === undefined || (/^\d{1,5}$/.test(port) && Number(port) >= 1 && Number(port) <= 65535))
    return port === undefined ? undefined : Number(port);
  throw new Error(`--health-port ${port} is not a port (1 to 65535)`);
}

/** None where Kubernetes gives the pod CIDRs itself. */
function poolsOf({ ipam }: SluiceValues): Pool[] {
  if (ipam.mode === 'kubernetes') return [];
  const { clusterPoolIPv4PodCIDRList, clusterPoolIPv4MaskSize, clusterPoolIPv6PodCIDRList, clusterPoolIPv6MaskSize } =
    ipam.operator;
  return [
    ...clusterPoolIPv4PodCIDRList.map((prefix) => ({ prefix, nodeLength: clusterPoolIPv4MaskSize })),
    ...clusterPoolIPv6PodCIDRList.map((prefix) => ({ prefix, nodeLength: clusterPoolIPv6MaskSize })),
  ];
}

function familiesOf(values: SluiceValues): AddressFamily[] {
  return [...(values.ipv4.enabled ? ([4] as const) : []), ...(values.ipv6.enabled ? ([6] as const) : [])];
}

try {
  main();
} catch (error) {
  console.error(`sluice-operator: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
}
