/** What a connection makes of its header blocks: for each head who answers it, found again by the bytes of the block. */
import { ErrorCode } from './frame.ts'
import { HeadCache } from './head-cache.ts'
import type { FieldList, HpackDecoder } from './hpack-decoder.ts'
import { requestHead, type RequestHead } from './request-head.ts'

export class HeadDecoder<Route extends object> {
  readonly #decoder: HpackDecoder
  readonly #routeOf: (head: RequestHead) => Route
  readonly #known = new HeadCache<Route>()

  constructor(decoder: HpackDecoder, routeOf: (head: RequestHead) => Route) {
    this.#decoder = decoder
    this.#routeOf = routeOf
  }

  /** Or the error of the stream: its head is too long, or malformed. Throws a ConnectionError. */
  route(bytes: Buffer, start: number, end: number): Route | ErrorCode {
    const { version } = this.#decoder
    const known = this.#known.find(bytes, start, end, version)
    if (known !== undefined) return known
    const list = this.#decoder.decode(bytes, start, end)
    if (list === undefined) return ErrorCode.enhanceYourCalm
    const head = requestHead(list)
    if (head === undefined) return ErrorCode.protocolError
    const route = this.#routeOf(head)
    // A block that the table has learned from means something else the next time.
    if (this.#decoder.version === version) this.#known.add(bytes, start, end, version, route)
    return route
  }

  /** Of a block that is no head of a request. */
  fields(bytes: Buffer, start: number, end: number): FieldList | undefined {
    return this.#decoder.decode(bytes, start, end)
  }
}
