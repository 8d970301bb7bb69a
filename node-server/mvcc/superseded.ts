/**
 * Rows of `history` that puts write, kept with the row of their key in `current`: a put supersedes the version before it,
 * and writes a row there anyway. So they are neither hashed nor sorted, and have no key of their own until somebody reads them.
 */
import { historyKeySize, historyText, keyTextOf, writeHistoryKey, type LateRecord } from './key-index.ts'
import type { LateBytes } from './row-value.ts'
import type { Row, TableRows, TextRange, WrittenRow } from './table-rows.ts'

class SupersededRow implements Row, LateBytes {
  readonly #userKey: string
  readonly value: LateRecord
  /** Asked for several times. */
  readonly length: number

  constructor(userKey: string, value: LateRecord) {
    this.#userKey = userKey
    this.value = value
    this.length = historyKeySize(userKey)
  }

  get key(): string {
    return historyText(this.#userKey, this.value.modRevision)
  }

  get lateKey(): LateBytes {
    return this
  }

  writeTo(target: Buffer, at: number): void {
    writeHistoryKey(target, this.#userKey, this.value.modRevision, at)
  }
}

/** `record`: the version that the row's key had until now. */
export function supersede(row: WrittenRow, record: LateRecord): void {
  const newest = row.superseded
  // One revision has one row: of what its txn did last.
  const before = newest?.record.modRevision === record.modRevision ? newest.before : newest
  row.superseded = { record, before }
}

/** In the order of their keys in `history`. */
export function* supersededRows(current: TableRows, { low, high }: TextRange, isReverse: boolean): Iterable<Row> {
  const isEverything = low === '' && high === undefined
  const behindLast = high === undefined ? undefined : `${keyTextOf(high)}\0`
  for (const row of current.inOrder(keyTextOf(low), behindLast, isReverse)) {
    if (row.superseded === undefined) continue
    for (const version of versionsOf(row, isReverse)) {
      const isWithin = isEverything || (version.key >= low && (high === undefined || version.key < high))
      if (isWithin) yield version
    }
  }
}

function versionsOf({ key, superseded }: WrittenRow, isReverse: boolean): readonly SupersededRow[] {
  const rows: SupersededRow[] = []
  for (let version = superseded; version !== undefined; version = version.before)
    rows.push(new SupersededRow(key, version.record))
  return isReverse ? rows : rows.reverse()
}
