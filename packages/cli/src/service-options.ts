/** Options that narrow a list down to some services, the same for every command that has such a list. */
import type { Command } from 'commander';
import { collect } from './traffic-options.ts';

export interface ServiceOptions {
  readonly service?: readonly string[];
  readonly namespace?: readonly string[];
}

export function addServiceOptions(command: Command): Command {
  return command
    .option('--service <[namespace/]name>', 'of services whose name begins so; any of several', collect)
    .option('-n, --namespace <name>', 'of services of this namespace', collect);
}

/** The same as the agent's parameters. */
export function serviceQuery({ service = [], namespace = [] }: ServiceOptions): [name: string, value: string][] {
  return [
    ...service.map((value): [string, string] => ['service', value]),
    ...namespace.map((value): [string, string] => ['namespace', value]),
  ];
}
