/** What one client, peer or administrator may ask for at most: at each limit it is taken, one beyond it is refused. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect as connectHttp2 } from 'node:http2'
import { connect } from 'node:net'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { ADMIN_PATHS } from '../../lib/admin-api.ts'
import { ByteWriter } from '../../lib/bytes.ts'
import { ClusterId, MemberId, NOBODY, parseId } from '../../lib/ids.ts'
import { err } from '../../lib/result.ts'
import { classOf } from '../../node-server/config/flag.ts'
import { parseConfig } from '../../node-server/config/parse.ts'
import { FLAGS } from '../../node-server/config/table.ts'
import * as limits from '../../node-server/limits.ts'
import { MAX_OPERATION_ID_SIZE_BYTES } from '../../node-server/mvcc/command.ts'
import { MAX_LEASE_TTL_SECONDS } from '../../node-server/mvcc/lease.ts'
import { MAX_MESSAGE_DEPTH } from '../../node-server/mvcc/request-reader.ts'
import { LeaseGrantRequest, PutRequest } from '../../node-server/proto/generated/etcd/rpc.ts'
import { encodeFrame, encodeHello, FRAME, PROTOCOL_VERSION, type Purpose } from '../../node-server/transport/frame.ts'
import { lengthDelimited } from '../fuzz/wire.ts'
import { eventually, Rig, type MemberProcess } from './member-process.ts'

const MAX_REQUEST_BYTES = 100_000
/** Beside a request, as in etcd. */
const GRPC_OVERHEAD_BYTES = 512 * 1024
/** Above what nests, so that the depth alone decides. */
const MAX_TXN_OPS = 1000
const MAX_HEADER_BYTES = 8192
const MAX_BODY_SIZE_BYTES = 64 * 1024

let rig: Rig
let member: MemberProcess
before(async () => {
  rig = await Rig.open()
  member = await rig.member('limited')
  await member.start([
    `--max-request-bytes=${MAX_REQUEST_BYTES}`,
    `--max-txn-ops=${MAX_TXN_OPS}`,
    `--client-max-header-bytes=${MAX_HEADER_BYTES}`,
  ])
  await member.isReady()
})
after(() => rig.close())

interface Row {
  /** Names of flags, and of limits in limits.ts. */
  readonly limits?: readonly string[]
  readonly title: string
  readonly atMost: number
  /** What a request of that size is told. */
  readonly ask: (size: number) => Promise<string>
  readonly taken: RegExp
  readonly refused: RegExp
}

const OK = /^ok$/

const call = (method: string, request: Uint8Array): Promise<string> =>
  member.etcd.callBytes(`/etcdserverpb.${method}`, request).then(
    () => 'ok',
    ({ code, details }: { code: number; details: string }) => `${code} ${details}`,
  )

const put = (part: Partial<PutRequest>): Uint8Array => PutRequest.encode(PutRequest.fromPartial(part)).finish()
/** Of exactly so many bytes. */
function putOf(sizeBytes: number): Uint8Array {
  const key = Buffer.from('k')
  const around = put({ key, value: Buffer.alloc(sizeBytes) }).length - sizeBytes
  const request = put({ key, value: Buffer.alloc(sizeBytes - around) })
  assert.equal(request.length, sizeBytes)
  return request
}

const SUCCESS = 2
function txnOf(count: number): Uint8Array {
  const operation = (i: number): Uint8Array =>
    lengthDelimited(SUCCESS, lengthDelimited(2, put({ key: Buffer.from(`${i}`) })))
  return Buffer.concat(Array.from({ length: count }, (_, i) => operation(i)))
}
/** Two messages for each txn; in the innermost operation a put. */
function nested(depth: number): Uint8Array {
  let txn = lengthDelimited(SUCCESS, lengthDelimited(2, put({ key: Buffer.from('deep') })))
  for (let at = 4; at <= depth; at += 2) txn = lengthDelimited(SUCCESS, lengthDelimited(4, txn))
  return txn
}

