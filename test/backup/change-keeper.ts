/** `backup follow` as a process that is killed and started again, and how far behind the cluster it has been. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'

const SAMPLE_MS = 500
const KEPT = /kept up to revision (\d+), (\S+)/g

export class ChangeKeeper {
  readonly #command: readonly string[]
  readonly #environment: Readonly<Record<string, string>>
  readonly #sampling: NodeJS.Timeout
  readonly #ages: number[] = []
  #child: ChildProcess
  /** The last one, and when all up to it was all that there was. */
  revision = 0
  #allAtMs: number | undefined
  gaps = 0
  /** What it said of what went wrong. */
  words = ''

  constructor(command: readonly string[], environment: Readonly<Record<string, string>>) {
    this.#command = command
    this.#environment = environment
    this.#child = this.#spawn()
    this.#sampling = setInterval(() => {
      if (this.#allAtMs !== undefined) this.#ages.push(Date.now() - this.#allAtMs)
    }, SAMPLE_MS)
  }

  #spawn(): ChildProcess {
    const [program = '', ...args] = this.#command
    const child = spawn(program, args, {
      env: { ...process.env, ...this.#environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    child.stdout.on('data', (chunk: Buffer) => {
      for (const [, revision, at = ''] of chunk.toString('utf8').matchAll(KEPT)) {
        this.revision = Math.max(this.revision, Number(revision))
        if (!Number.isNaN(Date.parse(at))) this.#allAtMs = Date.parse(at)
      }
    })
    child.stderr.on('data', (chunk: Buffer) => {
      this.words = `${this.words}${chunk.toString('utf8')}`.slice(-2000)
      this.gaps += chunk.toString('utf8').split('Gap: ').length - 1
    })
    return child
  }

  async restart(): Promise<void> {
    await this.#end('SIGKILL')
    this.#child = this.#spawn()
  }

  async #end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const gone = once(this.#child, 'exit')
    this.#child.kill(signal)
    await gone
  }

  /** False when it does not come so far. */
  async reaches(revision: number, limitMs: number): Promise<boolean> {
    for (const endMs = performance.now() + limitMs; this.revision < revision; await delay(100))
      if (performance.now() > endMs) return false
    return true
  }

  async stop(): Promise<void> {
    clearInterval(this.#sampling)
    await this.#end('SIGTERM')
  }

  /** How old the newest moment was that could have been restored, in milliseconds. */
  ages(): { readonly median: number; readonly most: number } {
    const sorted = this.#ages.toSorted((a, b) => a - b)
    return { median: sorted[Math.floor(sorted.length / 2)] ?? 0, most: sorted.at(-1) ?? 0 }
  }
}
