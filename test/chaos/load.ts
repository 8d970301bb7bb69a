/**
 * Clients that work while the nemesis does: each asks one member at a time, waits for the answer, notes it, goes on. What a
 * client does is drawn from its seed; no two puts carry the same value, so each can be told from every other.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { seeded, type Random } from '../../node-server/raft/testing/random.ts'
import type { MemberProcess } from '../members/member-process.ts'
import { runEtcdctl } from './etcdctl.ts'
import type { Operation, Request, Response, TxnStep } from './record.ts'
import { callOf } from './wire.ts'

const CALL_TIMEOUT_MS = 1500
const KEYS: readonly string[] = Array.from({ length: 12 }, (_, index) => `key-${String(index).padStart(2, '0')}`)
const ALL_KEYS = { key: 'key-', rangeEnd: 'key.' }
/** What stays uncompacted, so that watches and reads that are late find it, mostly. */
const KEPT_REVISIONS = 300
const LEASE_SECONDS = { atLeast: 1, more: 4 }
/** gRPC's UNAVAILABLE, when the call never left this process. */
const NOT_SENT = /^No connection established/

export interface LoadOptions {
  readonly members: readonly MemberProcess[]
  readonly clients: number
  readonly pauseMs: number
  /** Path of the program, for one more client. */
  readonly etcdctl: string | undefined
  readonly seed: number
  readonly note: (operation: Operation) => void
  /** Highest revision that some watch was told: only below it anything is compacted. */
  readonly watchedRevision: () => number
}

export class Load {
  readonly #options: LoadOptions
  readonly #stopping = new AbortController()
  readonly #work: Promise<unknown>
  /** What a client knows of a key, for its compares. */
  readonly #known = new Map<string, number>()
  readonly #leases: string[] = []
  #count = 0

  constructor(options: LoadOptions) {
    this.#options = options
    const clients = Array.from({ length: options.clients }, (_, index) => this.#run(`c${index}`, index))
    const { etcdctl: program, seed, note } = options
    const endpoints = options.members.map(({ clientURL }) => clientURL)
    const command =
      program === undefined ? [] : [runEtcdctl({ program, endpoints, keys: KEYS, seed, note }, this.#stopping.signal)]
    this.#work = Promise.all([...clients, ...command])
    this.#work.catch(() => undefined) // told by stop
  }

  /** After the calls that are under way. Rejects when a client failed by a bug of its own. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#work
  }

  async #run(client: string, index: number): Promise<void> {
    const { members, pauseMs, seed } = this.#options
    const random = seeded(seed * 1000 + index)
    while (!this.#stopping.signal.aborted) {
      const member = random.pick(members)
      if (member !== undefined) await this.#operate(client, member, this.#next(random, client))
      await sleep(pauseMs * 2 * random.next())
    }
  }

  async #operate(client: string, member: MemberProcess, request: Request): Promise<void> {
    const { path, bytes, decode } = callOf(request)
    const callMs = performance.now()
    const operation = { client, member: member.name, callMs, request }
    try {
      const response = decode(await member.etcd.callBytes(path, bytes, CALL_TIMEOUT_MS))
      this.#options.note({ ...operation, returnMs: performance.now(), response })
      this.#learn(request, response)
    } catch (error) {
      const failure = failureOf(error)
      if (NOT_SENT.test(failure.details)) {
        await sleep(100)
        return
      }
      const isRefused = isRefusal(failure.details)
      const response: Response | undefined = isRefused ? { kind: 'refused', message: failure.details } : undefined
      this.#options.note({ ...operation, returnMs: isRefused ? performance.now() : undefined, response })
    }
  }

  #next(random: Random, client: string): Request {
    const key = random.pick(KEYS) ?? ''
    const value = `${client}-${++this.#count}`
    const draw = random.below(1000)
    if (draw < 300) return { kind: 'put', key, value, lease: '0' }
    if (draw < 550) return { kind: 'range', key, rangeEnd: '', isSerializable: false }
    if (draw < 620) return { kind: 'range', ...ALL_KEYS, isSerializable: false }
    if (draw < 680) return { kind: 'range', ...ALL_KEYS, isSerializable: true }
    if (draw < 760) return { kind: 'delete', key, rangeEnd: '' }
    if (draw < 765) return { kind: 'delete', key: KEYS[2] ?? '', rangeEnd: KEYS[5] ?? '' }
    if (draw < 900) return this.#compareAndPut(key, value, random)
    if (draw < 903) return this.#compaction()
    return this.#aboutLease(key, value, random)
  }

  /** Two keys at once when the first is still as it was known. */
  #compareAndPut(key: string, value: string, random: Random): Request {
    const other = random.pick(KEYS.filter((name) => name !== key)) ?? ''
    const second: TxnStep = random.chance(0.7)
      ? { kind: 'put', key: other, value: `${value}b`, lease: '0' }
      : { kind: 'delete', key: other, rangeEnd: '' }
    return {
      kind: 'txn',
      compares: [{ key, modRevision: this.#known.get(key) ?? 0 }],
      success: [{ kind: 'put', key, value, lease: '0' }, second],
      failure: [{ kind: 'range', key, rangeEnd: '', isSerializable: false }],
    }
  }

  #compaction(): Request {
    return { kind: 'compact', revision: Math.max(1, this.#options.watchedRevision() - KEPT_REVISIONS) }
  }

  #aboutLease(key: string, value: string, random: Random): Request {
    const lease = random.pick(this.#leases)
    if (lease === undefined || random.chance(0.25)) {
      const ttlSeconds = LEASE_SECONDS.atLeast + random.below(LEASE_SECONDS.more)
      return { kind: 'lease-grant', lease: String(this.#options.seed * 1_000_000 + this.#count), ttlSeconds }
    }
    if (random.chance(0.2)) return { kind: 'lease-revoke', lease }
    return { kind: 'put', key, value, lease }
  }

  #learn(request: Request, response: Response): void {
    if (request.kind === 'txn' && response.kind === 'txn') {
      const steps = response.succeeded ? request.success : request.failure
      for (const [index, step] of steps.entries()) {
        const answer = response.responses[index]
        if (answer !== undefined) this.#learn(step, answer)
      }
    }
    if (request.kind === 'range' && response.kind === 'range' && response.kvs.length === 0)
      this.#known.delete(request.key)
    if (response.kind === 'put' && request.kind === 'put') this.#known.set(request.key, response.revision)
    if (response.kind === 'range') for (const { key, modRevision } of response.kvs) this.#known.set(key, modRevision)
    if (request.kind === 'lease-grant') this.#leases.push(request.lease)
    if (this.#leases.length > 8) this.#leases.shift()
  }
}

/** gRPC's status of a call that failed; a bug of this process is thrown on. */
function failureOf(error: unknown): { readonly code: number; readonly details: string } {
  if (!(error instanceof Error) || !('code' in error) || !('details' in error)) throw error
  const { code, details } = error
  if (typeof code !== 'number' || typeof details !== 'string') throw error
  return { code, details }
}

/** Answers that say for certain that nothing was done. */
const REFUSALS: ReadonlySet<string> = new Set([
  'etcdserver: requested lease not found',
  'etcdserver: lease already exists',
  'etcdserver: mvcc: required revision has been compacted',
  'etcdserver: mvcc: required revision is a future revision',
])

function isRefusal(details: string): boolean {
  return REFUSALS.has(details)
}
