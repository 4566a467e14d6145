import type { ExplainReport } from '@sluice/agent';
import { Command, InvalidArgumentError, Option } from 'commander';
import { explainAnswer } from '../agent-answers.ts';
import { CommandError } from '../command-error.ts';
import { agentOf, type Context, globalOptions } from '../context.ts';
import { alignPairs, show } from '../output.ts';
import { pathWithQuery } from '../traffic-options.ts';

const TEXT = `
POD is namespace/name or a name, or as much of its beginning as only one pod of this node has; host stands for the node's
own processes, and for pods in the host's network. HOST is an address (IPv6 in brackets), or a Service as the pod would name
it: web, web.shop, web.shop.svc.cluster.local, shop/web.
PORT is a number, or the name of a port of the Service.

Nothing is sent, counted or changed: the programs of this node are asked what they would do. The exit status is 1 when
the connection would not get through.

Examples:
  sluice explain connect shop/client web.shop:80
  sluice explain connect shop/client 10.96.0.10:53 --protocol udp
  sluice explain connect shop/client '[2001:db8::1]:443' --source-port 40000
  sluice explain connect shop/client shop/web:http --past-hooks -o json
  sluice explain connect host kube-dns.kube-system:53`;

interface Options {
  readonly protocol: string;
  readonly sourcePort?: string;
  readonly ipv4?: boolean;
  readonly ipv6?: boolean;
  readonly pastHooks?: boolean;
}

export function explainCommand(context: Context): Command {
  const command = new Command('explain').description('Ask the programs of this node what would happen, and why');
  const connect = new Command('connect')
    .description('What would become of a connection: service, backend, way, or the drop with its reason and a hint')
    .argument('<pod>', 'who connects: namespace/name, or host')
    .argument('<host:port>', 'to whom')
    .addOption(new Option('--protocol <name>', 'transport protocol').choices(['tcp', 'udp']).default('tcp'))
    .option('--source-port <number>', 'the port that the client has; default any', port)
    .addOption(new Option('--ipv4', 'to an IPv4 address of the Service').conflicts('ipv6'))
    .option('--ipv6', 'to an IPv6 address of the Service')
    .option('--past-hooks', 'as a program sends that no socket hook sees, such as a raw socket')
    .addHelpText('after', TEXT)
    .action(async (from: string, to: string, options: Options, action: Command) => {
      const path = pathWithQuery('/explain', questionOf(from, to, options));
      const report = await agentOf(action, context).get(path, explainAnswer);
      show(context, globalOptions(action, context).output, { data: report, text: () => explainText(report) });
      if (report.verdict === 'dropped') throw new CommandError(`dropped: ${report.summary}`, { exitCode: 1 });
    });
  return command.addCommand(connect);
}

function questionOf(from: string, to: string, options: Options): [name: string, value: string][] {
  const family = options.ipv4 ? '4' : options.ipv6 ? '6' : undefined;
  const given = {
    from,
    to,
    protocol: options.protocol,
    'source-port': options.sourcePort,
    family,
    'past-hooks': options.pastHooks ? 'true' : undefined,
  };
  return Object.entries(given).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]));
}

export function explainText({ from, to, protocol, steps, verdict, summary, hint }: ExplainReport): string {
  const lines = steps.map(({ step, text }): [string, string] => [step, text]);
  const end: [string, string][] = [[verdict, summary], ...(hint ? [['hint', hint] as [string, string]] : [])];
  return `${from} to ${to} over ${protocol}\n\n${alignPairs([...lines, ['', ''], ...end])}\n`;
}

function port(text: string): string {
  const number = Number(text);
  if (Number.isInteger(number) && number >= 1 && number <= 65_535) return text;
  throw new InvalidArgumentError('a number from 1 to 65535');
}
