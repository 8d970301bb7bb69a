/**
 * Two deeds on the files of one member's store, and every way in which they can meet at an operation on the disk: the
 * first is held before its k-th operation, then the second is begun, and held before its j-th or nowhere; then they go on,
 * the first before the second or both at once. Reads count as operations: what was read may be outdated when it is used.
 *
 * Whose an operation is follows from what began it, through promises and timers (AsyncLocalStorage).
 */
import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { hashState } from '../../node-server/mvcc/testing/hash-state.ts'
import { readMeta } from '../../node-server/mvcc/meta.ts'
import { settled } from '../../node-server/node/testing/virtual-clock.ts'
import { KEEP_ALL, KEEP_NOTHING, type MemoryDisk } from '../../node-server/storage/testing/memory-disk.ts'
import { boot, checkAfterCrash } from './after-crash.ts'
import type { States } from '../simulation/volume.ts'
import { STOPS, type Deed, type Scene } from './deeds.ts'
import { fingerprint, prepare, type Begin, type World } from './kill-points.ts'
import { commitTo, feed } from './leader.ts'
import { MemberProcess, PATHS } from './member-process.ts'
import { copyPromised } from './promises.ts'
import type { Script } from './steps.ts'

interface Meeting {
  readonly first: Deed
  readonly second: Deed
  /** Operations that each makes before it is held. */
  readonly passes: { readonly first: number; readonly second: number }
  readonly goesOn: 'first' | 'both'
}

const ROUNDS_OF_SILENCE = 3
const MAX_ROUNDS = 500

/**
 * `before` leads an empty disk to where the two meet. Disks that crashes leave are checked unless they are in `checked`.
 * Gives the number of schedules.
 */
export async function meetEverywhere(
  world: World,
  before: readonly Script[],
  { first, second }: { readonly first: Deed; readonly second: Deed },
  checked: Set<string>,
): Promise<number> {
  const begin = await prepare(world, { name: `${first.name}, ${second.name}`, before, run: async () => undefined })
  let schedules = 0
  const meet = async (meeting: Meeting): Promise<Held> => {
    schedules += 1
    try {
      return await new Encounter(world, begin, meeting, checked).run()
    } catch (error) {
      const { passes, goesOn } = meeting
      const where = `held after ${passes.first} operations and ${passes.second}; ${goesOn} went on`
      throw new Error(`${first.name}, ${second.name}: ${where}`, { cause: error })
    }
  }
  for (let k = 0, held = { first: true, second: true }; held.first; k++) {
    for (let j = 0; held.first; j++) {
      const passes = { first: k, second: j }
      held = await meet({ first, second, passes, goesOn: 'first' })
      if (!held.second) break
      await meet({ first, second, passes, goesOn: 'both' })
    }
  }
  return schedules
}

interface Held {
  readonly first: boolean
  readonly second: boolean
}

/** Whoever makes operations: held before the one after so many. */
class Actor {
  readonly #open = Promise.withResolvers<void>()
  #left: number
  isHeld = false

  constructor(passes: number) {
    this.#left = passes
  }

  async pass(): Promise<void> {
    if (this.#left <= 0) {
      this.isHeld = true
      await this.#open.promise
    }
    this.#left -= 1
  }

  goOn(): void {
    this.#left = Infinity
    this.#open.resolve()
  }
}

/** One process in which the two meet once. */
class Encounter {
  readonly #world: World
  readonly #meeting: Meeting
  readonly #checked: Set<string>
  readonly #scene: Scene
  readonly #actors = new AsyncLocalStorage<Actor>()
  #operations = 0

  constructor(world: World, begin: Begin, meeting: Meeting, checked: Set<string>) {
    this.#world = world
    this.#meeting = meeting
    this.#checked = checked
    const machine = { disk: begin.disk.survivor(KEEP_ALL), states: world.states }
    const gate = async (): Promise<void> => {
      await this.#actors.getStore()?.pass()
      this.#operations += 1
    }
    const process = new MemberProcess(machine, copyPromised(begin.promised), { gate })
    this.#scene = { process, disk: machine.disk, history: world.history }
  }

