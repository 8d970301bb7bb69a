/** The process that is tortured: it does what it is told with one store, through our backend and nothing else. */
import { assert, unreachable } from '../../lib/assert.ts'
import { TABLES, type Backend, type PinnedStore, type TableEntry } from '../../node-server/mvcc/backend.ts'
import { realVolume } from '../../node-server/storage/volume.ts'
import { indexOf, TORTURED_TABLES, writesOf, type TorturedTable } from './content.ts'
import type { Answer, Order, Outcome, Request } from './request.ts'
import { encodeRows, rowOf, type Row, type Rows } from './rows.ts'

const FIRST_KEY = Buffer.of(0)

const { stores } = realVolume
let backend: Backend | undefined
let held: PinnedStore | undefined

async function carryOut(order: Order): Promise<Outcome> {
  switch (order.kind) {
    case 'open':
      backend = await stores.open(order.path)
      return {}
    case 'close':
      await opened().close()
      return {}
    case 'commit':
      await opened().commit(writesOf(order.commit))
      return {}
    case 'copy':
      await copy(order.path)
      return {}
    case 'defragment':
      await opened().defragment()
      return {}
    case 'read':
      return { rows: order.path === undefined ? rowsOf(opened()) : await stores.read(order.path, rowsOf) }
    case 'hold':
      held = await opened().pin()
      return {}
    case 'release':
      return release(order.path)
    default:
      return unreachable(order)
  }
}

function opened(): Backend {
  assert(backend !== undefined, 'the store is open')
  return backend
}

async function copy(path: string): Promise<void> {
  const pinned = await opened().pin()
  await stores.receive(path, pinned.read())
  await pinned.release()
}

function rowsOf(of: Backend): Rows {
  const tortured: readonly string[] = TORTURED_TABLES
  for (const table of TABLES)
    assert(tortured.includes(table) || of.count(table, FIRST_KEY, undefined) === 0, `nothing was written to ${table}`)
  const read = (table: TorturedTable): Uint8Array => encodeRows(Array.from(of.scan(table, FIRST_KEY, undefined), asRow))
  return { current: read('current'), revisions: read('revisions'), history: read('history') }
}

function asRow({ key, value }: TableEntry): Row {
  return rowOf(indexOf(key), value)
}

/** What was held becomes a store at that path. */
async function release(path: string): Promise<Outcome> {
  assert(held !== undefined, 'the store is held')
  await stores.receive(path, held.read())
  await held.release()
  held = undefined
  return {}
}

process.on('message', ({ number, order }: Request) => {
  const answer = (told: Answer): void => void process.send?.(told)
  carryOut(order).then(
    (outcome) => answer({ number, outcome }),
    (error: unknown) => answer({ number, failure: error instanceof Error ? inFull(error) : String(error) }),
  )
})

process.on('disconnect', () => process.exit())

function inFull(error: Error): string {
  const text = error.stack ?? error.message
  return error.cause instanceof Error ? `${text}\ncaused by ${inFull(error.cause)}` : text
}
