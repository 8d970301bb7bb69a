/**
 * One run: a cluster, its clients and watches, the nemesis, and in the end the verdict. What was found wrong, and where the
 * evidence lies, is in the result; nothing is thrown for it.
 */
import { createWriteStream } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { historyProblem } from '../history/check.ts'
import { toLines } from '../history/json-lines.ts'
import type { Operation } from '../history/operation.ts'
import type { WatchHistory } from '../history/watches.ts'
import { eventually } from '../members/member-process.ts'
import { Cluster } from './cluster.ts'
import { Load } from './load.ts'
import { Nemesis } from './nemesis.ts'
import { episodes, FAULT_KINDS, MEMBERS, type Fault, type FaultKind } from './plan.ts'
import { recovered, untilLeasesEnded, type Recovery } from './recovery.ts'
import { checkRevisions } from './revision-order.ts'
import { Watcher } from './watcher.ts'

export interface RunOptions {
  readonly seed: number
  /** At least; the first round of all kinds is finished in any case. */
  readonly forMs: number
  /** How long the cluster may take to be whole once the faults of an episode have ended and all processes are there. */
  readonly recoveryMs: number
  readonly clients: number
  /** Between two calls of a client, on average. */
  readonly pauseMs: number
  /** Path of the program, if it is there. */
  readonly etcdctl: string | undefined
  readonly isKept: boolean
}

export interface RunResult {
  readonly problems: readonly string[]
  /** Kinds of fault that never struck. */
  readonly missed: readonly FaultKind[]
  /** With the members' logs, the schedule and the history, when they were kept. */
  readonly directory: string
  readonly episodes: number
  readonly operations: { readonly acknowledged: number; readonly refused: number; readonly unknown: number }
  readonly revision: number
  readonly struck: ReadonlyMap<FaultKind, number>
  readonly longestStartMs: number
  readonly longestWriteMs: number
  readonly longestAgreedMs: number
  readonly checkMs: number
}

interface Recorded {
  readonly operations: Operation[]
  readonly watches: WatchHistory[]
}

/** Time between two episodes in which everything is whole. */
const CALM_MS = 300

export async function runChaos(options: RunOptions): Promise<RunResult> {
  const directory = await mkdtemp(join(tmpdir(), 'raftkv-chaos-'))
  const schedule = createWriteStream(join(directory, 'schedule.txt'))
  const problems: string[] = []
  const startMs = performance.now()
  const note = (text: string): void =>
    void schedule.write(`${((performance.now() - startMs) / 1000).toFixed(3)} ${text}\n`)
  const onProblem = (problem: string): void => {
    note(`PROBLEM ${problem}`)
    problems.push(problem)
  }
  note(`seed ${options.seed}, ${JSON.stringify(options)}`)
  const cluster = await Cluster.open(MEMBERS, directory, onProblem)
  const history: Recorded = { operations: [], watches: [] }
  const seen = { struck: new Map<FaultKind, number>(), recoveries: [] as Recovery[] }
  try {
    await cluster.form()
    note('formed')
    await torment(cluster, history, options, startMs + options.forMs, note, seen)
  } catch (error) {
    onProblem(error instanceof Error ? inFull(error) : String(error))
  } finally {
    await cluster.close()
  }
  for (const place of cluster.places)
    if (place.struck('retried') > 0) onProblem(`${place.member.name} has synced a file again after a failed sync`)
  const checkStartMs = performance.now()
  for (const problem of judge(history)) onProblem(problem)
  const checkMs = performance.now() - checkStartMs
  await new Promise((resolve) => schedule.end(resolve))
  const missed = FAULT_KINDS.filter((kind) => !seen.struck.has(kind))
  await keep(directory, history, problems.length > 0 || missed.length > 0 || options.isKept)
  return { problems, missed, directory, checkMs, ...figures(history, seen) }
}

