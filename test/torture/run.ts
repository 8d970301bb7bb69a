/**
 * One seed: a store that is tortured in a process of its own, step by step. After each step, and after each death, all that
 * the store holds is what the model says; after a death that may be the model after any of the commits that were not
 * answered.
 *
 * What was found wrong is in the result; nothing is thrown for it. One store at a time: at most 2 GiB on the disk while a
 * copy of the largest is made, and some 500 MB of memory for both processes.
 */
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { assert } from '../../lib/assert.ts'
import { isMissing } from '../../node-server/storage/disk.ts'
import type { Commit } from './content.ts'
import { Model } from './model.ts'
import { steps, type Step, type StepKind } from './plan.ts'
import type { Order } from './request.ts'
import { difference, type Rows } from './rows.ts'
import { ProcessEnded, Tortured } from './tortured.ts'

export interface TortureOptions {
  readonly seed: number
  readonly maxSteps: number
  /** No step begins after it, by `performance.now()`. */
  readonly untilMs: number
  /** The store of a run that failed stays on the disk. */
  readonly isKept: boolean
}

export interface TortureResult {
  /** What is wrong, after which step, and where the store lies. */
  readonly problem: string | undefined
  readonly steps: ReadonlyMap<StepKind, number>
  readonly commits: number
  readonly kills: number
  readonly largestStoreBytes: number
}

/** The content is 40 MB at the most, and merges hold twice of it for a while; a store beyond this does not let go of files. */
const MAX_STORE_BYTES = 512 * 1024 ** 2

export async function torture({ seed, maxSteps, untilMs, isKept }: TortureOptions): Promise<TortureResult> {
  const directory = await mkdtemp(join(tmpdir(), 'raftkv-torture-'))
  const run = new Run(directory)
  let problem: string | undefined
  let number = 0
  try {
    await run.start()
    for (const step of steps(seed)) {
      if (step.number > maxSteps || performance.now() >= untilMs) break
      number = step.number
      await run.take(step)
    }
  } catch (error) {
    problem = `seed ${seed}, step ${number}: ${String(error)}\n${run.output}`
  } finally {
    await run.close()
  }
  if (problem !== undefined && isKept) problem += `\nthe store lies in ${directory}`
  else await rm(directory, { recursive: true, force: true })
  return { problem, steps: run.steps, commits: run.commits, kills: run.kills, largestStoreBytes: run.largestStoreBytes }
}

class Run {
  readonly steps = new Map<StepKind, number>()
  commits = 0
  kills = 0
  largestStoreBytes = 0
  readonly #directory: string
  readonly #model = new Model()
  /** Asked for and not answered, in order. */
  readonly #unanswered: Commit[] = []
  #tortured = new Tortured()
  #stores = 0
  #path: string
  #held: { readonly rows: Rows; readonly untilStep: number } | undefined

  constructor(directory: string) {
    this.#directory = directory
    this.#path = this.#newPath()
  }

  get output(): string {
    return this.#tortured.output
  }

  async start(): Promise<void> {
    await this.#tortured.ask({ kind: 'open', path: this.#path })
  }

  async close(): Promise<void> {
    await this.#tortured.kill()
  }

