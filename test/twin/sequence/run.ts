/** Runs one sequence on both servers. Every run begins with an empty key space, compacted, and without leases. */
import { unreachable } from '../../../lib/assert.ts'
import {
  COMPACT,
  DELETE_RANGE,
  LEASE_GRANT,
  LEASE_LEASES,
  LEASE_REVOKE,
  LEASE_TIME_TO_LIVE,
  PUT,
  RANGE,
  RANGE_STREAM,
  ROLE_REVOKE_PERMISSION,
  TXN,
  USER_GRANT_ROLE,
  USER_REVOKE_ROLE,
} from '../methods.ts'
import { keepAlive, withRoundedTtl } from '../leases.ts'
import type { Servers } from '../servers.ts'
import { Twin } from '../twin.ts'
import { grant, withUsers } from '../users.ts'
import { WatchPair } from '../watch-pair.ts'
import { FUTURE_STREAM } from './arbitrary.ts'
import { bytes, putPart, rangePart, resolve, txnPart, watchPart, type Now } from './requests.ts'
import type { Step, WatchStep } from './steps.ts'
import { isUserStep, type UsersSequence, type UserStep } from './users.ts'

/** The last key that a run writes; a watch of it tells that everything before has been delivered. */
const LAST_KEY = '~last'
const LAST_KEY_WATCH_ID = 2_000_000n

/** As {@link runSequence}, with authentication on: each step in the name of somebody. */
export async function runWithUsers(servers: Servers, { users, steps }: UsersSequence): Promise<Twin> {
  const twin = await cleanTwin(servers)
  const run = new Run(twin, await revisionOf(twin))
  await withUsers(twin, users, async () => {
    for (const { asker, step } of steps) {
      twin.asker = asker
      await (isUserStep(step) ? changeUsers(twin, step) : run.step(step))
      if (twin.differences.length > 0) return
    }
    twin.asker = 'root'
    await run.finish()
  })
  return twin
}

/** As root. */
async function changeUsers(twin: Twin, step: UserStep): Promise<void> {
  twin.asker = 'root'
  switch (step.kind) {
    case 'grant-permission':
      return grant(twin, step.role, step.permission)
    case 'revoke-permission': {
      const { role, key, end } = step
      return void (await twin.call(ROLE_REVOKE_PERMISSION, { role, key: bytes(key), rangeEnd: bytes(end) }))
    }
    case 'grant-role':
      return void (await twin.call(USER_GRANT_ROLE, { user: step.user, role: step.role }))
    case 'revoke-role':
      return void (await twin.call(USER_REVOKE_ROLE, { name: step.user, role: step.role }))
    default:
      return unreachable(step)
  }
}

/** The twin after the sequence: it holds every exchange. */
export async function runSequence(servers: Servers, steps: readonly Step[]): Promise<Twin> {
  const twin = await cleanTwin(servers)
  const run = new Run(twin, await revisionOf(twin))
  try {
    for (const step of steps) {
      await run.step(step)
      if (twin.differences.length > 0) return twin // what follows a difference tells nothing new
    }
    await run.finish()
  } finally {
    run.close()
  }
  return twin
}

/** Deletes all keys and leases, writes one revision and compacts up to it. */
export async function cleanTwin(servers: Servers): Promise<Twin> {
  const before = await Twin.of(servers)
  const zero = Buffer.of(0)
  const leases = await before.call(LEASE_LEASES)
  for (const { ID } of leases?.leases ?? []) await before.call(LEASE_REVOKE, { ID })
  await before.call(DELETE_RANGE, { key: zero, rangeEnd: zero })
  await before.call(PUT, { key: bytes('first') })
  const deleted = await before.call(DELETE_RANGE, { key: zero, rangeEnd: zero })
  await before.call(COMPACT, { revision: deleted?.header?.revision ?? 0n })
  return Twin.of(servers)
}

/** Whether both are at the same revision with the same leases once cleaned, and so will give the same answers. */
export async function areInStep(servers: Servers): Promise<boolean> {
  const twin = await cleanTwin(servers)
  await twin.call(RANGE, { key: Buffer.of(0), rangeEnd: Buffer.of(0) })
  await twin.call(LEASE_LEASES)
  return twin.differences.length === 0
}

async function revisionOf(twin: Twin): Promise<bigint> {
  const answer = await twin.call(RANGE, { key: Buffer.of(0), rangeEnd: Buffer.of(0) })
  return answer?.header?.revision ?? 0n
}

class Run {
  readonly #twin: Twin
  #now: Now
  readonly #streams = new Map<number, WatchPair>()

