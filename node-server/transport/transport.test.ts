import { until } from '../../lib/testing/until.ts'
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { ByteWriter } from '../../lib/bytes.ts'
import type { Timer } from '../../lib/clock.ts'
import { ClusterId, LogIndex, MemberId, Term } from '../../lib/ids.ts'
import { COMMIT_NOTICE } from '../limits.ts'
import type { Message } from '../raft/message.ts'
import { encodeMessages } from './codec.ts'
import { CHALLENGED_VERSION, FRAME, encodeFrame } from './frame.ts'
import { query } from './query.ts'
import {
  A,
  B,
  byHand,
  clock,
  commits,
  freePort,
  heartbeat,
  isConnected,
  pair,
  start,
  type Side,
} from './testing/side.ts'

test('messages arrive in the order they were sent, and both sides count them', async (t) => {
  const [a, b] = await pair(t)
  for (let i = 1; i <= 100; i++) a.transport.send([heartbeat(A, B, i), heartbeat(A, B, i + 1000)])
  b.transport.send([heartbeat(B, A, 7)])
  await until('all arrive', () => b.messages.length === 200 && a.messages.length === 1)
  assert.deepEqual(commits(b).slice(0, 4), [1, 1001, 2, 1002])
  assert.ok(a.transport.stats(B).sentBytes > 8000 && b.transport.stats(A).receivedBytes > 8000)
  await until('a ping comes back', () => a.roundTrips.length > 0)
  assert.ok(a.roundTrips.every(([peer, ms]) => peer === B && ms >= 0))
})

const notice = (index: number): Message => ({
  kind: 'append-request',
  from: A,
  to: B,
  term: Term(1),
  prevIndex: LogIndex(9),
  prevTerm: Term(1),
  commit: LogIndex(index),
  entries: [],
})

/** A, whose turns end and whose notices have waited long enough when the test says so, and B, connected. */
async function pairInSteps(t: TestContext): Promise<{ a: Side; b: Side; turn: () => void; wait: () => void }> {
  const turns = new Set<() => void>()
  const waits = new Set<() => void>()
  const setTimer = (delayMs: number, fire: () => void): Timer => {
    if (delayMs !== COMMIT_NOTICE.waitMs) return clock.setTimer(delayMs, fire)
    waits.add(fire)
    return { cancel: () => void waits.delete(fire) }
  }
  const a = await start(t, A, { clock: { ...clock, setTimer, soon: (fire) => void turns.add(fire) } })
  const b = await start(t, B)
  const urls = new Map([
    [A, [a.url]],
    [B, [b.url]],
  ])
  for (const side of [a, b]) side.transport.setPeers(urls)
  await until('they connect', () => isConnected(a, B) && isConnected(b, A))
  const all = (due: Set<() => void>) => (): void => {
    const fires = [...due]
    due.clear()
    for (const fire of fires) fire()
  }
  return { a, b, turn: all(turns), wait: all(waits) }
}

test('that entries are committed is told with what else there is to tell, or by itself after a moment', async (t) => {
  const { a, b, turn, wait } = await pairInSteps(t)
  const sentBytes = (): number => a.transport.stats(B).sentBytes
  const before = sentBytes()
  a.transport.send([notice(7)])
  for (let i = 0; i < 3; i++) turn()
  assert.equal(sentBytes(), before)
  wait()
  const afterFirst = sentBytes()
  assert.ok(afterFirst > before)
  a.transport.send([notice(8)])
  a.transport.send([heartbeat(A, B, 1)])
  const afterBoth = sentBytes()
  assert.ok(afterBoth > afterFirst)
  wait()
  assert.equal(sentBytes(), afterBoth, 'it has left, and what it waited for is over')
  await until('all arrive', () => b.messages.length === 3)
  assert.deepEqual(b.messages, [notice(7), heartbeat(A, B, 1), notice(8)])
})

test('who has forwarded a proposal is told two turns later that entries are committed', async (t) => {
  const { a, b, turn } = await pairInSteps(t)
  const entries = [{ kind: 'normal', data: Buffer.from('a') }] as const
  b.transport.send([{ kind: 'propose-request', from: B, to: A, term: Term(1), entries }])
  await until('it arrives', () => a.messages.length === 1)
  const before = a.transport.stats(B).sentBytes
  a.transport.send([notice(7)])
  turn()
  assert.equal(a.transport.stats(B).sentBytes, before, 'clients have their answers first')
  turn()
  assert.ok(a.transport.stats(B).sentBytes > before)
})

