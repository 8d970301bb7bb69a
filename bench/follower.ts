/**
 * What a put costs a follower, alone: `node bench/follower.ts [--puts N] [--warm N] [--batch N] [--rate N] [--txn PUTS]`.
 * The program runs as one of two members; the other one is this process, which sends entries as the leader of a thousand
 * clients does, at a steady rate, and keeps nothing. Microseconds of processor time for each entry, by thread, as the kernel
 * counts them, its own work for them included. Run two versions in turn: what else the machine does moves the figures.
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { assert } from '../lib/assert.ts'
import { LogIndex, Term } from '../lib/ids.ts'
import { systemClock } from '../lib/system-clock.ts'
import { encodeCommand } from '../node-server/mvcc/command.ts'
import { PutRequest, TxnRequest } from '../node-server/proto/generated/etcd/rpc.ts'
import type { Entry } from '../node-server/raft/message.ts'
import { planNew } from '../node-server/static-start.ts'
import { Transport, type TransportHandlers } from '../node-server/transport/transport.ts'
import { ours } from '../test/limits/programs.ts'
import { freePort } from '../test/members/member-process.ts'

const { values } = parseArgs({
  options: {
    puts: { type: 'string', default: '60000' },
    warm: { type: 'string', default: '60000' },
    batch: { type: 'string', default: '240' },
    rate: { type: 'string', default: '12000' },
    txn: { type: 'string', default: '0' },
  },
})
const [PUTS, WARM_UP, BATCH, RATE, TXN_PUTS] = [values.puts, values.warm, values.batch, values.rate, values.txn].map(
  Number,
) as [number, number, number, number, number]
const BATCH_MS = (BATCH / RATE) * 1000
const KEY_SPACE = 100_000
const VALUE = Buffer.alloc(256, 'v')
const TERM = Term(2)
const HEARTBEAT_MS = 100
const POLL_MS = 20
const LEAST_MICROS = 0.05

/** As etcd's benchmark makes them: a varint, which is in no order. */
function keyOf(number: number): Buffer {
  const key = Buffer.alloc(8)
  let at = 0
  for (let rest = 2 * (number % KEY_SPACE); ; rest >>>= 7) {
    key[at++] = rest > 0x7f ? (rest & 0x7f) | 0x80 : rest
    if (rest <= 0x7f) return key
  }
}

function dataOf(number: number): Buffer {
  const requestId = BigInt(number)
  const put = (position: number): PutRequest => PutRequest.fromPartial({ key: keyOf(position), value: VALUE })
  if (TXN_PUTS === 0) return encodeCommand({ kind: 'put', requestId, request: PutRequest.encode(put(number)).finish() })
  const success = Array.from({ length: TXN_PUTS }, (_, i) => ({
    request: { $case: 'requestPut', value: put(number * TXN_PUTS + i) } as const,
  }))
  const request = TxnRequest.encode(TxnRequest.fromPartial({ success })).finish()
  return encodeCommand({ kind: 'txn', requestId, request })
}

const urls = { leader: `http://127.0.0.1:${await freePort()}`, follower: `http://127.0.0.1:${await freePort()}` }
const members = Object.entries(urls).map(([name, url]) => ({ name, peerURLs: [url] }))
const plan = planNew({ name: 'leader' }, { members, token: 'etcd-cluster' })
assert(plan.ok, 'the leader is a member')
const { clusterId } = plan.value
const [self, follower] = plan.value.members.map(({ id }) => id)
assert(self !== undefined && follower !== undefined, 'there are two members')
const envelope = { from: self, to: follower, term: TERM }

/** As much of a leader as a follower that keeps up gets to see. */
class Leader {
  readonly #transport: Transport
  /** The initial snapshot point. */
  #last = LogIndex(1)
  #lastTerm = Term(1)
  #acknowledged = LogIndex(1)
  #committed = LogIndex(1)
  #onAcknowledged = (): void => undefined

  static async listen(): Promise<Leader> {
    const handlers: TransportHandlers = {
      onMessages: (messages) => {
        for (const message of messages) if (message.kind === 'append-response') leader.#note(message.index)
      },
      onSnapshot: () => Promise.resolve(),
      onRequest: () => Promise.resolve(Buffer.alloc(0)),
      onReachable: () => undefined,
      onUnreachable: () => undefined,
      onRefused: () => undefined,
      isRemoved: () => false,
    }
    const options = { listenUrls: [urls.leader], clusterId, memberId: envelope.from, clock: systemClock }
    const leader = new Leader(await Transport.listen(options, handlers))
    return leader
  }

