/**
 * The viewers of the page, who get changes by server-sent events: everything at first, then once a second what has changed. What is
 * written is encoded once and shared by all. A viewer that does not keep up is sent nothing until it has read what it was sent,
 * and then everything again; so no more than one whole state waits for it, and only for SLOW_VIEWER_MS.
 */
import type { ServerResponse } from 'node:http'
import { assert } from '../../lib/assert.ts'
import type { Clock, Timer } from '../../lib/clock.ts'
import { HEARTBEAT_MS, MAX_VIEWERS, SLOW_VIEWER_MS, TELL_EVERY_MS } from './limits.ts'

export interface PageState {
  /** All there is. */
  readonly everything: () => unknown
  /** Since the last call; undefined: nothing. */
  readonly changes: () => unknown
}

interface Viewer {
  readonly response: ServerResponse
  /** Since when it has not read what it was sent; undefined: it has. */
  behindSinceMs: number | undefined
}

export class Viewers {
  readonly #page: PageState
  readonly #clock: Clock
  readonly #viewers = new Set<Viewer>()
  #everything: Buffer | undefined
  #timer: Timer | undefined
  #saidAtMs = 0

  constructor(page: PageState, clock: Clock) {
    this.#page = page
    this.#clock = clock
  }

  get isFull(): boolean {
    return this.#viewers.size >= MAX_VIEWERS
  }

  /** Its head has been written, and there is room. */
  add(response: ServerResponse): void {
    assert(!this.isFull, 'there is room for a viewer')
    const viewer: Viewer = { response, behindSinceMs: undefined }
    this.#viewers.add(viewer)
    response.once('close', () => this.#viewers.delete(viewer))
    response.write(this.#state())
    this.#tellLater()
  }

  /** As {@link PageState.everything}, encoded at most once between two rounds. */
  #state(): Buffer {
    this.#everything ??= message('everything', this.#page.everything())
    return this.#everything
  }

  #tellLater(): void {
    if (this.#timer !== undefined) return
    this.#timer = this.#clock.setTimer(TELL_EVERY_MS, () => {
      this.#timer = undefined
      this.#tell()
      if (this.#viewers.size > 0) this.#tellLater()
      else this.#everything = undefined
    })
  }

  #tell(): void {
    const nowMs = this.#clock.monotonicMs()
    const changes = this.#page.changes()
    if (changes !== undefined) this.#everything = undefined
    const isSilent = changes === undefined && nowMs - this.#saidAtMs < HEARTBEAT_MS
    const news = changes === undefined ? SILENCE : message('changes', changes)
    if (!isSilent) this.#saidAtMs = nowMs
    for (const viewer of this.#viewers) {
      const { response, behindSinceMs } = viewer
      if (response.writableNeedDrain) {
        viewer.behindSinceMs ??= nowMs
        if (nowMs - viewer.behindSinceMs >= SLOW_VIEWER_MS) response.destroy()
      } else if (behindSinceMs !== undefined) {
        viewer.behindSinceMs = undefined
        response.write(this.#state())
      } else if (!isSilent) response.write(news)
    }
  }
}

/** A comment, which the browser passes over. */
const SILENCE = Buffer.from(':\n\n')

function message(event: string, data: unknown): Buffer {
  return Buffer.from(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`)
}
