/** A cluster's last half hour: what its graphs are drawn from. In memory alone, so it begins with this process. */
import { HISTORY_EVERY_MS, HISTORY_MS, HISTORY_POINTS } from './limits.ts'

interface Point {
  readonly atMs: number
  readonly commitIndex: number
  readonly term: number
  /** Empty while nobody leads. */
  readonly leader: string
}

/** For the page: leaders are named once. */
export interface HistoryView {
  readonly leaders: readonly string[]
  /** Time (milliseconds since the epoch), commit index, term, and which of the leaders. */
  readonly points: readonly (readonly [number, number, number, number])[]
}

export class History {
  readonly #points: Point[] = []

  add(point: Point): void {
    const last = this.#points.at(-1)
    const isNews = last === undefined || last.leader !== point.leader || last.term !== point.term
    if (!isNews && point.atMs - last.atMs < HISTORY_EVERY_MS) return
    // The name that is there already: each look brings another string with the same letters.
    this.#points.push(last?.leader === point.leader ? { ...point, leader: last.leader } : point)
    const first = this.#points.findIndex(({ atMs }) => point.atMs - atMs <= HISTORY_MS)
    const excess = Math.max(first, this.#points.length - HISTORY_POINTS)
    if (excess > 0) this.#points.splice(0, excess)
  }

  view(): HistoryView {
    const leaders = [...new Set(this.#points.map(({ leader }) => leader))]
    return {
      leaders,
      points: this.#points.map(({ atMs, commitIndex, term, leader }) => [atMs, commitIndex, term, leaders.indexOf(leader)]), // prettier-ignore
    }
  }
}
