/**
 * How our processes are started: Node's flags, and the capabilities that each keeps with the reason for each. The static
 * C program in `../c` does it in the image, from a header that is generated from here; it decides nothing itself. Begin
 * with `roles.ts`.
 */

export { type Capability, capabilityNumbers } from './capability.ts';
export { launcherHeader } from './header.ts';
export { recommendedEnvironment, recommendedNodeFlags } from './node-flags.ts';
export { type Role, type RoleName, roles } from './roles.ts';
