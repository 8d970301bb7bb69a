/** HEADERS, and the CONTINUATION that may follow, put together to the header block that they carry (RFC 9113 §4.3). */
import { ConnectionError } from './errors.ts'
import { ErrorCode, Flag, FrameType } from './frame.ts'
import { uint31At } from './frame-reader.ts'
import { protocolError, withoutPadding } from './frame-rules.ts'
import { MAX_CONTINUATIONS } from './limits.ts'

const PRIORITY_BYTES = 5

/** The block is `bytes` from `start` to `end`. */
export type OnBlock = (streamId: number, isEnd: boolean, bytes: Buffer, start: number, end: number) => void

interface Unfinished {
  readonly streamId: number
  readonly isEnd: boolean
  readonly parts: Buffer[]
  bytes: number
}

export class HeaderBlocks {
  readonly #maxBytes: number
  readonly #onBlock: OnBlock
  #unfinished: Unfinished | undefined

  /** `maxBytes` of one that comes in parts; one that comes whole is a frame at most. */
  constructor(maxBytes: number, onBlock: OnBlock) {
    this.#maxBytes = maxBytes
    this.#onBlock = onBlock
  }

  /** Nothing may come between the parts of a block. */
  check(type: number, streamId: number): void {
    const unfinished = this.#unfinished
    if (unfinished === undefined) {
      if (type === FrameType.continuation) throw protocolError('CONTINUATION of nothing')
      return
    }
    if (type !== FrameType.continuation || streamId !== unfinished.streamId)
      throw protocolError('a header block must not be interrupted')
  }

  onHeaders(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    if (streamId % 2 === 0) throw protocolError('HEADERS on a stream that no client can have')
    let from = start
    let to = end
    if ((flags & Flag.padded) !== 0) [from, to] = withoutPadding(bytes, start, end)
    if ((flags & Flag.priority) !== 0) {
      if (to - from < PRIORITY_BYTES)
        throw new ConnectionError(ErrorCode.frameSizeError, 'HEADERS without its priority')
      if (uint31At(bytes, from) === streamId) throw protocolError('a stream that depends on itself')
      from += PRIORITY_BYTES
    }
    const isEnd = (flags & Flag.endStream) !== 0
    if ((flags & Flag.endHeaders) !== 0) return this.#onBlock(streamId, isEnd, bytes, from, to)
    // A copy: it must not keep all that was read with it until its rest has come.
    const part = Buffer.from(bytes.subarray(from, to))
    this.#unfinished = { streamId, isEnd, parts: [part], bytes: part.length }
  }

  onContinuation(flags: number, bytes: Buffer, start: number, end: number): void {
    const block = this.#unfinished
    if (block === undefined) return // `check` has seen to it
    block.parts.push(Buffer.from(bytes.subarray(start, end)))
    block.bytes += end - start
    if (block.bytes > this.#maxBytes || block.parts.length > MAX_CONTINUATIONS)
      throw new ConnectionError(ErrorCode.enhanceYourCalm, 'a header block without end')
    if ((flags & Flag.endHeaders) === 0) return
    this.#unfinished = undefined
    this.#onBlock(block.streamId, block.isEnd, Buffer.concat(block.parts), 0, block.bytes)
  }
}
