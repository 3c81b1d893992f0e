import { setImmediate } from 'node:timers/promises';
import { expect, it } from '@jest/globals';
import { backlog } from '../../../../src/activities/ingest/ahead/backlog.ts';
import { messagesAhead } from '../../../../src/activities/ingest/ahead/messages-ahead.ts';

const MIB = 2 ** 20;

/** Messages of 1 MiB that have their numbers, with the number of those that were asked for. */
function source(count: number, failsAfter = Number.POSITIVE_INFINITY) {
  const state = { read: 0, isClosed: false };
  async function* messages() {
    try {
      for (let number = 0; number < count; number++) {
        if (number === failsAfter) throw new Error('cut');
        state.read += 1;
        yield Buffer.alloc(MIB, number);
      }
    } finally {
      state.isClosed = true;
    }
  }
  return { state, messages: messages() };
}

async function pause() {
  for (let turn = 0; turn < 100; turn++) await setImmediate();
}

it('passes all messages on in their order, and reads eight ahead', async () => {
  const { state, messages } = source(30);
  const numbers: (number | undefined)[] = [];
  for await (const message of messagesAhead(messages)) {
    numbers.push(message[0]);
    await pause();
    expect(state.read).toBe(Math.min(30, numbers.length + 8));
    expect(backlog.bytes).toBe((state.read - numbers.length) * MIB);
  }
  expect(numbers).toEqual(Array.from({ length: 30 }, (_, number) => number));
  expect(state.isClosed).toBe(true);
});

it('throws an error after the messages before it', async () => {
  const { messages } = source(30, 3);
  const numbers: (number | undefined)[] = [];
  const read = async () => {
    for await (const message of messagesAhead(messages)) numbers.push(message[0]);
  };
  await expect(read()).rejects.toThrow('cut');
  expect(numbers).toEqual([0, 1, 2]);
  expect(backlog.bytes).toBe(0);
});

it('closes its source and gives its bytes back if its receiver ends', async () => {
  const { state, messages } = source(30);
  for await (const _ of messagesAhead(messages)) {
    await pause();
    break;
  }
  expect(state.isClosed).toBe(true);
  expect(state.read).toBe(9);
  expect(backlog.bytes).toBe(0);
});

it('reads on with many streams at once, of which each holds two messages if all are held', async () => {
  const sources = Array.from({ length: 40 }, () => source(30));
  const streams = sources.map(({ messages }) => messagesAhead(messages));
  for (const stream of streams) await stream.next();
  await pause();
  const held = sources.map(({ state }) => state.read - 1);
  expect(Math.min(...held)).toBe(2);
  expect(backlog.bytes).toBeLessThanOrEqual((32 + 40 * 2) * MIB);
  for (const stream of streams) await stream.return(undefined);
  expect(backlog.bytes).toBe(0);
});
