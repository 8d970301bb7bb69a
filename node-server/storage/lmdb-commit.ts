/**
 * A commit that is too large to be handed to the library in one go: that happens on the calling thread, a million rows of it
 * in about a second. A thread of its own gets the rows in pieces, between which the caller does everything else, and then
 * commits them as one transaction with a full sync.
 */
import { setImmediate as afterOthers } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import type { Write } from '../mvcc/backend.ts'
import { packed } from './lmdb-packed.ts'

const PROGRAM = new URL('lmdb-commit-thread.ts', import.meta.url)

/** What the thread says at its end: that it is durable, or why not. */
export type Ended = { readonly kind: 'durable' } | { readonly kind: 'failed'; readonly reason: string }

/** Each key once, in order. Rejects when the disk or the library fails; then nothing of it is there. */
export async function commitInThread(path: string, writes: Iterable<Write>): Promise<void> {
  const thread = new Worker(PROGRAM, { workerData: path })
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  thread.once('message', (ended: Ended) => {
    if (ended.kind === 'durable') resolve()
    else reject(new Error(ended.reason))
  })
  thread.once('error', reject)
  thread.once('exit', (code) => reject(new Error(`the thread that commits ended with ${code}`)))
  promise.catch(() => undefined) // until it is awaited
  try {
    for (const piece of packed(writes)) {
      thread.postMessage(piece, [piece.buffer as ArrayBuffer])
      await afterOthers()
    }
    thread.postMessage(undefined, [])
    await promise
  } finally {
    await thread.terminate()
  }
}
