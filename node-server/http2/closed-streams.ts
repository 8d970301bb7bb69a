/**
 * How the last streams of a connection ended. What still comes for a stream that we have reset was sent before the client
 * knew, and is nothing; the same for one that it ended itself breaks the protocol (RFC 9113 §5.1). Pure.
 */
const PLACES = 128

export type Ending = 'unknown' | 'ended' | 'reset-by-us'

export class ClosedStreams {
  /** Of the stream with this id modulo the places: its id, negative when we have reset it. */
  readonly #ids = new Int32Array(PLACES)

  add(streamId: number, isResetByUs: boolean): void {
    this.#ids[(streamId >>> 1) % PLACES] = isResetByUs ? -streamId : streamId
  }

  /** Unknown: it was never opened, or it is long ago. */
  find(streamId: number): Ending {
    const id = this.#ids[(streamId >>> 1) % PLACES]
    if (id === streamId) return 'ended'
    return id === -streamId ? 'reset-by-us' : 'unknown'
  }
}
