/** Cases of Kubernetes' suite that another test of ours holds already, with the sentence by which it is found there. */
export interface ProvedCase {
  readonly upstream: readonly string[];
  readonly file: string;
  /** As the file has it. */
  readonly test: string;
}

export const provedElsewhere: readonly ProvedCase[] = [
  {
    upstream: [
      'LoadBalancers should be able to change the type and ports of a TCP service',
      'LoadBalancers should be able to change the type and ports of a UDP service',
      'Services should be able to change the type between ClusterIP and NodePort',
    ],
    file: 'lab/test/service-types.lab.test.ts',
    test: 'a Service changes its type and its NodePort in place, and nobody who uses what stays notices',
  },
  {
    upstream: ['LoadBalancers should only allow access from service loadbalancer source ranges'],
    file: 'lab/test/service-types.lab.test.ts',
    test: "only clients of loadBalancerSourceRanges get in at the balancer's address, pods and nodes too",
  },
  {
    upstream: ['Services should be updated after adding or deleting ports'],
    file: 'lab/test/service-types.lab.test.ts',
    test: 'a port takes another name and number, and the new one is served once its endpoints have the name',
  },
  {
    upstream: [
      'Services should be able to change the type from ExternalName to ClusterIP',
      'Services should be able to change the type from ClusterIP to ExternalName',
    ],
    file: 'lab/test/service-types.lab.test.ts',
    test: 'an ExternalName has no frontend, and what becomes a ClusterIP again has one',
  },
  {
    upstream: [
      'HostPort validates that there is no conflict between pods with same hostPort but different hostIP and protocol',
    ],
    file: 'lab/test/pods.lab.test.ts',
    test: 'a pod is reached at its host ports, from outside, from other nodes and its own, until it is gone',
  },
  {
    upstream: ['Services should allow pods to hairpin back to themselves through services'],
    file: 'packages/cli/src/connectivity/cases/services.ts',
    test: 'a pod reaches itself by a service of its own',
  },
  {
    upstream: ['Conntrack proxy implementation should not be vulnerable to the invalid conntrack state bug'],
    file: 'packages/datapath/src/invalid-segments.kernel.test.ts',
    test: 'segments out of the window come from the address that was asked, and end nothing',
  },
  {
    upstream: ['NoSNAT Should be able to send traffic between Pods without SNAT'],
    file: 'lab/test/homelab.lab.test.ts',
    test: 'every way of talking works, in both families, and none is left out',
  },
  {
    upstream: ['Services should work after restarting kube-proxy', 'Services should work after restarting apiserver'],
    file: 'lab/test/agent-killed.lab.test.ts',
    test: 'agents killed with -9 at any moment: no connection breaks, no new one fails, the maps are equal',
  },
  {
    upstream: [
      'Services should implement service.kubernetes.io/service-proxy-name',
      'Services should implement service.kubernetes.io/headless',
    ],
    file: 'packages/loadbalancer/src/desired.test.ts',
    test: 'a service that its labels leave to another proxy, or to none, has no frontend, whatever the label says',
  },
  {
    upstream: [
      'LoadBalancers ipMode Proxy: an address whose balancer ends connections itself is bypassed by nobody (KEP-1860)',
    ],
    file: 'packages/loadbalancer/src/desired.test.ts',
    test: 'an address whose balancer ends connections itself is not ours',
  },
  {
    upstream: ['EndpointSlice should support more than 100 endpoints, in many slices'],
    file: 'packages/loadbalancer/src/desired.test.ts',
    test: '1,500 endpoints in 15 slices are each a backend once, in one order, however the slices come',
  },
  {
    upstream: [
      'EndpointSlice should support a Service with multiple endpoint IPs specified in multiple EndpointSlices',
    ],
    file: 'packages/loadbalancer/src/desired.test.ts',
    test: 'a frontend has the ready endpoints of all its slices, each once, in one order',
  },
  {
    upstream: ['Services should support named targetPorts that resolve to different ports on different endpoints'],
    file: 'packages/loadbalancer/src/desired.test.ts',
    test: 'a port finds its endpoints by name and protocol, whatever number each slice gives it',
  },
  {
    upstream: ['LoadBalancerClass: nodes serve an address whichever controller has given it'],
    file: 'packages/loadbalancer/src/desired.test.ts',
    test: 'an address that a controller of any class has given is served, with and without NodePorts',
  },
  {
    upstream: ['KubeProxy should set TCP CLOSE_WAIT timeout'],
    file: 'packages/datapath/src/conntrack.kernel.test.ts',
    test: 'FINs of both sides, or a reset, end a connection within seconds; half closed it may wait for an hour',
  },
  {
    upstream: ['Networking should recreate its iptables rules if they are deleted'],
    file: 'packages/agent/src/faults.kernel.test.ts',
    test: 'links that somebody detached are told at once and attached again',
  },
  {
    upstream: ['KubeProxy healthz at 10256 returns 503 when its node is deleted or it is not synced'],
    file: 'packages/agent/src/healthz.test.ts',
    test: '/healthz sends balancers away from a node that is to go; /livez does not',
  },
];
