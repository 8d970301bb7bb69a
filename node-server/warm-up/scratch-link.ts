/** What goes between members in one process: messages through queue and codec, as bytes, and everything else not at all. */
import { err } from '../../lib/result.ts'
import type { MemberId } from '../../lib/ids.ts'
import { FLOW } from '../limits.ts'
import type { Message } from '../raft/message.ts'
import { decodeMessages, encodeMessagesFrame } from '../transport/codec.ts'
import { FrameDecoder } from '../transport/frame.ts'
import { Outbox } from '../transport/outbox.ts'
import type { PeerTransport, TransportHandlers } from '../transport/transport.ts'

export class ScratchLink {
  readonly #ends = new Map<MemberId, End>()

  attach(self: MemberId, handlers: TransportHandlers): PeerTransport {
    this.#ends.set(self, new End(handlers))
    return {
      setPeers: () => undefined,
      send: (messages) => {
        for (const message of messages) this.#ends.get(message.to)?.send(message)
      },
      takesProposals: (to) => this.#ends.has(to),
      request: async () => err('nobody answers'),
      sendSnapshot: async () => err('nobody takes one'),
      stats: () => NO_STATS,
      close: async () => void this.#ends.delete(self),
    }
  }
}

/** Where a member is sent to: what comes in one turn arrives together at a later one, as by a socket. */
class End {
  readonly #handlers: TransportHandlers
  readonly #outbox = new Outbox(FLOW.peerQueueSizeBytes)
  readonly #decoder = new FrameDecoder()
  #isFlushing = false

  constructor(handlers: TransportHandlers) {
    this.#handlers = handlers
  }

  send(message: Message): void {
    this.#outbox.add(message)
    if (!this.#isFlushing) setImmediate(() => this.#flush())
    this.#isFlushing = true
  }

  #flush(): void {
    this.#isFlushing = false
    for (let batch = this.#outbox.next(); batch.length > 0; batch = this.#outbox.next())
      for (const { payload } of this.#decoder.push(Buffer.concat(encodeMessagesFrame(batch))))
        this.#handlers.onMessages(decodeMessages(payload))
  }
}

const NO_STATS = {
  sentBytes: 0,
  sendFailures: 0,
  connectedSinceMs: undefined,
  receivedBytes: 0,
}
