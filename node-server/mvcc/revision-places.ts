/**
 * Places in the table `revisions`, added in any order and read in order. They are kept as numbers: as objects, those that
 * wait for a commit would be most of what the garbage collector has to move. Those that come nearly in order, as they do from
 * a compaction, cost next to nothing to sort; others no more than moving half of a piece each.
 */
import { assert } from '../../lib/assert.ts'

/** A revision and a sub-revision each. */
const PIECE_PLACES = 512

interface Piece {
  /** Ascending pairs. */
  readonly numbers: Float64Array
  /** Of them, those in use. */
  used: number
}

interface Cursor extends Piece {
  at: number
}

export class RevisionPlaces {
  readonly #pieces: Piece[] = []

  add(revision: number, sub: number): void {
    const piece = this.#roomy()
    const { numbers } = piece
    let at = piece.used
    while (at > 0 && isAbove(numbers, at - 2, revision, sub)) at -= 2
    numbers.copyWithin(at + 2, at, piece.used)
    numbers[at] = revision
    numbers[at + 1] = sub
    piece.used += 2
  }

  #roomy(): Piece {
    const last = this.#pieces.at(-1)
    if (last !== undefined && last.used < last.numbers.length) return last
    const piece = { numbers: new Float64Array(2 * PIECE_PLACES), used: 0 }
    this.#pieces.push(piece)
    return piece
  }

  /** Each once, however often it was added. Nothing is added while they are read. */
  *inOrder(): Iterable<readonly [revision: number, sub: number]> {
    const cursors: Cursor[] = this.#pieces.map((piece) => ({ ...piece, at: 0 }))
    let last: readonly [number, number] = [-1, -1]
    for (let next = lowest(cursors); next !== undefined; next = lowest(cursors)) {
      const place = [numberAt(next.numbers, next.at), numberAt(next.numbers, next.at + 1)] as const
      next.at += 2
      if (next.at === next.used) cursors.splice(cursors.indexOf(next), 1)
      if (place[0] === last[0] && place[1] === last[1]) continue
      yield place
      last = place
    }
  }
}

function lowest(cursors: readonly Cursor[]): Cursor | undefined {
  let lowest = cursors[0]
  for (const cursor of cursors) {
    const { numbers, at } = cursor
    if (lowest !== undefined && isAbove(lowest.numbers, lowest.at, numberAt(numbers, at), numberAt(numbers, at + 1)))
      lowest = cursor
  }
  return lowest
}

function isAbove(numbers: Float64Array, at: number, revision: number, sub: number): boolean {
  const other = numberAt(numbers, at)
  return other > revision || (other === revision && numberAt(numbers, at + 1) > sub)
}

function numberAt(numbers: Float64Array, at: number): number {
  const number = numbers[at]
  assert(number !== undefined, 'a place has two numbers')
  return number
}