  private constructor(transport: Transport) {
    this.#transport = transport
    transport.setPeers(new Map([[envelope.to, [urls.follower]]]))
    setInterval(() => {
      const { to } = envelope
      if (transport.stats(to).connectedSinceMs === undefined) return
      transport.send([{ kind: 'heartbeat-request', ...envelope, commit: this.#committed, readBatch: 0 }])
    }, HEARTBEAT_MS)
  }

  async connected(): Promise<void> {
    while (this.#transport.stats(envelope.to).connectedSinceMs === undefined) await delay(POLL_MS)
  }

  /** Resolves once they are acknowledged, and the follower is being told that they are committed. */
  async append(data: readonly Buffer[]): Promise<void> {
    const first = this.#last + 1
    const entries = data.map((bytes, i): Entry => {
      return { term: TERM, index: LogIndex(first + i), kind: 'normal', data: bytes }
    })
    this.#send(entries)
    this.#last = LogIndex(this.#last + entries.length)
    this.#lastTerm = TERM
    while (this.#acknowledged < this.#last) await new Promise<void>((resolve) => (this.#onAcknowledged = resolve))
    this.#committed = this.#last
    this.#send([])
  }

  #send(entries: readonly Entry[]): void {
    const before = { prevIndex: this.#last, prevTerm: this.#lastTerm, commit: this.#committed }
    this.#transport.send([{ kind: 'append-request', ...envelope, ...before, entries }])
  }

  #note(index: LogIndex): void {
    if (index > this.#acknowledged) this.#acknowledged = index
    this.#onAcknowledged()
  }
}

const folder = mkdtempSync(join(tmpdir(), 'raftkv-follower-'))
const { command, environment } = ours()
const [node = '', ...nodeArgs] = command
const clientURL = `http://127.0.0.1:${await freePort()}`
const log = openSync(join(folder, 'log'), 'w')
const child = spawn(
  node,
  [
    ...nodeArgs,
    '--name=follower',
    `--data-dir=${join(folder, 'data')}`,
    `--listen-client-urls=${clientURL}`,
    `--advertise-client-urls=${clientURL}`,
    `--listen-peer-urls=${urls.follower}`,
    `--initial-advertise-peer-urls=${urls.follower}`,
    `--initial-cluster=leader=${urls.leader},follower=${urls.follower}`,
  ],
  { env: { ...process.env, ...environment }, stdio: ['ignore', log, log] },
)
process.once('exit', () => {
  child.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 })
})
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1))

/** Of each thread's name; the main thread's is `main`. */
function threadMicros(): ReadonlyMap<string, number> {
  const micros = new Map<string, number>()
  for (const thread of readdirSync(`/proc/${child.pid}/task`)) {
    const of = (file: string): string => readFileSync(`/proc/${child.pid}/task/${thread}/${file}`, 'utf8').trim()
    const name = Number(thread) === child.pid ? 'main' : of('comm')
    const [nanoseconds] = of('schedstat').split(' ')
    micros.set(name, (micros.get(name) ?? 0) + Number(nanoseconds) / 1000)
  }
  return micros
}

let sent = 0
async function load(leader: Leader, count: number): Promise<void> {
  let nextMs = performance.now()
  for (let left = count; left > 0;) {
    const data = Array.from({ length: Math.min(BATCH, left) }, () => dataOf(sent++))
    await leader.append(data)
    left -= data.length
    nextMs = Math.max(nextMs + BATCH_MS, performance.now())
    await delay(Math.max(1, nextMs - performance.now()))
  }
}

const leader = await Leader.listen()
await leader.connected()
await leader.append([Buffer.alloc(0)])
await load(leader, WARM_UP)
const before = threadMicros()
await load(leader, PUTS)
const used = [...threadMicros()].map(([name, micros]) => [name, (micros - (before.get(name) ?? 0)) / PUTS] as const)
const all = used.reduce((sum, [, micros]) => sum + micros, 0)
for (const [name, micros] of [['all threads', all] as const, ...used])
  if (micros >= LEAST_MICROS) console.log(`${micros.toFixed(2).padStart(8)}  ${name}`)
process.exit()
