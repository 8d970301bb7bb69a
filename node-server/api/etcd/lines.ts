/**
 * The lines that somebody stands in, or looks at, through this member: the keys below a prefix by when they were created.
 * Each is read from the store once and then kept by one watcher of the prefix, so that a change costs the logarithm of the
 * line, and wakes nobody but those whose turn it has become and those who look at that very key.
 *
 * Invariants
 *   - Once a line is read, it has every key of the store that was created up to `#through`. Keys whose deletion is yet to be
 *     delivered may be in it, and newer ones that were read from the store and whose events are yet to be delivered.
 *   - Whoever was created after `#through` is not judged: its own creation is an event of the line, and still to come.
 *   - A line is given up with its last user, and what all of them take is bounded.
 */
import sortedBtree from 'sorted-btree'
import type { Clock } from '../../../lib/clock.ts'
import { LINE_KEY_SIZE_BYTES, LINES, type LineLimits } from '../../limits.ts'
import { bytesOfText, textOfBytes } from '../../mvcc/byte-text.ts'
import { readCurrent, type IndexedKey } from '../../mvcc/read.ts'
import { sliceCurrent } from '../../mvcc/slices.ts'
import type { NodePort } from '../../node/ports.ts'
import type { EventList } from '../../node/watch/event-list.ts'
import type { WatchableStore } from '../../node/watch/watchable-store.ts'
import type { Watcher, WatchOutlet } from '../../node/watch/watcher.ts'
import { Event, Event_EventType as EventType, KeyValue } from '../../proto/generated/etcd/kv.ts'

export interface LineParts {
  readonly node: Pick<NodePort, 'store'>
  readonly watchableStore: WatchableStore
  readonly clock: Clock
  readonly limits?: LineLimits
}

export type Turn = 'turn' | 'aborted' | 'too-many'

type ByRevision<Value> = InstanceType<typeof sortedBtree.default<number, Value>>
const byRevision = <Value>(): ByRevision<Value> => new sortedBtree.default<number, Value>()

export class Lines {
  readonly #parts: LineParts
  readonly #room: Room
  readonly #lines = new Map<string, Line>()

  constructor(parts: LineParts) {
    this.#parts = parts
    this.#room = new Room((parts.limits ?? LINES).sizeBytes)
  }

  /** Lines that are kept now. */
  get size(): number {
    return this.#lines.size
  }

  /** `prefix` ends with a slash. The line is kept until what `work` returns has settled. */
  async use<Value>(prefix: Buffer, work: (line: Line) => Promise<Value> | Value): Promise<Value> {
    const text = textOfBytes(prefix)
    const line = this.#lines.get(text) ?? new Line(this.#parts, this.#room, prefix)
    this.#lines.set(text, line)
    line.users += 1
    try {
      line.begin()
      return await work(line)
    } finally {
      line.users -= 1
      if (line.users === 0) {
        this.#lines.delete(text)
        line.end()
      }
    }
  }
}

/** What the keys of all lines may take. */
class Room {
  readonly #maxSizeBytes: number
  #sizeBytes = 0

  constructor(maxSizeBytes: number) {
    this.#maxSizeBytes = maxSizeBytes
  }

  take(sizeBytes: number): void {
    this.#sizeBytes += sizeBytes
  }

  get isOver(): boolean {
    return this.#sizeBytes > this.#maxSizeBytes
  }
}

export class Line implements WatchOutlet {
  readonly hasRoom = true
  users = 0
  readonly #parts: LineParts
  readonly #room: Room
  readonly #prefix: Buffer
  readonly #end: Buffer
  readonly #createdAt = new Map<string, number>()
  readonly #order = byRevision<Set<string>>()
  readonly #waiting = byRevision<Set<(turn: Turn) => void>>()
  /** By the key that they look at; those at the empty one look at all. */
  readonly #looking = new Map<string, Set<() => void>>()
  #watcher: Watcher | undefined
  #through = 0
  #isRead = false
  #sizeBytes = 0
  #isTooMuch = false

