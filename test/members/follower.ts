/** `backup follow` as a process, which tells what it has kept. */
import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { PATIENCE_MS } from '../../lib/testing/until.ts'

const MAIN = join(import.meta.dirname, '..', '..', 'node-server', 'main.ts')
const followers: Follower[] = []

export function spawnBackup(...args: readonly string[]): ChildProcess {
  return spawn(process.execPath, [MAIN, 'backup', ...args])
}

export class Follower {
  readonly #child: ChildProcess
  #output = ''
  #wake: () => void = () => undefined

  constructor(endpoints: string, to: string, ...flags: readonly string[]) {
    this.#child = spawnBackup('follow', `--endpoints=${endpoints}`, `--to=${to}`, '--interval=1', ...flags)
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.on('data', (chunk: Buffer) => {
        this.#output += chunk.toString('utf8')
        this.#wake()
      })
    followers.push(this)
  }

  /** All that were ever started. */
  static async killAll(): Promise<void> {
    for (const follower of followers) await follower.kill()
  }

  /** It has told that everything up to the revision is kept. */
  kept(revision: number): Promise<void> {
    return this.#until(`revision ${revision} is not kept`, (output) =>
      [...output.matchAll(/kept up to revision (\d+)/g)].some(([, kept]) => Number(kept) >= revision),
    )
  }

  says(words: RegExp): Promise<void> {
    return this.#until(`it does not say ${words}`, (output) => words.test(output))
  }

  async #until(otherwise: string, isSo: (output: string) => boolean): Promise<void> {
    const overdue = AbortSignal.timeout(PATIENCE_MS)
    while (!isSo(this.#output)) {
      assert.ok(!overdue.aborted, `${otherwise}:\n${this.#output}`)
      await Promise.race([new Promise<void>((resolve) => (this.#wake = resolve)), once(overdue, 'abort')])
    }
  }

  async kill(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<number | null> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return this.#child.exitCode
    const closed = once(this.#child, 'close')
    this.#child.kill(signal)
    const [code] = (await closed) as [number | null]
    return code
  }
}
