/**
 * Takes away what an uninstalled Sluice leaves on its node, and on request what kube-proxy left: pins, devices, files and
 * rules, each named before it goes. It decides nothing about the cluster and removes nothing of a network that is in use.
 * Begin with `sluice.ts` and `kube-proxy/kube-proxy.ts`; both make a list of `leftover.ts`.
 */
export { CleanupError } from './cleanup-error.ts';
export { type KubeProxyOptions, removeKubeProxyRules } from './kube-proxy/kube-proxy.ts';
export type { Removal } from './leftover.ts';
export { removeSluice, type SluiceOptions } from './sluice.ts';