async function http2Header(sizeBytes: number): Promise<string> {
  const session = connectHttp2(member.clientURL, { maxSendHeaderBlockLength: 1_000_000 })
  const fields = { ':method': 'GET', ':path': '/version', ':scheme': 'http', ':authority': 'a', x: '' }
  // As HTTP/2 counts them: 32 bytes for each field beside its name and value.
  const around = Object.entries(fields).reduce((sum, [name, value]) => sum + name.length + value.length + 32, 0)
  await once(session, 'remoteSettings') // what is sent before does not know of the limit
  const stream = session.request({ ...fields, x: 'v'.repeat(sizeBytes - around) })
  const answer = await Promise.race([
    once(stream, 'response').then(() => 'ok'),
    once(stream, 'error').then(([error]) => String(error)),
  ]).catch(String)
  session.destroy()
  return answer
}

/** Node counts path, names and values, and refuses what reaches its limit. */
async function http1Header(sizeBytes: number): Promise<string> {
  const fields = { Host: 'x', Connection: 'close', X: '' }
  const around = '/version'.length + Object.entries(fields).flat().join('').length
  const lines = Object.entries({ ...fields, X: 'v'.repeat(sizeBytes - 1 - around) }).map((pair) => pair.join(': '))
  const socket = connect(member.ports.client, '127.0.0.1')
  socket.end(`GET /version HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`)
  const answer = (await socket.toArray()).join('')
  return answer.startsWith('HTTP/1.1 200 ') ? 'ok' : answer.slice(0, 'HTTP/1.1 431'.length)
}

async function gatewayPut(sizeBytes: number): Promise<string> {
  const request = PutRequest.decode(putOf(sizeBytes))
  const body = {
    key: Buffer.from(request.key).toString('base64'),
    value: Buffer.from(request.value).toString('base64'),
  }
  const response = await fetch(`${member.clientURL}/v3/kv/put`, { method: 'POST', body: JSON.stringify(body) })
  return response.ok ? 'ok' : response.text()
}

const removal = (part: object): object => ({
  kind: 'remove',
  operationId: 'x',
  expectedConfigIndex: 1,
  memberId: '1',
  ...part,
})
/** What an administrator is told, by its code; nobody is removed, for there is no member 1. */
async function administer(body: unknown, path: string = ADMIN_PATHS.membership): Promise<string> {
  const { code, body: answer } = await member.post(path, body)
  return `${code} ${answer.message}`
}
const addition = (name: string, peerURLs: readonly string[]): object => ({
  kind: 'add-learner',
  operationId: 'y',
  expectedConfigIndex: 1_000_000, // never true: nobody is added
  member: { name, peerURLs },
})

/** One connection of a peer; 'ok' when it gets an answer, else what the member wrote about it. */
async function peer(purpose: Purpose | undefined, bytes: Buffer): Promise<string> {
  const { clusterId, memberId } = await member.status()
  const socket = connect(member.ports.peer, '127.0.0.1')
  await once(socket, 'connect')
  socket.on('error', () => undefined) // 'close' follows
  const before = member.output.length
  if (purpose !== undefined) {
    const ids = { clusterId: ClusterId(parseId(clusterId) ?? 0n), from: NOBODY, to: MemberId(parseId(memberId) ?? 0n) }
    socket.write(encodeHello({ version: PROTOCOL_VERSION, ...ids, purpose, peerURLs: [] }))
    await once(socket, 'data')
  }
  socket.write(bytes)
  const answered = await Promise.race([once(socket, 'data').then(() => true), once(socket, 'close').then(() => false)])
  socket.destroy()
  if (answered) return 'ok'
  const said = (): string => member.output.slice(before)
  await eventually('the member says why', async () => assert.match(said(), /ended the connection of a peer/))
  return said()
}
const asked = (sizeBytes: number): Buffer =>
  encodeFrame(FRAME.request, new ByteWriter().u53(1).raw(Buffer.alloc(sizeBytes)).finish())