  constructor(twin: Twin, start: bigint) {
    this.#twin = twin
    this.#now = { start, current: start, compacted: start }
  }

  async step(step: Step): Promise<void> {
    const revision = await this.#send(step)
    if (revision !== undefined && revision > this.#now.current) this.#now = { ...this.#now, current: revision }
    for (const [stream, pair] of this.#streams) if (stream !== FUTURE_STREAM) await pair.drain(this.#now.current)
  }

  /** Revision after the step, where the step may change it. */
  async #send(step: Step): Promise<bigint | undefined> {
    const twin = this.#twin
    switch (step.kind) {
      case 'put':
        return (await twin.call(PUT, putPart(step)))?.header?.revision
      case 'delete': {
        const { key, end, prevKv } = step
        return (await twin.call(DELETE_RANGE, { key: bytes(key), rangeEnd: bytes(end), prevKv }))?.header?.revision
      }
      case 'range':
        return void (await twin.call(RANGE, rangePart(step, this.#now)))
      case 'rangeStream':
        return void (await twin.collect(RANGE_STREAM, rangePart(step, this.#now)))
      case 'txn':
        return (await twin.call(TXN, txnPart(step, this.#now)))?.header?.revision
      case 'compact': {
        const revision = resolve(step.revision, this.#now)
        const answer = await twin.call(COMPACT, { revision, physical: step.physical })
        if (answer !== undefined) this.#now = { ...this.#now, compacted: revision }
        return undefined
      }
      case 'watch':
        await this.#watch(step)
        return undefined
      case 'cancel':
        await this.#streams.get(step.stream)?.cancel(BigInt(step.watchId))
        return undefined
      case 'grant':
      case 'revoke':
      case 'timeToLive':
      case 'keepAlive':
      case 'leases':
        return this.#sendLease(step)
      default:
        return unreachable(step)
    }
  }

  async #sendLease(
    step: Extract<Step, { kind: 'grant' | 'revoke' | 'timeToLive' | 'keepAlive' | 'leases' }>,
  ): Promise<bigint | undefined> {
    const twin = this.#twin
    switch (step.kind) {
      case 'grant':
        return void (await twin.call(LEASE_GRANT, { ID: BigInt(step.lease), TTL: BigInt(step.ttl) }))
      case 'revoke':
        return (await twin.call(LEASE_REVOKE, { ID: BigInt(step.lease) }))?.header?.revision
      case 'timeToLive': {
        const { lease, keys } = step
        return void (await twin.call(LEASE_TIME_TO_LIVE, { ID: BigInt(lease), keys }, { relax: withRoundedTtl }))
      }
      case 'keepAlive':
        await keepAlive(twin, BigInt(step.lease))
        return undefined
      case 'leases':
        return void (await twin.call(LEASE_LEASES))
      default:
        return unreachable(step)
    }
  }

  async #watch(step: WatchStep): Promise<void> {
    const wanted = resolve(step.start, this.#now)
    // A watch of the future leaves progress requests without an answer: it has a stream of its own.
    const isTooLate = step.stream !== FUTURE_STREAM && wanted > this.#now.current
    const start = isTooLate ? this.#now.current : wanted
    const part = { ...watchPart(step), startRevision: start }
    const isCompacted = start > 0n && start < this.#now.compacted
    const stream = await this.#stream(step.stream)
    await stream.create(part, isCompacted)
    if (!isCompacted) return
    // On a stream with such a watch etcd answers no progress request any more.
    stream.compare()
    stream.close()
    this.#streams.delete(step.stream)
  }

  async #stream(stream: number): Promise<WatchPair> {
    const open = this.#streams.get(stream)
    if (open !== undefined) return open
    const pair = new WatchPair(this.#twin, `${stream}`)
    this.#streams.set(stream, pair)
    await pair.open()
    if (stream === FUTURE_STREAM) await pair.create({ key: bytes(LAST_KEY), watchId: LAST_KEY_WATCH_ID })
    return pair
  }

  /** What watches of the future were told, and all that is there in the end. */
  async finish(): Promise<void> {
    await this.#twin.call(PUT, { key: bytes(LAST_KEY) })
    await this.#streams.get(FUTURE_STREAM)?.untilEvent(LAST_KEY_WATCH_ID, LAST_KEY)
    await this.#twin.call(RANGE, { key: Buffer.of(0), rangeEnd: Buffer.of(0) })
  }

  close(): void {
    for (const pair of this.#streams.values()) pair.close()
  }
}
