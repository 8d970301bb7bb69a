/**
 * The data directory of a member of the version with LMDB files (`member/db/store-0.mdb`), as it wrote it: in `fixture/`,
 * compressed, with what its own library read in it. Member 1 of the cluster of test/recovery/history.ts, which has applied
 * all of that history but its end, then values of many pages and changes of many keys; the log goes two entries further.
 */
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import type { Table } from '../../../mvcc/backend.ts'

const FIXTURE = join(import.meta.dirname, 'fixture')
const SEGMENT = '0000000000000001.wal'
export const FORMER_STORE = 'store-0.mdb'

interface Expected {
  readonly appliedIndex: number
  /** Of the log. */
  readonly lastIndex: number
  readonly revision: number
  readonly compactedRevision: number
  /** `hashState` of the store. */
  readonly hash: string
  /** SHA-256 over the lines KEY=VALUE, in hexadecimal digits, each with its line feed. */
  readonly tables: Readonly<Record<Table, { readonly rows: number; readonly sha256: string }>>
}

/** Of a table that there was not yet. */
const NO_ROWS = { rows: 0, sha256: createHash('sha256').digest('hex') }
const recorded = JSON.parse(readFileSync(join(FIXTURE, 'expected.json'), 'utf8')) as Expected
export const EXPECTED: Expected = { ...recorded, tables: { ...recorded.tables, auth: NO_ROWS } }

/** Puts it there, as it was. */
export function unpackFixture(dataDirectory: string): void {
  const at = (...names: readonly string[]): string => join(dataDirectory, 'member', ...names)
  for (const folder of ['db', 'wal', 'snap']) mkdirSync(at(folder), { recursive: true })
  writeFileSync(at('identity.json'), readFileSync(join(FIXTURE, 'identity.json')))
  writeFileSync(at('wal', SEGMENT), gunzipSync(readFileSync(join(FIXTURE, `${SEGMENT}.gz`))))
  writeFileSync(at('db', FORMER_STORE), gunzipSync(readFileSync(join(FIXTURE, `${FORMER_STORE}.gz`))))
  writeFileSync(at('db', `${FORMER_STORE}-lock`), '')
}