  constructor(parts: LineParts, room: Room, prefix: Buffer) {
    this.#parts = parts
    this.#room = room
    this.#prefix = prefix
    this.#end = endOfLine(prefix)
  }

  /** There is no room for the line, or for its watcher: nobody gets a turn in it. */
  get isTooMuch(): boolean {
    return this.#isTooMuch
  }

  /** Whether it is known now that no key was created before. */
  isTurn(createRevision: number): boolean {
    return this.#isRead && createRevision <= this.#through && createRevision <= this.#firstRevision()
  }

  /** Resolves with `turn` once no key of the line was created before `createRevision`. */
  awaitTurn(createRevision: number, signal: AbortSignal): Promise<Turn> {
    return new Promise((resolve) => {
      const others = this.#waiting.get(createRevision) ?? new Set()
      const settle = (turn: Turn): void => {
        signal.removeEventListener('abort', abort)
        others.delete(settle)
        if (others.size === 0 && this.#waiting.get(createRevision) === others) this.#waiting.delete(createRevision)
        resolve(turn)
      }
      const abort = (): void => settle('aborted')
      if (signal.aborted) return abort()
      if (this.#isTooMuch) return settle('too-many')
      signal.addEventListener('abort', abort, { once: true })
      this.#waiting.set(createRevision, others.add(settle))
      this.#settle()
    })
  }

  /** The key that was created first, of those that the store still has; undefined also while that is not known. */
  first(): IndexedKey | undefined {
    if (!this.#isRead) return undefined
    for (const [createRevision, keys] of this.#order.entries()) {
      // Several were created by one txn: etcd's answer is then the one whose key is the lowest.
      for (const text of [...keys].toSorted()) {
        const key = bytesOfText(text)
        const record = readCurrent(this.#parts.node.store, key)
        if (record?.createRevision === createRevision) return { key, record }
      }
    }
    return undefined
  }

  /** Resolves with `turn` once the line has everything that is in the store at that time. */
  async known(signal: AbortSignal): Promise<Turn> {
    const { clock, watchableStore } = this.#parts
    for (;;) {
      if (this.#isTooMuch) return 'too-many'
      if (signal.aborted) return 'aborted'
      const isSynced = this.#watcher?.state === 'synced' && watchableStore.progressRevision !== undefined
      if (this.#isRead && isSynced) return 'turn'
      await new Promise<void>((resolve) => clock.soon(resolve))
    }
  }

  /**
   * What `look` finds, asked now and whenever something has happened to the key, or, without one, to any key of the line.
   * Undefined once `signal` aborts or there is no room for the line. What `look` throws is the rejection.
   */
  until<Found>(
    key: Uint8Array | undefined,
    signal: AbortSignal,
    look: () => Found | undefined,
  ): Promise<Found | undefined> {
    const text = key === undefined ? '' : textOfBytes(key)
    return new Promise((resolve, reject) => {
      const others = this.#looking.get(text) ?? new Set()
      const end = (): void => {
        signal.removeEventListener('abort', abort)
        others.delete(again)
        if (others.size === 0 && this.#looking.get(text) === others) this.#looking.delete(text)
      }
      const abort = (): void => {
        end()
        resolve(undefined)
      }
      const again = (): void => {
        try {
          const found = look()
          if (found === undefined && !this.#isTooMuch) return
          end()
          resolve(found)
        } catch (error) {
          end()
          reject(error)
        }
      }
      if (signal.aborted) return abort()
      signal.addEventListener('abort', abort, { once: true })
      this.#looking.set(text, others.add(again))
      again()
    })
  }

  /** For {@link Lines}: nothing happens when it has begun. */
  begin(): void {
    if (this.#watcher !== undefined || this.#isTooMuch) return
    const { node, watchableStore } = this.#parts
    const [start, end] = [textOfBytes(this.#prefix), textOfBytes(this.#end)]
    this.#watcher = watchableStore.add({
      id: 0n,
      keys: { kind: 'range', start, end },
      startRevision: 0,
      isWithoutPuts: false,
      isWithoutDeletes: false,
      isWithPrevious: false,
      outlet: this,
    })
    if (this.#watcher === undefined) return this.#giveUp()
    this.#through = node.store.revision
    this.#readFrom(this.#prefix)
  }

  /** For {@link Lines}. */
  end(): void {
    if (this.#watcher !== undefined) this.#parts.watchableStore.remove(this.#watcher)
    this.#watcher = undefined
    this.#forget()
  }

  deliver(_watcher: Watcher, events: EventList, revision: number): void {
    const changed = new Set<string>()
    for (const bytes of events.all()) {
      const { type, kv } = Event.decode(bytes)
      if (kv === undefined) continue
      const { key, createRevision, modRevision } = KeyValue.decode(kv)
      const text = textOfBytes(key)
      changed.add(text)
      if (type === EventType.DELETE) this.#remove(text)
      else if (createRevision === modRevision) this.#add(text, Number(createRevision))
    }
    this.#through = Math.max(this.#through, revision)
    this.#settle()
    this.#wake(changed)
  }

  /** What happened in between is compacted: the line is read again. The store is not to be asked before it has said this. */
  compacted(): void {
    this.#watcher = undefined
    this.#forget()
    this.#parts.clock.soon(() => {
      if (this.users > 0) this.begin()
    })
  }

  #readFrom(start: Uint8Array): void {
    const { node, clock, limits = LINES } = this.#parts
    const { found, next } = sliceCurrent(node.store, { start, end: this.#end }, limits.sliceRows)
    for (const { key, record } of found) this.#add(textOfBytes(key), record.createRevision)
    if (this.#isTooMuch) return
    const watcher = this.#watcher
    if (next !== undefined) {
      clock.soon(() => {
        if (watcher !== undefined && this.#watcher === watcher) this.#readFrom(next)
      })
      return
    }
    this.#isRead = true
    this.#settle()
    this.#wakeAll()
  }

  #add(key: string, createRevision: number): void {
    if (this.#isTooMuch) return
    this.#remove(key)
    this.#createdAt.set(key, createRevision)
    const same = this.#order.get(createRevision)
    if (same === undefined) this.#order.set(createRevision, new Set([key]))
    else same.add(key)
    this.#takeRoom(key.length + LINE_KEY_SIZE_BYTES)
    if (this.#room.isOver) this.#giveUp()
  }

  #remove(key: string): void {
    const createRevision = this.#createdAt.get(key)
    if (createRevision === undefined) return
    this.#createdAt.delete(key)
    const same = this.#order.get(createRevision)
    same?.delete(key)
    if (same?.size === 0) this.#order.delete(createRevision)
    this.#takeRoom(-key.length - LINE_KEY_SIZE_BYTES)
  }

  #takeRoom(sizeBytes: number): void {
    this.#sizeBytes += sizeBytes
    this.#room.take(sizeBytes)
  }

  #firstRevision(): number {
    return this.#order.minKey() ?? Infinity
  }

  #settle(): void {
    if (!this.#isRead) return
    for (;;) {
      const next = this.#waiting.minKey()
      if (next === undefined || next > this.#through || next > this.#firstRevision()) return
      const those = this.#waiting.get(next) ?? []
      this.#waiting.delete(next)
      for (const settle of those) settle('turn')
    }
  }

  #wake(keys: Iterable<string>): void {
    for (const key of [...keys, '']) for (const again of this.#looking.get(key) ?? []) again()
  }

  #wakeAll(): void {
    for (const those of this.#looking.values()) for (const again of those) again()
  }

  /** Its users go now, and its watch with them. */
  #giveUp(): void {
    this.#isTooMuch = true
    this.#forget()
    for (const those of this.#waiting.valuesArray()) for (const settle of those) settle('too-many')
    this.#wakeAll()
  }

  #forget(): void {
    this.#isRead = false
    this.#createdAt.clear()
    this.#order.clear()
    this.#takeRoom(-this.#sizeBytes)
  }
}

/** The prefix ends with a slash: what follows all of it is the same with the next character. */
function endOfLine(prefix: Uint8Array): Buffer {
  return Buffer.concat([prefix.subarray(0, -1), Buffer.from('0')])
}
