/** The thread of one large commit (lmdb-commit.ts): takes pieces until one is missing, commits them, and ends. */
import { statSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { assert } from '../../lib/assert.ts'
import type { Write } from '../mvcc/backend.ts'
import type { Ended } from './lmdb-commit.ts'
import { LmdbFile } from './lmdb-file.ts'
import { unpacked } from './lmdb-packed.ts'

const port = parentPort
assert(port !== null && typeof workerData === 'string', 'this is the program of a thread')
const path: string = workerData
const pieces: Uint8Array[] = []

function* writes(): Iterable<Write> {
  for (const piece of pieces) yield* unpacked(piece)
}

async function commit(): Promise<Ended> {
  try {
    statSync(path) // a missing one would be made
    const file = new LmdbFile(path, { commitsAtOnce: true })
    await file.commit(writes())
    await file.close()
    return { kind: 'durable' }
  } catch (error) {
    return { kind: 'failed', reason: error instanceof Error ? (error.stack ?? error.message) : String(error) }
  }
}

port.on('message', (piece: Uint8Array | undefined) => {
  if (piece !== undefined) pieces.push(piece)
  else void commit().then((ended) => port.postMessage(ended))
})
