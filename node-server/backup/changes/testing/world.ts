/** A cluster, a destination and time for whoever follows the cluster; all of it fails as it is told to. */
import { sleep } from '../../../../lib/clock.ts'
import { ManualClock, settle } from '../../../../lib/testing/manual-clock.ts'
import { KeyValue } from '../../../proto/generated/etcd/kv.ts'
import type { Random } from '../../../raft/testing/random.ts'
import type { StoredBackup } from '../../backup.ts'
import { BackupFailed } from '../../destination.ts'
import { MemoryDestination } from '../../testing/memory-destination.ts'
import { followChanges } from '../follow.ts'
import type { FollowNews } from '../follow-options.ts'
import type { ReceivedRow } from '../segment-builder.ts'
import type { ChangeSource, Watch, WatchMessage } from '../watched-member.ts'

/** The process that follows has ended at that point. */
export class Killed extends Error {}

export const CLUSTER = 'c1'
export const INTERVAL_MS = 10_000

export interface TakenFull {
  readonly revision: number
  readonly takenAtMs: number
  /** All that it has. */
  readonly rows: readonly ReceivedRow[]
}

export class World {
  readonly clock = new ManualClock()
  readonly destination = new MemoryDestination()
  readonly news: FollowNews[] = []
  readonly fulls: TakenFull[] = []
  readonly #random: Random
  /** Of the history that the cluster has. */
  rows: ReceivedRow[] = []
  revision = 1
  compacted = -1
  /** How likely each call is to fail, and the follower to be killed at it. */
  failing = 0
  killing = 0
  /** And how likely the rest of a revision is long in coming. */
  faltering = 0
  #values = 0
  #stir: () => void = () => undefined
  #ending = new AbortController()
  #running: Promise<void> = Promise.resolve()
  isRunning = false

  constructor(random: Random) {
    this.#random = random
    const write = this.destination.write.bind(this.destination)
    const list = this.destination.list.bind(this.destination)
    this.destination.write = async (name, pieces) => {
      this.#maybe()
      await write(name, pieces)
      this.#maybe()
    }
    this.destination.list = async (prefix) => {
      this.#maybe()
      return list(prefix)
    }
  }

  #maybe(): void {
    if (this.#random.chance(this.killing)) throw new Killed('killed')
    if (this.#random.chance(this.failing)) throw new BackupFailed('told to fail')
  }

  /** One revision of one to three changes. */
  write(lease = 0n): void {
    this.revision += 1
    const count = 1 + this.#random.below(3)
    for (let sub = 0; sub < count; sub++) {
      const isDelete = this.#random.chance(0.2)
      const keyValue = KeyValue.fromPartial({ key: Buffer.from(`k${sub}`), modRevision: BigInt(this.revision) })
      const value = Buffer.from(`v${this.#values++}`)
      const whole = isDelete
        ? keyValue
        : { ...keyValue, version: 1n, createRevision: keyValue.modRevision, value, lease }
      const bytes = Buffer.from(KeyValue.encode(whole).finish())
      this.rows.push({ isDelete, keyValue: bytes, revision: this.revision, lease: whole.lease })
    }
    this.#stir()
  }

  compact(revision: number): void {
    this.compacted = Math.max(this.compacted, revision)
    this.#stir()
  }

  /** As after the loss of a quorum: what was written since then was never there. */
  goBackTo(revision: number): void {
    this.rows = this.rows.filter((row) => row.revision <= revision)
    this.revision = revision
    this.#stir()
  }

  start(): void {
    this.#ending = new AbortController()
    this.isRunning = true
    const running = followChanges({
      destination: this.destination,
      withSource: async (use) => {
        this.#maybe()
        await use(this.#source())
      },
      listFulls: async () => {
        this.#maybe()
        await Promise.resolve()
        return this.fulls
      },
      takeFull: async () => {
        this.#maybe()
        await Promise.resolve()
        this.fulls.push({ revision: this.revision, takenAtMs: this.clock.wallMs(), rows: [...this.rows] })
        this.#maybe()
      },
      clock: this.clock,
      random: this.#random.next,
      intervalMs: INTERVAL_MS,
      report: (news) => this.news.push(news),
      signal: this.#ending.signal,
    })
    this.#running = running
      .catch((error: unknown) => {
        if (!(error instanceof Killed)) throw error
      })
      .finally(() => (this.isRunning = false))
  }

  async stop(): Promise<void> {
    this.#ending.abort()
    await this.clock.advance(0)
    await this.#running
  }

  async pass(ms: number): Promise<void> {
    await this.clock.advance(ms)
    await settle()
  }

  /** As `backup list` has them. */
  get backups(): readonly StoredBackup[] {
    return this.fulls.map(({ revision, takenAtMs }) => ({
      name: `${CLUSTER}/full-${revision}-${takenAtMs}`,
      manifest: {
        format: 1,
        clusterId: CLUSTER,
        memberId: 'a1',
        revision,
        takenAt: new Date(takenAtMs).toISOString(),
        version: '3.7.0',
        databaseBytes: 1,
        databaseSha256: '0'.repeat(64),
        storedBytes: 1,
        storedSha256: '0'.repeat(64),
      },
    }))
  }

  #source(): ChangeSource {
    return {
      clusterId: CLUSTER,
      endpoint: 'member',
      currentRevision: async () => {
        await Promise.resolve()
        this.#maybe()
        return this.revision
      },
      ttlOf: async (lease) => {
        await Promise.resolve()
        return Number(lease)
      },
      watch: (from) => this.#watch(from),
    }
  }

  #watch(from: number): Watch {
    let [next, sub] = [from, 0]
    let isAsked = false
    let isCancelled = false
    let isWithin = false
    const history = this.rows
    const read = (): WatchMessage | undefined => {
      if (this.rows !== history) throw new BackupFailed('the member has started again')
      const compacted = this.compacted
      if (next < compacted) return { kind: 'compacted', revision: compacted }
      const left = this.rows.filter((row) => row.revision >= next).slice(sub)
      if (left.length > 0) {
        const rows = left.slice(0, 1 + this.#random.below(6))
        const last = rows.at(-1)?.revision ?? 0
        const isFragment = left[rows.length]?.revision === last
        sub = isFragment ? (last === next ? sub : 0) + rows.filter(({ revision }) => revision === last).length : 0
        next = isFragment ? last : last + 1
        isWithin = isFragment
        return { kind: 'rows', rows, isFragment, revision: this.revision }
      }
      if (!isAsked) return undefined
      isAsked = false
      return { kind: 'progress', revision: this.revision }
    }
    return {
      next: async () => {
        await Promise.resolve()
        this.#maybe()
        if (isWithin && this.#random.chance(this.faltering))
          await sleep(this.clock, this.#random.below(3 * INTERVAL_MS))
        for (;;) {
          if (isCancelled) throw new BackupFailed('cancelled')
          const message = read()
          if (message !== undefined) return message
          await new Promise<void>((resolve) => {
            const before = this.#stir
            this.#stir = () => {
              before()
              resolve()
            }
          })
        }
      },
      askProgress: () => {
        isAsked = true
        this.#stir()
      },
      cancel: () => {
        isCancelled = true
        this.#stir()
      },
    }
  }
}
