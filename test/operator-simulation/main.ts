/**
 * `node test/operator-simulation/main.ts`: seeds on all cores, failures with the command that replays them, and how often
 * each fault struck and each step was taken. `--seed N` replays one; `--seeds`, `--first`, `--for 10m`, `--jobs`.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { parseOptions, type SimulateOptions } from '../simulation/options.ts'
import { Coverage, FAULTS, STEPS } from './coverage.ts'
import { runSeed } from './run-seed.ts'

/** What a worker tells after each seed. */
interface Told {
  readonly seed: number
  readonly counts: readonly (readonly [string, number])[]
  readonly reconciles: number
  readonly failure: string | undefined
}

const WORKER = '--worker'
const MOST_FAILURES = 5
/** Fewer seeds need not have come everywhere. */
const ENOUGH = 1000

async function tell(seed: number): Promise<Told> {
  const { failure, counts, reconciles } = await runSeed(seed)
  const text = failure && [...failure.events, '', failure.error.stack ?? failure.error.message].join('\n')
  return { seed, counts: [...counts], reconciles, failure: text }
}

/** Seeds come one at a time from the parent. */
function work(): void {
  process.on('message', (seed: number) => {
    tell(seed).then(
      (told) => process.send?.(told),
      (error: unknown) => {
        throw error
      },
    )
  })
  process.on('disconnect', () => process.exit())
}

class Runs {
  readonly #options: SimulateOptions
  readonly #coverage = new Coverage()
  readonly #startedMs = performance.now()
  #next: number
  #done = 0
  #reconciles = 0
  #failures = 0

  constructor(options: SimulateOptions) {
    this.#options = options
    this.#next = options.first
  }

  async run(): Promise<void> {
    const { jobs, seeds } = this.#options
    await Promise.all(Array.from({ length: Math.min(jobs, seeds) }, () => this.#worker()))
  }

  #worker(): Promise<void> {
    return new Promise((resolve, reject) => {
      const child = fork(import.meta.filename, [WORKER])
      child.on('message', (told: Told) => {
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
    if (isOver || this.#failures >= MOST_FAILURES) child.disconnect()
    else child.send(this.#next++)
  }

  #note({ seed, counts, reconciles, failure }: Told): void {
    this.#coverage.add(counts)
    this.#reconciles += reconciles
    this.#done += 1
    if (failure === undefined) return
    this.#failures += 1
    console.log(`seed ${seed}\n${failure}\n\nReplay: node test/operator-simulation/main.ts --seed ${seed}\n`)
  }

  /** Whether all is well; a place that no run came to counts only where there were enough of them. */
  report(): boolean {
    const seconds = (performance.now() - this.#startedMs) / 1000
    console.log(`${this.#coverage.table('Faults', FAULTS)}\n${this.#coverage.table('Steps', STEPS)}`)
    const missing = this.#coverage.missing([...FAULTS, ...STEPS])
    const isEnough = this.#done >= ENOUGH
    if (isEnough && missing.length > 0) console.log(`never: ${missing.join('; ')}`)
    console.log(
      `\n${this.#done} seeds, ${this.#reconciles} reconciles, ${seconds.toFixed(1)} s, ${this.#failures} failed`,
    )
    return this.#failures === 0 && !(isEnough && missing.length > 0)
  }
}

if (process.argv[2] === WORKER) work()
else {
  const options = parseOptions(process.argv.slice(2))
  if (!options.ok) {
    console.error(options.error)
    process.exit(2)
  }
  const runs = new Runs(options.value)
  await runs.run()
  process.exitCode = runs.report() ? 0 : 1
}
