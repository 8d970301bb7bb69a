/** A destination in memory, which fails when it is told to. */
import { BackupFailed, type Destination, type StoredObject } from '../destination.ts'

export class MemoryDestination implements Destination {
  readonly url = 'memory://'
  readonly objects = new Map<string, Buffer>()
  /** The next so many pieces are written, then it fails. */
  piecesLeft = Infinity

  async write(name: string, pieces: AsyncIterable<Uint8Array>): Promise<void> {
    const taken: Uint8Array[] = []
    for await (const piece of pieces) {
      if (this.piecesLeft-- <= 0) throw new BackupFailed('memory:// is full')
      taken.push(piece)
    }
    this.objects.set(name, Buffer.concat(taken))
  }

  async *read(name: string): AsyncGenerator<Uint8Array> {
    const bytes = this.objects.get(name)
    if (bytes === undefined) throw new BackupFailed(`memory://: ${name} is not there`)
    await Promise.resolve()
    for (let at = 0; at < bytes.length; at += 1000) yield bytes.subarray(at, at + 1000)
  }

  async list(prefix: string): Promise<readonly StoredObject[]> {
    await Promise.resolve()
    return [...this.objects]
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, { length }]) => ({ name, sizeBytes: length }))
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
  }

  async remove(names: readonly string[]): Promise<void> {
    await Promise.resolve()
    for (const name of names) this.objects.delete(name)
  }
}