const rows: readonly Row[] = [
  {
    limits: ['max-request-bytes'],
    title: 'a request',
    atMost: MAX_REQUEST_BYTES,
    ask: (size) => call('KV/Put', putOf(size)),
    taken: OK,
    refused: /^3 etcdserver: request is too large$/,
  },
  {
    title: 'what comes by gRPC, request or not',
    atMost: MAX_REQUEST_BYTES + GRPC_OVERHEAD_BYTES,
    ask: (size) => call('KV/Put', putOf(size)),
    taken: /^3 etcdserver: request is too large$/,
    refused: /^8 grpc: received message larger than max \(624289 vs\. 624288\)$/,
  },
  {
    limits: ['MAX_REQUEST_SIZE_BYTES'],
    title: '--max-request-bytes',
    atMost: limits.MAX_REQUEST_SIZE_BYTES,
    ask: async (size) => {
      const parsed = parseConfig([`--max-request-bytes=${size}`], {}, err)
      return parsed.kind === 'refused' ? parsed.problems.join() : 'ok'
    },
    taken: OK,
    refused: /^--max-request-bytes: .*10485760/,
  },
  {
    limits: ['max-txn-ops'],
    title: 'operations of a txn',
    atMost: MAX_TXN_OPS,
    ask: (count) => call('KV/Txn', txnOf(count)),
    taken: OK,
    refused: /^3 etcdserver: too many operations in txn request$/,
  },
  {
    title: 'messages inside of one another',
    atMost: MAX_MESSAGE_DEPTH - 1, // they come in pairs
    ask: (depth) => call('KV/Txn', nested(depth)),
    taken: OK,
    refused: /^13 .*exceeded maximum recursion depth$/,
  },
  {
    title: 'seconds of a lease',
    atMost: MAX_LEASE_TTL_SECONDS,
    ask: (seconds) => call('Lease/LeaseGrant', LeaseGrantRequest.encode({ ID: 0n, TTL: BigInt(seconds) }).finish()),
    taken: OK,
    refused: /^11 etcdserver: too large lease TTL$/,
  },
  {
    limits: ['client-max-header-bytes'],
    title: 'the header of a request by HTTP/2, metadata of a call included',
    atMost: MAX_HEADER_BYTES,
    ask: http2Header,
    taken: OK,
    refused: /NGHTTP2_ENHANCE_YOUR_CALM/,
  },
  {
    title: 'the header of a request by HTTP/1.1',
    atMost: MAX_HEADER_BYTES,
    ask: http1Header,
    taken: OK,
    refused: /^HTTP\/1\.1 431$/,
  },
  {
    title: 'a request by the gateway',
    atMost: MAX_REQUEST_BYTES,
    ask: gatewayPut,
    taken: OK,
    refused: /request is too large/,
  },
  {
    title: 'a message by the gateway, request or not',
    atMost: MAX_REQUEST_BYTES + GRPC_OVERHEAD_BYTES,
    ask: gatewayPut,
    taken: /request is too large/,
    refused: /received message larger than max \(624289 vs\. 624288\)/,
  },
  {
    title: 'a body for the admin API',
    atMost: MAX_BODY_SIZE_BYTES,
    ask: (size) => administer(JSON.stringify(removal({})).padEnd(size)),
    taken: /^404 there is no member/,
    refused: /^400 the body is not JSON of this API: it is too large: at most 65536 bytes$/,
  },
  {
    title: 'an operation ID',
    atMost: MAX_OPERATION_ID_SIZE_BYTES,
    ask: (size) => administer(removal({ operationId: 'o'.repeat(size) })),
    taken: /^404 there is no member/,
    refused: /^400 operationId: must be at most 256 bytes/,
  },
  {
    title: 'the name of a member',
    atMost: 253,
    ask: (size) => administer(addition('n'.repeat(size), ['http://a:1'])),
    taken: /^409 /,
    refused: /^400 member\.name: /,
  },
  {
    title: 'a URL of a member',
    atMost: 2048,
    ask: (size) => administer(addition('n', [`http://${'h'.repeat(size - 'http://:1'.length)}:1`])),
    taken: /^409 /,
    refused: /^400 member\.peerURLs\.0: /,
  },
  {
    title: 'URLs of a member',
    atMost: 8,
    ask: (count) =>
      administer(
        addition(
          'n',
          Array.from({ length: count }, (_, i) => `http://h${i}:1`),
        ),
      ),
    taken: /^409 /,
    refused: /^400 member\.peerURLs: /,
  },
  {
    limits: ['MAX_PEER_REQUEST_SIZE_BYTES'],
    title: 'a question of a peer',
    atMost: limits.MAX_PEER_REQUEST_SIZE_BYTES,
    ask: (size) => peer('query', asked(size)),
    taken: OK,
    refused: /a request of 65537 bytes; at most 65536 are taken/,
  },
]

