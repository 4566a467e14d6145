import type { Command } from 'commander';
import { LabError } from '../error.ts';
import { labNameDefault } from '../layout.ts';

/** A command that acts on one lab. */
export function labCommandOf(parent: Command, usage: string, description: string): Command {
  return parent.command(usage).description(description).option('--name <name>', 'which lab', labNameDefault);
}

/** Runs what a command does. Failures end with `process.exitCode` set and their text on standard error. */
export async function run(action: () => Promise<number>): Promise<void> {
  try {
    const exitCode = await action();
    if (exitCode !== 0) process.exitCode = exitCode;
  } catch (error) {
    process.exitCode = 1;
    if (!(error instanceof Error)) throw error;
    const isExpected = error instanceof LabError || error.name === 'ConfigError';
    console.error(isExpected ? `sluice lab: ${error.message}` : error.stack);
    if (error instanceof LabError && error.hint) console.error(`  ${error.hint}`);
  }
}

export function examples(...commands: readonly string[]): string {
  return ['', 'Examples:', ...commands.map((command) => `  sluice lab ${command}`)].join('\n');
}
