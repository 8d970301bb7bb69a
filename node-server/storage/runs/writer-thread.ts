/** The thread of a store's writer. */
import { statfsSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { parentPort, workerData } from 'node:worker_threads'
import { assert } from '../../../lib/assert.ts'
import { RESERVED_DISK_SHARE, RESERVED_DISK_SIZE_BYTES, RUN_SIZES, SCRUB } from '../../limits.ts'
import { realDisk } from '../disk.ts'
import { hostWriter } from './writer-host.ts'
import type { ToWriter } from './writer-messages.ts'

const port = parentPort
assert(port !== null, 'this is a thread')
const { directory } = workerData as { readonly directory: string }
/** Messages come between two tasks of the loop. */
const giveWay = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
/** What is kept for the log and for commits (node/maintenance/disk-room.ts) is not for merges. */
const mergeRoomBytes = (): number => {
  const { bavail, blocks, bsize } = statfsSync(directory)
  return bavail * bsize - Math.min(RESERVED_DISK_SIZE_BYTES, blocks * bsize * RESERVED_DISK_SHARE)
}
const host = hostWriter(realDisk, directory, RUN_SIZES, { giveWay, mergeRoomBytes }, (message) =>
  port.postMessage(message),
)
port.on('message', (message: ToWriter) => host.receive(message))

/** Until the store is closed, or damaged: its thread ends then. */
async function scrub(): Promise<never> {
  for (;;) {
    const isRound = await host.scrub()
    await delay(isRound ? SCRUB.roundPauseMs : SCRUB.piecePauseMs, undefined, { ref: false })
  }
}

void scrub().catch(() => undefined) // it has told why there is no writer
