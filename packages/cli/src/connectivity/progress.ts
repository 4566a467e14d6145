/** One line on a terminal that tells how far the test is, and makes room for what is printed meanwhile. */
import type { Progress } from './run.ts';

export interface ProgressLine {
  show(progress: Progress, total: number): void;
  /** Takes it off the terminal; call before anything else is printed. */
  clear(): void;
}

export interface Terminal {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

const CLEAR = '\r\u001b[K';
const COLUMNS_DEFAULT = 80;

/** Where there is no terminal nothing is shown: a log is no place for a line that is written over. */
export function progressLine(terminal: Terminal): ProgressLine {
  if (terminal.isTTY !== true) return { show: () => undefined, clear: () => undefined };
  let isShown = false;
  return {
    show(progress, total) {
      const text = progressText(progress, total).slice(0, (terminal.columns || COLUMNS_DEFAULT) - 1);
      terminal.write(`${CLEAR}${text}`);
      isShown = true;
    },
    clear() {
      if (isShown) terminal.write(CLEAR);
      isShown = false;
    },
  };
}

function progressText({ done, failed, running }: Progress, total: number): string {
  const failures = failed > 0 ? `, ${failed} failed` : '';
  return `[${done}/${total}${failures}] ${running.join(' ')}`.trimEnd();
}
