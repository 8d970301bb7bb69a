/**
 * Rows of `revisions` that puts write: they come in the order of their revisions, and each knows its own. So they are neither
 * hashed nor sorted, and have no key until somebody reads them.
 */
import { assert } from '../../lib/assert.ts'
import { REVISION_KEY_SIZE_BYTES, revisionOfText, revisionText, writeRevisionKey } from './key-index.ts'
import type { LatePut } from './key-value.ts'
import type { LateBytes } from './row-value.ts'
import type { Row, TextRange } from './table-rows.ts'

class PutRow implements Row, LateBytes {
  readonly value: LatePut
  readonly length = REVISION_KEY_SIZE_BYTES

  constructor(value: LatePut) {
    this.value = value
  }

  get key(): string {
    return keyOf(this.value)
  }

  get lateKey(): LateBytes {
    return this
  }

  writeTo(target: Buffer, at: number): void {
    const { modRevision, sub } = this.value.record
    writeRevisionKey(target, modRevision, sub, at)
  }
}

export class PutRows {
  readonly #puts: LatePut[] = []

  get isEmpty(): boolean {
    return this.#puts.length === 0
  }

  add(put: LatePut): void {
    const last = this.#puts.at(-1)
    const { modRevision, sub } = put.record
    assert(last === undefined || isBefore(last, modRevision, sub), 'puts come in the order of their revisions')
    this.#puts.push(put)
  }

  get(key: string): LatePut | undefined {
    const put = this.#puts[this.#lowerBound(key)]
    return put !== undefined && keyOf(put) === key ? put : undefined
  }

  has({ low, high }: TextRange): boolean {
    return this.#lowerBound(low) < this.#end(high)
  }

  *inOrder({ low, high }: TextRange, isReverse: boolean): Iterable<Row> {
    const first = this.#lowerBound(low)
    const end = this.#end(high)
    for (let i = first; i < end; i++) {
      const value = this.#puts[isReverse ? first + end - 1 - i : i]
      if (value !== undefined) yield new PutRow(value)
    }
  }

  #end(high: string | undefined): number {
    return high === undefined ? this.#puts.length : this.#lowerBound(high)
  }

  /** How many have a key below that text. */
  #lowerBound(text: string): number {
    const { revision, sub } = revisionOfText(text)
    let low = 0
    for (let high = this.#puts.length; low < high;) {
      const middle = (low + high) >>> 1
      const put = this.#puts[middle]
      if (put !== undefined && isBefore(put, revision, sub)) low = middle + 1
      else high = middle
    }
    const put = this.#puts[low]
    // What is longer stands behind the key that it begins with.
    return put !== undefined && text.length > REVISION_KEY_SIZE_BYTES && keyOf(put) < text ? low + 1 : low
  }
}

function isBefore({ record }: LatePut, revision: number, sub: number): boolean {
  return record.modRevision < revision || (record.modRevision === revision && record.sub < sub)
}

function keyOf({ record }: LatePut): string {
  return revisionText(record.modRevision, record.sub)
}
