import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import { type AgentClient, agentClient, SOCKET_DEFAULT } from './agent-client.ts';
import { CommandError } from './command-error.ts';

/** What a command touches of the outside, so that tests call the same functions as `main`. */
export interface Context {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly out: { write(text: string | Uint8Array): unknown; readonly isTTY?: boolean; readonly columns?: number };
  readonly err: { write(text: string): unknown; readonly isTTY?: boolean; readonly columns?: number };
  readonly signal: AbortSignal;
  /** Whether a person can be asked; default: none. */
  readonly isInputTerminal?: boolean;
}

export type OutputFormat = 'table' | 'wide' | 'json' | 'yaml';

export interface GlobalOptions {
  readonly socket: string;
  readonly output: OutputFormat;
}

/** Options of the root command, wherever on the line they stood. */
export function globalOptions(command: Command, context: Context): GlobalOptions {
  const given = command.optsWithGlobals<{ output?: string }>();
  const output = given.output ?? 'table';
  if (output !== 'table' && output !== 'wide' && output !== 'json' && output !== 'yaml') {
    throw new CommandError(`--output ${output}: one of table, wide, json, yaml`, { exitCode: 2 });
  }
  return { socket: socketOf(command, context), output };
}

function socketOf(command: Command, { environment }: Context): string {
  const { socket } = command.optsWithGlobals<{ socket?: string }>();
  return socket ?? (environment.SLUICE_SOCKET || SOCKET_DEFAULT);
}

/** Or one that was named: then it is asked, and not a cluster. */
export function isAgentHere(command: Command, context: Context): boolean {
  const socket = socketOf(command, context);
  return socket !== SOCKET_DEFAULT || existsSync(socket);
}

export function agentOf(command: Command, context: Context): AgentClient {
  return agentClient(socketOf(command, context), context.signal);
}
