/** A call that no handler gets to see: it is answered at once, and what its client still sends is forgotten. */
import type { Field } from '../http2/hpack-encoder.ts'
import { Stream, type StreamPort } from '../http2/stream.ts'
import type { StreamLoad } from '../listen/load.ts'

export class RefusedCall extends Stream {
  readonly #load: StreamLoad

  constructor(port: StreamPort, id: number, load: StreamLoad, head: readonly Field[]) {
    super(port, id)
    this.#load = load
    this.respond(head)
    this.finish([])
  }

  onData(_bytes: Buffer, start: number, end: number): void {
    this.consumed(end - start)
  }

  onEnd(): void {
    // There is nothing more to say.
  }

  onSent(): void {
    // It has no body.
  }

  onClosed(): void {
    this.#load.close()
  }
}
