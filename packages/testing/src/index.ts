/**
 * What kernel tests need and must give back: network namespaces, bpffs mounts and cgroups of their own, and a check
 * that nothing leaked. Everything is a `Disposable` for `using`, so that a failing test cleans up, too.
 *
 * It holds no assertion about Sluice itself. Begin with `temporaryNetworkNamespace`.
 */
export { type TemporaryBpffs, temporaryBpffs } from './bpffs.ts';
export { type TemporaryCgroup, temporaryCgroup } from './cgroup.ts';
export { type ChartRights, chartRights, type SeenRequest } from './chart-rights.ts';
export { compileBpf } from './compile-bpf.ts';
export { type TemporaryDirectory, temporaryDirectory } from './directory.ts';
export { damagedBytes, damagedJson, damagedText, holds } from './fuzz.ts';
export { leakCheck } from './leak-check.ts';
export { type TemporaryNetworkNamespace, temporaryNetworkNamespace } from './network-namespace.ts';
export { type Offload, setOffload } from './offloads.ts';
export { type Edit, type OtherVersion, otherLayouts, otherVersion } from './other-version.ts';
export { seededRandom } from './random.ts';
export { parseScenario, runScenario, type ScenarioStep, type ScenarioVerb } from './scenario.ts';
