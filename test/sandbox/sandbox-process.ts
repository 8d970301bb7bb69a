/** `npm start` as a process of its own, with what it prints. */
import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

const ROOT = join(import.meta.dirname, '..', '..')
const TIMEOUT_MS = 120_000
const LOOK_MS = 50

export class SandboxProcess {
  readonly #child: ChildProcess
  readonly #exit: Promise<number | NodeJS.Signals>
  #text = ''

  constructor(args: readonly string[]) {
    this.#child = spawn(process.execPath, [join(ROOT, 'sandbox', 'main.ts'), ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'], HOME: process.env['HOME'] },
    })
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on('data', (chunk: Buffer) => (this.#text += chunk.toString()))
    }
    this.#exit = new Promise((resolve) =>
      this.#child.once('close', (code, signal) => resolve(code ?? signal ?? 'SIGKILL')),
    )
  }

  get text(): string {
    return this.#text
  }

  /** Fails, with all that was printed, when it ends before or takes too long. */
  async printed(pattern: RegExp): Promise<void> {
    let isOver = false
    void this.#exit.then(() => (isOver = true))
    await until(() => pattern.test(this.#text) || isOver, `${String(pattern)} in:\n${this.#text}`)
    if (!pattern.test(this.#text)) throw new Error(`it ended without ${String(pattern)}:\n${this.#text}`)
  }

  /** Exit code, or the signal that ended it. */
  async ended(): Promise<number | NodeJS.Signals> {
    return this.#exit
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name)
  }
}

/** Rejects after two minutes: the machine may be busy with other tests. */
export async function until(isTrue: () => boolean, what: string): Promise<void> {
  for (const startedMs = performance.now(); !isTrue(); await delay(LOOK_MS)) {
    if (performance.now() - startedMs > TIMEOUT_MS) throw new Error(`not within ${TIMEOUT_MS} ms: ${what}`)
  }
}

/** Process IDs that the sandbox has written down as running, and that do run. */
export function processesOf(directory: string): readonly number[] {
  const registry = join(directory, 'kubelet', 'processes')
  if (!existsSync(registry)) return []
  return readdirSync(registry)
    .map(Number)
    .filter((pid) => isRunning(pid))
}

export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    // A process that has ended but was not waited for yet counts as gone.
    return process.platform !== 'linux' || !/^\d+ \(.*\) [ZX] /s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}
