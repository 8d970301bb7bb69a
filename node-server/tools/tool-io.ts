/** What a tool has of the process around it: two outputs. */
import { once } from 'node:events'
import type { Writable } from 'node:stream'

/** 0 all is well, 1 it did not work or there is damage, 2 it was not asked for rightly. */
export type ExitCode = 0 | 1 | 2

export interface ToolProcess {
  readonly stdout: Writable
  readonly stderr: Writable
  /** Of a real process. */
  readonly once?: (signal: 'SIGTERM' | 'SIGINT', listener: () => void) => unknown
}

export interface ToolIo {
  readonly out: Output
  readonly err: Output
  /** Aborts when the process is told to end. From the first call on it ends by itself, and not by the signal. */
  toldToEnd(): AbortSignal
}

export function toolIo(process: ToolProcess): ToolIo {
  const ending = new AbortController()
  return {
    out: new Output(process.stdout),
    err: new Output(process.stderr),
    toldToEnd: () => {
      for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once?.(signal, () => ending.abort())
      return ending.signal
    },
  }
}

/** Lines to a reader that may go away: `| head` is no error. */
export class Output {
  readonly #stream: Writable
  #isClosed = false

  constructor(stream: Writable) {
    this.#stream = stream
    stream.on('error', () => (this.#isClosed = true))
    stream.on('close', () => (this.#isClosed = true))
  }

  /** Resolves once more may be written; false when nobody reads any more. */
  async write(text: string): Promise<boolean> {
    if (this.#isClosed) return false
    if (!this.#stream.write(text)) await this.#drained()
    return !this.#isClosed
  }

  async #drained(): Promise<void> {
    const over = new AbortController()
    const { signal } = over
    const events = ['drain', 'close', 'error'].map((name) => once(this.#stream, name, { signal }))
    await Promise.race(events).catch(() => undefined)
    over.abort()
    await Promise.allSettled(events)
  }
}
