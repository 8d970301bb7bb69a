/** Watches of everything, one through each member, taken up again where the one before broke off. */
import { setTimeout as sleep } from 'node:timers/promises'
import { WatchCreateRequest, WatchRequest } from '../../node-server/proto/generated/etcd/rpc.ts'
import type { MemberProcess } from '../members/member-process.ts'
import type { Watch } from './record.ts'
import { watchResponse } from './wire.ts'

const AGAIN_AFTER_MS = 100
const ZERO = Buffer.of(0)

export class Watcher {
  readonly #member: MemberProcess
  readonly #note: (watch: Watch) => void
  readonly #work: Promise<void>
  #stream: { cancel(): void } | undefined
  #isStopping = false
  #nextRevision = 1

  constructor(member: MemberProcess, note: (watch: Watch) => void) {
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
      const watch: Watch = {
        member: this.#member.name,
        openedMs: performance.now(),
        startRevision: this.#nextRevision,
        responses: [],
      }
      await this.#follow(watch)
      if (watch.responses.length > 0) this.#note(watch)
      if (!this.#isStopping) await sleep(AGAIN_AFTER_MS)
    }
  }

  /** Resolves when the stream has ended, in whatever way. */
  #follow(watch: Watch): Promise<void> {
    const stream = this.#member.etcd.openWatch()
    this.#stream = stream
    const value = WatchCreateRequest.fromPartial({
      key: ZERO,
      rangeEnd: ZERO,
      startRevision: BigInt(watch.startRevision),
      prevKv: true,
      progressNotify: true,
    })
    stream.write(Buffer.from(WatchRequest.encode({ requestUnion: { $case: 'createRequest', value } }).finish()))
    stream.on('data', (bytes: Buffer) => {
      const response = watchResponse(bytes, performance.now())
      watch.responses.push(response)
      const last = response.events.at(-1)
      if (last !== undefined) this.#nextRevision = last.kv.modRevision + 1
      if (!response.isCanceled) return
      this.#nextRevision = Math.max(this.#nextRevision, response.compactRevision)
      stream.cancel()
    })
    return new Promise((resolve) => {
      stream.on('error', () => undefined)
      stream.on('status', () => resolve())
    })
  }
}
