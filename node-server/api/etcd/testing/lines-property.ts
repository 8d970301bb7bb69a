/**
 * Lines against a model that looks at the whole store: whatever is written, compacted or replaced meanwhile, nobody gets a
 * turn while an earlier key is there, and nobody is left waiting when there is none.
 */
import assert from 'node:assert/strict'
import * as fc from 'fast-check'
import { unreachable } from '../../../../lib/assert.ts'
import { compactSlice, type CompactionCursor } from '../../../mvcc/compaction.ts'
import { scanCurrent } from '../../../mvcc/read.ts'
import { compactTo, deleteRange, opDelete, opPut, put, txn } from '../../../mvcc/testing/requests.ts'
import { WatchableStoreRig, settled } from '../../../node/testing/watchable-store-rig.ts'
import { WATCH } from '../../../limits.ts'
import { Lines, type Turn } from '../lines.ts'

const KEYS = ['l/a', 'l/b', 'l/c', 'l/d', 'l/e']
const PREFIX = Buffer.from('l/')
/** Other keys of the same store: just below the line, and just above it. */
const OTHERS = ['l', 'l.', 'l0']
const ROOMY = { sizeBytes: 1_000_000, sliceRows: 2 }
const ROUNDS_TO_SETTLE = 300

const key = fc.constantFrom(...KEYS)
const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('put'), key: fc.constantFrom(...KEYS, ...OTHERS) }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('delete'), key: fc.constantFrom(...KEYS, ...OTHERS) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('txn'), puts: fc.uniqueArray(key, { minLength: 1 }) }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('tell') }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('pass'), rounds: fc.integer({ min: 1, max: 3 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('compact'), back: fc.nat({ max: 3 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('snapshot') }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('wait'), key }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('look'), key }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('ask') }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('leave'), which: fc.nat() }) },
)
type Step = (typeof step)['generate'] extends (...args: never) => { readonly value: infer Value } ? Value : never

interface Waiter {
  readonly createRevision: number
  readonly gone: AbortController
  turn: Turn | undefined
}

interface Looker {
  readonly key: string
  readonly createRevision: number
  readonly gone: AbortController
  isOver: boolean
}

class World {
  readonly rig = new WatchableStoreRig({ ...WATCH, pageEvents: 2 })
  readonly lines = new Lines({
    node: this.rig,
    watchableStore: this.rig.watchableStore,
    clock: this.rig.clock,
    limits: ROOMY,
  })
  readonly waiters: Waiter[] = []
  readonly lookers: Looker[] = []
  readonly asked: Promise<void>[] = []
  readonly wrong: string[] = []
  cursor: CompactionCursor | undefined

  async take(step: Step): Promise<void> {
    const { rig } = this
    switch (step.kind) {
      case 'put':
        return void put(rig.store, step.key, '')
      case 'delete':
        return void deleteRange(rig.store, step.key)
      case 'txn':
        return void txn(
          rig.store,
          KEYS.map((key) => (step.puts.includes(key) ? opPut(key, '') : opDelete(key))),
        )
      case 'tell':
        return rig.tellApplied()
      case 'pass':
        return settled(step.rounds)
      case 'compact':
        compactTo(rig.store, rig.store.revision - step.back)
        this.cursor = compactSlice(rig.store, this.cursor).cursor
        return undefined
      case 'snapshot':
        this.cursor = undefined
        await rig.replaceStore()
        return rig.tellApplied()
      case 'wait':
        return this.wait(step.key)
      case 'look':
        return this.look(step.key)
      case 'ask':
        return void this.asked.push(this.ask())
      case 'leave':
        return this.leave(step.which)
      default:
        return unreachable(step)
    }
  }

  firstRevision(): number {
    const line = scanCurrent(this.rig.store, { start: PREFIX, end: Buffer.from('l0') })
    return Math.min(...Array.from(line, ({ record }) => record.createRevision))
  }

  createdAt(key: string): number | undefined {
    const line = scanCurrent(this.rig.store, { start: Buffer.from(key), end: Buffer.from(`${key}\0`) })
    return Array.from(line, ({ record }) => record.createRevision)[0]
  }

  /** In the place of a key that is there. */
  wait(key: string): void {
    const createRevision = this.createdAt(key)
    if (createRevision === undefined) return
    const waiter: Waiter = { createRevision, gone: new AbortController(), turn: undefined }
    this.waiters.push(waiter)
    const turn = this.lines.use(PREFIX, (line) => line.awaitTurn(createRevision, waiter.gone.signal))
    void turn.then((given) => {
      waiter.turn = given
      if (given !== 'turn') return
      const first = this.firstRevision()
      if (createRevision > first) this.wrong.push(`a turn for ${createRevision} while ${first} is there`)
    })
  }

  /** Until a key that is there has gone. */
  look(key: string): void {
    const createRevision = this.createdAt(key)
    if (createRevision === undefined) return
    const looker: Looker = { key, createRevision, gone: new AbortController(), isOver: false }
    this.lookers.push(looker)
    const isGone = (): true | undefined => (this.createdAt(key) === createRevision ? undefined : true)
    const seen = this.lines.use(PREFIX, (line) => line.until(Buffer.from(key), looker.gone.signal, isGone))
    void seen.then((found) => (looker.isOver = found === true))
  }

  async ask(): Promise<void> {
    await this.lines.use(PREFIX, async (line) => {
      await line.known(new AbortController().signal)
      const [told, first] = [line.first()?.record.createRevision ?? Infinity, this.firstRevision()]
      if (told !== first) this.wrong.push(`${told} is said to be first, and ${first} is`)
    })
  }

  leave(which: number): void {
    const all = [...this.waiters, ...this.lookers]
    all[which % all.length]?.gone.abort()
  }

  async end(): Promise<void> {
    this.rig.tellApplied()
    let areAnswered = false
    void Promise.all(this.asked).then(() => (areAnswered = true))
    await settled(ROUNDS_TO_SETTLE)
    assert.ok(areAnswered, 'who asks for the first is answered')
    for (const wrong of this.wrong) assert.fail(wrong)
    for (const { createRevision, turn, gone } of this.waiters) {
      const isTurn = createRevision <= this.firstRevision()
      if (!gone.signal.aborted) assert.equal(turn, isTurn ? 'turn' : undefined, `${createRevision} waits for a turn`)
    }
    for (const { key, createRevision, isOver, gone } of this.lookers)
      if (!gone.signal.aborted) assert.equal(isOver, this.createdAt(key) !== createRevision, `${key} is looked at`)
    for (const { gone } of [...this.waiters, ...this.lookers]) gone.abort()
    await settled()
    assert.deepEqual([this.lines.size, this.rig.listeners], [0, 0], 'nothing is kept for nobody')
  }
}

/** What was wrong, with the steps that lead to it; undefined when nothing was. */
export async function wrongWithLines(runs: number, seed: number): Promise<string | undefined> {
  const property = fc.asyncProperty(fc.array(step, { maxLength: 60, size: 'max' }), async (steps) => {
    const world = new World()
    for (const one of steps) await world.take(one)
    await world.end()
  })
  const details = await fc.check(property, { numRuns: runs, seed })
  return details.failed ? `${String(details.errorInstance)}\n${fc.defaultReportMessage(details)}` : undefined
}
