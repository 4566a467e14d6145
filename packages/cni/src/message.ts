import { CniCode, CniError } from './error.ts';

/** A message of the socket protocol: fields "KEY LENGTH\nVALUE\n", then a line with a dot. A key may come repeatedly. */
export type Field = readonly [key: string, value: string];

/** As in `../c/conversation.h`. */
export const messageLimits = {
  valueBytesMax: 1 << 20,
  fieldsMax: 64,
  keyBytesMax: 31,
  messageBytesMax: 5 << 18,
} as const;

export function encodeMessage(fields: readonly Field[]): string {
  return `${fields.map(([key, value]) => `${key} ${Buffer.byteLength(value)}\n${value}\n`).join('')}.\n`;
}

export class Message {
  readonly fields: readonly Field[];

  constructor(fields: readonly Field[]) {
    this.fields = fields;
  }

  get(key: string): string | undefined {
    return this.fields.find(([name]) => name === key)?.[1];
  }

  all(key: string): readonly string[] {
    return this.fields.filter(([name]) => name === key).map(([, value]) => value);
  }
}

/** Collects chunks of a stream until a message is whole. */
export class MessageReader {
  #bytes: Uint8Array = new Uint8Array(0);

  push(chunk: Uint8Array): void {
    if (this.#bytes.length + chunk.length > messageLimits.messageBytesMax) {
      throw new CniError(CniCode.Decode, `the request is longer than ${messageLimits.messageBytesMax} bytes`);
    }
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
  }

  /** The next whole message, or undefined while it has not arrived. */
  next(): Message | undefined {
    const fields: Field[] = [];
    let offset = 0;
    for (;;) {
      const end = this.#bytes.indexOf(10, offset);
      if (end < 0) {
        this.#checkHead(this.#bytes.length - offset);
        return undefined;
      }
      this.#checkHead(end - offset);
      const head = latin1(this.#bytes.subarray(offset, end));
      if (head === '.') {
        this.#bytes = this.#bytes.subarray(end + 1);
        return new Message(fields);
      }
      const { key, length } = parseHead(head);
      if (fields.length === messageLimits.fieldsMax) throw malformed(`more than ${messageLimits.fieldsMax} fields`);
      const valueEnd = end + 1 + length;
      if (this.#bytes.length <= valueEnd) return undefined;
      if (this.#bytes[valueEnd] !== 10) throw malformed(`the value of ${key} does not end where it should`);
      fields.push([key, decodeText(key, this.#bytes.subarray(end + 1, valueEnd))]);
      offset = valueEnd + 1;
    }
  }

  #checkHead(length: number): void {
    if (length > messageLimits.keyBytesMax + 12) throw malformed('a field without a head');
  }
}

function parseHead(head: string): { key: string; length: number } {
  const match = /^([A-Za-z_0-9]{1,31}) (\d{1,8})$/.exec(head);
  const [, key = '', digits = ''] = match ?? [];
  const length = Number(digits);
  if (!match || length > messageLimits.valueBytesMax) throw malformed(`the field head ${JSON.stringify(head)}`);
  return { key, length };
}

function decodeText(key: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new CniError(CniCode.Decode, `${key} is not UTF-8 text`, { cause });
  }
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

function malformed(what: string): CniError {
  return new CniError(CniCode.Decode, `the request does not keep to the protocol of sluice-cni: ${what}`);
}