async function torment(
  cluster: Cluster,
  history: Recorded,
  options: RunOptions,
  endMs: number,
  note: (text: string) => void,
  seen: { struck: Map<FaultKind, number>; recoveries: Recovery[] },
): Promise<void> {
  const members = cluster.places.map(({ member }) => member)
  const watchers = members.map((member, index) => new Watcher(index, member, (watch) => history.watches.push(watch)))
  let lastWrite: { callMs: number; returnMs: number } | undefined
  const noteOperation = (operation: Operation): void => {
    history.operations.push(operation)
    const { call: callMs, return: returnMs, request, outcome } = operation
    if (request.kind === 'put' && outcome.kind === 'answer' && callMs > (lastWrite?.callMs ?? 0))
      lastWrite = { callMs, returnMs }
  }
  const watchedRevision = (): number => Math.max(...watchers.map(({ revision }) => revision))
  const load = new Load({ ...options, members, note: noteOperation, watchedRevision })
  const nemesis = new Nemesis(cluster, note)
  seen.struck = nemesis.struck
  try {
    for (const episode of episodes(options.seed)) {
      if (performance.now() >= endMs && episode.round > 1) break
      await sleep(CALM_MS)
      note(`episode ${episode.number}`)
      const round = async (faults: readonly Fault[]): Promise<readonly Fault[]> => {
        const missed = await nemesis.carryOut(faults)
        const recovery = await recovered(cluster, () => lastWrite, options.recoveryMs)
        seen.recoveries.push(recovery)
        note(
          `started after ${recovery.startedMs.toFixed(0)} ms, whole after ${recovery.agreedMs.toFixed(0)} ms, first write after ${recovery.writeMs.toFixed(0)} ms`,
        )
        return missed
      }
      // What another fault kept from meeting anything comes again alone.
      for (const fault of await round(episode.faults)) await round([{ ...fault, startMs: 0 }])
    }
    await load.stop()
    await untilLeasesEnded(cluster)
    await load.readAll()
    await toldEverything(watchers, history, options.recoveryMs)
  } finally {
    await Promise.all([load.stop(), ...watchers.map((watcher) => watcher.stop())])
  }
}

/** Beyond it the search for an order takes minutes; the check by revisions judges a history of any length. */
const MAX_SEARCHED_OPERATIONS = 5000
/** The nemesis lets clocks leap, so a lease may end at any time after it was granted. */
const CLOCK_DRIFT = 1

function judge(history: Recorded): readonly string[] {
  const problems = checkRevisions(history)
  if (history.operations.length > MAX_SEARCHED_OPERATIONS) return problems
  const problem = historyProblem(history, { clockDrift: CLOCK_DRIFT })
  return problem === undefined ? problems : [...problems, problem]
}

/** A watch may be late, but not forever. */
async function toldEverything(watchers: readonly Watcher[], history: Recorded, withinMs: number): Promise<void> {
  const last = highestRevision(history)
  await eventually(
    `every watch is told of revision ${last}`,
    async () => {
      const behind = watchers.map(({ revision }) => revision).filter((revision) => revision < last)
      if (behind.length > 0) throw new Error(`one is at revision ${behind.join(', another at ')}`)
    },
    withinMs,
  )
}

async function keep(directory: string, history: Recorded, isKept: boolean): Promise<void> {
  if (!isKept) return rm(directory, { recursive: true, force: true })
  await writeFile(join(directory, 'history.jsonl'), toLines(history))
}

function figures(
  history: Recorded,
  { struck, recoveries }: { struck: ReadonlyMap<FaultKind, number>; recoveries: readonly Recovery[] },
): Omit<RunResult, 'problems' | 'missed' | 'directory' | 'checkMs'> {
  const { operations } = history
  const unknown = operations.filter(({ outcome }) => outcome.kind === 'unknown').length
  const refused = operations.filter(({ outcome }) => outcome.kind === 'refusal').length
  return {
    struck,
    episodes: recoveries.length,
    operations: { acknowledged: operations.length - unknown - refused, refused, unknown },
    revision: highestRevision(history),
    longestStartMs: Math.max(0, ...recoveries.map(({ startedMs }) => startedMs)),
    longestWriteMs: Math.max(0, ...recoveries.map(({ writeMs }) => writeMs)),
    longestAgreedMs: Math.max(0, ...recoveries.map(({ agreedMs }) => agreedMs)),
  }
}

function highestRevision({ operations }: Recorded): number {
  let last = 1
  for (const { outcome } of operations)
    if (outcome.kind === 'answer') last = Math.max(last, outcome.answer.revision ?? 0)
  return last
}

/** With the causes. */
function inFull(error: Error): string {
  const text = error.stack ?? error.message
  return error.cause instanceof Error ? `${text}\ncaused by ${inFull(error.cause)}` : text
}

export function summary(options: RunOptions, result: RunResult): string {
  const { acknowledged, refused, unknown } = result.operations
  const rows = FAULT_KINDS.map((kind) => `  ${kind.padEnd(22)} ${String(result.struck.get(kind) ?? 0).padStart(5)}`)
  return [
    `seed ${options.seed}: ${result.episodes} episodes; ${acknowledged} operations acknowledged, ${refused} refused, ${unknown} without outcome; ${result.revision} revisions`,
    `after the faults ended, at the latest: processes started after ${result.longestStartMs.toFixed(0)} ms, a write after ${result.longestWriteMs.toFixed(0)} ms, all members of one state after ${result.longestAgreedMs.toFixed(0)} ms`,
    `the history was checked in ${result.checkMs.toFixed(0)} ms`,
    `  ${'fault'.padEnd(22)} struck`,
    ...rows,
  ].join('\n')
}
