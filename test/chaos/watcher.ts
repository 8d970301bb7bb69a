/** Watches of everything, one through each member, taken up again where the one before broke off. */
import { setTimeout as sleep } from 'node:timers/promises'
import { KeyValue } from '../../node-server/proto/generated/etcd/kv.ts'
import { WatchCreateRequest, WatchRequest, WatchResponse } from '../../node-server/proto/generated/etcd/rpc.ts'
import type { WatchHistory } from '../history/watches.ts'
import type { MemberProcess } from '../members/member-process.ts'
import { watchHistory } from '../simulation/histories.ts'
import type { WatchRecord } from '../simulation/recording.ts'

const AGAIN_AFTER_MS = 100
const ZERO = Buffer.of(0)

export class Watcher {
  readonly #watcher: number
  readonly #member: MemberProcess
  readonly #note: (watch: WatchHistory) => void
  readonly #work: Promise<void>
  #stream: { cancel(): void } | undefined
  #isStopping = false
  #nextRevision = 1

  constructor(watcher: number, member: MemberProcess, note: (watch: WatchHistory) => void) {
    this.#watcher = watcher
    this.#member = member
    this.#note = note
    this.#work = this.#run()
  }

  /** Everything up to it was told, or cannot be told any more. */
  get revision(): number {
    return this.#nextRevision - 1
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    this.#stream?.cancel()
    await this.#work
  }

  async #run(): Promise<void> {
    while (!this.#isStopping) {
      const record = this.#nextRecord()
      await this.#follow(record)
      if (record.told.length > 0) this.#note(watchHistory(record))
      if (!this.#isStopping) await sleep(AGAIN_AFTER_MS)
    }
  }

  #nextRecord(): WatchRecord {
    const create = WatchCreateRequest.fromPartial({
      key: ZERO,
      rangeEnd: ZERO,
      startRevision: BigInt(this.#nextRevision),
      prevKv: true,
      progressNotify: true,
    })
    return { watcher: this.#watcher, member: this.#member.name, create, openedMs: performance.now(), told: [] }
  }

  /** Resolves when the stream has ended, in whatever way. */
  #follow({ create: value, told }: WatchRecord): Promise<void> {
    const stream = this.#member.etcd.openWatch()
    this.#stream = stream
    stream.write(Buffer.from(WatchRequest.encode({ requestUnion: { $case: 'createRequest', value } }).finish()))
    stream.on('data', (bytes: Buffer) => {
      told.push({ atMs: performance.now(), bytes })
      const { events, canceled, compactRevision } = WatchResponse.decode(bytes)
      const last = events.at(-1)?.kv
      if (last !== undefined) this.#nextRevision = Number(KeyValue.decode(last).modRevision) + 1
      if (!canceled) return
      this.#nextRevision = Math.max(this.#nextRevision, Number(compactRevision))
      stream.cancel()
    })
    return new Promise((resolve) => {
      stream.on('error', () => undefined)
      stream.on('status', () => resolve())
    })
  }
}
