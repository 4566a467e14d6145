/** Names of services, over UDP and TCP. */
import { type Case, defineCase, type Expectation, protocols, type Surroundings } from '../case.ts';
import { PAIR, SERVICE_PORT } from '../workload.ts';
import { podAddress, serviceAddress } from './look-up.ts';

const hint =
  'kubectl get pods -n kube-system -l k8s-app=kube-dns; does the pod reach the nameserver of its /etc/resolv.conf?';
const DOMAIN = 'svc.cluster.local';

export function dnsCases(around: Surroundings): Case[] {
  return protocols.flatMap((protocol) => {
    const full = `echo-other-node.${around.namespace}.${DOMAIN}`;
    const ask = (name: string, summary: string, query: readonly string[], expected: () => Expectation): Case =>
      defineCase({ name: `dns/${name}/${protocol}`, summary, hint }, () => [
        {
          from: 'client',
          command: ['lab-pod', 'resolve', ...(protocol === 'tcp' ? ['--tcp'] : []), ...query],
          expected: expected(),
        },
      ]);
    return [
      ask('a', "a service's IPv4 address", [full, 'A'], () => resolved(serviceRecords(around, 4))),
      ask('aaaa', "a service's IPv6 address", [full, 'AAAA'], () => resolved(serviceRecords(around, 6))),
      ask('search-list', 'a name without domain, by the search list', ['echo-other-node', 'A'], () =>
        resolved(serviceRecords(around, 4)),
      ),
      ask('srv', "a service's named port", [`_tcp._tcp.${full}`, 'SRV'], () =>
        // CoreDNS shares the weight of 100 among the addresses of both families.
        resolved([`SRV 0 * ${SERVICE_PORT} ${full}`]),
      ),
      ask('headless-a', 'a headless service is its pods', [`headless.${around.namespace}`, 'A'], () =>
        resolved(podRecords(around, 4)),
      ),
      ask('headless-aaaa', 'a headless service is its pods, IPv6', [`headless.${around.namespace}`, 'AAAA'], () =>
        resolved(podRecords(around, 6)),
      ),
      ask('no-such-name', 'a name that is none is told as such', [`none.${around.namespace}.${DOMAIN}`, 'A'], () => ({
        outcome: 'no-such-name',
      })),
    ];
  });
}

const resolved = (records: readonly string[]): Expectation => ({ outcome: 'resolved', records });

const types = { 4: 'A', 6: 'AAAA' } as const;

const serviceRecords = (around: Surroundings, family: 4 | 6): readonly string[] => [
  `${types[family]} ${serviceAddress(around, 'echo-other-node', family)}`,
];

function podRecords(around: Surroundings, family: 4 | 6): readonly string[] {
  return PAIR.map((host) => `${types[family]} ${podAddress(around, host.slice('host='.length), family)}`);
}