for (const { title, atMost, ask, taken, refused } of rows) {
  test(`${title}: ${atMost} at most`, async () => {
    assert.match(await ask(atMost), taken)
    assert.match(await ask(atMost + 1), refused)
    assert.equal(await call('KV/Put', put({ key: Buffer.from('next') })), 'ok', 'the member goes on')
  })
}

const TRANSPORT = 'node-server/transport/transport-limits.test.ts'
const ANSWERS = 'node-server/api/etcd/answer-in-order.test.ts'
const ABUSE = 'node-server/grpc/abuse.test.ts'
const LOAD = 'node-server/listen/load.test.ts'
const WARM_START = 'node-server/warm-up/warm-start.test.ts'

/** What no single request reaches, and where it is tried. */
const ELSEWHERE: Readonly<Record<string, readonly [file: string, title: string]>> = {
  MAX_FRAME_SIZE_BYTES: [TRANSPORT, 'a frame over the limit'],
  MAX_STRANGERS_FRAME_SIZE_BYTES: [TRANSPORT, 'a byte more of a stranger'],
  FRAME_TIMEOUT_MS: [TRANSPORT, 'half a frame'],
  FRAME_SIZE_BYTES: ['node-server/transport/outbox.test.ts', 'a frame is filled to its last byte, and one byte more'],
  MAX_UNREAD_SIZE_BYTES: [TRANSPORT, 'who asks and does not read the answers, or asks too much at once, is ended'],
  MAX_PEER_REQUESTS: [TRANSPORT, 'who asks and does not read the answers, or asks too much at once, is ended'],
  MAX_PEER_ANSWER_SIZE_BYTES: [TRANSPORT, 'an answer that is comes back empty'],
  MAX_BATCH_SIZE_BYTES: ['node-server/limits.ts', 'what a turn may have got fits one batch of the log'],
  MAX_WAITERS: ['node-server/node/apply/waiters.test.ts', 'each waiter is settled exactly once'],
  MAX_OUTGOING_SNAPSHOTS: ['node-server/node/replica/outgoing-snapshots.test.ts', 'few are under way at once'],
  KEPT_LOG: ['node-server/node/replica/log-cut.test.ts', 'it stays up to a bound: of time, of bytes'],
  MAX_LONG_RANGES: [
    'node-server/node/replica/range-reads.test.ts',
    'a bounded number is under way and a bounded number',
  ],
  MAX_WAITING_RANGES: ['node-server/node/replica/range-reads.test.ts', 'a bounded number is under way and a bounded'],
  RESERVED_DISK_SIZE_BYTES: ['node-server/node/maintenance/disk-room.test.ts', 'copies leave the reserve'],
  RESERVED_DISK_SHARE: ['node-server/node/maintenance/disk-room.test.ts', 'copies leave the reserve'],
  MAX_CLIENT_SNAPSHOTS: [
    'node-server/node/maintenance/store-files.test.ts',
    'clients pin as many stores as limits.ts says',
  ],
  MAX_PINNED_STORES: ['node-server/limits.ts', 'MAX_OUTGOING_SNAPSHOTS + MAX_CLIENT_SNAPSHOTS'],
  MAX_WAIT_FOR_STORE_MS: ['test/recovery/damage.test.ts', 'one that no leader sends a store for long ends too'],
  SNAPSHOT_PIECE_SIZE_BYTES: [
    'node-server/transport/transport-snapshots.test.ts',
    'const piece = Buffer.alloc(SNAPSHOT_PIECE_SIZE_BYTES)',
  ],
  RUN_SIZES: ['node-server/storage/runs/policy.test.ts', 'when runs become many the cheapest neighbours are merged'],
  SCRUB: ['node-server/storage/runs/runs-damage.test.ts', 'damage in what nobody reads is found by looking for it'],
  APPLY_SLICE: ['node-server/node/apply/applier.test.ts', 'what was committed in the middle of an entry'],
  HASH_TURN: ['node-server/node/maintenance/hasher.test.ts', 'a turn ends when its time is over, and after so many'],
  PURGE: ['node-server/node/maintenance/purge.test.ts', 'a pause that lasts longer than it was to'],
  LEASES: ['node-server/node/lease/lessor.test.ts', 'many that end at once are all gone soon after, at a bounded rate'],
  MAX_RENEWALS_AT_ONCE: ['node-server/node/lease/lease-duties.test.ts', 'more renewals than fit a question'],
  MAX_WAITING_RENEWALS: ['node-server/node/lease/lease-duties.test.ts', 'more renewals than may wait are refused'],
  MAX_WAITING_RENEWALS_OF_STREAM: [ANSWERS, 'requests are handled side by side, as many as may be'],
  MAX_PEER_SECRETS: ['node-server/transport/secret.test.ts', 'of so many secrets at most'],
  MIN_PEER_SECRET_SIZE_BYTES: ['node-server/transport/secret.test.ts', 'is refused at the start, in words'],
  MAX_HASHES_AT_ONCE: ['node-server/node/auth/passwords.test.ts', 'few are worked on at once, some wait, and more'],
  MAX_WAITING_HASHES: ['node-server/node/auth/passwords.test.ts', 'few are worked on at once, some wait, and more'],
  MAX_SIMPLE_TOKENS: ['node-server/node/auth/simple-tokens.test.ts', 'beyond the bound the token goes that was not'],
  LINES: ['node-server/api/etcd/lines.test.ts', 'a line that takes more than there is room for is refused'],
  LINE_KEY_SIZE_BYTES: ['node-server/api/etcd/lines.test.ts', 'a line that takes more than there is room for'],
  WATCH: ['node-server/node/watch/watchable-store.test.ts', 'beyond the number of watchers, or of bytes in their'],
  OUTBOX_SHARE: ['node-server/api/etcd/outbox.test.ts', 'the less is left for all of them the less each may'],
  WARM_UP: ['node-server/warm-up/warm-up.test.ts', 'it ends when its time is over'],
  WARM_UP_BESIDE: [WARM_START, 'one that comes back to a cluster with a leader serves clients first'],
  LEADER_HEARD_HEARTBEATS: [WARM_START, 'one that hears of no leader warms up meanwhile'],
  COMMIT_NOTICE: [
    'node-server/transport/transport.test.ts',
    'that entries are committed is told with what else there is to tell, or by itself after a moment',
  ],
  GATHERING: [
    'node-server/node/replica/proposals.test.ts',
    'while others are without an answer, a few proposals wait for more, as long as turns bring more, and not for long',
  ],
  QUICK_SYNC: ['node-server/storage/wal.test.ts', 'all else stands still for a sync only where that was allowed'],
  FLOW: ['node-server/node/replica/proposals.test.ts', 'a bounded number of bytes is under way'],
  'quota-backend-bytes': ['node-server/node/maintenance/quota.test.ts', 'a put is taken while the file'],
  'max-learners': ['node-server/node/membership/fence.test.ts', 'one learner at a time'],
  'max-concurrent-streams': [ABUSE, 'calls at once on one connection are bounded'],
  'client-max-connections': [ABUSE, 'connections are bounded'],
  'client-max-streams': [LOAD, 'streams are bounded over all connections'],
  'client-max-connection-request-bytes': [LOAD, 'parts of requests are bounded on one connection and on all'],
  'client-max-request-bytes-held': [LOAD, 'parts of requests are bounded on one connection and on all'],
  'client-max-connection-response-bytes': [LOAD, 'responses are bounded on one connection and on all'],
  'client-max-response-bytes-held': [LOAD, 'responses are bounded on one connection and on all'],
}

test('every limit of limits.ts and of the flags is tried, here or elsewhere', () => {
  const inFile = Object.entries(limits).flatMap(([name, value]) => (typeof value === 'function' ? [] : [name]))
  const ofFlags = Object.entries(FLAGS).flatMap(([name, flag]) =>
    /(^|-)max-|^quota-/.test(name) && /^(integer|bytes)$/.test(flag.value) && classOf(flag) === 'implemented'
      ? [name]
      : [],
  )
  const here = rows.flatMap((row) => row.limits ?? [])
  assert.deepEqual([...here, ...Object.keys(ELSEWHERE)].toSorted(), [...inFile, ...ofFlags].toSorted())
  for (const [file, title] of Object.values(ELSEWHERE))
    assert.ok(readFileSync(join(import.meta.dirname, '..', '..', file), 'utf8').includes(title), `${file}: ${title}`)
})
