/** The peer port of a member that listens, given whatever anybody sends to it: it goes on. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { test, type TestContext } from 'node:test'
import * as fc from 'fast-check'
import { ByteWriter } from '../../lib/bytes.ts'
import { ClusterId, LogIndex, MemberId, Term } from '../../lib/ids.ts'
import { ok } from '../../lib/result.ts'
import { systemClock } from '../../lib/system-clock.ts'
import { encodeMessages } from '../../node-server/transport/codec.ts'
import { encodeFrame, encodeHello, type Purpose } from '../../node-server/transport/frame.ts'
import { query } from '../../node-server/transport/query.ts'
import { Transport } from '../../node-server/transport/transport.ts'
import { mutate, mutation } from './wire.ts'

const SELF = MemberId(1n)
const PEER = MemberId(2n)
const CLUSTER = ClusterId(0xc1n)
const RUNS = 60

const heartbeat = encodeMessages([
  { kind: 'heartbeat-request', from: PEER, to: SELF, term: Term(1), commit: LogIndex(1), readBatch: 0 },
])
const snapshot = new ByteWriter()
  .u53(4)
  .raw(
    encodeMessages([
      {
        kind: 'snapshot-request',
        from: PEER,
        to: SELF,
        term: Term(1),
        snapshot: {
          index: LogIndex(2),
          term: Term(1),
          configIndex: LogIndex(1),
          configuration: { voters: [SELF], votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false },
        },
      },
    ]),
  )
  .finish()

const payload = fc.oneof(
  fc
    .tuple(fc.constantFrom(heartbeat, snapshot, Buffer.from('{"kind":"members"}'), Buffer.alloc(8)), mutation)
    .map(([whole, change]) => mutate(whole, change)),
  fc.uint8Array({ maxLength: 40 }).map((noise) => Buffer.from(noise)),
)
/** Frames that arrive whole, with anything in them, and now and then bytes between them that are none. */
const stream = fc
  .tuple(
    fc.constantFrom<Purpose>('messages', 'snapshot', 'query'),
    fc.array(fc.tuple(fc.integer({ min: 0, max: 13 }), payload), { minLength: 1, maxLength: 6 }),
    fc.option(mutation, { nil: undefined, freq: 4 }),
  )
  .map(([purpose, frames, change]) => {
    const hello = encodeHello({ version: 2, clusterId: CLUSTER, from: PEER, to: SELF, purpose, peerURLs: [] })
    const bytes = Buffer.concat(frames.map(([type, body]) => encodeFrame(type, body)))
    return [hello, change === undefined ? bytes : mutate(bytes, change)] as const
  })

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  await new Promise((resolve) => server.close(resolve))
  return address.port
}

interface Listening {
  readonly port: number
  readonly senders: Set<MemberId>
}

async function listening(t: TestContext): Promise<Listening> {
  const port = await freePort()
  const senders = new Set<MemberId>()
  const options = { clusterId: CLUSTER, memberId: SELF, clock: systemClock }
  const transport = await Transport.listen(
    { listenUrls: [`http://127.0.0.1:${port}`], ...options },
    {
      onMessages: (messages) => messages.forEach(({ from }) => senders.add(from)),
      onSnapshot: async ({ pieces }) => void (await Array.fromAsync(pieces)),
      onRequest: async () => Buffer.from('answer'),
      onUnreachable: () => undefined,
      onReachable: () => undefined,
      onRefused: () => undefined,
      isRemoved: () => false,
    },
  )
  t.after(() => transport.close())
  return { port, senders }
}

/** Sends all of it behind a hello and resolves once the member has hung up, or has taken it and heard of the end. */
async function throwAt(port: number, hello: Buffer, bytes: Buffer): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => undefined) // it may hang up on us in the middle
  const closed = new Promise((resolve) => socket.once('close', resolve))
  await once(socket, 'connect')
  socket.resume()
  socket.end(Buffer.concat([hello, bytes]))
  await closed
}

test('whatever is sent to the peer port, it answers the next one, and leaves no file', async (t) => {
  const { port, senders } = await listening(t)
  await fc.assert(
    fc.asyncProperty(stream, ([hello, bytes]) => throwAt(port, hello, bytes)),
    { numRuns: RUNS },
  )
  assert.deepEqual(await query(`http://127.0.0.1:${port}`, Buffer.from('?'), 5000), ok(Buffer.from('answer')))
  assert.ok([...senders].every((from) => from === PEER))
})