  async take(step: Step): Promise<void> {
    if (step.killAfterMs === undefined) await this.#carryOut(step)
    else await this.#carryOutAndKill(step, step.killAfterMs)
    if (this.#held !== undefined && this.#held.untilStep <= step.number) await this.#release()
    const problem = difference(this.#model.rows(), await this.#read({ kind: 'read' }))
    if (problem !== undefined) throw new Error(problem)
    if (this.output !== '') throw new Error('it complains')
    this.largestStoreBytes = Math.max(this.largestStoreBytes, await sizeOf(this.#path))
    if (this.largestStoreBytes > MAX_STORE_BYTES) throw new Error('the store grows although most of it is removed')
    await this.#removeOthers()
    this.steps.set(step.kind, (this.steps.get(step.kind) ?? 0) + 1)
  }

  async #carryOut(step: Step): Promise<void> {
    switch (step.kind) {
      case 'commits':
        await this.#commit(step.commits)
        return
      case 'copy':
        return this.#copy(step.commits)
      case 'move':
        return this.#move()
      case 'defragment':
        return this.#defragment(step.commits)
      case 'reopen':
        await this.#closeStore()
        return this.start()
      case 'restart':
        await this.#closeStore()
        return this.#startAgain()
      case 'hold':
        await this.#release()
        await this.#tortured.ask({ kind: 'hold' })
        this.#held = { rows: this.#model.rows(), untilStep: step.number + step.steps }
    }
  }

  /** Answers what the store held before, between and after the commits. */
  async #commit(commits: readonly Commit[]): Promise<readonly Rows[]> {
    const boundaries = [this.#model.rows()]
    for (const commit of commits) {
      this.#unanswered.push(commit)
      await this.#tortured.ask({ kind: 'commit', commit })
      this.#unanswered.shift()
      this.#model.apply(commit)
      this.commits += 1
      boundaries.push(this.#model.rows())
    }
    return boundaries
  }

  async #copy(commits: readonly Commit[]): Promise<void> {
    const path = this.#newPath()
    const [boundaries] = await Promise.all([this.#commit(commits), this.#tortured.ask({ kind: 'copy', path })])
    const copied = await this.#read({ kind: 'read', path })
    const problems = boundaries.map((rows) => difference(rows, copied))
    if (!problems.includes(undefined)) throw new Error(`a copy that no commit made: ${problems.join('; ')}`)
  }

  async #move(): Promise<void> {
    const path = this.#newPath()
    await this.#tortured.ask({ kind: 'copy', path })
    await this.#closeStore()
    this.#path = path
    await this.start()
  }

  async #defragment(commits: readonly Commit[]): Promise<void> {
    await Promise.all([this.#tortured.ask({ kind: 'defragment' }), this.#commit(commits)])
  }

  async #closeStore(): Promise<void> {
    await this.#release()
    await this.#tortured.ask({ kind: 'close' })
  }

  async #startAgain(): Promise<void> {
    await this.#tortured.kill()
    this.#tortured = new Tortured()
    await this.start()
  }

  async #release(): Promise<void> {
    if (this.#held === undefined) return
    const { rows } = this.#held
    this.#held = undefined
    const path = this.#newPath()
    await this.#tortured.ask({ kind: 'release', path })
    const problem = difference(rows, await this.#read({ kind: 'read', path }))
    if (problem !== undefined) throw new Error(`a store that was held: ${problem}`)
  }

  /** Kills the process if the step has not ended by then; another one goes on with what it left. */
  async #carryOutAndKill(step: Step, delayMs: number): Promise<void> {
    const carriedOut = this.#carryOut(step)
    const ended = carriedOut.then(
      () => 'ended' as const,
      () => 'ended' as const,
    )
    if ((await Promise.race([ended, sleep(delayMs, 'late' as const)])) === 'ended') return carriedOut
    await this.#tortured.kill()
    await carriedOut.catch((error: unknown) => {
      if (!(error instanceof ProcessEnded)) throw error
    })
    this.kills += 1
    await this.#recover()
  }

  /** It holds each commit that was answered, and maybe more. */
  async #recover(): Promise<void> {
    this.#held = undefined
    await this.#startAgain()
    const rows = await this.#read({ kind: 'read' })
    const problem = difference(this.#model.rows(), rows)
    while (difference(this.#model.rows(), rows) !== undefined) {
      const commit = this.#unanswered.shift()
      if (commit === undefined) throw new Error(`a store that no commit made: ${problem}`)
      this.#model.apply(commit)
    }
    this.#unanswered.length = 0
  }

  async #read(order: Order & { readonly kind: 'read' }): Promise<Rows> {
    const { rows } = await this.#tortured.ask(order)
    assert(rows !== undefined, 'who is asked for what there is tells it')
    return rows
  }

  #newPath(): string {
    return join(this.#directory, `store-${this.#stores++}`)
  }

  async #removeOthers(): Promise<void> {
    const own = basename(this.#path)
    for (const name of await readdir(this.#directory))
      if (name !== own) await rm(join(this.#directory, name), { recursive: true })
  }
}

async function sizeOf(store: string): Promise<number> {
  const sizes = (await readdir(store)).map(async (name) => {
    try {
      return (await stat(join(store, name))).size
    } catch (error) {
      if (isMissing(error)) return 0 // a merge goes on
      throw error
    }
  })
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
}
