import assert from 'node:assert/strict'
import { test } from 'node:test'
import { err, ok } from '../../../lib/result.ts'
import type { RpcStatus, RpcStream } from '../../grpc/service.ts'
import { answerInOrder } from './answer-in-order.ts'
import type { Answer } from './method.ts'

const REFUSED: RpcStatus = { code: 'Unavailable', message: 'no' }
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Requests of one byte each, answered when the test says so. */
class Rig {
  readonly sent: string[] = []
  readonly begun = new Map<number, (answer: Answer) => void>()
  isGone = false
  readonly ended: Promise<RpcStatus | undefined>

  constructor(count: number, atOnce: number) {
    const calls: RpcStream = {
      requests: (async function* () {
        for (let i = 0; i < count; i++) yield Uint8Array.of(i)
      })(),
      write: (responses) => {
        if (!this.isGone) this.sent.push(...responses.map((parts) => Buffer.concat(parts).toString()))
        return !this.isGone
      },
      drained: () => Promise.resolve(false),
    }
    this.ended = answerInOrder(calls, atOnce, ([i = 0]) => new Promise((resolve) => this.begun.set(i, resolve)))
  }

  async answer(i: number, answer: Answer = ok(Buffer.from(String(i)))): Promise<void> {
    this.begun.get(i)?.(answer)
    for (let round = 0; round < 5; round++) await settled()
  }
}

test('requests are handled side by side, as many as may be, and answered in their order', async () => {
  const rig = new Rig(4, 2)
  await settled()
  assert.deepEqual([...rig.begun.keys()], [0, 1])
  await rig.answer(1)
  assert.deepEqual([rig.sent, [...rig.begun.keys()]], [[], [0, 1]])
  await rig.answer(0)
  assert.deepEqual(
    [rig.sent, [...rig.begun.keys()]],
    [
      ['0', '1'],
      [0, 1, 2, 3],
    ],
  )
  await rig.answer(3)
  await rig.answer(2)
  assert.deepEqual(rig.sent, ['0', '1', '2', '3'])
  assert.equal(await rig.ended, undefined)
})

test('the first refusal ends the stream, after the answers before it and without those behind it', async () => {
  const rig = new Rig(10, 3)
  await settled()
  await rig.answer(2)
  await rig.answer(1, err(REFUSED))
  assert.deepEqual(rig.sent, [])
  await rig.answer(0)
  assert.deepEqual(await rig.ended, REFUSED)
  assert.deepEqual(rig.sent, ['0'])
})

test('it ends when the client has gone', async () => {
  const rig = new Rig(10, 3)
  await settled()
  rig.isGone = true
  await rig.answer(0)
  assert.equal(await rig.ended, undefined)
  assert.deepEqual(rig.sent, [])
})
