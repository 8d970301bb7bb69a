/** What the store holds, told by the commits alone. */
import { indexOf, SHAPES, writesOf, type Commit, type TorturedTable } from './content.ts'
import { encodeRows, rowOf, type Row, type Rows } from './rows.ts'

export class Model {
  readonly #tables: Readonly<Record<TorturedTable, (Row | undefined)[]>> = {
    current: empty('current'),
    revisions: empty('revisions'),
    history: empty('history'),
  }

  apply(commit: Commit): void {
    for (const { table, key, value } of writesOf(commit)) {
      const index = indexOf(key)
      this.#tables[table as TorturedTable][index] = value === undefined ? undefined : rowOf(index, value)
    }
  }

  rows(): Rows {
    return { current: this.#rowsOf('current'), revisions: this.#rowsOf('revisions'), history: this.#rowsOf('history') }
  }

  #rowsOf(table: TorturedTable): Uint8Array {
    return encodeRows(this.#tables[table].filter((row) => row !== undefined))
  }
}

function empty(table: TorturedTable): (Row | undefined)[] {
  return Array.from({ length: SHAPES[table].keys }, () => undefined)
}
