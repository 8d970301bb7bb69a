/** Runs a step once for each operation that it makes on the disk, with a crash or a failure of the disk there. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { inspect } from 'node:util'
import { KEEP_ALL, KEEP_NOTHING, MemoryDisk, type Choose } from '../../node-server/storage/testing/memory-disk.ts'
import { States } from '../simulation/volume.ts'
import { checkAfterCrash, type Found } from './after-crash.ts'
import { computeHistory, type History } from './history.ts'
import type { Strike } from './killable-disk.ts'
import { Ended, MemberProcess, type Machine } from './member-process.ts'
import { copyPromised, nothingPromised, type Promised } from './promises.ts'
import type { Script, Step } from './steps.ts'

export interface Counts {
  /** Operations at which the step was struck. */
  readonly killPoints: number
  /** Disks that crashes left, and how many of them were different: these were checked. */
  readonly disks: number
  readonly checked: number
  readonly found: Readonly<Record<Found, number>>
  /** Failures of the disk, and after how many of them the member ended. */
  readonly failures: number
  readonly ends: number
}

/** What survives: nothing, all, of every folder's changes the first one, two or three, and arbitrary parts. */
const CHOICES: readonly ((seed: number) => Choose)[] = [
  () => KEEP_NOTHING,
  () => KEEP_ALL,
  ...[1, 2, 3].map((first) => () => (count: number) => Math.min(first, count - 1)),
  (seed) => arbitrary(seed),
  (seed) => arbitrary(seed + 1_000_003),
]

/** Equal seeds, equal choices (a linear congruential generator; nothing rests on its quality). */
function arbitrary(seed: number): Choose {
  let state = seed
  return (count) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * count)
  }
}

export interface World {
  readonly states: States
  readonly history: History
}

export async function createWorld(): Promise<World> {
  const states = new States()
  return { states, history: await computeHistory(states) }
}

export interface Begin {
  readonly disk: MemoryDisk
  readonly promised: Promised
}

interface Outcome {
  readonly machine: Machine
  readonly process: MemberProcess
  /** Why the script did not reach its end; undefined when it did. */
  readonly end: unknown
}

export async function strikeEverywhere(world: World, step: Step): Promise<Counts> {
  const begin = await prepare(world, step)
  const whole = await runOnce(world, step, begin, step.run)
  assert.equal(whole.end, undefined, 'without a fault the step reaches its end')
  const checked = new Set<string>()
  const found = { empty: 0, 'a member': 0, removed: 0 }
  const { journal } = whole.process.disk
  let [disks, failures, ends] = [0, 0, 0]
  for (const [i, operation] of journal.entries()) {
    for (const kind of kindsFor(operation)) {
      const outcome = await runOnce(world, step, begin, step.run, { atOperation: i + 1, kind })
      if (kind !== 'crash') {
        failures += 1
        if (checkFailure(outcome, operation)) ends += 1
      }
      for (const [choice, choose] of (kind === 'crash' ? CHOICES : CHOICES.slice(0, 2)).entries()) {
        const machine = { disk: outcome.machine.disk.crash(choose(i)), states: world.states }
        disks += 1
        const seen = await fingerprint(machine.disk, outcome.process.promised)
        if (checked.has(seen)) continue
        checked.add(seen)
        try {
          found[await checkAfterCrash(machine, outcome.process.promised, world.history, step.options ?? {})] += 1
        } catch (error) {
          throw new Error(`${step.name}: ${kind} at ${i + 1}, ${operation}; choice ${choice}`, { cause: error })
        }
      }
    }
  }
  return { killPoints: journal.length, disks, checked: checked.size, found, failures, ends }
}

/** Equal disks after equal promises are checked once. `meaningOf`: what counts of a file's bytes, all of them unless told. */
export async function fingerprint(
  disk: MemoryDisk,
  promised: Promised,
  meaningOf: (path: string, bytes: Buffer) => string | Buffer = (_, bytes) => bytes,
): Promise<string> {
  const hash = createHash('sha1').update(inspect(promised))
  const visit = async (path: string): Promise<void> => {
    for (const name of await disk.list(path)) {
      const child = `${path}/${name}`
      const content = disk.peek(child)
      hash.update(`${child} ${content?.length ?? 'folder'}\n`)
      if (content === undefined) await visit(child)
      else hash.update(meaningOf(child, content))
    }
  }
  await visit('')
  return hash.digest('hex')
}

/** No room is told where room is taken; any operation may fail. */
function kindsFor(operation: string): readonly Strike['kind'][] {
  return /^(write|create|mkdir)/.test(operation) ? ['crash', 'EIO', 'ENOSPC'] : ['crash', 'EIO']
}

/** True when the member ended. It must when log or identity failed; what else fails it may also give up and go on. */
function checkFailure({ process, end }: Outcome, operation: string): boolean {
  const isEnd = end !== undefined
  if (/\/(wal|creating)\b|identity/.test(operation)) assert.ok(isEnd, `it goes on after a failure of ${operation}`)
  assert.deepEqual(process.disk.syncedAgain, [], 'a failed sync is never tried again')
  return isEnd
}

export async function prepare(world: World, step: Step): Promise<Begin> {
  let begin: Begin = { disk: new MemoryDisk(), promised: nothingPromised() }
  for (const [i, script] of step.before.entries()) {
    const isLast = i === step.before.length - 1
    let outcome = await runOnce(world, step, begin, script)
    if (isLast && step.crashedAt !== undefined) {
      const { crashedAt } = step
      const at = outcome.process.disk.journal.findLastIndex((operation) => crashedAt.test(operation))
      assert.ok(at >= 0, `there is an operation like ${crashedAt}`)
      outcome = await runOnce(world, step, begin, script, { atOperation: at + 1, kind: 'crash' })
    } else if (outcome.end !== undefined) throw new Error(`before ${step.name}`, { cause: outcome.end })
    begin = { disk: outcome.machine.disk.crash(KEEP_ALL), promised: outcome.process.promised }
  }
  return begin
}

async function runOnce(world: World, step: Step, begin: Begin, script: Script, strike?: Strike): Promise<Outcome> {
  const machine = { disk: begin.disk.crash(KEEP_ALL), states: world.states }
  const process = new MemberProcess(machine, copyPromised(begin.promised), { ...step.options, strike })
  let end: unknown
  try {
    await Promise.race([script(process, world.history), process.disk.died.then(() => (end = 'crashed'))])
    if (process.fatal !== undefined) end = process.fatal
  } catch (error) {
    if (strike === undefined) throw error
    end = error instanceof Ended ? error.cause : error
  }
  process.disk.kill()
  return { machine, process, end }
}
