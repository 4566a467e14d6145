/** A virtual machine with another kernel, emulated: no /dev/kvm is needed, and none is used, since it is often broken. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export interface MachineOptions {
  readonly image: string;
  readonly archive: string;
  readonly memoryMiB: number;
  /** A machine that says nothing for so long has stopped. */
  readonly silenceMsMax: number;
  readonly signal: AbortSignal;
  readonly onLine: (line: string) => void;
}

/** Boots and resolves when the machine has switched itself off. Rejects when it ends otherwise. */
export async function runMachine({
  image,
  archive,
  memoryMiB,
  silenceMsMax,
  signal,
  onLine,
}: MachineOptions): Promise<void> {
  const args = [
    ['-machine', 'q35', '-accel', 'tcg,thread=multi', '-cpu', 'max,-pku', '-smp', '2', '-m', `${memoryMiB}M`],
    ['-nodefaults', '-no-user-config', '-display', 'none', '-serial', 'stdio', '-no-reboot'],
    ['-kernel', image, '-initrd', archive],
    ['-append', 'console=ttyS0 quiet loglevel=1 panic=-1 mitigations=off'],
  ].flat();
  const child = spawn('qemu-system-x86_64', args, { stdio: ['ignore', 'pipe', 'pipe'], signal });
  let problem = '';
  const stopped = () => {
    problem = `the machine has said nothing for ${silenceMsMax / 60_000} minutes`;
    child.kill('SIGKILL');
  };
  let silence = setTimeout(stopped, silenceMsMax);
  child.stderr.on('data', (text) => {
    problem += String(text);
  });
  for await (const line of createInterface({ input: child.stdout })) {
    clearTimeout(silence);
    silence = setTimeout(stopped, silenceMsMax);
    onLine(line.replace(/\r$/, ''));
  }
  clearTimeout(silence);
  const code = child.exitCode ?? (await new Promise((resolve) => child.once('exit', resolve)));
  if (code !== 0) throw new Error(`qemu ended with ${code}: ${problem.trim()}`);
}
