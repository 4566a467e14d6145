import { setTimeout as sleep } from 'node:timers/promises';
import type { StatusReport } from '@sluice/agent';
import { Command } from 'commander';
import { statusAnswer } from '../agent-answers.ts';
import type { AgentClient } from '../agent-client.ts';
import { CommandError } from '../command-error.ts';
import { agentOf, type Context, globalOptions } from '../context.ts';
import { wholeNumber } from '../number-option.ts';
import { show } from '../output.ts';
import { isHealthy, isSettled, statusText } from './status-text.ts';

const WAIT_SECONDS = 60;

export function statusCommand(context: Context): Command {
  return new Command('status')
    .description("Show what this node's agent and kernel do, as they are now")
    .option('--verbose', 'controllers, modules, maps and drops one by one')
    .option('--wait', 'wait until everything that is on works; exit status 1 when it does not')
    .option('--wait-duration <seconds>', 'how long --wait waits', wholeNumber(0), WAIT_SECONDS)
    .addHelpText('after', '\nExamples:\n  sluice status\n  sluice status --verbose\n  sluice status --wait -o json')
    .action(async (options: { verbose?: boolean; wait?: boolean; waitDuration: number }, command: Command) => {
      const agent = agentOf(command, context);
      const report = options.wait
        ? await settledStatus(agent, options.waitDuration, context.signal)
        : await agent.get('/status', statusAnswer);
      const { output } = globalOptions(command, context);
      show(context, output, {
        data: report,
        text: () => statusText(report, { verbose: options.verbose ?? false, now: Date.now() }),
      });
      if (!isHealthy(report))
        throw new CommandError('something that is on does not work; the lines above name it', { exitCode: 1 });
    });
}

async function settledStatus(agent: AgentClient, seconds: number, signal: AbortSignal): Promise<StatusReport> {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    try {
      const report = await agent.get('/status', statusAnswer);
      if (isSettled(report) || performance.now() > end) return report;
    } catch (error) {
      if (performance.now() > end) throw error;
    }
    await sleep(200, undefined, { signal });
  }
}
