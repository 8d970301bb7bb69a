import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ByteWriter } from '../../lib/bytes.ts'
import { LogIndex, MemberId, Term } from '../../lib/ids.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import { SNAPSHOT_PIECE_SIZE_BYTES } from '../limits.ts'
import type { Message } from '../raft/message.ts'
import { encodeMessages } from './codec.ts'
import { FRAME, encodeFrame } from './frame.ts'
import type { SnapshotSource } from './transport.ts'
import { A, B, byHand, commits, freePort, heartbeat, isConnected, pair, start, until } from './testing/side.ts'

const snapshotMessage = (to: MemberId): Extract<Message, { kind: 'snapshot-request' }> => ({
  kind: 'snapshot-request',
  from: A,
  to,
  term: Term(3),
  snapshot: {
    index: LogIndex(9),
    term: Term(2),
    configIndex: LogIndex(1),
    configuration: { voters: [A, B], votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false },
  },
})

const sourceOf = (content: Buffer): SnapshotSource => ({
  sizeBytes: content.length,
  read: async function* () {
    for (let at = 0; at < content.length; at += SNAPSHOT_PIECE_SIZE_BYTES)
      yield content.subarray(at, at + SNAPSHOT_PIECE_SIZE_BYTES)
  },
})
const CONTENT = sourceOf(Buffer.from('content'))

test('a snapshot arrives whole, beside the messages, and the sender learns of it', async (t) => {
  const [a, b] = await pair(t)
  const content = Buffer.alloc(20 * 1024 * 1024 + 17)
  for (let at = 0; at < content.length; at += 4099) content.writeUInt8(at % 251, at)
  const sending = a.transport.sendSnapshot(snapshotMessage(B), sourceOf(content))
  a.transport.send([heartbeat(A, B, 1)])
  assert.deepEqual(await sending, ok(undefined))
  assert.equal(b.snapshots.length, 1)
  assert.deepEqual(b.snapshots[0]?.message, snapshotMessage(B))
  assert.ok(b.snapshots[0]?.content.equals(content))
  assert.equal(commits(b).length, 1)
})

test('a snapshot goes to any of the URLs of a peer that answers', async (t) => {
  const [a, b] = [await start(t, A), await start(t, B)]
  a.transport.setPeers(new Map([[B, [`http://127.0.0.1:${await freePort()}`, b.url]]]))
  assert.deepEqual(await a.transport.sendSnapshot(snapshotMessage(B), CONTENT), ok(undefined))
  await until(() => isConnected(a, B), 'it connects')
  assert.deepEqual(await a.transport.sendSnapshot(snapshotMessage(B), CONTENT), ok(undefined))
  assert.equal(b.snapshots.length, 2)
})

const END = (digest: string): Buffer => encodeFrame(FRAME.snapshotEnd, Buffer.from(digest, 'hex'))
const EMPTY_DIGEST = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
const begin = (sizeBytes: number, from = A): Buffer =>
  encodeFrame(
    FRAME.snapshotBegin,
    new ByteWriter()
      .u53(sizeBytes)
      .raw(encodeMessages([{ ...snapshotMessage(B), from }]))
      .finish(),
  )
const chunk = (text: string): Buffer => encodeFrame(FRAME.snapshotChunk, Buffer.from(text))
const brokenStreams: readonly [string, readonly Buffer[]][] = [
  ['without a beginning', [END(EMPTY_DIGEST)]],
  ['that begins with something else', [encodeFrame(FRAME.snapshotBegin, Buffer.alloc(12))]],
  ['with chunks before its beginning', [chunk('x')]],
  ['with more bytes than announced', [begin(3), chunk('four'), END(EMPTY_DIGEST)]],
  ['with fewer bytes than announced', [begin(5), chunk('four'), END(EMPTY_DIGEST)]],
  ['whose digest is another', [begin(4), chunk('four'), END(EMPTY_DIGEST)]],
  ['that begins twice', [begin(4), begin(4)]],
  ['that is more than there is room for', [begin(2 ** 53 - 1)]],
  ['of another sender', [begin(0, MemberId(0xdn)), END(EMPTY_DIGEST)]],
  ['with frames that do not belong there', [encodeFrame(FRAME.messages, Buffer.alloc(4))]],
]
for (const [title, frames] of brokenStreams) {
  test(`a snapshot stream ${title} is answered with the reason, and is nothing`, async (t) => {
    const b = await start(t, B)
    const stream = await byHand(b.url, { purpose: 'snapshot' })
    for (const frame of frames) stream.socket.write(frame)
    await until(() => stream.frames.some(({ type }) => type === FRAME.snapshotDone) || stream.isClosed(), 'it ends')
    stream.socket.destroy()
    assert.deepEqual(b.snapshots, [])
  })
}

test('a snapshot for which there is no room is refused before it is read, and told of once a minute', async (t) => {
  const lines: string[] = []
  const log = { info: () => undefined, warn: (fields: object) => lines.push(JSON.stringify(fields)) }
  const [a, b] = [await start(t, A), await start(t, B, { log })]
  a.transport.setPeers(new Map([[B, [b.url]]]))
  const send = (): Promise<Result<void, string>> => a.transport.sendSnapshot(snapshotMessage(B), CONTENT)
  b.roomBytes = CONTENT.sizeBytes - 1
  const reason = `Error: no room for ${CONTENT.sizeBytes} bytes`
  assert.deepEqual([await send(), await send()], [err(reason), err(reason)])
  assert.deepEqual([b.pieces, b.snapshots], [[], []])
  b.roomBytes += 1
  assert.deepEqual(await send(), ok(undefined))
  assert.deepEqual(
    lines.filter((line) => line.includes(reason)),
    [JSON.stringify({ from: 'a', reason })],
  )
})

test('who reads a snapshot stream that breaks off is told', async (t) => {
  const b = await start(t, B)
  const stream = await byHand(b.url, { purpose: 'snapshot' })
  stream.socket.write(Buffer.concat([begin(1000), chunk('some of it')]))
  await until(() => b.pieces.length === 1, 'some of it has come')
  stream.socket.destroy()
  await until(() => b.brokenOff.length === 1, 'it breaks off')
  assert.deepEqual([b.pieces, b.snapshots], [['some of it'], []])
  assert.match(b.brokenOff[0] ?? '', /the snapshot stream broke off/)
})

test('a receiver that takes no more ends the stream of a sender that waits for it', async (t) => {
  const [a, b] = await pair(t)
  b.roomBytes = Infinity
  b.refusal = 'ENOSPC: no space left on device'
  const piece = Buffer.alloc(SNAPSHOT_PIECE_SIZE_BYTES)
  const endless = async function* (): AsyncIterable<Uint8Array> {
    for (;;) yield piece
  }
  const sent = await a.transport.sendSnapshot(snapshotMessage(B), { sizeBytes: Number.MAX_SAFE_INTEGER, read: endless })
  assert.match(sent.ok ? 'sent' : sent.error, /ENOSPC/)
})

test('a snapshot to a peer that is not there fails with the reason', async (t) => {
  const a = await start(t, A)
  const failure = async (): Promise<string> => {
    const sent = await a.transport.sendSnapshot(snapshotMessage(B), CONTENT)
    return sent.ok ? 'sent' : sent.error
  }
  assert.match(await failure(), /not known/)
  a.transport.setPeers(new Map([[B, [`http://127.0.0.1:${await freePort()}`]]]))
  assert.match(await failure(), /ECONNREFUSED/)
})