test('a message in the name of another, or to another, is not taken', async (t) => {
  const [a, b] = await pair(t)
  const c = MemberId(0xccn)
  a.transport.send([heartbeat(c, B, 1), heartbeat(A, B, 2)])
  await until('the honest one arrives', () => b.messages.length > 0)
  assert.deepEqual(commits(b), [2])
})

test('a peer that comes back is connected to as soon as it is heard from, however long the pause was to be', async (t) => {
  const pauses: number[] = []
  const setTimer = (delayMs: number): { cancel: () => void } => {
    pauses.push(delayMs)
    return { cancel: () => undefined }
  }
  const a = await start(t, A, { clock: { ...clock, setTimer } })
  const port = await freePort()
  const urls = new Map([
    [A, [a.url]],
    [B, [`http://127.0.0.1:${port}`]],
  ])
  a.transport.setPeers(urls)
  await until('the first attempt fails', () => pauses.length > 0)
  const b = await start(t, B, { port })
  b.transport.setPeers(urls)
  await until('it is connected again', () => isConnected(a, B))
})

test('a lost peer is told once, its messages are dropped, and it is found again under another address', async (t) => {
  const [a, b] = await pair(t)
  await b.transport.close()
  await until('the loss is noticed', () => !isConnected(a, B))
  for (let i = 0; i < 50; i++) a.transport.send([heartbeat(A, B, i)])
  assert.deepEqual(a.unreachable, [B])
  assert.equal(a.transport.stats(B).sendFailures, 50)
  const again = await start(t, B)
  a.transport.setPeers(new Map([[B, ['http://127.0.0.1:1', again.url]]]))
  await until('the second of its URLs answers', () => isConnected(a, B))
  a.transport.send([heartbeat(A, B, 77)])
  await until('the new message arrives, no old one', () => again.messages.length === 1)
  assert.deepEqual(a.reachable, [B, B], 'each time the way to it was opened')
})

const refusedPeers: readonly [string, (b: Side) => void, { clusterId?: ClusterId; as?: MemberId }, string][] = [
  ['of another cluster', () => undefined, { clusterId: ClusterId(0xc2n) }, 'cluster-mismatch'],
  ['that was removed', (b) => b.removed.add(A), {}, 'removed'],
  ['that looks for another member', () => undefined, { as: MemberId(0xddn) }, 'member-mismatch'],
]
for (const [title, prepare, { clusterId, as }, reason] of refusedPeers) {
  test(`a member ${title} is refused with the reason, and nothing of it is taken`, async (t) => {
    const b = await start(t, B)
    prepare(b)
    const a = await start(t, A, clusterId === undefined ? {} : { clusterId })
    a.transport.setPeers(new Map([[as ?? B, [b.url]]]))
    await until('the refusal comes', () => a.refusals.length > 0)
    assert.equal(a.refusals[0], reason)
    a.transport.send([heartbeat(A, as ?? B, 1)])
    await delay(20)
    assert.deepEqual(b.messages, [])
  })
}

test('a member that is connected while it is removed is told so when it comes again', async (t) => {
  const [a, b] = await pair(t)
  await until('they are connected', () => isConnected(a, B) && isConnected(b, A))
  b.removed.add(A)
  b.transport.setPeers(new Map([[B, [b.url]]]))
  await until('it is told', () => a.refusals.includes('removed'))
})

test('requests are answered, also to somebody who is not a member yet', async (t) => {
  const [a, b] = await pair(t)
  const answer = await a.transport.request(B, Buffer.from('who?'), 1000)
  assert.ok(answer.ok)
  assert.equal(answer.value.toString(), 'a asks who?')
  const queried = await query(b.url, Buffer.from('let me in'), 1000)
  assert.ok(queried.ok)
  assert.equal(queried.value.toString(), '0 asks let me in')
  const nobody = await query(`http://127.0.0.1:${await freePort()}`, Buffer.alloc(0), 1000)
  assert.ok(!nobody.ok)
})

