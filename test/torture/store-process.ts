/** The process that is tortured: it does what it is told with one store, through our backend and nothing else. */
import { assert, unreachable } from '../../lib/assert.ts'
import { TABLES, type Backend, type TableEntry } from '../../node-server/mvcc/backend.ts'
import { lmdbEngine, LmdbBackend } from '../../node-server/storage/backend.ts'
import { indexOf, TORTURED_TABLES, writesOf, type TorturedTable } from './content.ts'
import type { Answer, Order, Outcome, Request } from './request.ts'
import { encodeRows, rowOf, type Row, type Rows } from './rows.ts'

const FIRST_KEY = Buffer.of(0)
/** Of a scan that is held: what is read of it at once. */
const BEGUN_ROWS = 5

let backend: LmdbBackend | undefined
let held: { readonly begun: readonly Row[]; readonly rest: Iterator<TableEntry> } | undefined

async function carryOut(order: Order): Promise<Outcome> {
  switch (order.kind) {
    case 'open':
      backend = new LmdbBackend(order.path)
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
      return { rows: order.path === undefined ? rowsOf(opened()) : await lmdbEngine.read(order.path, rowsOf) }
    case 'hold':
      held = hold(order.table)
      return {}
    case 'release':
      return { held: release() }
    default:
      return unreachable(order)
  }
}

function opened(): LmdbBackend {
  assert(backend !== undefined, 'the store is open')
  return backend
}

async function copy(path: string): Promise<void> {
  const pinned = await opened().pin()
  await lmdbEngine.receive(path, pinned.read())
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

function hold(table: TorturedTable): typeof held {
  const rest = opened().scan(table, FIRST_KEY, undefined)[Symbol.iterator]()
  const begun: Row[] = []
  while (begun.length < BEGUN_ROWS) {
    const next = rest.next()
    if (next.done === true) break
    begun.push(asRow(next.value))
  }
  return { begun, rest }
}

function release(): Uint8Array {
  assert(held !== undefined, 'a scan is held')
  const rows = [...held.begun]
  for (let next = held.rest.next(); next.done !== true; next = held.rest.next()) rows.push(asRow(next.value))
  held = undefined
  return encodeRows(rows)
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
