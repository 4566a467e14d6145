import type { Command } from 'commander';
import type { LinkAction, NodeAction } from '../daemon/machines.ts';
import { examples, labCommandOf, run } from './command.ts';
import type { LabContext } from './context.ts';

const nodeActions: readonly (readonly [NodeAction, string])[] = [
  ['kill', 'Take its power: agent, kubelet and pods end at once, with no time to say so; its objects stay'],
  ['stop', 'Switch it off in order: it tells the API server, its pods end, then its kubelet and its agent'],
  ['start', 'Switch it on again, as after a reboot: its pods are made anew'],
];
const linkActions: readonly (readonly [LinkAction, string])[] = [
  ['cut', 'Cut the cable of a device, or of all: carrier goes on both sides'],
  ['heal', 'Mend it'],
];

/** `sluice lab node ...` and `sluice lab link ...`: what breaks in a real cluster, too. */
export function addFaultCommands(lab: Command, context: LabContext): void {
  const node = group(lab, 'node', "A node's power: kill, stop, start");
  for (const [action, description] of nodeActions) {
    labCommandOf(node, `${action} <node>`, description)
      .addHelpText('after', examples(`node ${action} k8s-cp2`))
      .action((name: string, _, command: Command) =>
        run(async () => {
          await (await import('./node.ts')).switchNode(labNameOf(command), { node: name, action }, context);
          return 0;
        }),
      );
  }
  const link = group(lab, 'link', "A node's cable: cut, heal");
  for (const [action, description] of linkActions) {
    labCommandOf(link, `${action} <node> [device]`, description)
      .addHelpText('after', examples(`link ${action} k8s-cp2`, `link ${action} k8s-cp2 eno2`))
      .action((name: string, device: string | undefined, _, command: Command) =>
        run(async () => {
          await (await import('./link.ts')).setLink(labNameOf(command), { node: name, device, action }, context);
          return 0;
        }),
      );
  }
}

function group(lab: Command, name: string, description: string): Command {
  return labCommandOf(lab, name, description).enablePositionalOptions().showHelpAfterError('(see --help)');
}

/** `node --name N kill` as well as `node kill --name N`. */
function labNameOf(command: Command): string {
  const isOwn = command.getOptionValueSource('name') === 'cli';
  return (isOwn ? command : command.parent)?.opts().name;
}