const nonsense: readonly [string, Buffer][] = [
  ['a frame of 4 GiB', Buffer.alloc(64, 0xff)],
  ['HTTP', Buffer.from('GET /version HTTP/1.1\r\nHost: x\r\n\r\n')],
  ['a frame with a wrong checksum', Buffer.from('000000050000000004deadbeef', 'hex')],
  ['messages that are malformed', encodeFrame(FRAME.messages, Buffer.from('0000ffff', 'hex'))],
  ['a request that ends within its number', encodeFrame(FRAME.request, Buffer.from('000001', 'hex'))],
]
for (const [title, bytes] of nonsense) {
  test(`${title} ends its connection and nothing else`, async (t) => {
    const [a, b] = await pair(t)
    for (const hello of [undefined, {}]) {
      const stranger = await byHand(b.url, hello)
      stranger.socket.write(bytes)
      await until('the connection is closed', stranger.isClosed)
    }
    a.transport.send([heartbeat(A, B, 5)])
    await until('others go on', () => b.messages.length === 1)
  })
}

test('who only queries is nobody, whatever member and cluster it says it is', async (t) => {
  const b = await start(t, B)
  b.transport.setPeers(new Map([[A, ['http://127.0.0.1:1']]]))
  const asked = await byHand(b.url, { purpose: 'query', clusterId: ClusterId(0n), from: A })
  asked.socket.write(encodeFrame(FRAME.request, new ByteWriter().u53(1).raw(Buffer.from('this')).finish()))
  await until('an answer', () => asked.frames.length === 2)
  assert.equal(asked.frames[1]?.payload.subarray(8).toString(), '0 asks this')
  const forged = await byHand(b.url, { purpose: 'query', clusterId: ClusterId(0n), from: A })
  forged.socket.write(encodeFrame(FRAME.messages, encodeMessages([heartbeat(A, B, 9)])))
  await until('the connection is closed', forged.isClosed)
  assert.deepEqual([b.messages, b.transport.stats(A).receivedBytes], [[], 0])
})

test('a peer URL that is none leaves its member unreachable, and nothing else', async (t) => {
  const [a, b] = await pair(t)
  const C = MemberId(0xcn)
  a.transport.setPeers(
    new Map([
      [B, [b.url]],
      [C, ['http://c:99999']],
    ]),
  )
  a.transport.send([heartbeat(A, C, 1), heartbeat(A, B, 5)])
  await until('others go on', () => b.messages.length === 1 && a.unreachable.includes(C))
  assert.deepEqual(await query('http://[::', Buffer.alloc(0), 100), {
    ok: false,
    error: "'http://[::' is not of the form http://host:port",
  })
})

test('peers meet by the files of sockets as by ports, and one that a killed process left is taken over', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'raftkv-peer-sockets-'))
  t.after(() => rm(directory, { recursive: true }))
  const [path, other] = [join(directory, 'localhost:1'), join(directory, 'b.sock')]
  const killed = spawn(process.execPath, [
    '-e',
    `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`,
  ])
  await once(killed, 'exit')
  const [a, b] = await pair(t, [`unix://${path}`, `unix://${other}`])
  a.transport.send([heartbeat(A, B, 3)])
  await until('it arrives', () => commits(b).includes(3))
  const answer = await query(b.url, Buffer.from('this'), 1000)
  assert.equal(answer.ok && answer.value.toString(), '0 asks this')
})

test('a member that is not known yet is answered: it has come by itself, and said where it is', async (t) => {
  const [a, b] = [await start(t, A), await start(t, B)]
  const members = new Map([
    [A, [a.url]],
    [B, [b.url]],
  ])
  a.transport.setPeers(members)
  b.transport.setPeers(new Map([[B, [b.url]]])) // its log is behind: it has not read of A
  await until('b has a way to a', () => isConnected(b, A))
  b.transport.send([heartbeat(B, A, 7)])
  await until('a is answered', () => commits(a).includes(7))
  b.transport.setPeers(members)
  assert.ok(isConnected(b, A), 'the connection stays when the log names it')
  b.removed.add(A)
  b.transport.setPeers(new Map([[B, [b.url]]]))
  assert.ok(!isConnected(b, A), 'whoever was removed is forgotten')
})

test('another version of the protocol is refused with the reason', async (t) => {
  const b = await start(t, B)
  const { frames } = await byHand(b.url, { version: CHALLENGED_VERSION + 1 })
  assert.equal(frames[0]?.type, FRAME.refused)
})
