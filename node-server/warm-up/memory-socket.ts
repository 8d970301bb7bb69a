/** A connection without a network: what one end writes, buffers alone, the other reads at a later turn, as a socket does. */
import { Socket } from 'node:net'

export class MemorySocket extends Socket {
  #other: MemorySocket | undefined

  static pair(): readonly [MemorySocket, MemorySocket] {
    const [a, b] = [new MemorySocket(), new MemorySocket()]
    a.#other = b
    b.#other = a
    return [a, b]
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#carry(chunk)
    done()
  }

  override _writev(chunks: readonly { readonly chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this.#carry(Buffer.concat(chunks.map(({ chunk }) => chunk)))
    done()
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#carry(null)
    done()
  }

  #carry(chunk: Buffer | null): void {
    setImmediate(() => this.#other?.push(chunk))
  }
}
