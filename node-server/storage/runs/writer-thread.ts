/** The thread of a store's writer. */
import { parentPort, workerData } from 'node:worker_threads'
import { assert } from '../../../lib/assert.ts'
import { RUN_SIZES } from '../../limits.ts'
import { realDisk } from '../disk.ts'
import { hostWriter } from './writer-host.ts'
import type { ToWriter } from './writer-messages.ts'

const port = parentPort
assert(port !== null, 'this is a thread')
const { directory } = workerData as { readonly directory: string }
/** Messages come between two tasks of the loop. */
const giveWay = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const host = hostWriter(realDisk, directory, RUN_SIZES, giveWay, (message) => port.postMessage(message))
port.on('message', (message: ToWriter) => host.receive(message))
