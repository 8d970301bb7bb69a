/**
 * The lines between the members: a proxy before each of them, whose address is what the others know. A connection begins
 * with a hello that names its dialer, so each direction between two members is a link of its own, with faults of its own.
 *
 * A cut link holds what comes until it heals, as TCP does: nothing is lost from the middle of a stream, it only comes late,
 * and a new connection gets no answer.
 */
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { MalformedBytes } from '../../lib/bytes.ts'
import { FRAME, FrameDecoder, decodeHello } from '../../node-server/transport/frame.ts'

/** Of bytes from one member to another. */
export class Link {
  /** Each portion read takes so long. */
  delayMs = 0
  /** So many of the next portions get a bit flipped. */
  corruptions = 0
  /** Portions that were held, delayed or corrupted. */
  struck = 0
  #healed: PromiseWithResolvers<void> | undefined

  cut(): void {
    this.#healed ??= Promise.withResolvers()
  }

  heal(): void {
    this.delayMs = 0
    this.corruptions = 0
    this.#healed?.resolve()
    this.#healed = undefined
  }

  /** Resolves when the portion has arrived; the bytes may be others then. */
  async carry(portion: Buffer): Promise<Buffer> {
    if (this.delayMs > 0 || this.#healed !== undefined) this.struck += 1
    if (this.delayMs > 0) await sleep(this.delayMs)
    while (this.#healed !== undefined) await this.#healed.promise
    if (this.corruptions === 0) return portion
    this.corruptions -= 1
    this.struck += 1
    const corrupt = Buffer.from(portion)
    const at = corrupt.length >> 1
    corrupt[at] = (corrupt[at] ?? 0) ^ 0x10
    return corrupt
  }
}

interface Line {
  readonly dialer: number | undefined
  readonly acceptor: number
  readonly near: Socket
  readonly far: Socket
  isHalfOpen: boolean
}

export class Network {
  readonly #links: readonly (readonly Link[])[]
  readonly #servers: Server[] = []
  readonly #lines = new Set<Line>()
  /** Of those who are not members (yet): it has no faults. */
  readonly #outside = new Link()
  /** Which member runs in which place. */
  readonly places = new Map<bigint, number>()

  constructor(places: number) {
    const all = Array.from({ length: places }, (_, place) => place)
    this.#links = all.map(() => all.map(() => new Link()))
  }

  link(from: number, to: number): Link {
    return this.#links[from]?.[to] ?? this.#outside
  }

  links(): readonly Link[] {
    return this.#links.flat()
  }

  /** Opens the proxy before the member of that place, which listens on `peerPort`. Returns the proxy's port. */
  async listen(place: number, peerPort: number): Promise<number> {
    const server = createServer((near) => void this.#accept(place, peerPort, near))
    this.#servers.push(server)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    return address === null || typeof address === 'string' ? 0 : address.port
  }

  /** Resets all connections between the two; returns how many there were. */
  reset(a: number, b: number): number {
    const between = this.#between(a, b)
    for (const { near, far } of between) {
      near.resetAndDestroy()
      far.resetAndDestroy()
    }
    return between.length
  }

  /** The dialers of the connections between the two are not told that the other side is gone. */
  halfOpen(a: number, b: number): number {
    const between = this.#between(a, b).filter((line) => !line.isHalfOpen)
    for (const line of between) {
      line.isHalfOpen = true
      line.far.resetAndDestroy()
    }
    return between.length
  }

  heal(): void {
    for (const link of this.links()) link.heal()
    for (const line of this.#lines) if (line.isHalfOpen) line.near.resetAndDestroy()
  }

  async close(): Promise<void> {
    this.heal()
    const closed = this.#servers.map((server) => new Promise((resolve) => server.close(resolve)))
    for (const { near, far } of this.#lines) {
      near.destroy()
      far.destroy()
    }
    await Promise.all(closed)
  }

  #between(a: number, b: number): readonly Line[] {
    return [...this.#lines].filter(
      ({ dialer, acceptor }) => (dialer === a && acceptor === b) || (dialer === b && acceptor === a),
    )
  }

  async #accept(acceptor: number, peerPort: number, near: Socket): Promise<void> {
    near.setNoDelay(true)
    near.on('error', () => near.destroy())
    const opening = await readHello(near)
    if (opening === undefined) return void near.destroy()
    const dialer = this.places.get(opening.from)
    const far = connect({ host: '127.0.0.1', port: peerPort, noDelay: true })
    const line: Line = { dialer, acceptor, near, far, isHalfOpen: false }
    this.#lines.add(line)
    far.on('error', () => far.destroy())
    const there = dialer === undefined ? this.#outside : this.link(dialer, acceptor)
    const back = dialer === undefined ? this.#outside : this.link(acceptor, dialer)
    await Promise.all([pump(near, far, there, line, opening.bytes), pump(far, near, back, line)])
    near.destroy()
    this.#lines.delete(line)
  }
}

/** The dialer, and what it has sent so far; undefined when it went away or is not a member's program. */
async function readHello(socket: Socket): Promise<{ readonly from: bigint; readonly bytes: Buffer } | undefined> {
  const decoder = new FrameDecoder(64 * 1024)
  const read: Buffer[] = []
  const closed = happening(socket, 'close').then(() => undefined)
  for (;;) {
    const bytes = await Promise.race([happening<Buffer>(socket, 'data'), closed])
    if (bytes === undefined) return undefined
    socket.pause()
    read.push(bytes)
    try {
      const [hello] = decoder.push(bytes)
      if (hello !== undefined)
        return hello.type === FRAME.hello
          ? { from: decodeHello(hello.payload).from, bytes: Buffer.concat(read) }
          : undefined
    } catch (error) {
      if (error instanceof MalformedBytes) return undefined
      throw error
    }
    socket.resume()
  }
}

/** Resolves once nothing more goes this way. */
async function pump(from: Socket, to: Socket, link: Link, line: Line, first?: Buffer): Promise<void> {
  try {
    if (first !== undefined) await put(to, await link.carry(first))
    for await (const portion of from) await put(to, await link.carry(portion as Buffer))
    if (!line.isHalfOpen) to.end()
  } catch {
    // Reset by either side: the other is told, unless it is left in the dark on purpose.
    if (!line.isHalfOpen) to.destroy()
  }
}

async function put(to: Socket, bytes: Buffer): Promise<void> {
  if (to.destroyed || !to.writable) return
  if (to.write(bytes)) return
  await new Promise<void>((resolve) => {
    const done = (): void => {
      to.off('drain', done).off('close', done)
      resolve()
    }
    to.once('drain', done).once('close', done)
  })
}

/** Unlike `once` of node:events it does not reject when an error comes first. */
function happening<Value>(socket: Socket, event: 'data' | 'close'): Promise<Value> {
  return new Promise((resolve) => socket.once(event, resolve))
}
