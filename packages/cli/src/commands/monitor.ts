import type { MonitorEvent } from '@sluice/agent';
import { Command, Option } from 'commander';
import { agentOf, type Context, globalOptions } from '../context.ts';

export function monitorCommand(context: Context): Command {
  return new Command('monitor')
    .description('Follow what the programs report, as it happens')
    .addOption(new Option('--type <type>', 'kind of event').choices(['drop']).default('drop'))
    .option('--count <n>', 'end after so many events', (text) => Number.parseInt(text, 10))
    .addHelpText('after', '\nExamples:\n  sluice monitor --type drop\n  sluice monitor --type drop -o json --count 1')
    .action(async (options: { type: string; count?: number }, command: Command) => {
      const json = globalOptions(command, context).output === 'json';
      let seen = 0;
      const ended = new AbortController();
      const events = agentOf(command, context).stream(
        `/monitor?type=${options.type}`,
        AbortSignal.any([context.signal, ended.signal]),
      );
      if (!json) context.err.write('Listening for drops; end with Ctrl-C.\n');
      try {
        for await (const event of events) {
          context.out.write(`${json ? JSON.stringify(event) : eventLine(event as MonitorEvent)}\n`);
          seen += 1;
          if (options.count !== undefined && seen >= options.count) break;
        }
      } catch (error) {
        if (!context.signal.aborted) throw error;
      } finally {
        ended.abort();
      }
    });
}

/** `12:01:02.345 xx drop (No backend) gitlab/web-0 -> 10.96.3.4:80 tcp SYN, …: hint`. */
export function eventLine(event: MonitorEvent): string {
  const at = new Date(event.at).toISOString().slice(11, 23);
  const names = [event.source, event.destination].map((name) => (name === '' ? 'unknown' : name)).join(' -> ');
  const identities = `identity ${event.sourceIdentity}->${event.destinationIdentity}`;
  return `${at} xx drop (${event.reason}) ${names}, ${event.interface} ${event.direction}, ${identities}: ${event.packet}\n             ${event.hint}`;
}
