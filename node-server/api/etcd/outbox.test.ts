import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ResponseParts } from '../../grpc/service.ts'
import { WATCH } from '../../limits.ts'
import { Outbox, OutboxTotal } from './outbox.ts'

const OUTBOX_BYTES = WATCH.outboxSizeBytes
const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** A client that takes a response whenever `take` is called. */
class Client {
  /** Each time, as one text. */
  readonly taken: string[] = []
  rooms = 0
  isGone = false
  #answer: ((isOpen: boolean) => void) | undefined
  readonly outbox: Outbox

  constructor(total = new OutboxTotal(WATCH.outboxesSizeBytes)) {
    const write = (responses: readonly ResponseParts[]): boolean => {
      this.taken.push(responses.map((parts) => Buffer.concat(parts).toString()).join())
      return false
    }
    const drained = (): Promise<boolean> => new Promise((resolve) => (this.#answer = resolve))
    const requests = { [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => undefined) }) }
    this.outbox = new Outbox(
      { write, drained, requests },
      OUTBOX_BYTES,
      total,
      () => (this.rooms += 1),
      () => (this.isGone = true),
    )
  }

  async take(isOpen = true): Promise<void> {
    await nextTurn()
    this.#answer?.(isOpen)
    await nextTurn()
  }
}

test('responses go out in order, those that came while the client took others all at once', async () => {
  const client = new Client()
  for (const text of ['1', '2']) client.outbox.push([Buffer.from(text), Buffer.from('.')])
  await nextTurn()
  assert.deepEqual(client.taken, ['1.,2.'])
  for (const text of ['3', '4']) client.outbox.push([Buffer.from(text)])
  await nextTurn()
  assert.deepEqual(client.taken, ['1.,2.'])
  await client.take()
  assert.deepEqual(client.taken, ['1.,2.', '3,4'])
})

test('there is no room from its size on, and room is told once the client has read below it', async () => {
  const client = new Client()
  const half = Buffer.alloc(OUTBOX_BYTES / 2)
  client.outbox.push([half])
  assert.equal(client.outbox.hasRoom, true)
  client.outbox.push([half])
  assert.equal(client.outbox.hasRoom, false)
  let hasWaited = false
  const waiting = client.outbox.whenRoom().then(() => (hasWaited = true))
  await nextTurn()
  assert.deepEqual([hasWaited, client.rooms], [false, 0])
  await client.take()
  await waiting
  assert.deepEqual([hasWaited, client.rooms, client.outbox.hasRoom], [true, 1, true])
})

test('responses without a byte take room, too', () => {
  const client = new Client()
  for (let i = 0; i < OUTBOX_BYTES / 256; i++) client.outbox.push([Buffer.alloc(0)])
  assert.equal(client.outbox.hasRoom, false)
})

test('when the client is gone what waits is dropped, and nobody waits for room', async () => {
  const client = new Client()
  for (let i = 0; i < 3; i++) client.outbox.push([Buffer.alloc(OUTBOX_BYTES)])
  const waiting = client.outbox.whenRoom()
  await client.take(false)
  await waiting
  client.outbox.push([Buffer.from('late')])
  await nextTurn()
  assert.deepEqual([client.taken.length, client.isGone, client.rooms], [1, true, 0])
})

test('the less is left for all of them the less each may have; one that has nothing always gets on', async () => {
  const total = new OutboxTotal(64 * 1024)
  const [silent, reader] = [new Client(total), new Client(total)]
  while (silent.outbox.hasRoom) silent.outbox.push([Buffer.alloc(1000)])
  const ofAll = total.bytes
  assert.ok(ofAll < total.maxBytes / 8, `${ofAll} bytes`)
  reader.outbox.push([Buffer.alloc(3000)])
  assert.equal(reader.outbox.hasRoom, true)
  const others = Array.from({ length: 100 }, () => new Client(total))
  for (const { outbox } of others) while (outbox.hasRoom) outbox.push([Buffer.alloc(1000)])
  assert.ok(total.bytes < total.maxBytes + 100 * 1256)
  assert.equal(reader.outbox.hasRoom, false)
  await reader.take()
  assert.deepEqual([reader.outbox.hasRoom, reader.rooms], [true, 1])
  for (const { outbox } of [silent, reader, ...others]) outbox.close()
  assert.equal(total.bytes, 0)
})
