/**
 * The lab: a Kubernetes cluster in network namespaces on one machine, for development, tests and learning. Each node has
 * its own agent, cgroup and bpffs folder; pods are processes in namespaces of their own, added through the real CNI
 * executable. It holds a small API server and kubelet of its own and nothing of the product, which cannot tell the
 * difference. `commands/` is what people type, `daemon/` runs in the background, `kubelet/` starts pods, `host/` makes
 * namespaces, cgroups and mounts. Begin at `commands/up.ts`, then `daemon/daemon.ts`.
 */
export { labCommand } from './commands/lab.ts';
export { type LabLayout, labLayout, type NodeLayout } from './layout.ts';
export type { LabAddresses } from './topology.ts';
export { type LabWorld, labWorld } from './world.ts';
