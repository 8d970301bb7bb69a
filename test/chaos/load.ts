/**
 * Clients that work while the nemesis does: each asks one member at a time, waits for the answer, notes it, goes on. What a
 * client does is drawn from its seed; no two puts carry the same value, so each can be told from every other.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { seeded, type Random } from '../../node-server/raft/testing/random.ts'
import type { Answer, Operation } from '../history/operation.ts'
import type { MemberProcess } from '../members/member-process.ts'
import { operation } from '../simulation/histories.ts'
import { PATHS, type Reply } from '../simulation/recording.ts'
import { runEtcdctl } from './etcdctl.ts'
import { callOf, type Asked, type Step } from './wire.ts'

const CALL_TIMEOUT_MS = 1500
const KEYS: readonly string[] = Array.from({ length: 12 }, (_, index) => `key-${String(index).padStart(2, '0')}`)
const LINEARIZABLE = { kind: 'range', revision: 0, serializable: false } as const
const ALL_KEYS = { key: 'key-', rangeEnd: 'key.' }
/** What stays uncompacted, so that watches and reads that are late find it, mostly. */
const KEPT_REVISIONS = 300
const LEASE_SECONDS = { atLeast: 1, more: 4 }
/** gRPC's UNAVAILABLE, when the call never left this process. */
const NOT_SENT = /^No connection established/
const NOT_SENT_PAUSE_MS = 100
const MAX_LEASES = 8

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
    const clients = Array.from({ length: options.clients }, (_, index) => this.#run(index))
    const { etcdctl: program, seed, note } = options
    const endpoints = options.members.map(({ clientURL }) => clientURL)
    const command =
      program === undefined
        ? []
        : [runEtcdctl({ program, endpoints, client: options.clients, keys: KEYS, seed, note }, this.#stopping.signal)]
    this.#work = Promise.all([...clients, ...command])
    this.#work.catch(() => undefined) // told by stop
  }

  /** After the calls that are under way. Rejects when a client failed by a bug of its own. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#work
  }

  /** One more read of everything, so that an answer names also the last change that no client has made. */
  async readAll(): Promise<void> {
    const [member] = this.#options.members
    if (member !== undefined) await this.#operate(0, member, { ...LINEARIZABLE, ...ALL_KEYS })
  }

  async #run(client: number): Promise<void> {
    const { members, pauseMs, seed } = this.#options
    const random = seeded(seed * 1000 + client)
    while (!this.#stopping.signal.aborted) {
      const member = random.pick(members)
      if (member !== undefined) await this.#operate(client, member, this.#next(random, client))
      await sleep(pauseMs * 2 * random.next())
    }
  }

  async #operate(client: number, member: MemberProcess, request: Asked): Promise<void> {
    const { method, bytes } = callOf(request)
    const callMs = performance.now()
    const told = await this.#call(member, PATHS[method], bytes)
    if (told === 'not-sent') return sleep(NOT_SENT_PAUSE_MS)
    const returnMs = performance.now()
    const done = operation({ method, client, member: member.name, callMs, returnMs, request: bytes, told })
    this.#options.note(done)
    if (done.outcome.kind === 'answer') this.#learn(request, done.outcome.answer)
  }

  async #call(member: MemberProcess, path: string, bytes: Uint8Array): Promise<Reply | 'not-sent'> {
    try {
      return { kind: 'answer', bytes: await member.etcd.callBytes(path, bytes, CALL_TIMEOUT_MS) }
    } catch (error) {
      const { details } = failureOf(error)
      if (NOT_SENT.test(details)) return 'not-sent'
      return REFUSALS.has(details)
        ? { kind: 'status', status: { code: 'Unknown', message: details } }
        : { kind: 'lost' }
    }
  }

  #next(random: Random, client: number): Asked {
    const key = random.pick(KEYS) ?? ''
    const value = `c${client}-${++this.#count}`
    const draw = random.below(1000)
    if (draw < 300) return { kind: 'put', key, value, lease: '0', prevKv: true }
    if (draw < 550) return { ...LINEARIZABLE, key, rangeEnd: '' }
    if (draw < 620) return { ...LINEARIZABLE, ...ALL_KEYS }
    if (draw < 680) return { ...LINEARIZABLE, ...ALL_KEYS, serializable: true }
    if (draw < 760) return { kind: 'delete', key, rangeEnd: '', prevKv: true }
    if (draw < 765) return { kind: 'delete', key: KEYS[2] ?? '', rangeEnd: KEYS[5] ?? '', prevKv: true }
    if (draw < 900) return this.#compareAndPut(key, value, random)
    if (draw < 903) return this.#compaction()
    return this.#aboutLease(key, value, random)
  }

  /** Two keys at once when the first is still as it was known. */
  #compareAndPut(key: string, value: string, random: Random): Asked {
    const other = random.pick(KEYS.filter((name) => name !== key)) ?? ''
    const second: Step = random.chance(0.7)
      ? { kind: 'put', key: other, value: `${value}b`, lease: '0', prevKv: true }
      : { kind: 'delete', key: other, rangeEnd: '', prevKv: true }
    return {
      kind: 'txn',
      compares: [{ key, target: 'mod', result: '=', operand: this.#known.get(key) ?? 0 }],
      success: [{ kind: 'put', key, value, lease: '0', prevKv: true }, second],
      failure: [{ ...LINEARIZABLE, key, rangeEnd: '' }],
    }
  }

  #compaction(): Asked {
    return { kind: 'compact', revision: Math.max(1, this.#options.watchedRevision() - KEPT_REVISIONS) }
  }

  #aboutLease(key: string, value: string, random: Random): Asked {
    const lease = random.pick(this.#leases)
    if (lease === undefined || random.chance(0.25)) {
      const ttlSeconds = LEASE_SECONDS.atLeast + random.below(LEASE_SECONDS.more)
      return { kind: 'grant', id: String(this.#options.seed * 1_000_000 + this.#count), ttlSeconds }
    }
    if (random.chance(0.2)) return { kind: 'revoke', id: lease }
    return { kind: 'put', key, value, lease, prevKv: true }
  }

  #learn(request: Asked, { revision = 0, kvs = [], succeeded, responses = [] }: Answer): void {
    if (request.kind === 'put') this.#known.set(request.key, revision)
    if (request.kind === 'range' && kvs.length === 0) this.#known.delete(request.key)
    for (const { key, modRevision } of kvs) this.#known.set(key, modRevision)
    if (request.kind === 'txn') {
      const steps = succeeded === true ? request.success : request.failure
      for (const [index, step] of steps.entries()) this.#learn(step, { revision, ...responses[index] })
    }
    if (request.kind === 'grant') this.#leases.push(request.id)
    if (this.#leases.length > MAX_LEASES) this.#leases.shift()
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
