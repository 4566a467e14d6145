import { runInsideSync } from './inside.ts';

/** Packets that a device has received so far, merged ones counted once. */
export function receivedPackets(netns: string, device: string): number {
  const text = runInsideSync({ netns }, ['ip', '-json', '-statistics', 'link', 'show', 'dev', device], '');
  const [link]: [{ stats64: { rx: { packets: number } } }] = JSON.parse(text);
  return link.stats64.rx.packets;
}
