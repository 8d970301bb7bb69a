/** Clients that watch: they go on at another member where they lost the first, and note all that they are told. */
import { KeyValue } from '../../node-server/proto/generated/etcd/kv.ts'
import { WatchRequest, WatchResponse, type WatchCreateRequest } from '../../node-server/proto/generated/etcd/rpc.ts'
import { openStream, type ClientStream } from './calls.ts'
import { END_KEY, FIRST_KEY } from './clients.ts'
import type { Life } from './life.ts'
import type { SimulatedMember } from './member.ts'
import type { WatchRecord } from './recording.ts'
import type { World } from './world.ts'

const RETRY_MS = 200
const LONGEST_MS = 20_000

export class Watcher {
  readonly #world: World
  readonly #number: number
  readonly #records: WatchRecord[]
  readonly #isSlow: boolean
  /** Of the last event, or of the last progress that it was told. */
  #revision = 0
  #isOver = false
  #open: { readonly record: WatchRecord; readonly member: SimulatedMember; readonly life: Life } | undefined

  constructor(world: World, number: number, records: WatchRecord[]) {
    this.#world = world
    this.#number = number
    this.#records = records
    this.#isSlow = world.random.chance(0.2)
  }

  end(): void {
    this.#isOver = true
  }

  /** That revision was made by then, and nothing has disturbed whoever watches since: all of it must have been told. */
  expectAll(revision: number, byMs: number): void {
    const { record, member, life } = this.#open ?? {}
    if (record === undefined || record.openedMs > byMs) return
    if (member?.isInUse === true && member.life === life) record.mustTellThrough = revision
  }

  async run(): Promise<void> {
    const { random, coverage } = this.#world
    let before: SimulatedMember | undefined
    while (!this.#isOver) {
      const member = random.pick(this.#world.members)
      if (member?.life?.services !== undefined) {
        if (before !== undefined && before !== member && this.#revision > 0)
          coverage.note('watch resumed on another member')
        before = member
        await this.#watch(member)
      }
      await this.#world.sleep(RETRY_MS)
    }
  }

  #watch(member: SimulatedMember): Promise<void> {
    const world = this.#world
    const { random, coverage } = world
    const create = this.#create()
    const startRevision = Number(create.startRevision)
    const record: WatchRecord = {
      watcher: this.#number,
      member: member.name,
      create,
      openedMs: world.schedule.now,
      told: [],
    }
    return new Promise((resolve) => {
      const end = (): void => {
        if (this.#open?.record === record) this.#open = undefined
        resolve()
      }
      const leave = (): void => {
        stream?.cancel()
        end()
      }
      const seen = member.life?.seen
      const onResponse = (bytes: Uint8Array): void => {
        record.told.push({ atMs: world.schedule.now, bytes })
        const response = WatchResponse.decode(bytes)
        if (response.watchId !== create.watchId && !isProgressOfStream(response))
          world.fail(new Error(`6: watch ${create.watchId} was told what is for ${response.watchId}`))
        // Events of the past come with the revisions of then.
        if (response.created && seen !== undefined) world.oracle.answered(response.header?.revision ?? 0n, seen)
        if (this.#take(response, startRevision)) leave()
      }
      const readMs = (): number => {
        if (!this.#isSlow) return 0
        coverage.note('slow watcher')
        return 50 + random.next() * 500
      }
      const events = { onResponse, onEnd: end }
      const stream = openStream(world, member, '/etcdserverpb.Watch/Watch', events, readMs)
      if (stream === undefined || member.life === undefined) return resolve()
      this.#records.push(record)
      this.#open = { record, member, life: member.life }
      stream.send(WatchRequest.encode({ requestUnion: { $case: 'createRequest', value: create } }).finish())
      if (random.chance(0.3)) this.#askForProgress(record, stream)
      world.after(random.next() * LONGEST_MS, leave)
    })
  }

  /** Now and then, as long as it is open. */
  #askForProgress(record: WatchRecord, stream: ClientStream): void {
    const { random, coverage } = this.#world
    this.#world.after(random.next() * 2000, () => {
      if (this.#open?.record !== record) return
      coverage.note('progress of a watch asked for')
      stream.send(WatchRequest.encode({ requestUnion: { $case: 'progressRequest', value: {} } }).finish())
      this.#askForProgress(record, stream)
    })
  }

  #create(): WatchCreateRequest {
    const { random, coverage } = this.#world
    // From where it stopped, from now, or from some place in the past or in the future.
    const back = random.chance(0.2) ? random.below(60) - 30 : 0
    if (back > 0) coverage.note('watch from the past')
    if (back < 0) coverage.note('watch from the future')
    const startRevision = this.#revision === 0 ? 0 : Math.max(1, this.#revision + 1 - back)
    const isAll = random.chance(0.7)
    return {
      key: Buffer.from(isAll ? FIRST_KEY : `k${random.below(6)}`),
      rangeEnd: Buffer.from(isAll ? END_KEY : ''),
      startRevision: BigInt(startRevision),
      progressNotify: random.chance(0.3),
      filters: random.chance(0.1) ? [random.below(2) === 0 ? 0 : 1] : [],
      prevKv: random.chance(0.5),
      watchId: BigInt(random.below(300)), // 0: the member chooses, and the first that it chooses is 0
      fragment: random.chance(0.2),
    }
  }

  /** True when this watch is over. */
  #take(response: WatchResponse, startRevision: number): boolean {
    const { coverage } = this.#world
    if (response.canceled) {
      if (response.compactRevision > 0n) {
        coverage.note('watch cancelled by a compaction')
        this.#revision = Number(response.compactRevision) - 1
      }
      return true
    }
    const last = response.events.at(-1)
    if (last?.kv !== undefined) this.#revision = Number(KeyValue.decode(last.kv).modRevision)
    else if (!response.created && startRevision === 0) this.#revision = Number(response.header?.revision ?? 0n)
    return false
  }
}

/** The answer to a client that asked: it is for all watches of its stream, as etcd's is. */
function isProgressOfStream({ watchId, events, created, canceled }: WatchResponse): boolean {
  return watchId === -1n && events.length === 0 && !created && !canceled
}
