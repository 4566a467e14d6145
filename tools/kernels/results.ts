/** What the machine with another kernel says, line by line, put together. */

export interface ProgramInstructions {
  /** As the kernel runs it. */
  readonly own: number;
  /** Most that the verifier walked. */
  readonly walked: number;
}

export interface KernelResults {
  /** As `uname -r` says; empty when the machine never came so far. */
  readonly release: string;
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly programs: ReadonlyMap<string, ProgramInstructions>;
  /** Whether everything was run. */
  readonly ended: boolean;
}

export interface ResultCollector {
  /** A line of the console; what is no record is given to `print`. */
  line(text: string): void;
  results(): KernelResults;
}

/** What a line begins with that is a record and not text for people. */
export const MARK = '@@';
/** As the tests print it: `pod_from_pod   3966 / 10453`. */
const INSTRUCTIONS = /^(\w+)\s+(\d+) \/ (\d+)$/;

type Message =
  | { readonly type: 'kernel'; readonly release: string }
  | { readonly type: 'diagnostic'; readonly text: string }
  | {
      readonly type: 'test';
      readonly file: string;
      readonly name: string;
      readonly skipped?: string;
      readonly error?: string;
    }
  | { readonly type: 'file'; readonly file: string; readonly seconds: number }
  | { readonly type: 'pulse' }
  | { readonly type: 'end' };

export function collectResults(print: (line: string) => void): ResultCollector {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  const programs = new Map<string, ProgramInstructions>();
  let release = '';
  let ended = false;
  const handle = (message: Message): void => {
    switch (message.type) {
      case 'kernel':
        release = message.release;
        break;
      case 'diagnostic': {
        const [, name, own, walked] = INSTRUCTIONS.exec(message.text) ?? [];
        if (name !== undefined) programs.set(name, { own: Number(own), walked: Number(walked) });
        break;
      }
      case 'test':
        if (message.error !== undefined) {
          counts.failed += 1;
          print(`not ok: ${message.file} ${message.name}\n${message.error}`);
        } else if (message.skipped !== undefined) {
          counts.skipped += 1;
          print(`skipped: ${message.name}: ${message.skipped}`);
        } else counts.passed += 1;
        break;
      case 'file':
        print(`${message.file} (${message.seconds} s)`);
        break;
      case 'pulse':
        break;
      case 'end':
        ended = true;
        break;
      default:
        message satisfies never;
    }
  };
  return {
    line(text) {
      if (text.startsWith(MARK)) handle(JSON.parse(text.slice(MARK.length)) as Message);
      else if (text.trim() !== '') print(text);
    },
    results: () => ({ release, ...counts, programs, ended }),
  };
}
