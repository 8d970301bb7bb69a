/** The process with the store, seen from outside. It is ended by whoever started it. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Answer, Order, Outcome } from './request.ts'

const PROGRAM = join(import.meta.dirname, 'store-process.ts')
/** The longest that anything takes, many times over. */
const MAX_ANSWER_MS = 60_000
/** Of what it writes, the last so many characters are kept. */
const MAX_OUTPUT_LENGTH = 16_384

export class ProcessEnded extends Error {
  override readonly name = 'ProcessEnded'
}

interface Waiting {
  readonly timer: NodeJS.Timeout
  readonly resolve: (outcome: Outcome) => void
  readonly reject: (error: Error) => void
}

export class Tortured {
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, Waiting>()
  #asked = 0
  /** What it wrote: our code writes nothing, so these are complaints of the library or a crash. */
  output = ''

  constructor() {
    this.#child = spawn(process.execPath, [...process.execArgv, PROGRAM], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      serialization: 'advanced',
    })
    const note = (chunk: Buffer): void =>
      void (this.output = (this.output + chunk.toString()).slice(-MAX_OUTPUT_LENGTH))
    this.#child.stdout?.on('data', note)
    this.#child.stderr?.on('data', note)
    this.#child.on('message', (answer: Answer) => this.#settle(answer))
    this.#child.on('error', () => {}) // it also ends then
    this.#child.once('close', (code, signal) => this.#end(`it ended with ${signal ?? code}`))
  }

  ask(order: Order): Promise<Outcome> {
    const number = ++this.#asked
    return new Promise((resolve, reject) => {
      const late = (): void => this.#fail(number, new Error(`no answer to ${order.kind} in ${MAX_ANSWER_MS} ms`))
      this.#waiting.set(number, { resolve, reject, timer: setTimeout(late, MAX_ANSWER_MS) })
      this.#child.send({ number, order }, (error) => {
        if (error !== null) this.#fail(number, new ProcessEnded('it takes no orders any more', { cause: error }))
      })
    })
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const closed = once(this.#child, 'close')
    this.#child.kill('SIGKILL')
    await closed
  }

  #settle(answer: Answer): void {
    if ('failure' in answer) this.#fail(answer.number, new Error(answer.failure))
    else this.#take(answer.number)?.resolve(answer.outcome)
  }

  #fail(number: number, error: Error): void {
    this.#take(number)?.reject(error)
  }

  #take(number: number): Waiting | undefined {
    const waiting = this.#waiting.get(number)
    clearTimeout(waiting?.timer)
    this.#waiting.delete(number)
    return waiting
  }

  #end(how: string): void {
    for (const number of this.#waiting.keys()) this.#fail(number, new ProcessEnded(how))
  }
}
