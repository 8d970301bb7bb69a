/** Seeds of one subject on several processes; failures, how often each fault struck and each path was taken, and the cost. */
import { fork, type ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import type { SimulateOptions } from './options.ts'
import type { Subject } from './subjects.ts'

/** What a worker tells after each seed. */
export interface SeedReport {
  readonly seed: number
  readonly counts: readonly (readonly [string, number])[]
  readonly work: number
  readonly simulatedMs: number
  readonly cpuMs: number
  readonly failure: string | undefined
}

const WORKER = join(import.meta.dirname, 'worker.ts')
const MOST_FAILURES = 5
const PROGRESS_MS = 10_000

export type RunsOptions = Pick<SimulateOptions, 'first' | 'seeds' | 'forMs' | 'jobs' | 'members'>

export class Runs {
  readonly #subject: Subject
  readonly #options: RunsOptions
  readonly #counts = new Map<string, number>()
  readonly #startedMs = performance.now()
  readonly #sums = { done: 0, failed: 0, work: 0, simulatedMs: 0, cpuMs: 0 }
  #next: number
  #lastProgressMs = performance.now()

  constructor(subject: Subject, options: RunsOptions) {
    this.#subject = subject
    this.#options = options
    this.#next = options.first
  }

  async run(): Promise<void> {
    const { jobs, seeds } = this.#options
    await Promise.all(Array.from({ length: Math.min(jobs, seeds) }, () => this.#worker()))
  }

  #worker(): Promise<void> {
    const { members } = this.#options
    return new Promise((resolve, reject) => {
      const child = fork(WORKER, [this.#subject.name, ...(members === undefined ? [] : [String(members)])], {
        execArgv: ['--max-semi-space-size=32'],
      })
      child.on('message', (told: SeedReport) => {
        this.#note(told)
        this.#give(child)
      })
      child.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`a worker ended with code ${code}`))))
      this.#give(child)
    })
  }

  #give(child: ChildProcess): void {
    const { first, seeds, forMs } = this.#options
    const isOver = this.#next >= first + seeds || performance.now() - this.#startedMs >= forMs
    if (isOver || this.#sums.failed >= MOST_FAILURES) child.disconnect()
    else child.send(this.#next++)
  }

  #note({ seed, counts, work, simulatedMs, cpuMs, failure }: SeedReport): void {
    const sums = this.#sums
    for (const [place, times] of counts) this.#counts.set(place, (this.#counts.get(place) ?? 0) + times)
    sums.done += 1
    sums.work += work
    sums.simulatedMs += simulatedMs
    sums.cpuMs += cpuMs
    if (failure !== undefined) {
      sums.failed += 1
      const { members } = this.#options
      const replay = `npm run simulate -- ${this.#subject.name} --seed ${seed}${members === undefined ? '' : ` --members ${members}`}`
      console.log(`seed ${seed}\n${failure}\n\nReplay: ${replay}\n`)
    }
    if (performance.now() - this.#lastProgressMs < PROGRESS_MS) return
    this.#lastProgressMs = performance.now()
    console.log(`${sums.done} seeds, ${sums.failed} failed`)
  }

  /** Whether all is well; a place that no run came to counts only where there were enough of them. */
  report(): boolean {
    const { name, unit, places, enough } = this.#subject
    const { done, failed, work, simulatedMs, cpuMs } = this.#sums
    const timesAt = (place: string): number => this.#counts.get(place) ?? 0
    for (const { title, names } of places) {
      console.log(`${title} (${name})`)
      for (const place of names) console.log(`  ${String(timesAt(place)).padStart(9)}  ${place}`)
    }
    const missing = places.flatMap(({ names }) => names.filter((place) => timesAt(place) === 0))
    const isMissing = done >= enough && missing.length > 0
    if (isMissing) console.log(`never: ${missing.join('; ')}`)
    const seconds = (performance.now() - this.#startedMs) / 1000
    const cost = cpuMs / 1000 / (simulatedMs / 60_000)
    console.log(
      `\n${name}: ${(simulatedMs / 60_000).toFixed(0)} simulated minutes, ${cost.toFixed(2)} s of CPU for each`,
    )
    console.log(`${name}: ${done} seeds, ${work} ${unit}, ${seconds.toFixed(1)} s, ${failed} failed`)
    return failed === 0 && !isMissing
  }
}
