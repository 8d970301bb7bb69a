import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { ByteWriter } from '../../lib/bytes.ts'
import { LogIndex, MemberId, Term } from '../../lib/ids.ts'
import { encodeMessages } from './codec.ts'
import { FRAME } from './frame.ts'
import { SnapshotReceiver, type IncomingSnapshot, type SnapshotMessage } from './snapshot-stream.ts'

const MIB = 1024 * 1024
const message: SnapshotMessage = {
  kind: 'snapshot-request',
  from: MemberId(1n),
  to: MemberId(2n),
  term: Term(3),
  snapshot: {
    index: LogIndex(9),
    term: Term(2),
    configIndex: LogIndex(1),
    configuration: { voters: [], votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false },
  },
}

test('a sender that is quicker than the disk is held up, and let go on', async () => {
  let isPaused = false
  let sentWhilePaused = 0
  const connection = {
    write: () => true,
    pause: () => (isPaused = true),
    resume: () => (isPaused = false),
    end: () => undefined,
    close: () => undefined,
  }
  const taken: Uint8Array[] = []
  await new Promise<void>((resolve, reject) => {
    const take = async ({ pieces }: IncomingSnapshot): Promise<void> => {
      for await (const piece of pieces) taken.push(piece)
    }
    const receiver = new SnapshotReceiver(connection, (incoming) => take(incoming).then(resolve, reject))
    const sizeBytes = 12 * MIB
    const payload = new ByteWriter()
      .u53(sizeBytes)
      .raw(encodeMessages([message]))
      .finish()
    receiver.onFrame({ type: FRAME.snapshotBegin, payload })
    const content = Buffer.alloc(sizeBytes, 'content')
    for (let at = 0; at < sizeBytes; at += MIB) {
      if (isPaused) sentWhilePaused += 1
      receiver.onFrame({ type: FRAME.snapshotChunk, payload: content.subarray(at, at + MIB) })
    }
    assert.equal(sentWhilePaused, 7, 'held up as soon as more than 4 MiB wait')
    receiver.onFrame({ type: FRAME.snapshotEnd, payload: createHash('sha256').update(content).digest() })
  })
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(isPaused, false)
  assert.ok(Buffer.concat(taken).equals(Buffer.alloc(12 * MIB, 'content')))
})
