/** A process that reflects services from the server in its argument and prints, as JSON lines, how that goes. */
import { Table } from '@sluice/state';
import { createKubeClient, parseService, reflector, resources, type ServiceObject } from '../src/index.ts';

export interface ReflectLine {
  readonly names: readonly string[];
  readonly lastError: string | null;
  readonly failures: number;
  readonly lists: number;
}

const [url = ''] = process.argv.slice(2);
const table = new Table<ServiceObject>({ name: 'services', key: ({ name }) => name, columns: {} });
const subject = reflector({
  client: createKubeClient({ servers: [url] }),
  resource: resources.services,
  parse: parseService,
  table,
  source: 'services',
});
subject.start();

let printed = '';
setInterval(() => {
  const { lastError = null, failures, lists } = subject.status();
  const line: ReflectLine = { names: [...table.keys()].sort(), lastError, failures, lists };
  const text = `${JSON.stringify(line)}\n`;
  if (text !== printed) process.stdout.write(text);
  printed = text;
}, 20);
