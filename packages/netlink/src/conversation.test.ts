import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Conversation, type Transport } from './conversation.ts';
import { decodeMessages, encodeMessage, type Message, messageFlag, messageType } from './message.ts';

const body = Uint8Array.of(1, 2, 3, 4);
const question = { action: 'read link 3', type: 18, body };

/** A kernel that answers the n-th question with the n-th list of messages, or the last list from then on. */
function kernel(...answers: ((asked: Message) => Partial<Message>[])[]): Transport & { readonly asked: Message[] } {
  const queue: Uint8Array[] = [];
  const asked: Message[] = [];
  return {
    asked,
    send(datagram) {
      for (const message of decodeMessages(datagram)) {
        const answer = answers[asked.length] ?? answers.at(-1);
        asked.push(message);
        for (const reply of answer?.(message) ?? [])
          queue.push(encodeMessage({ ...blank(message.sequence), ...reply }));
      }
    },
    receive: () => queue.shift(),
  };
}

function blank(sequence: number): Message {
  return { type: 16, flags: 0, sequence, port: 1, body };
}

const acknowledged = { type: messageType.error, body: new Uint8Array(20) };
const done = { type: messageType.done, body: new Uint8Array(4) };

test('question returns what came before the acknowledgement', () => {
  const transport = kernel(() => [{ body: Uint8Array.of(7) }, acknowledged]);
  assert.deepEqual([...(new Conversation(transport).request(question)[0]?.body ?? [])], [7]);
  assert.equal((transport.asked[0]?.flags ?? 0) & messageFlag.ack, messageFlag.ack);
});

test('refusal names the action, the errno and what the kernel says about it', () => {
  const text = Buffer.from('Device is not virtual\0');
  const refusal = Buffer.concat([Buffer.from(Int32Array.of(-16).buffer), new Uint8Array(16), attribute(1, text)]);
  const flags = messageFlag.ackCapped | messageFlag.ackAttributes;
  const conversation = new Conversation(kernel(() => [{ type: messageType.error, flags, body: refusal }]));
  assert.throws(() => conversation.request(question), {
    name: 'NetlinkError',
    code: 'EBUSY',
    errno: 16,
    message: 'read link 3: EBUSY: Device is not virtual',
  });
});

test('refusal that repeats the request in front of its text is read, too', () => {
  const echo = encodeMessage({ ...blank(1), body: Uint8Array.of(1, 2, 3, 4, 5) });
  const padded = Buffer.concat([echo, new Uint8Array(3)]);
  const refusal = Buffer.concat([Buffer.from(Int32Array.of(-22).buffer), padded, attribute(1, Buffer.from('no\0'))]);
  const conversation = new Conversation(
    kernel(() => [{ type: messageType.error, flags: messageFlag.ackAttributes, body: refusal }]),
  );
  assert.throws(() => conversation.request(question), { message: 'read link 3: EINVAL: no' });
});

test('answers to an earlier question are skipped', () => {
  const transport = kernel((asked) => [{ sequence: asked.sequence + 7 }, { body: Uint8Array.of(9) }, done]);
  assert.equal(new Conversation(transport).dump(question).length, 1);
});

test('dump during which something changed is asked again and only the whole one counts', () => {
  const torn = () => [{ flags: messageFlag.dumpInterrupted }, done];
  const transport = kernel(torn, torn, () => [{}, {}, done]);
  assert.equal(new Conversation(transport).dump(question).length, 2);
  assert.equal(transport.asked.length, 3);
});

test('dump that never settles is given up with a reason', () => {
  const transport = kernel(() => [{ flags: messageFlag.dumpInterrupted }, done]);
  assert.throws(() => new Conversation(transport).dump(question), { code: 'INTERRUPTED' });
  assert.equal(transport.asked.length, 10);
});

test('dump that ends with an error is an error', () => {
  const failed = { type: messageType.done, body: new Uint8Array(Int32Array.of(-12).buffer) };
  assert.throws(() => new Conversation(kernel(() => [{}, failed])).dump(question), { code: 'ENOMEM' });
});

test('answer without an end is an error, not an endless wait', () => {
  assert.throws(() => new Conversation(kernel(() => [{}])).request(question), { code: 'MALFORMED' });
});

function attribute(type: number, value: Uint8Array): Uint8Array {
  const padding = new Uint8Array((4 - (value.length % 4)) % 4);
  return Buffer.concat([Uint8Array.of(4 + value.length, 0, type, 0), value, padding]);
}
