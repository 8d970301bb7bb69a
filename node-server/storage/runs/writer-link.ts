/** The reader's way to the writer: into a thread, or, where everything must happen in one seeded process, to the same thread. */
import { setImmediate as afterOthers } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { RUN_SIZES, type RunSizes } from '../../limits.ts'
import type { Disk } from '../disk.ts'
import { hostWriter } from './writer-host.ts'
import { failureOf, type FromWriter, type ToWriter } from './writer-messages.ts'

export interface WriterLink {
  readonly send: (message: ToWriter) => void
  /** Lets others have their turn between two pieces of a commit. */
  readonly giveWay: () => Promise<void>
  /** Once the writer has answered that it is closed. */
  readonly end: () => Promise<void>
}

/** `hear` gets all that the writer says, and a last `failed` without an `id` when it ends without having been asked to. */
export type StartWriter = (directory: string, hear: (message: FromWriter) => void) => WriterLink

export const threadWriter: StartWriter = (directory, hear) => {
  const thread = new Worker(new URL('writer-thread.ts', import.meta.url), { workerData: { directory } })
  let isEnding = false
  const fail = (cause: unknown): void => {
    if (!isEnding) hear({ kind: 'failed', id: undefined, failure: failureOf(cause) })
  }
  thread.on('message', hear)
  thread.on('error', fail)
  thread.on('exit', (code) => fail(new Error(`the thread that writes ${directory} ended with ${code}`)))
  return {
    // What a commit is made of goes over without a copy.
    send: (message) => thread.postMessage(message, message.kind === 'rows' ? [message.rows.buffer] : []),
    giveWay: () => afterOthers(),
    end: async () => {
      isEnding = true
      await thread.terminate()
    },
  }
}

export function localWriter(disk: Disk, sizes: RunSizes = RUN_SIZES): StartWriter {
  return (directory, hear) => {
    const host = hostWriter(disk, directory, sizes, { giveWay: () => Promise.resolve() }, hear)
    const giveWay = (): Promise<void> => Promise.resolve()
    return { send: (message) => host.receive(message), giveWay, end: giveWay }
  }
}