  async run(): Promise<Held> {
    const { first, second, passes, goesOn } = this.#meeting
    const { process } = this.#scene
    assert.deepEqual(await boot(process), { found: 'a member' })
    await feed(process, 10, 12) // applied, and not in the file of the store yet
    const one = new Actor(passes.first)
    const two = new Actor(passes.second)
    const ends = [this.#begin(one, first)]
    await this.#quiet()
    ends.push(this.#begin(two, second))
    await this.#quiet()
    await this.#checkCrashes()
    const held = { first: one.isHeld, second: two.isHeld }
    if (first.holdsUpNothing === true && !held.second && second.brings !== undefined)
      assert.ok(process.node.store.appliedIndex >= second.brings, `${first.name} holds ${second.name} up`)
    one.goOn()
    if (goesOn === 'first') {
      await this.#quiet()
      await this.#checkCrashes()
    }
    two.goOn()
    await this.#within('both end', Promise.all(ends))
    await this.#checkEnd()
    process.disk.kill()
    return held
  }

  /** Resolves with why it was refused. */
  #begin(actor: Actor, deed: Deed): Promise<void> {
    const mayBeRefused = this.#meeting.first.isStop === true || this.#meeting.second.isStop === true
    return this.#actors
      .run(actor, () => deed.run(this.#scene))
      .catch((error: unknown) => {
        if (!mayBeRefused || !(error instanceof Error) || error.message !== STOPS) throw error
      })
  }

  /** Until nothing happens on the disk any more: whoever goes on is held, or waits for somebody who is. */
  async #quiet(): Promise<void> {
    for (let silent = 0, seen = -1; silent < ROUNDS_OF_SILENCE; silent++) {
      await settled()
      if (this.#operations !== seen) silent = 0
      seen = this.#operations
    }
  }

  async #within(what: string, done: Promise<unknown>): Promise<void> {
    const end = { isThere: false }
    const noted = done.then(() => (end.isThere = true))
    for (let round = 0; round < MAX_ROUNDS && !end.isThere; round++) await Promise.race([settled(), noted])
    assert.ok(end.isThere, `it comes to nothing: ${what}`)
  }

  async #checkCrashes(): Promise<void> {
    const { disk, process } = this.#scene
    const { states } = this.#world
    for (const choose of [KEEP_NOTHING, KEEP_ALL]) {
      const machine = { disk: disk.survivor(choose), states }
      const seen = await fingerprint(machine.disk, process.promised, (path, bytes) => meaningOf(states, path, bytes))
      if (this.#checked.has(seen)) continue
      this.#checked.add(seen)
      await checkAfterCrash(machine, process.promised, this.#world.history, {})
      await onlyStore(machine.disk)
    }
  }

  /** The right store serves, nothing else is left, and the next start finds it. */
  async #checkEnd(): Promise<void> {
    const { process, disk, stoppedAt } = this.#scene
    const { first, second } = this.#meeting
    assert.equal(process.fatal, undefined)
    if (stoppedAt === undefined) {
      const least = Math.max(12, first.brings ?? 0, second.brings ?? 0)
      await process.until('all is applied', () => process.node.store.appliedIndex >= least)
      const { store } = process.node
      assert.equal(hashState(store), this.#world.history.hashes.get(store.appliedIndex))
      await commitTo(process, store.appliedIndex)
      await this.#within('it stops', process.lifecycle.stop())
      await onlyStore(disk)
    } else assert.deepEqual(process.disk.journal.slice(stoppedAt), [], 'what has stopped leaves the disk alone')
    await this.#checkCrashes()
  }
}

/** A store is told by its last entry: it is a state of the one history, which is checked. One on its way, by its bytes. */
function meaningOf(states: States, path: string, bytes: Buffer): string | Buffer {
  if (!/\/(store|received|incoming)-[^/]*$/.test(path)) return bytes
  try {
    return `store at ${readMeta(states.read(bytes, path).state.tables).appliedIndex}`
  } catch {
    return bytes
  }
}

async function onlyStore(disk: MemoryDisk): Promise<void> {
  const names = [...(await disk.list(PATHS.db)), ...(await disk.list(PATHS.snapshots))]
  assert.ok(names.length === 1 && names[0]?.startsWith('store-'), `one store and nothing else: ${names.join(', ')}`)
}
